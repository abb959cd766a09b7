#include <fmt/format.h>
#include <gradflow/analysis/claims.hpp>
#include <gradflow/storage/file_error.hpp>
#include <gradflow/trajectory/comparison.hpp>
#include <gradflow/trajectory/reader.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include "analysis/claims_specs.hpp"

namespace gradflow {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

ClaimSpecs claim_specs(const ClaimOptions& options) {
  ClaimSpecs all;
  for (const ClaimSpecs& part : {phase1_specs(options), theorem32_specs(), end_specs(), balancing_specs(options)})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

Claim unjudged(const ClaimSpec& spec, const std::string& why) {
  return {.name = spec.name, .source = spec.source, .statement = spec.statement, .unit = spec.unit, .note = why};
}

/// The paper's class of each sample, 0..3, by what it contains; or, where the task is another, why.
std::vector<int> classes(const Task& task, std::string& why) {
  const TaskData& data = task.data();
  std::vector<int> result;
  std::array<Index, 4> count{};
  if (!data.common) {
    why = "the task has no common word";
    return {};
  }
  for (Index i = 0; i < task.samples(); ++i) {
    const auto contains = [&](Index word) { return std::ranges::binary_search(task.bag(i).words, word); };
    const bool first = contains(data.targets[0]), second = contains(data.targets[1]);
    const int c = first ? (second ? 0 : 1) : (second ? 2 : 3);
    if (!contains(*data.common))
      why = fmt::format("sample {} lacks the common word", i + 1);
    else if (task.label(i) != (c == 0 ? 1 : -1))
      why = fmt::format("the label of sample {} is not +1 where both targets occur, else -1", i + 1);
    if (!why.empty()) return {};
    result.push_back(c);
    ++count[static_cast<std::size_t>(c)];
  }
  for (std::size_t c = 0; c < 4; ++c)
    if (count[c] == 0) why = fmt::format("the task has no sample of class I{}", c + 1);
  return why.empty() ? result : std::vector<int>{};
}

/// The problem that the run solved, on its clock. What does not fit together in a file is the file's fault.
std::unique_ptr<Problem> reopen(const std::filesystem::path& file) {
  const std::string group = trajectory::is_comparison(file) ? "flow" : "";
  Inputs inputs = read_run_inputs(file, Undertaking::simulation, group);
  try {
    auto problem = std::make_unique<Problem>(read_run_settings(file, group), std::move(inputs));
    const double t0 = trajectory::RunReader(file, group).number_attribute("t0");
    if (t0 > 0) problem->clock = solvers::Clock<double>::log(t0);
    return problem;
  } catch (const settings::Error& error) {
    throw FileError(fmt::format("{}: what it holds does not fit together: {}", file.string(), error.what()));
  }
}

/// T1 as things stand in a run that has not ended: a condition that has not crossed yet is what it was at the start.
void settle_T1(const Problem& problem, PhasesReport& phases) {
  double T1 = 0;
  for (const char* name : {"classified", "aligned"}) {
    const EventReport* named = find_event(phases, name);
    if (named == nullptr) return;
    EventReport& report = phases.events[static_cast<std::size_t>(named - phases.events.data())];
    const auto event = std::ranges::find(problem.events, report.name, &FlowEvent::name);
    if (event == problem.events.end()) return;
    if (report.up.empty() && report.down.empty()) {
      Moment start(*problem.flow);
      start.set(0, problem.x0);
      report.true_at_start = report.true_at_end = event->value(start) > 0;
    }
    if (!report.true_at_end) return;
    if (report.for_good) T1 = std::max(T1, report.for_good->t);
  }
  phases.T1 = T1;
}

}  // namespace

std::string_view name(ClaimVerdict verdict) {
  return std::array<std::string_view, 4>{"holds", "fails", "holds from t on", "not applicable"}.at(
      static_cast<std::size_t>(verdict));
}

std::string obstacle(Needs needs, const Evidence& evidence) {
  if (!evidence.no_claims.empty()) return evidence.no_claims;
  if (needs == Needs::start || needs == Needs::end) return "";
  if (!evidence.phases.T1)
    return evidence.phases.finished ? "there is no T1: classified or aligned does not hold at the end of the run"
                                    : "there is no T1 yet: the run has not reached its target";
  if (evidence.T1() > evidence.phases.t_end) return "T1 lies beyond the run's last record";
  if (needs == Needs::phase2 && !evidence.has_phase2()) return "Phase 2 is empty: T2 does not come after T1";
  return "";
}

Claim judge(const ClaimSpec& spec, const Evidence& evidence) {
  Claim claim = unjudged(spec, obstacle(spec.needs, evidence));
  if (!claim.note.empty()) return claim;
  spec.judge(evidence, claim);
  if (claim.measured && !std::isfinite(*claim.measured)) claim.measured.reset();
  return claim;
}

void decide(Claim& claim, bool holds) { claim.verdict = holds ? ClaimVerdict::holds : ClaimVerdict::fails; }

void decide(Claim& claim, const Evidence& evidence, const ClaimPath::Function& f, double from, double to) {
  const solvers::Clock<double>& clock = evidence.problem.clock;
  const double end = std::min(clock.tau(to), evidence.path->end()), begin = std::min(clock.tau(from), end);
  claim.at = {from, to};
  claim.verdict = ClaimVerdict::holds;
  // The ends of the range are known exactly, as times.
  const auto time = [&](double tau) { return tau == begin ? from : tau == end ? to : clock.time(tau); };
  for (const auto& [a, b] : evidence.path->fails(f, begin, end)) {
    claim.fails_on.emplace_back(time(a), time(b));
    claim.verdict = b == end ? ClaimVerdict::fails : ClaimVerdict::holds_from;
  }
  if (claim.verdict == ClaimVerdict::holds_from) claim.from = claim.fails_on.back().second;
}

ClaimExtreme least(const Evidence& evidence, const ClaimPath::Function& f, double from, double to) {
  const solvers::Clock<double>& clock = evidence.problem.clock;
  const auto [tau, value] = evidence.path->least(f, clock.tau(from), std::min(clock.tau(to), evidence.path->end()));
  return {std::isnan(value) ? unknown : std::clamp(clock.time(tau), from, to), value};
}

ClaimExtreme greatest(const Evidence& evidence, const ClaimPath::Function& f, double from, double to) {
  const auto [t, value] = least(
      evidence, [&](std::span<const double> row) { return -f(row); }, from, to);
  return {t, -value};
}

TaskShape task_shape(const Evidence& evidence) {
  const Task& task = evidence.problem.task;
  const TaskData& data = task.data();
  TaskShape shape;
  for (const int c : evidence.class_of_sample) ++shape.samples[static_cast<std::size_t>(c)];
  const Index n = task.samples();
  shape.exact_shares = 2 * shape.samples[0] == n && 6 * shape.samples[1] == n && 6 * shape.samples[2] == n;
  const auto special = [&](Index word) {
    return word == data.targets[0] || word == data.targets[1] || word == *data.common;
  };
  for (Index i = 0; i < n; ++i) {
    const Bag bag = task.bag(i);
    Index length = 0;
    for (std::size_t k = 0; k < bag.words.size(); ++k) {
      length += bag.counts[k];
      // A named word that comes again takes the place of a filler.
      shape.filler_places += bag.counts[k] - (special(bag.words[k]) ? 1 : 0);
    }
    shape.one_length = shape.one_length && (i == 0 || length == shape.length);
    shape.length = std::max(shape.length, length);
  }
  shape.filler_words = std::ranges::count_if(task.used_words(), [&](Index word) { return !special(word); });
  return shape;
}

ClaimsReport claims(const std::filesystem::path& file, const PhasesReport& report, const ClaimOptions& options,
                    Listener& listener) {
  PhasesReport phases = report;
  if (!phases.has_phases) return claims_not_applicable("the file holds another flow than the paper's", options);
  if (std::isnan(phases.t_end)) return claims_not_applicable("the run holds no record yet", options);
  const auto problem = reopen(file);
  Evidence evidence{*problem, phases, options, {}, {}};
  evidence.class_of_sample = classes(problem->task, evidence.no_claims);
  if (!evidence.no_claims.empty())
    return claims_not_applicable("the task is not the paper's: " + evidence.no_claims, options);
  if (!phases.T1 && !phases.finished) settle_T1(*problem, phases);
  watch(evidence, listener);
  ClaimsReport result{options, {}, {}, phases.T1.value_or(unknown), evidence.T2()};
  for (const ClaimSpec& spec : condition_specs()) result.conditions.push_back(judge(spec, evidence));
  for (const ClaimSpec& spec : claim_specs(options)) result.claims.push_back(judge(spec, evidence));
  return result;
}

ClaimsReport claims_not_applicable(const std::string& why, const ClaimOptions& options) {
  ClaimsReport report{options, {}, {}, unknown, unknown};
  for (const ClaimSpec& spec : condition_specs()) report.conditions.push_back(unjudged(spec, why));
  for (const ClaimSpec& spec : claim_specs(options)) report.claims.push_back(unjudged(spec, why));
  return report;
}

}  // namespace gradflow
