#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <gradflow/analysis/claims.hpp>
#include <gradflow/flows/limit.hpp>
#include <limits>
#include <numbers>

#include "analysis/claims_specs.hpp"
#include "support/experiments.hpp"

// The paper's claims: of made-up trajectories, where every verdict is known; of runs; and of what they do not apply to.
namespace gradflow {
namespace {

using testing::HasSubstr;
using tests::experiment;
using namespace watched;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
using Intervals = std::vector<std::pair<double, double>>;

void expect_near(const Intervals& found, const Intervals& expected, double bar = 1e-8) {
  ASSERT_EQ(found.size(), expected.size()) << testing::PrintToString(found);
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i].first, expected[i].first, bar);
    EXPECT_NEAR(found[i].second, expected[i].second, bar);
  }
}

/// The path of rows given as a function of time, in unit steps.
ClaimPath path_of(const std::function<ClaimPath::Row(double)>& row, int steps) {
  ClaimPath path(0, row(0));
  for (int step = 0; step < steps; ++step) {
    std::vector<ClaimPath::Row> rows;
    for (std::size_t i = 1; i <= ClaimPath::intervals; ++i) rows.push_back(row(step + ClaimPath::points()[i]));
    path.add_step(step + 1, rows);
  }
  return path;
}

/// The path of t itself, so that any function of t is one of its row.
class PathOfTime : public testing::Test {
 protected:
  const ClaimPath path = path_of([](double t) { return ClaimPath::Row{t, std::exp(-t) * std::sin(3 * t)}; }, 4);
  static ClaimPath::Function of(double (*f)(double)) {
    return [f](std::span<const double> row) { return f(row[0]); };
  }
};

TEST_F(PathOfTime, IsTheFunctionBetweenItsPoints) {
  for (const double t : {0.0, 1e-9, 0.3, 1.0, 1.77, 3.999, 4.0})
    // The ninth derivative is at most 10^4.5, the points' polynomial at most 2^-16, and 9! divides.
    EXPECT_NEAR(path.at(t)[1], std::exp(-t) * std::sin(3 * t), 1.4e-6) << t;
  EXPECT_THROW(ClaimPath(0, {1}).add_step(1, {{1}}), std::logic_error);
}

TEST_F(PathOfTime, ExtremesAreTheTrueOnes) {
  const auto wave = of([](double t) { return std::cos(3 * t) - t / 10; });
  // -3 sin(3t) = 1/10
  const double bottom = (std::numbers::pi + std::asin(1.0 / 30)) / 3;
  EXPECT_NEAR(path.least(wave, 0, 2).tau, bottom, 1e-7);  // the root of rounding
  EXPECT_NEAR(path.least(wave, 0, 2).value, std::cos(3 * bottom) - bottom / 10, 1e-15);
  EXPECT_EQ(path.greatest(wave, 0, 2).tau, 0);
  EXPECT_EQ(path.greatest(of([](double t) { return t; }), 0.5, 3.25).value, 3.25);
  EXPECT_NEAR(path.least(of([](double t) { return std::abs(t - 0.77); }), 0, 4).tau, 0.77,
              2 * 0x1p-26);  // a kink, to twice the bar of the search
  EXPECT_TRUE(std::isnan(path.least(of([](double t) { return t > 2 ? nan : t; }), 0, 4).value));
}

TEST_F(PathOfTime, FailuresAreIntervals) {
  expect_near(path.fails(of([](double) { return 1.0; }), 0, 4), {});
  expect_near(path.fails(of([](double) { return 0.0; }), 1, 3), {{1, 3}});
  expect_near(path.fails(of([](double t) { return t - 1.3; }), 0, 4), {{0, 1.3}});
  expect_near(path.fails(of([](double t) { return 1.3 - t; }), 0, 4), {{1.3, 4}});
  expect_near(path.fails(of([](double t) { return t < 2 ? 1 : nan; }), 0, 4), {{2, 4}});
  const double third = std::numbers::pi / 3;
  expect_near(path.fails(of([](double t) { return std::sin(3 * t); }), 0.1, 4), {{third, 2 * third}, {3 * third, 4}});
}

TEST_F(PathOfTime, ADipBetweenTwoPointsIsFound) {
  // Below zero within 1e-3 of 1.6, both ways; the points are at least 0.03 apart.
  const auto dip = [](double t) { return (t - 1.6) * (t - 1.6) - 1e-6; };
  expect_near(path.fails(of(dip), 0, 4), {{1.599, 1.601}});
  expect_near(path.fails(of([](double t) { return 1e-6 - (t - 1.6) * (t - 1.6); }), 0, 4), {{0, 1.599}, {1.601, 4}});
  // Shorter than what is told.
  expect_near(path.fails(of([](double t) { return t - 1e-8; }), 0, 4), {});
}

/// A run of made-up scalars, Phase 2 = (1, 9); times are those of a linear clock.
class MadeUp : public testing::Test {
 protected:
  MadeUp() : settings_(experiment(text())), problem_(settings_, read_inputs(settings_)) {
    phases_.T1 = 1;
    phases_.T1_constant = 2;
    phases_.T1_theory = 0.25;  // a rate of 8
    phases_.T2 = phases_.t_end = 9;
    phases_.finished = phases_.has_phases = true;
    evidence_.class_of_sample = {0, 0, 0, 1, 2, 3};
    evidence_.at_T1 = evidence_.at_T2 = Snapshot{1, problem_.x0};
  }
  static std::string text() {
    return tests::small_task() + tests::small_model() + "[solver]\nclock = 'linear'\nuntil = 9\n";
  }
  /// The claim of this name where the scalars are what `change` makes of a row of zeros.
  Claim claim(const std::string& name, const std::function<void(double t, ClaimPath::Row&)>& change) {
    evidence_.path = path_of(
        [&](double t) {
          ClaimPath::Row row(count);
          change(t, row);
          return row;
        },
        9);
    for (const ClaimSpecs& part :
         {condition_specs(), phase1_specs(options_), theorem32_specs(), balancing_specs(options_), end_specs()})
      for (const ClaimSpec& spec : part)
        if (spec.name == name) return judge(spec, evidence_);
    ADD_FAILURE() << "no claim " << name;
    return {};
  }
  static double value(const Claim& claim, const std::string& key) {
    const auto found = std::ranges::find(claim.values, key, &std::pair<std::string, double>::first);
    return found == claim.values.end() ? nan : found->second;
  }

  settings::Experiment settings_;
  Problem problem_;
  PhasesReport phases_{};
  ClaimOptions options_;
  Evidence evidence_{problem_, phases_, options_, {}, {}};
};

TEST_F(MadeUp, AMonotoneVariableHoldsFailsOrHoldsFromATimeOn) {
  const Claim rises = claim("theorem-3.2-1-B21", [](double t, auto& row) { row[dB21] = 2, row[B + 3] = 2 * t; });
  EXPECT_EQ(rises.verdict, ClaimVerdict::holds);
  EXPECT_NEAR(*rises.measured, 16, 1e-13);
  EXPECT_EQ(rises.at, (std::vector<double>{1, 9}));

  const Claim later = claim("theorem-3.2-1-B31", [](double t, auto& row) { row[dB31] = 4 - t; });
  EXPECT_EQ(later.verdict, ClaimVerdict::holds_from);
  EXPECT_NEAR(*later.from, 4, 1e-8);
  expect_near(later.fails_on, {{1, 4}});
  EXPECT_NEAR(value(later, "least rate in its direction"), -3, 1e-13);

  const Claim lost = claim("theorem-3.2-3-Gamma23", [](double t, auto& row) { row[dGamma23] = t - 5; });
  EXPECT_EQ(lost.verdict, ClaimVerdict::fails);
  expect_near(lost.fails_on, {{5, 9}});

  const Claim still = claim("theorem-3.2-2-Gamma12", [](double, auto&) {});
  EXPECT_EQ(still.verdict, ClaimVerdict::fails);
  EXPECT_EQ(still.fails_on, (Intervals{{1, 9}}));
}

TEST_F(MadeUp, WordsOfEveryMonotoneVariable) {
  // Each derivative in its own direction, all others against theirs: so each claim looks at its own.
  const std::vector<std::tuple<const char*, std::size_t, int>> all{
      {"1-B21", dB21, +1},         {"1-B12", dB12, +1},         {"1-B31", dB31, -1},
      {"1-B32", dB32, -1},         {"2-Gamma12", dGamma12, +1}, {"2-Gamma11", dGamma11, +1},
      {"2-Gamma22", dGamma22, +1}, {"3-Gamma13", dGamma13, -1}, {"3-Gamma23", dGamma23, -1}};
  for (const auto& [name, own, sign] : all) {
    const Claim found = claim(std::string("theorem-3.2-") + name, [&, mine = own](double, auto& row) {
      for (const auto& [other, scalar, direction] : all) row[scalar] = scalar == mine ? direction : -direction;
    });
    EXPECT_EQ(found.verdict, ClaimVerdict::holds) << name;
  }
}

TEST_F(MadeUp, CombinationsOfOrderOne) {
  const Claim sum = claim("theorem-3.2-4-G123", [](double t, auto& row) { row[G1] = t, row[G2] = 1, row[G3] = -3; });
  expect_near(sum.fails_on, {{1, 2.1}});  // t - 2 > 1/10
  EXPECT_EQ(sum.verdict, ClaimVerdict::holds_from);
  EXPECT_NEAR(*sum.measured, -1, 1e-13);
  EXPECT_NEAR(value(sum, "largest"), 7, 1e-13);
  EXPECT_EQ(claim("theorem-3.2-4--G13", [](double t, auto& row) { row[G1] = t, row[G3] = -1 - t; }).verdict,
            ClaimVerdict::holds);
}

TEST_F(MadeUp, TheBracketFromTHalfOn) {
  const auto rates = [](double t, auto& row) { row[dG1] = row[dG2] = 1, row[dG3] = -1.6 * t; };
  const Claim bracketed = claim("lemma-4.3", rates);
  EXPECT_EQ(bracketed.verdict, ClaimVerdict::holds_from);
  EXPECT_NEAR(*bracketed.measured, 1.1 / 1.6, 1e-8);
  EXPECT_NEAR(value(bracketed, "C that holds at T1"), 0.2, 1e-13);  // 1.6 < (1-C) 2
  EXPECT_NEAR(value(bracketed, "largest C over [T_0.5, T1]"), 0.1, 1e-7);
  EXPECT_NEAR(*claim("lemma-4.3-overtaken", rates).measured, 1 / 1.6, 1e-8);
  // In Phase 2 -G'(3) = 2 at t = 1.25, and the bracket is lost.
  const Claim after = claim("lemma-4.3-phase-2", rates);
  EXPECT_EQ(after.verdict, ClaimVerdict::fails);
  expect_near(after.fails_on, {{1.8 / 1.6, 9}});
  EXPECT_NEAR(*after.measured, 1 - 1.6 * 9 / 2, 1e-12);
  // Where the targets' values fall there is no C at all.
  EXPECT_FALSE(claim("lemma-4.3-phase-2", [](double, auto& row) { row[dG1] = row[dG2] = -1; }).measured);
}

TEST_F(MadeUp, RAndTheRatios) {
  // D = S1 - S2 = 1 and R = 1 + S4 = 1 + t/3.
  const auto sums = [](double t, auto& row) { row[S1] = 3, row[S2] = row[S3] = 2, row[S4] = t / 3; };
  const Claim R = claim("lemma-4.5-R", sums);
  EXPECT_EQ(R.verdict, ClaimVerdict::fails);
  expect_near(R.fails_on, {{6, 9}});
  EXPECT_NEAR(*R.measured, 4, 1e-13);
  EXPECT_NEAR(value(R, "least"), 4.0 / 3, 1e-13);
  EXPECT_NEAR(value(R, "limit system, t to infinity"), limit_at_infinite_time<double>({6, 4}).R, 1e-15);
  expect_near(claim("lemma-4.5-root", sums).fails_on, {{3, 9}});
  const Claim ratio = claim("lemma-4.4-S1-S2", sums);
  EXPECT_NEAR(*ratio.measured, 10, 1e-12);  // (7 + t/3) / 1, at t = 9
  EXPECT_EQ(value(ratio, "measured at"), 9);
  EXPECT_NEAR(*claim("lemma-4.4-S234-S1", sums).measured, (7 + 1.0 / 3) / (4.0 / 3), 1e-12);
  EXPECT_EQ(claim("lemma-4.4-S2-S3", sums).verdict, ClaimVerdict::holds);

  // S1 <= S2 until t = 3: R is not defined there, and the ratio has no largest value.
  const auto late = [](double t, auto& row) { row[S1] = t, row[S2] = row[S3] = 3, row[S4] = t; };
  const Claim undefined = claim("lemma-4.5-R", late);
  EXPECT_TRUE(std::isnan(value(undefined, "least")));
  expect_near(undefined.fails_on, {{1, 5}});  // R = 6 / (t - 3) is above 3 until t = 5
  EXPECT_EQ(undefined.verdict, ClaimVerdict::holds_from);
  EXPECT_FALSE(claim("lemma-4.4-S1-S2", late).measured);
}

TEST_F(MadeUp, RatesOfTheLossKeepTheirOrder) {
  const auto rates = [](double t, auto& row) { row[slope] = t * t, row[U] = 2, row[loss] = 0.5; };
  const Claim slope_of = claim("theorem-F.8", rates);
  EXPECT_NEAR(*slope_of.measured, 0.5, 1e-13);
  EXPECT_NEAR(value(slope_of, "largest"), 40.5, 1e-11);
  expect_near(slope_of.fails_on, {{1, std::sqrt(8.1)}});  // below a tenth of 81
  const Claim rate = claim("lemma-4.7", rates);
  EXPECT_NEAR(*rate.measured, 40.5, 1e-11);
  EXPECT_NEAR(value(rate, "L U t at T2"), 9, 1e-12);
  EXPECT_NEAR(value(rate, "limit system, t to infinity"), 1 / limit_at_infinite_time<double>({6, 4}).loss, 1e-15);
}

TEST_F(MadeUp, DriftsAreOverTheScaleOfTheStart) {
  const auto drifting = [](double t, auto& row) {
    row[U] = 10 - t;
    row[S_K] = 4, row[S_Q + 3] = 9;    // the largest squares
    row[B + 2] = 1 + 3 * t * (1 - t);  // 0.75 away at t = 1/2
    row[Gamma] = row[Gamma + 3] = 0;   // no scale
  };
  const Claim B_drift = claim("theorem-3.1-3-B", drifting);
  EXPECT_NEAR(*B_drift.measured, 0.75 / 6, 1e-13);
  EXPECT_NEAR(value(B_drift, "measured at"), 0.5, 1e-7);  // the root of rounding
  EXPECT_EQ(B_drift.verdict, ClaimVerdict::holds_from);   // above 0.6 about t = 1/2, back before T1
  EXPECT_NEAR(value(B_drift, "at T1"), 0, 1e-13);
  EXPECT_NEAR(*claim("theorem-3.1-3-U", drifting).measured, 0.1, 1e-13);
  const Claim none = claim("theorem-3.1-3-Gamma", drifting);
  EXPECT_EQ(none.verdict, ClaimVerdict::not_applicable);
  EXPECT_THAT(none.note, HasSubstr("starts at zero"));
}

TEST_F(MadeUp, WithoutT1WhatRestsOnItIsNotApplicable) {
  phases_.T1.reset();
  const auto anything = [](double, auto& row) { row[dG1] = row[dG2] = 1; };
  for (const char* name : {"theorem-3.1-2", "theorem-3.2-1-B21", "lemma-4.3", "lemma-4.7"}) {
    const Claim c = claim(name, anything);
    EXPECT_EQ(c.verdict, ClaimVerdict::not_applicable) << name;
    EXPECT_THAT(c.note, HasSubstr("there is no T1"));
    EXPECT_TRUE(!c.measured && c.at.empty() && c.fails_on.empty());
  }
  EXPECT_EQ(claim("theorem-3.1-1", anything).verdict, ClaimVerdict::fails);
  EXPECT_EQ(claim("lemma-4.1", anything).verdict, ClaimVerdict::holds);
  phases_.finished = false;
  EXPECT_EQ(claim("theorem-3.1-1", anything).verdict, ClaimVerdict::not_applicable);
  phases_.T1 = 9;
  EXPECT_THAT(claim("lemma-4.7", anything).note, HasSubstr("Phase 2 is empty"));
  phases_.T1 = 10;
  EXPECT_THAT(claim("lemma-4.3", anything).note, HasSubstr("beyond the run's last record"));
}

TEST_F(MadeUp, ConditionsAreReadOffTheRun) {
  const auto nothing = [](double, auto&) {};
  EXPECT_DOUBLE_EQ(*claim("condition-1-hidden", nothing).measured, 8.0 / 6);
  EXPECT_DOUBLE_EQ(*claim("condition-1-length", nothing).measured, 8.0 / 16);
  EXPECT_EQ(claim("condition-1-length", nothing).verdict, ClaimVerdict::fails);
  const Claim s0 = claim("condition-1-s0", nothing);
  EXPECT_EQ(*s0.measured, value(s0, "W_Q"));  // drawn with 0.5, on 104 entries
  EXPECT_NEAR(*s0.measured, 0.5, 4 * 0.5 / std::sqrt(2 * 104.0));
  EXPECT_EQ(value(claim("condition-1-s1", nothing), "s1 of the settings"), 0.3);
  EXPECT_EQ(claim("assumption-2.3-i", nothing).verdict, ClaimVerdict::holds);
  EXPECT_EQ(*claim("assumption-2.3-ii", nothing).measured, 0);
  evidence_.class_of_sample = {0, 0, 1, 1, 2, 3};
  const Claim shares = claim("assumption-2.3-i", nothing);
  EXPECT_EQ(shares.verdict, ClaimVerdict::fails);
  EXPECT_DOUBLE_EQ(*shares.measured, 1.0 / 6);
}

class ClaimsOfRuns : public testing::Test {
 protected:
  void simulate(const std::string& toml, Listener& listener, const std::string& name = "run.h5") {
    Simulation(experiment(toml, folder_.path())).run(folder_.path() / name, true, "gradflow simulate test", listener);
  }
  void simulate(const std::string& toml, const std::string& name = "run.h5") {
    Listener nobody;
    simulate(toml, nobody, name);
  }
  ClaimsReport claims_of(const std::string& name = "run.h5") {
    Listener nobody;
    const auto file = folder_.path() / name;
    return claims(file, phases(file), {}, nobody);
  }
  static const Claim& named(const ClaimsReport& report, const std::string& name) {
    const auto found = std::ranges::find(report.claims, name, &Claim::name);
    return found == report.claims.end() ? throw std::out_of_range(name) : *found;
  }
  static double value(const Claim& claim, const std::string& key) {
    return std::ranges::find(claim.values, key, &std::pair<std::string, double>::first)->second;
  }

  support::TemporaryFolder folder_;
};

/// Both phases happen within t = 100.
std::string two_phases(double until = 100, const std::string& more = "") {
  return fmt::format(R"(
seed = 3
[task]
samples = 12
length = 4
words = 27
fillers = "distinct"
[model]
width = 24
hidden = 8
start = {{ kind = "gaussian", W = 0.4, W_V = 0.02, W_K = 0.3, W_Q = 0.3 }}
[solver]
rtol = 1e-9
atol = 1e-12
until = {:.17g}
{})",
                     until, more);
}

TEST_F(ClaimsOfRuns, TheLimitSystemsKnownAnswers) {
  // Uniform attention, U frozen, W_V from zero: the limit system itself, at width 1.
  simulate(R"(
[task]
samples = 60
length = 5
words = 163
fillers = "distinct"
[model]
width = 1
hidden = 1
start = { kind = "gaussian", W = 1, W_V = 0, W_K = 0, W_Q = 0 }
[flow]
rates = { W = 0, W_V = 1, W_K = 0, W_Q = 0 }
[solver]
rtol = 1e-10
atol = 1e-13
until = 1e12
)");
  const ClaimsReport report = claims_of();
  const Claim& rates = named(report, "lemma-4.1");
  const double U = value(rates, "U(0)");
  EXPECT_NEAR(value(rates, "measured / U(0)"), 1.0 / 6, 1e-12);
  EXPECT_NEAR(*named(report, "lemma-4.2").measured, 1.0 / 20, 1e-12);  // fillers: 1/120 against 1/6
  // Printed with six digits.
  EXPECT_NEAR(value(named(report, "theorem-3.1-1"), "T1") * U, 6.90159, 5.1e-6);
  EXPECT_NEAR(*named(report, "lemma-4.3-overtaken").measured * U, 3.84644, 5.1e-6);
  // Class I4 dies like t^-0.34, so that the limits are near at U t of about 1e12, but not there.
  const Claim& R = named(report, "lemma-4.5-R");
  EXPECT_NEAR(*R.measured, 85.0 / 67, 1e-3);
  EXPECT_NEAR(value(R, "limit system, t to infinity"), 85.0 / 67, 1e-14);
  EXPECT_EQ(named(report, "lemma-4.5-root").verdict, ClaimVerdict::holds);
  const Claim& rate = named(report, "lemma-4.7");
  EXPECT_NEAR(value(rate, "L U t at T2"), 2615.0 / 318, 1e-2);
  EXPECT_NEAR(*rate.measured, 318.0 / 2615, 1e-3);
  EXPECT_EQ(*named(report, "theorem-3.1-4").measured, 0);
  EXPECT_THAT(named(report, "theorem-3.1-3-Gamma").note, HasSubstr("starts at zero"));
  for (const Claim& claim : report.claims)
    if (claim.source == "Lemmas 4.4, 4.5") {
      EXPECT_EQ(claim.verdict, ClaimVerdict::holds) << claim.name;
    }
}

TEST_F(ClaimsOfRuns, DerivativesAreThoseOfThePath) {
  simulate(two_phases(10, "[flow]\nrates = { W = 2, W_V = 0.5, W_K = 3, W_Q = 0.7 }"));
  const auto file = folder_.path() / "run.h5";
  const PhasesReport report = phases(file);
  const Problem problem(read_run_settings(file), read_run_inputs(file));
  Evidence evidence{problem, report, {}, {}, {}};
  for (Index i = 0; i < problem.task.samples(); ++i)
    evidence.class_of_sample.push_back(static_cast<int>(problem.task.class_of(i)));
  Listener nobody;
  watch(evidence, nobody);
  const std::vector<std::pair<std::size_t, std::size_t>> pairs{{G1, dG1},
                                                               {G2, dG2},
                                                               {G3, dG3},
                                                               {B + 3, dB21},
                                                               {B + 1, dB12},
                                                               {B + 6, dB31},
                                                               {B + 7, dB32},
                                                               {Gamma, dGamma11},
                                                               {Gamma + 1, dGamma12},
                                                               {Gamma + 3, dGamma22},
                                                               {Gamma + 2, dGamma13},
                                                               {Gamma + 4, dGamma23}};
  for (const double t : {0.01, 0.1, 0.7, 3.0}) {
    const double tau = problem.clock.tau(t), h = 1e-3;
    const auto before = evidence.path->at(tau - h), now = evidence.path->at(tau), after = evidence.path->at(tau + h);
    // Central differences err by h^2 / 6 of the third derivative, which in tau is of the size of the first.
    const auto rate = [&](const auto& f) { return (f(after) - f(before)) / (2 * h * problem.clock.rate(tau)); };
    for (const auto& [scalar, derivative] : pairs) {
      const double expected = rate([&, s = scalar](const auto& row) { return row[s]; });
      EXPECT_NEAR(now[derivative], expected, 1e-4 * (std::abs(expected) + 1e-3)) << derivative << " at " << t;
    }
    const double expected = rate([](const auto& row) { return 1 / row[loss]; });
    EXPECT_NEAR(now[slope], expected, 1e-4 * expected);
  }
}

/// Copies the file of a run as it stands at one of its steps, as if the run had been killed there.
struct Killer : Listener {
  Killer(std::filesystem::path from, std::filesystem::path to) : file(std::move(from)), copy(std::move(to)) {}
  bool interrupt() override {
    if (++steps == 120) std::filesystem::copy_file(file, copy);
    return stop && steps >= 120;
  }
  std::filesystem::path file, copy;
  bool stop = false;
  int steps = 0;
};

TEST_F(ClaimsOfRuns, ARunCutShortIsJudgedUpToItsLastRecord) {
  for (const bool stop : {false, true}) {
    Killer killer(folder_.path() / "run.h5", folder_.path() / fmt::format("killed{}.h5", stop));
    killer.stop = stop;
    simulate(two_phases(1e6, "[save]\nrecords = 400\ncheckpoint_seconds = 0.001"), killer);
    const std::string name = (stop ? killer.file : killer.copy).filename();
    const PhasesReport cut = phases(folder_.path() / name);
    EXPECT_FALSE(cut.finished) << name;
    ASSERT_TRUE(cut.T1);
    ASSERT_LT(*cut.T1, cut.t_end);
    const ClaimsReport some = claims_of(name);
    simulate(two_phases(cut.t_end), "whole.h5");
    const ClaimsReport all = claims_of("whole.h5");
    EXPECT_EQ(some.T2, cut.t_end);
    ASSERT_EQ(some.claims.size(), all.claims.size());
    EXPECT_EQ(some.T2, cut.t_end);
    for (std::size_t i = 0; i < all.claims.size(); ++i) {
      const Claim &a = some.claims[i], &b = all.claims[i];
      EXPECT_EQ(a.verdict, b.verdict) << a.name << " " << a.note;
      ASSERT_EQ(a.measured.has_value(), b.measured.has_value()) << a.name;
      // The same steps but for the last.
      if (a.measured) {
        EXPECT_NEAR(*a.measured, *b.measured, 1e-7 * std::abs(*b.measured)) << a.name;
      }
    }
  }
}

TEST_F(ClaimsOfRuns, AttentionMovesAsTheRecordsSay) {
  simulate(two_phases(5, "[save]\nrecords = 300"));
  const trajectory::RunReader run(folder_.path() / "run.h5");
  const ClaimsReport report = claims_of();
  const std::vector<double> recorded = run.observable("attention_shift").values;
  double largest = 0;
  for (std::size_t i = 0; i < recorded.size(); ++i)
    if (run.t()[i] <= report.T1) largest = std::max(largest, recorded[i]);
  const double measured = *named(report, "theorem-3.1-4").measured;
  EXPECT_GE(measured, largest * (1 - 1e-9));
  EXPECT_LE(measured, largest * 1.1);  // 300 records miss little
}

TEST_F(ClaimsOfRuns, OtherTasksAndFlowsSayWhyNoneApplies) {
  const auto expect_none = [](const ClaimsReport& report, const char* why) {
    EXPECT_GT(report.claims.size(), 40U);
    for (const auto& part : {report.conditions, report.claims})
      for (const Claim& claim : part) {
        EXPECT_EQ(claim.verdict, ClaimVerdict::not_applicable);
        EXPECT_THAT(claim.note, HasSubstr(why));
        EXPECT_FALSE(claim.statement.empty());
      }
  };
  simulate("[task]\nsamples = 6\nlength = 4\nwords = 13\ntargets = [1, 2]\n" + tests::small_model() +
           "[solver]\nuntil = 1\n");
  expect_none(claims_of(), "no common word");
  simulate(R"(
[task]
samples = 6
length = 4
words = 20
[[task.class]]
name = "both"
words = [1, 2, 3]
label = 1
fraction = 0.5
[[task.class]]
name = "none"
words = [3]
label = -1
fraction = 0.5
)" + tests::small_model() +
           "[solver]\nuntil = 1\n");
  expect_none(claims_of(), "no sample of class I3");
  PhasesReport other{};
  Listener nobody;
  expect_none(claims(folder_.path() / "run.h5", other, {}, nobody), "another flow");
  expect_none(claims_not_applicable("a descent", {}), "a descent");
}

TEST_F(ClaimsOfRuns, AnInterruptedSolveSaysSo) {
  simulate(two_phases());
  struct : Listener {
    bool interrupt() override { return true; }
  } impatient;
  const auto file = folder_.path() / "run.h5";
  EXPECT_THROW(claims(file, phases(file), {}, impatient), ClaimsUnfinished);
}

TEST(Claims, NamesAreUniqueAndVerdictsHaveWords) {
  std::vector<std::string> names;
  const ClaimsReport report = claims_not_applicable("no run", {});
  for (const auto& part : {report.conditions, report.claims})
    for (const Claim& claim : part) names.push_back(claim.name);
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
  EXPECT_EQ(name(ClaimVerdict::holds), "holds");
  EXPECT_EQ(name(ClaimVerdict::fails), "fails");
  EXPECT_EQ(name(ClaimVerdict::holds_from), "holds from t on");
  EXPECT_EQ(name(ClaimVerdict::not_applicable), "not applicable");
}

}  // namespace
}  // namespace gradflow
