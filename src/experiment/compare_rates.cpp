#include "experiment/compare_rates.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiment/compare_beside.hpp"

namespace gradflow {
namespace {

constexpr double tolerance = 1.05;         // of the bracket: its upper end over its lower one
constexpr double most_steps = 10'000'000;  // of one trial
constexpr double infinity = std::numeric_limits<double>::infinity();

/// Where the distance would be eps if it were in proportion to the rate, of the descent that is nearest to it.
double first_guess(const std::vector<std::pair<double, double>>& nearby, double eps, double otherwise) {
  double guess = otherwise, nearest = infinity;
  for (const auto& [rate, distance] : nearby)
    if (const double off = std::abs(std::log(distance / eps)); off < nearest) {
      nearest = off;
      guess = rate * eps / distance;
    }
  return guess;
}

double largest(const std::vector<double>& distances) {
  double result = 0;
  for (const double distance : distances) result = std::fmax(result, distance);
  return result;
}

}  // namespace

RateSearch search_rate(RateSearch search, double guess, double least, double most,
                       const std::function<RateTrial(double rate)>& trial) {
  for (double rate = std::clamp(guess, least, most);;) {
    const RateTrial found = trial(rate);
    if (!found.known) return search;
    ++search.trials;
    const bool within = found.distance <= search.eps;
    (within ? search.largest : search.too_large) = rate;
    (within ? search.largest_distance : search.too_large_distance) = found.distance;

    if (search.largest && search.too_large) {
      if (*search.too_large <= tolerance * *search.largest) return search;
      rate = std::sqrt(*search.largest * *search.too_large);
    } else if (rate == (within ? most : least)) {
      return search;
    } else {  // in proportion, and a bit beyond, by no less than a quarter and no more than a factor of 30
      const double proportion = search.eps / found.distance;
      rate *= within ? std::clamp(1.03 * proportion, 1.25, 30.0) : std::clamp(proportion / 1.03, 1 / 30.0, 0.8);
      rate = std::clamp(rate, least, most);
    }
  }
}

RateSearch search_rate(const Problem& problem, RateSearch search, const std::vector<double>& record_times,
                       const std::vector<std::pair<double, double>>& nearby,
                       const std::function<Update(double rate)>& update, Listener& listener) {
  const double until = problem.experiment.solver.until;
  const double most = until / update(1).time(1), least = most / most_steps;
  const std::string name = fmt::format("{} within {:g}", search.method, search.eps);
  const auto trial = [&](double rate) -> RateTrial {
    const Update tried = update(rate);
    Meetings meetings{.steps = {}, .times = {}, .give_up_above = search.eps};
    for (const double t : record_times) {
      const Index step = tried.steps_until(t);
      if (step == 0 || (!meetings.steps.empty() && step == meetings.steps.back())) continue;
      meetings.steps.push_back(step);
      meetings.times.push_back(std::min(tried.time(step), until));
    }
    const BesideRun run = run_beside(problem, *problem.flow, *problem.flow, tried, meetings, name.c_str(), listener);
    if (run.diverged) return {infinity, true};
    return {largest(run.distance), run.gave_up || (run.report.reached_target() && !run.interrupted)};
  };
  return search_rate(std::move(search), first_guess(nearby, search.eps, most / 1000), least, most, trial);
}

trajectory::Arrays describe_rates(const std::vector<double>& eps, const ComparisonLabels& labels) {
  const std::vector<double> later;
  const std::vector<std::string> both{"request", "method"};
  return {
      {{"model", "the largest rate for which |theta_d - theta_f| <= eps |theta_f| at all times, by trial"},
       {"estimate_source",
        "Elkabetz and Cohen, NeurIPS 2021 (arXiv:2107.06608), evaluated on the flow itself (group curvature), for the "
        "absolute distance eps times the smallest |theta|"}},
      {{"request", static_cast<std::int64_t>(eps.size())}, {"method", labels.methods}},
      {{"eps", {"request"}, eps, "1", "relative distance in parameters that is asked for"},
       {"log10_estimate", {"request"}, later, "1", "log10 of the rate of gradient descent that is enough: estimate"},
       {"estimate_t", {"request"}, later, "1/loss", "flow time that binds the estimate"},
       {"largest", both, later, "1", "the largest rate found that stays within"},
       {"largest_distance", both, later, "1", "its distance"},
       {"too_large", both, later, "1", "the smallest rate found that does not stay within"},
       {"too_large_distance", both, later, "1", "its distance when it was given up"},
       {"trials", both, later, "1", "descents tried"}}};
}

void write_rates(trajectory::ComparisonWriter& writer, const std::vector<RateSearch>& searches,
                 const ComparisonLabels& labels, const std::vector<std::optional<RateEstimate>>& estimates) {
  std::vector<double> log10_estimate, estimate_t;
  for (const auto& estimate : estimates) {
    log10_estimate.push_back(estimate ? estimate->log_eta / std::log(10) : trajectory::unknown);
    estimate_t.push_back(estimate ? estimate->t : trajectory::unknown);
  }
  writer.set_result("learning_rate", "log10_estimate", log10_estimate);
  writer.set_result("learning_rate", "estimate_t", estimate_t);

  // The searches come request by request, each with the methods that follow the flow, in their order.
  const auto column = [&](const char* name, const auto& value) {
    std::vector<double> values(estimates.size() * labels.methods.size(), trajectory::unknown);
    std::size_t request = 0;
    for (std::size_t i = 0; i < searches.size(); ++i) {
      if (i > 0 && searches[i].eps != searches[i - 1].eps) ++request;
      const auto method = std::ranges::find(labels.methods, searches[i].method) - labels.methods.begin();
      values[request * labels.methods.size() + static_cast<std::size_t>(method)] =
          std::optional<double>(value(searches[i])).value_or(trajectory::unknown);
    }
    writer.set_result("learning_rate", name, values);
  };
  column("largest", [](const RateSearch& s) { return s.largest; });
  column("largest_distance", [](const RateSearch& s) { return s.largest_distance; });
  column("too_large", [](const RateSearch& s) { return s.too_large; });
  column("too_large_distance", [](const RateSearch& s) { return s.too_large_distance; });
  column("trials", [](const RateSearch& s) { return static_cast<double>(s.trials); });
}

}  // namespace gradflow
