#include "analysis/claims_watch.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <solvers/integrate.hpp>

#include "experiment/solve.hpp"

namespace gradflow {
namespace {

using Row = ClaimPath::Row;

/// Sees every step of the solve, and into it.
class Watch final : public solvers::Observer<double> {
 public:
  Watch(Evidence& evidence, const solvers::Stepper<double>& stepper, Listener& listener)
      : evidence_(evidence),
        stepper_(stepper),
        listener_(listener),
        moment_(*evidence.problem.flow),
        scalars_(moment_at(0, evidence.problem.x0), evidence.class_of_sample),
        x_(evidence.problem.x0.size()),
        begin_(std::chrono::steady_clock::now()) {
    evidence.path.emplace(0.0, scalars_.evaluate(moment_));
    if (evidence.phases.T1) T1_ = stepper.clock().tau(evidence.T1());
    T2_ = stepper.clock().tau(evidence.T2());
    keep(0, evidence.problem.x0);
  }

  void step(const solvers::Step<double>& step, std::span<const double> x) override {
    const double from = stepper_.previous_tau(), to = stepper_.tau();
    std::vector<Row> rows;
    for (std::size_t i = 1; i < ClaimPath::intervals; ++i)
      rows.push_back(scalars_.evaluate(inside(from + (to - from) * ClaimPath::points()[i])));
    rows.push_back(scalars_.evaluate(moment_at(step.t, x)));
    evidence_.path->add_step(to, rows);
    if (T1_ && from < *T1_) watch_attention(from, std::min(to, *T1_), to);
    for (const double tau : {T1_.value_or(-1), T2_})
      if (from < tau && tau <= to) {
        if (tau < to) inside(tau);
        keep(tau, tau < to ? std::span<const double>(x_) : x);
      }
    report(step);
  }
  bool interrupt() override { return listener_.interrupt(); }

 private:
  Moment& moment_at(double t, std::span<const double> x) {
    moment_.set(t, x);
    return moment_;
  }

  /// In the step just accepted.
  Moment& inside(double tau) {
    if (stepper_.method().dense_output)
      stepper_.interpolate(tau, x_);
    else
      stepper_.restep(tau, x_);
    return moment_at(stepper_.clock().time(tau), x_);
  }

  void keep(double tau, std::span<const double> x) {
    const Snapshot snapshot{stepper_.clock().time(tau), {x.begin(), x.end()}};
    if (tau == T1_) evidence_.at_T1 = snapshot;
    if (tau == T2_) evidence_.at_T2 = snapshot;
  }

  /// The largest shift of attention up to `until`, within a step. It is the largest of many functions, so no
  /// polynomial: local maxima are sought on the step itself.
  void watch_attention(double from, double until, double to) {
    const auto shift = [&](double tau) { return scalars_.attention_shift(inside(tau)); };
    std::vector<ClaimPath::Extreme> points;
    for (const double place : ClaimPath::points()) {
      const double tau = std::min(from + (to - from) * place, until);
      points.push_back({tau, shift(tau)});
      if (tau == until) break;
    }
    for (std::size_t i = 0; i < points.size(); ++i) {
      ClaimPath::Extreme best = points[i];
      const double left = points[i == 0 ? 0 : i - 1].tau, right = points[std::min(i + 1, points.size() - 1)].tau;
      const auto lower = [&](double tau) { return shift(tau) <= best.value; };
      const double close = 1e-4 * (right - left);
      const bool maximum = (i == 0 ? !lower(best.tau + close) : lower(left)) &&
                           (i + 1 == points.size() ? !lower(best.tau - close) : lower(right));
      if (best.value > 0.9 * evidence_.attention_largest && maximum) {
        const auto [tau, value] = local_minimum([&](double at) { return -shift(at); }, left, right);
        if (-value > best.value) best = {tau, -value};
      }
      if (best.value > evidence_.attention_largest) {
        evidence_.attention_largest = best.value;
        evidence_.attention_at = stepper_.clock().time(best.tau);
      }
    }
  }

  void report(const solvers::Step<double>& step) {
    ++steps_;
    if (!listener_.wants_progress()) return;
    const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    const double until = evidence_.phases.t_end;
    listener_.progress({.t = step.t,
                        .until = until,
                        .clock_fraction = stepper_.tau() / stepper_.clock().tau(until),
                        .loss = moment_at(step.t, stepper_.state()).forward().loss,
                        .steps = steps_,
                        .evaluations = stepper_.evaluations(),
                        .wall_seconds = seconds,
                        .solve = "claims"});
  }

  Evidence& evidence_;
  const solvers::Stepper<double>& stepper_;
  Listener& listener_;
  Moment moment_;
  WatchedScalars scalars_;
  std::vector<double> x_;  // scratch
  std::optional<double> T1_;
  double T2_ = 0;
  solvers::Index steps_ = 0;
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace

WatchedScalars::WatchedScalars(Moment& start, std::vector<int> class_of_sample)
    : words_{start.task().data().targets[0], start.task().data().targets[1], start.task().data().common.value()},
      class_(std::move(class_of_sample)),
      attention_(start.origin().attention) {
  const WordPairs& pairs = start.flow().model().pairs();
  for (Index j = 0; j < std::ssize(pairs.queries()); ++j) {
    const Index query = pairs.queries()[static_cast<std::size_t>(j)];
    for (Index pair = pairs.begin(j); pair < pairs.begin(j + 1); ++pair) {
      const auto p = static_cast<std::size_t>(pair);
      for (std::size_t i = 0; i < 3; ++i)
        if (pairs.key(pair) == words_[i]) of_key_[i].push_back({p, query});
      for (std::size_t i = 0; i < 2; ++i)
        if (query == words_[i]) of_query_[i].push_back({p, pairs.key(pair)});
    }
  }
}

double WatchedScalars::attention_shift(Moment& moment) const {
  const std::vector<double>& P = moment.forward().attention;
  double largest = 0;
  for (std::size_t i = 0; i < P.size(); ++i) largest = std::max(largest, std::abs(P[i] - attention_[i]));
  return largest;
}

/// B' = (rho_K gA S_Q + rho_Q S_K gA) / sqrt(m).
void WatchedScalars::attention_rates(Moment& moment, Row& row) const {
  const Flow<double>& flow = moment.flow();
  const std::vector<double>& gA = moment.gA();
  const auto rate = [&](std::size_t key, std::size_t query) {
    double by_K = 0, by_Q = 0;
    for (const auto& [pair, word] : of_key_[key]) by_K += gA[pair] * flow.S_Q(moment.x(), word, words_[query]);
    for (const auto& [pair, word] : of_query_[query]) by_Q += flow.S_K(moment.x(), words_[key], word) * gA[pair];
    return (flow.rates().W_K * by_K + flow.rates().W_Q * by_Q) / std::sqrt(static_cast<double>(flow.width()));
  };
  row[watched::dB21] = rate(1, 0);
  row[watched::dB12] = rate(0, 1);
  row[watched::dB31] = rate(2, 0);
  row[watched::dB32] = rate(2, 1);
}

Row WatchedScalars::evaluate(Moment& moment) const {
  using namespace watched;
  const Flow<double>& flow = moment.flow();
  const auto x = moment.x();
  Row row(count);
  std::ranges::copy(moment.G_rates(), row.begin() + dG1);
  std::ranges::copy(moment.G_targets(), row.begin() + G1);
  const Model<double>::Forward& forward = moment.forward();
  for (std::size_t i = 0; i < class_.size(); ++i) row[S1 + static_cast<std::size_t>(class_[i])] += forward.residual[i];
  row[loss] = forward.loss;
  // L' = -sum of |theta'|^2 / rho, and theta' = 0 where rho = 0.
  const PerMatrix<double> power = flow.power(x, moment.gV(), moment.gA());
  const Rates<double>& rho = flow.rates();
  const PerMatrix<double> rates{rho.W, rho.W_V, rho.W_K, rho.W_Q};
  double fall = 0;
  for (std::size_t k = 0; k < 4; ++k) fall += rates[k] > 0 ? power[k] / rates[k] : 0;
  row[slope] = fall / (forward.loss * forward.loss);
  row[U] = moment.U();
  attention_rates(moment, row);
  const auto Gamma_rate = [&](std::size_t k, std::size_t l) {
    const auto gV = [&](std::size_t i) { return moment.gV()[static_cast<std::size_t>(words_[i])]; };
    return rho.W_V * (gV(k) * row[G1 + l] + row[G1 + k] * gV(l));
  };
  row[dGamma12] = Gamma_rate(0, 1);
  row[dGamma11] = Gamma_rate(0, 0);
  row[dGamma22] = Gamma_rate(1, 1);
  row[dGamma13] = Gamma_rate(0, 2);
  row[dGamma23] = Gamma_rate(1, 2);
  for (std::size_t k = 0, symmetric = 0, any = 0; k < 3; ++k)
    for (std::size_t l = 0; l < 3; ++l) {
      row[B + any++] = flow.B(x, words_[k], words_[l]);
      if (l < k) continue;
      row[Gamma + symmetric] = flow.Gamma(x, words_[k], words_[l]);
      row[S_K + symmetric] = flow.S_K(x, words_[k], words_[l]);
      row[S_Q + symmetric++] = flow.S_Q(x, words_[k], words_[l]);
    }
  return row;
}

void watch(Evidence& evidence, Listener& listener) {
  const Problem& problem = evidence.problem;
  solvers::SolveOptions<double> options = solve_options(problem);
  options.limits = {.initial_step = options.limits.initial_step, .max_step = options.limits.max_step};
  const WatchedFlow system(*problem.flow, {});  // its events are in the file already, and change no step
  const auto stepper = solvers::make_stepper<double>(options.method, system, options.clock, options.tolerances);
  stepper->start(0, problem.x0);
  Watch observer(evidence, *stepper, listener);
  const auto report = solvers::integrate<double>(*stepper, {evidence.phases.t_end, {}}, options.limits, observer);
  if (!report.reached_target())
    throw ClaimsUnfinished("the solve for the claims did not reach the run's last record: " + report.message());
}

}  // namespace gradflow
