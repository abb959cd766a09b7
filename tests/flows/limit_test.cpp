// The limit system: its known answers, its way to infinite time, and finite flows on their way to it.
#include <gtest/gtest.h>
#include <gradflow/flows/limit.hpp>
#include <gradflow/flows/start.hpp>
#include <gradflow/observables/events.hpp>
#include <gradflow/tasks/co_occurrence.hpp>

#include <cmath>
#include <numeric>
#include <random>

#include "scalars.hpp"
#include "support/problems.hpp"

namespace gradflow {
namespace {

using std::abs;
using std::log;

constexpr std::array<Index, 3> events{0, 1, 2};  // overtaken, past_the_peak, classified

template <class Real>
Real ratio(const std::array<int, 2>& fraction) {
  return Real(fraction[0]) / Real(fraction[1]);
}

struct KnownAnswer {
  std::string name;
  LimitTask task;
  std::array<double, 3> event_times;  // in the order of `events`, printed to five decimals
  std::array<int, 2> R, loss;         // at infinite time
  friend void PrintTo(const KnownAnswer& answer, std::ostream* out) { *out << answer.name; }
};

const std::vector<KnownAnswer> known{{"infinite", {{}, 5}, {3.56472, 3.56472, 12.97941}, {3, 2}, {17, 1}},
                                     {"n60", {60, 5}, {3.84644, 2.43364, 6.90159}, {85, 67}, {2615, 318}},
                                     {"n600", {600, 5}, {3.58984, 3.41798, 11.97367}, {895, 607}, {255650, 16653}}};

template <class Real>
solvers::Solved<Real> solve(const LimitTask& task, Real end, Real rtol, std::vector<Real> outputs = {}) {
  return solvers::solve<Real>(LimitFlow<Real>(task), LimitFlow<Real>::initial_state(),
                              {.end = end,
                               .tolerances = {rtol, rtol},
                               .clock = solvers::Clock<Real>::log(Real(1)),
                               .outputs = std::move(outputs),
                               .method = "fehlberg78"});
}

class LimitSystem : public testing::TestWithParam<KnownAnswer> {};
INSTANTIATE_TEST_SUITE_P(Table, LimitSystem, testing::ValuesIn(known),
                         [](const auto& test) { return test.param.name; });

TEST_P(LimitSystem, EventsComeAtTheKnownTimesOnceAndForGood) {
  const auto solved = solve<double>(GetParam().task, 1e12, 1e-12);
  ASSERT_EQ(solved.report.outcome, solvers::Outcome::reached_end);
  for (const Index event : events) {
    const auto times = solved.seen.times(event);
    ASSERT_EQ(times.size(), 1u) << event;
    EXPECT_NEAR(times[0], GetParam().event_times[static_cast<std::size_t>(event)], 0.5e-5);  // the last printed digit
    EXPECT_EQ(solved.report.sign_at_end[static_cast<std::size_t>(event)], 1);
  }
}

template <class Real>
void expect_exact_end(const KnownAnswer& answer) {
  const auto end = limit_at_infinite_time<Real>(answer.task);
  // Rounding of a dozen operations, the worst of them a difference like 9.1 - 8.
  const Real bar = 50 * std::numeric_limits<Real>::epsilon();
  EXPECT_LT(abs(end.R / ratio<Real>(answer.R) - 1), bar);
  EXPECT_LT(abs(end.loss / ratio<Real>(answer.loss) - 1), bar);
}

TEST_P(LimitSystem, EndsWhereTheLinearSystemSays) {
  expect_exact_end<double>(GetParam());
  expect_exact_end<Quad>(GetParam());
}

/// S_4 t dies like t^-p beside the other S_c t, p = 2 s_2 - s_1 - 1; they settle like that or like log(t)/t, whichever
/// is slower.
TEST_P(LimitSystem, TheFlowApproachesItsEndAsFastAsClassFourDies) {
  const LimitFlow<double> flow(GetParam().task);
  const auto limit = limit_at_infinite_time<double>(GetParam().task);
  const double p = 2 * limit.S[1] - limit.S[0] - 1, early = 1e14, late = 1e20;
  const auto solved = solve<double>(GetParam().task, late, 1e-12, {early});
  const std::vector<double>&x = solved.seen.outputs[0], &y = solved.x;
  const auto slope = [&](double from, double to) { return log(to / from) / log(late / early); };
  // In double the local errors of 1e3 steps bound what is seen: 1e-9 of margins of about 50, over 14 units of log t.
  EXPECT_NEAR(slope(flow.gradient_sums(x)[3] * early, flow.gradient_sums(y)[3] * late), -p, 1e-5);
  const double settled = 100 * std::pow(late, -std::min(p, 0.9)) + 1e-9;
  EXPECT_NEAR(flow.loss(y) * late, limit.loss, settled);
  EXPECT_NEAR(flow.R(y), limit.R, settled);
  if (p < 0.9) {
    EXPECT_NEAR(slope(abs(flow.loss(x) * early - limit.loss), abs(flow.loss(y) * late - limit.loss)), -p, 1e-3);
    EXPECT_NEAR(slope(flow.R(x) - limit.R, flow.R(y) - limit.R), -p, 1e-3);
  }
}

TEST(LimitSystemInQuad, TheDigitsAreNoLuck) {
  const double rtol = 1e-12;
  const auto in_double = solve<double>({60, 5}, 20, rtol);
  const auto in_quad = solve<Quad>({60, 5}, Quad(20), Quad("1e-20"));
  const double bar = rtol * static_cast<double>(in_double.report.counts.accepted);  // the sum of the local errors
  for (const Index event : events) {
    const double exact = static_cast<double>(in_quad.seen.times(event).at(0));
    EXPECT_NEAR(in_double.seen.times(event).at(0), exact, bar * exact);
    EXPECT_NEAR(exact, known[1].event_times[static_cast<std::size_t>(event)], 0.5e-5);
  }
}

TEST(LimitSystemWithFewSamples, ClassFourKeepsPace) {
  const LimitTask task{6, 5};  // 11/3 s1 - 4 s2 - s4 = -2 s1 + 6 s2 + s4 = -s1 + 2 s2 + 5 s4 = 1
  const auto limit = limit_at_infinite_time<double>(task);
  const std::array<double, 4> exact{72, 37, 37, 19};
  for (std::size_t c = 0; c < 4; ++c) EXPECT_DOUBLE_EQ(limit.S[c], exact[c] / 97);
  EXPECT_DOUBLE_EQ(limit.loss, 165.0 / 97);
  EXPECT_DOUBLE_EQ(limit.R, 3.0 / 5);
  const LimitFlow<double> flow(task);
  const double end = 1e12;
  const auto solved = solve<double>(task, end, 1e-12);
  for (std::size_t c = 0; c < 4; ++c)  // settles like log(t)/t, under the solve's own error
    EXPECT_NEAR(flow.gradient_sums(solved.x)[c] * end, limit.S[c], 1e-9);
  EXPECT_NEAR(flow.R(solved.x), limit.R, 1e-9);
  EXPECT_DOUBLE_EQ(flow.R(LimitFlow<double>::initial_state()), 0);            // 1/12 + 1/12 + 1/12 - 1/4
  EXPECT_TRUE(std::isnan(flow.R(std::vector<double>{9, 9, 0, 0, 0, 0, 0})));  // I2 and I3 wrong, I1 right: S1 < S2
}

/// dL/dt = -sum_c S_c z_c' is minus the squared speed of all words, each filler counted as often as it stands in the
/// task.
TEST(LimitSystemIsAGradientFlow, TheLossFallsByTheSquaredSpeed) {
  std::mt19937_64 generator(1);
  std::normal_distribution<double> normal;
  const double n = 12, fillers[] = {0, 1, 1, 2}, share[] = {0.5, 1 / 6., 1 / 6., 1 / 6.};
  const LimitFlow<double> flow({12, 3});
  for (int draw = 0; draw < 20; ++draw) {
    std::vector<double> x(7), dx(7);
    for (double& v : x) v = 3 * normal(generator);
    x[3] = 0;  // I1 has no filler
    flow.derivative(0, x, dx);
    EXPECT_EQ(dx[3], 0);
    const auto S = flow.gradient_sums(x), z_speed = flow.margins(dx);
    double power = dx[0] * dx[0] + dx[1] * dx[1] + dx[2] * dx[2], fall = 0, h = 1e-5;
    std::vector<double> ahead(7), behind(7);
    for (std::size_t i = 0; i < 7; ++i) ahead[i] = x[i] + h * dx[i], behind[i] = x[i] - h * dx[i];
    for (std::size_t c = 0; c < 4; ++c) {
      power += n * share[c] * fillers[c] * dx[3 + c] * dx[3 + c];
      fall += S[c] * z_speed[c];
    }
    EXPECT_NEAR(fall, power, 1e-15);                                             // of order 1: rounding
    EXPECT_NEAR((flow.loss(behind) - flow.loss(ahead)) / (2 * h), power, 1e-9);  // h^2, and rounding over h
  }
}

TEST(LimitSystemMisuse, ThrowsWithTheRuleAndTheValue) {
  const auto message = [](const LimitTask& task) -> std::string {
    try {
      LimitFlow<double>{task};
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message({61, 5}).find(
                "multiple of 6, as the classes' shares are 1/2, 1/6, 1/6, 1/6, but is 61; the next one is 66"),
            std::string::npos);
  EXPECT_NE(message({63, 5}).find("but is 63; the next one is 66"), std::string::npos);
  EXPECT_NE(message({0, 5}).find("but is 0; the next one is 6"), std::string::npos);
  EXPECT_NE(message({60, 2}).find("at least 3"), std::string::npos);
  EXPECT_THROW(limit_at_infinite_time<double>({{}, 2}), std::invalid_argument);
}

/// The I2 loss falls: its margin grows along the flow (a central difference, exact to 1e-10 of the speed).
FlowEvent past_the_peak(std::size_t sample) {
  const auto margin = [sample](Moment& m, double distance) {
    const Flow<double>& flow = m.flow();
    std::vector<double> x(m.x().size());
    flow.derivative(m.t(), m.x(), x);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = m.x()[i] + distance * x[i];
    Moment there(flow);
    there.set(m.t(), x);
    return there.forward().margin[sample];
  };
  return {"past_the_peak", "the I2 loss falls", true, false, [margin](Moment& m) {
            const double U_t = 1e-5;
            return (margin(m, U_t / m.U()) - margin(m, -U_t / m.U())) / (2 * U_t);
          }};
}

struct FiniteRun {
  std::array<double, 3> event_times;  // times U(0), in the order of `events`
  double M_over_U2, M_v2_over_U;      // at t = 0; small is close to the limit
  double G2;                          // |G|^2 at the end, U(0) t = 8
};

FiniteRun finite_run(const CoOccurrenceOptions& options, StartLaw law, Index width, const StandardDeviations& s) {
  const Task task(co_occurrence(options, 1));
  const Index hidden = 4;
  const auto flow = make_reduced_flow<double>(task, draw_start(law, width, hidden, task.words(), s, 1));
  const auto x0 = flow->initial_state();
  Moment start(*flow);
  start.set(0, x0);
  const double U = start.U(), M = static_cast<double>(hidden);
  const Observables observables(start, {0, 1, 2});
  auto watched = standard_events(task, observables, {{}, {}, {}, {}});              // classified, overtaken
  watched.push_back(past_the_peak(static_cast<std::size_t>(options.samples / 2)));  // the first of I2
  // G = u . v is a small product of long vectors, hence the tight rtol.
  const auto solved = solvers::solve<double>(WatchedFlow(*flow, watched), x0,
                                             {.end = 8 / U,
                                              .tolerances = {1e-12, 1e-14},
                                              .clock = solvers::Clock<double>::log(1 / U),
                                              .method = "fehlberg78"});
  std::vector<double> G(static_cast<std::size_t>(task.words()));
  flow->values(solved.x, G);
  const auto scaled = [&](Index event) { return U * solved.seen.times(event).at(0); };
  return {{scaled(1), scaled(2), scaled(0)},
          M / (U * U),
          M * flow->Gamma(x0, 0, 0) / U,
          std::inner_product(G.begin(), G.end(), G.begin(), 0.0)};
}

CoOccurrenceOptions distinct(Index n, Index L) {
  return {.samples = n,
          .length = L,
          .words = 3 + n / 2 * (L - 3) + n / 3 * (L - 2) + n / 6 * (L - 1),
          .fillers = Fillers::distinct,
          .classes = {}};
}

/// U grows by the share (M/U(0)^2) |G|^2, and M Gamma by as much of U: so much the flow's speed differs from the
/// limit's, at most, and the event times with it.
TEST(FiniteFlows, ComeToTheLimitLinearlyInTheGrowthOfU) {
  std::vector<FiniteRun> runs;
  for (const double s : {1, 2, 4, 8})
    runs.push_back(finite_run(distinct(60, 5), StartLaw::gaussian, 8, {s, 1e-11, 1e-11, 1e-11}));
  const auto limit = solve<double>({60, 5}, 8, 1e-12);
  for (std::size_t e = 0; e < 3; ++e) {
    std::vector<double> small, errors;
    for (const FiniteRun& run : runs) {
      const double exact = limit.seen.times(events[e]).at(0);
      small.push_back(run.M_over_U2);
      errors.push_back(exact - run.event_times[e]);  // monotone: always early
      EXPECT_GT(errors.back(), 0);
      EXPECT_LT(errors.back() / exact, 2 * run.M_over_U2 * run.G2);
    }
    RecordProperty("rate_" + std::to_string(e), std::to_string(solvers::order_of(small, errors)));
    EXPECT_NEAR(solvers::order_of(small, errors), 1, 0.02);  // the next order is 2, and M/U^2 at most 3e-3
    EXPECT_NEAR(runs.back().event_times[e], known[1].event_times[e], 1e-5);
  }
}

TEST(FiniteFlows, ComeToTheLimitLinearlyInTheLengthOfTheValues) {
  std::vector<FiniteRun> runs;
  for (const double s : {0.2, 0.1, 0.05, 0.025})
    runs.push_back(finite_run(distinct(12, 4), StartLaw::orthogonal, 64, {8, s, 1e-4, 1e-4}));
  const auto limit = solve<double>({12, 4}, 8, 1e-12);
  for (std::size_t e = 0; e < 3; ++e) {
    std::vector<double> small, errors;
    for (const FiniteRun& run : runs) {
      // M Gamma = (M |v|^2) I at an orthogonal start: the whole flow is faster by this share, until U and Gamma move.
      const double exact = limit.seen.times(events[e]).at(0), share = run.M_v2_over_U;
      small.push_back(share);
      errors.push_back(exact - run.event_times[e]);
      EXPECT_NEAR(errors.back() / exact, share, share * share + 2 * run.M_over_U2 * run.G2 + 1e-8);
    }
    EXPECT_NEAR(solvers::order_of(small, errors), 1, 0.02);
  }
}

}  // namespace
}  // namespace gradflow
