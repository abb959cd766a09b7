#include "cli/comparison_results.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <gradflow/analysis/phases.hpp>
#include <optional>

#include "cli/comparison_rates.hpp"
#include "cli/format.hpp"
#include "cli/results.hpp"

namespace gradflow::cli {
namespace {

using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;
using trajectory::ComparisonReader;
using trajectory::RunReader;

constexpr std::size_t crossings_shown = 6;  // of one event

/// One column of `comparison`, of one descent.
struct Distance {
  double largest = trajectory::unknown, at = trajectory::unknown, end = trajectory::unknown;
};

Distance distance(const ComparisonReader& comparison, std::size_t descent) {
  const std::vector<double> all = comparison.column("distance").values;
  const std::size_t descents = comparison.labels().size();
  Distance result;
  for (std::size_t row = 0; row < comparison.t().size(); ++row) {
    result.end = all[row * descents + descent];
    if (result.end > result.largest || (std::isnan(result.largest) && !std::isnan(result.end)))
      result.largest = result.end, result.at = comparison.t()[row];
  }
  return result;
}

/// Those of the flow for any purpose but the companion's.
std::int64_t evaluations(const RunReader& flow) {
  const std::vector<std::string> names = flow.counts();
  const std::vector<std::int64_t> counts = flow.end().counts;
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < std::min(names.size(), counts.size()); ++i)
    if (names[i].starts_with("evaluations_")) sum += counts[i];
  return sum;
}

/// "-" until the run has ended.
std::string count(const RunReader& run, const std::string& name) {
  const std::vector<std::string> names = run.counts();
  const auto place = static_cast<std::size_t>(std::ranges::find(names, name) - names.begin());
  const trajectory::RunEnd end = run.end();
  return end.outcome >= 0 && place < end.counts.size() ? fmt::format("{}", end.counts[place]) : "-";
}

std::string end_figure(const RunReader& run, const char* name) {
  const Json value = end_value(run, name);
  return figure(value.is_number() ? value.get<double>() : trajectory::unknown);
}

struct Crossing {
  double t, error;
  bool up;
  std::int64_t step_before, step_after;  // of a descent
};

/// All crossings of one event in order of time; both ways alternate.
std::vector<Crossing> crossings(const EventReport& event) {
  std::vector<Crossing> all;
  for (const CrossingReport& c : event.up) all.push_back({c.t, c.error, true, c.step_before, c.step_after});
  for (const CrossingReport& c : event.down) all.push_back({c.t, c.error, false, c.step_before, c.step_after});
  std::ranges::stable_sort(all, {}, &Crossing::t);
  return all;
}

/// One event in the flow and in every descent, crossing by crossing. Who ends as the flow does is lined up with it at
/// the last crossing, which is the one for good, and else at the first: all start alike, so in every row all go the
/// same way.
struct Story {
  std::string name, verdict;                               // the flow's
  std::vector<std::vector<std::optional<Crossing>>> runs;  // the flow, then the descents; all equally long

  Story(const EventReport& flow, const std::vector<std::vector<Crossing>>& all)
      : name(flow.name), verdict(flow.verdict) {
    const auto ends_as_flow = [&](const auto& own) { return (own.size() - all.front().size()) % 2 == 0; };
    std::size_t longest_alike = 0, rows = 0;
    for (const auto& own : all) {
      rows = std::max(rows, own.size());
      if (ends_as_flow(own)) longest_alike = std::max(longest_alike, own.size());
    }
    for (const auto& own : all) {
      auto& run = runs.emplace_back(rows);
      std::ranges::copy(
          own, run.begin() + (ends_as_flow(own) ? static_cast<std::ptrdiff_t>(longest_alike - own.size()) : 0));
    }
  }
  std::size_t rows() const { return runs.front().size(); }
  /// Of many, those that the flow has, and the last one.
  bool shows(std::size_t row) const {
    return rows() <= crossings_shown || runs.front()[row].has_value() || row + 1 == rows();
  }
  bool up(std::size_t row) const {
    return (*std::ranges::find_if(runs, [&](const auto& run) { return run[row].has_value(); }))[row]->up;
  }
};

std::vector<Story> stories(const ComparisonReader& comparison) {
  std::vector<PhasesReport> reports{phases(comparison.flow())};
  for (std::int64_t d = 0; d < comparison.descents(); ++d) reports.push_back(phases(comparison.descent(d)));
  std::vector<Story> result;
  for (std::size_t i = 0; i < reports.front().events.size(); ++i) {
    if (!reports.front().events[i].applicable) continue;
    std::vector<std::vector<Crossing>> all;
    for (const PhasesReport& report : reports) all.push_back(crossings(report.events[i]));
    result.emplace_back(reports.front().events[i], all);
  }
  return result;
}

/// The last row at which a descent without a flow time has had the flow's loss.
struct EqualLoss {
  double flow_t, t, distance, logits;
};

std::optional<EqualLoss> equal_loss(const ComparisonReader& comparison, std::size_t descent) {
  const std::size_t descents = comparison.labels().size();
  const auto at = [&](const char* column, std::size_t row) {
    return comparison.column(column).values[row * descents + descent];
  };
  const std::vector<double> t = comparison.column("equal_loss_t").values;
  for (std::size_t row = comparison.t().size(); row-- > 1;)  // at t = 0 all are one
    if (const double own = t[row * descents + descent]; std::isfinite(own))
      return EqualLoss{.flow_t = comparison.t()[row],
                       .t = own,
                       .distance = at("equal_loss_distance", row),
                       .logits = at("equal_loss_distance_logits", row)};
  return {};
}

std::string equal_losses_text(const ComparisonReader& comparison) {
  Rows rows{{"", "at equal loss", "steps x rate", "flow's t", "distance", "of the logits"}};
  for (std::size_t d = 0; d < comparison.labels().size(); ++d)
    if (const auto last = equal_loss(comparison, d))
      rows.push_back({fmt::format("{}", d), comparison.labels()[d], figure(last->t), figure(last->flow_t),
                      figure(last->distance), figure(last->logits)});
  if (rows.size() == 1) return "";
  return "\n" + table(rows) + "The smallest loss that both have had; the file has all (comparison/equal_loss_...).\n";
}

std::string descents_text(const ComparisonReader& comparison) {
  const RunReader flow = comparison.flow();
  Rows rows{{"", "", "steps", "gradients", "outcome", "largest distance", "at t", "at the end", "loss at the end"},
            {"", "flow", count(flow, "accepted"), flow.end().outcome < 0 ? "-" : fmt::format("{}", evaluations(flow)),
             flow.outcome(flow.end().outcome), "", "", "", end_figure(flow, "loss")}};
  bool other_time = false;
  for (std::int64_t d = 0; d < comparison.descents(); ++d) {
    const auto number = static_cast<std::size_t>(d);
    const RunReader run = comparison.descent(d);
    const Distance apart = distance(comparison, number);
    const bool flow_time = run.text_attribute("t_is") == "flow time";
    other_time |= !flow_time;
    rows.push_back({fmt::format("{}", d), comparison.labels()[number] + (flow_time ? "" : " *"), count(run, "steps"),
                    count(run, "gradients"), run.outcome(run.end().outcome), figure(apart.largest), figure(apart.at),
                    figure(apart.end), end_figure(run, "loss")});
  }
  return table(rows) +
         fmt::format(
             "Distance: |theta_d - theta_f| / |theta_f| over all parameters, at equal t, on a grid of {} times that "
             "all "
             "share: the\nflow's records, moved to whole steps of the descent whose steps are longest. Gradients of "
             "the "
             "flow: its evaluations,\nthose for events and outputs included, those of its error bars not.\n",
             comparison.t().size()) +
         (other_time ? "*: its t is steps x rate and no flow time: compare it at equal loss.\n" : "") +
         equal_losses_text(comparison);
}

std::string events_side_by_side(const ComparisonReader& comparison) {
  std::vector<std::string> head{"event", "becomes", "flow"};
  head.insert(head.end(), comparison.labels().begin(), comparison.labels().end());
  Rows rows{head};
  for (const Story& story : stories(comparison)) {
    std::string name = story.name;
    if (story.rows() == 0) rows.push_back({name, story.verdict});  // all have the same start
    std::size_t left_out = 0;
    for (std::size_t k = 0; k < story.rows(); ++k) {
      if (!story.shows(k)) {
        ++left_out;
        continue;
      }
      const auto& flow = story.runs.front()[k];
      std::vector<std::string> row{std::exchange(name, ""), story.up(k) ? "true" : "false",
                                   flow ? with_error(flow->t, flow->error) : "-"};
      for (std::size_t d = 1; d < story.runs.size(); ++d) {
        const auto& own = story.runs[d][k];
        row.push_back(own ? fmt::format("{:.6g}", own->t) : "-");
        if (flow && own) row.back() += fmt::format(" ({:+.2g})", own->t - flow->t);
      }
      rows.push_back(row);
    }
    if (left_out > 0) rows.push_back({"", fmt::format("... {} more", left_out)});
  }
  return table(rows) +
         "In parentheses: later than the flow by so much. A descent's times lie between two of its steps, by a line.\n"
         "One that ends as the flow does is lined up with it at the last crossing, another at the first. Of many\n"
         "crossings those that the flow does not have are left out, but for the last.\n";
}

Json descents_json(const ComparisonReader& comparison) {
  Json descents = Json::array();
  for (std::int64_t d = 0; d < comparison.descents(); ++d) {
    const auto place = static_cast<std::size_t>(d);
    const RunReader run = comparison.descent(d);
    const Distance apart = distance(comparison, place);
    descents.push_back({{"label", comparison.labels()[place]},
                        {"method", run.text_attribute("method")},
                        {"rate", number(run.number_attribute("rate"))},
                        {"beta", number(run.number_attribute("beta"))},
                        {"batch", number(run.number_attribute("batch"))},
                        {"t_is", run.text_attribute("t_is")},
                        {"outcome", run.end().outcome < 0 ? Json(nullptr) : Json(run.outcome(run.end().outcome))},
                        {"message", run.end().message},
                        {"statistics", statistics_json(run)},
                        {"t_end", run.t().empty() ? Json(nullptr) : number(run.t().back())},
                        {"largest_distance", number(apart.largest)},
                        {"largest_distance_t", number(apart.at)},
                        {"distance_end", number(apart.end)},
                        {"loss_end", end_value(run, "loss")},
                        {"equal_loss", nullptr}});
    if (const auto last = equal_loss(comparison, place))
      descents.back()["equal_loss"] = {{"flow_t", number(last->flow_t)},
                                       {"t", number(last->t)},
                                       {"distance", number(last->distance)},
                                       {"distance_logits", number(last->logits)}};
  }
  return descents;
}

Json events_json(const ComparisonReader& comparison) {
  Json events = Json::array();
  for (const Story& story : stories(comparison)) {
    Json all = Json::array();
    for (std::size_t k = 0; k < story.rows(); ++k) {
      const auto& flow = story.runs.front()[k];
      Json others = Json::array();
      for (std::size_t d = 1; d < story.runs.size(); ++d) {
        const auto& own = story.runs[d][k];
        others.push_back(!own ? Json(nullptr)
                              : Json{{"t", number(own->t)},
                                     {"error", number(own->error)},
                                     {"step_before", own->step_before},
                                     {"step_after", own->step_after},
                                     {"difference", flow ? number(own->t - flow->t) : Json(nullptr)}});
      }
      all.push_back({{"becomes", story.up(k)},
                     {"flow", flow ? Json{{"t", number(flow->t)}, {"error", number(flow->error)}} : Json(nullptr)},
                     {"descents", others}});
    }
    events.push_back({{"name", story.name}, {"crossings", all}});
  }
  return events;
}

}  // namespace

std::string comparison_text(const ComparisonReader& comparison) {
  return descents_text(comparison) + "\n" + events_side_by_side(comparison) + "\n" + rates_text(comparison);
}

Json comparison_json(const ComparisonReader& comparison) {
  const RunReader flow = comparison.flow();
  Json json{{"flow",
             {{"outcome", flow.end().outcome < 0 ? Json(nullptr) : Json(flow.outcome(flow.end().outcome))},
              {"message", flow.end().message},
              {"evaluations", evaluations(flow)},
              {"statistics", statistics_json(flow)},
              {"t_end", flow.t().empty() ? Json(nullptr) : number(flow.t().back())},
              {"loss_end", end_value(flow, "loss")}}},
            {"descents", descents_json(comparison)},
            {"events", events_json(comparison)}};
  json.update(rates_json(comparison));
  return json;
}

}  // namespace gradflow::cli
