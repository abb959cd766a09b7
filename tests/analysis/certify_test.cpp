#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <gradflow/analysis/certify.hpp>
#include <gradflow/storage/file_error.hpp>
#include <limits>

#include "experiment/solve.hpp"
#include "support/experiments.hpp"

// Runs certified from their files.
namespace gradflow {
namespace {

using testing::HasSubstr;
using tests::experiment;

class CertifyTest : public testing::Test {
 protected:
  void simulate(const std::string& toml) {
    Listener nobody;
    Simulation(experiment(toml, folder_.path())).run(file(), true, "gradflow simulate test", nobody);
  }
  CertifyReport certified(bool ladder = false) {
    Listener nobody;
    return certify(file(), ladder, nobody);
  }
  std::filesystem::path file() const { return folder_.path() / "run.h5"; }

  support::TemporaryFolder folder_;
};

const std::string problem = tests::small_task() + tests::small_model();

std::string solver(const std::string& method, double rtol, const std::string& more = "") {
  return "[solver]\nmethod = '" + method + "'\nrtol = " + std::to_string(rtol) + "\natol = 1e-9\nuntil = 200\n" + more +
         "[save]\nrecords = 30\nstates = 4\n";
}

/// A far better solve than any reference used here, by whatever method: what the errors really are.
struct Truth : solvers::Observer<double> {
  Truth(const Problem& p, std::vector<double> t) : problem(p), times(std::move(t)), moment(*p.flow) {
    Listener nobody;
    solvers::SolveOptions<double> options = solve_options(problem);
    options.method = "fehlberg78";
    options.tolerances = {1e-13, 1e-15};
    EXPECT_TRUE(solve(problem, options, {times.back(), times}, "", *this, nobody).reached_target());
  }
  void output(std::size_t, const solvers::Point<double>& at) override {
    moment.set(at);
    loss.push_back(moment.forward().loss);
    W_V.push_back(problem.flow->weights(at.x()).W_V);
  }
  void crossing(const solvers::Crossing<double>& c, std::span<const double>) override { crossings.push_back(c); }

  const Problem& problem;
  std::vector<double> times;
  Moment moment;
  std::vector<double> loss;
  std::vector<Matrix<double>> W_V;
  std::vector<solvers::Crossing<double>> crossings;
};

const QuantityError& named(const std::vector<QuantityError>& all, const std::string& name) {
  return *std::ranges::find(all, name, &QuantityError::name);
}

/// Within a factor 3, or below what the truth itself can tell.
void expect_honest(double reported, double true_error, double resolution, const std::string& what) {
  SCOPED_TRACE(what);
  if (true_error < resolution) return;
  EXPECT_LT(reported, 3 * true_error);
  EXPECT_GT(reported, true_error / 3);
}

TEST_F(CertifyTest, ReportsTheTrueErrorsWithinAFactorOfThree) {
  for (const char* method : {"dopri5", "cash-karp54", "fehlberg78"})
    for (const double rtol : {1e-4, 1e-6}) {
      simulate(problem + solver(method, rtol));
      const CertifyReport report = certified();
      const Problem again(read_run_settings(file()), read_run_inputs(file()));
      const Truth truth(again, report.record_t);
      const trajectory::RunReader run(file());
      const std::vector<double> loss = run.observable("loss").values;
      const QuantityError& of_loss = named(report.observables, "loss");
      double largest = 0;
      for (std::size_t i = 0; i < loss.size(); ++i) largest = std::max(largest, std::abs(loss[i] - truth.loss[i]));
      expect_honest(of_loss.largest(), largest, 1e-12, "loss");
      expect_honest(of_loss.error.back(), std::abs(loss.back() - truth.loss.back()), 1e-12, "loss at the end");

      const trajectory::Values last = run.state("W_V", static_cast<std::int64_t>(report.state_t.size()) - 1);
      const Matrix<double> W_V = Eigen::Map<const RowMatrix<double>>(last.values.data(), last.shape[0], last.shape[1]);
      expect_honest(named(report.states, "W_V").error.back(), (W_V - truth.W_V.back()).norm(), 1e-11, "W_V");

      std::size_t seen = 0;
      for (const EventErrors& event : report.events)
        for (const auto& c : event.crossings) {
          double nearest = std::numeric_limits<double>::infinity();
          for (const auto& exact : truth.crossings)
            if (exact.event == c.crossing.event && exact.direction == c.crossing.direction)
              nearest = std::min(nearest, std::abs(exact.t - c.crossing.t));
          // Of a crossing with slope s a function good to about 1e-13 tells the time to 1e-13 / s.
          expect_honest(c.error, nearest, 1e-12 * c.crossing.t + 1e-12 / std::abs(c.crossing.slope), event.name);
          ++seen;
        }
      EXPECT_GT(seen, 4);  // so that this is not said of nothing
    }
}

TEST_F(CertifyTest, SaysWhatTheRunWasAndWhatItIsHeldAgainst) {
  simulate(problem + solver("fehlberg78", 1e-6));
  const CertifyReport report = certified();
  EXPECT_EQ(report.run.method, "fehlberg78");
  EXPECT_EQ(report.reference.method, "dopri5");               // of another family
  EXPECT_DOUBLE_EQ(report.reference.tolerances.rtol, 1e-11);  // of lower order, so much tighter
  EXPECT_DOUBLE_EQ(report.check.tolerances.rtol, 1e-10);
  EXPECT_EQ(report.record_t.size(), 30);
  EXPECT_EQ(report.state_t.size(), 4);
  EXPECT_EQ(report.t_end, 200);
  for (const QuantityError& q : report.observables) {
    EXPECT_EQ(q.error.size(), 30) << q.name;
    EXPECT_LE(q.uncertainty[q.worst()], std::max(q.error[q.worst()], 1e-15)) << q.name;
  }
  EXPECT_EQ(report.observables.size(), trajectory::RunReader(file()).observables().size());
  EXPECT_EQ(report.monitors.size(), 6);
  EXPECT_TRUE(report.ladder.empty());
}

TEST_F(CertifyTest, TheCoupledFlowIsCertifiedFromItsInnerProducts) {
  const std::string coupled = "[flow]\nformulation = 'coupled'\n";
  simulate(problem + coupled + solver("dopri5", 1e-6));
  const CertifyReport from_weights = certified();
  EXPECT_EQ(from_weights.states.size(), 6);
  EXPECT_EQ(from_weights.states.front().name, "G");
  EXPECT_GT(from_weights.states.front().largest(), 0);
  EXPECT_LT(from_weights.states.front().relative(), 1e-4);
  simulate(tests::small_task() + coupled +
           "[model]\nwidth = 1000000000\nhidden = 500000000\nstart = { kind = 'limit', W = 1e-8, W_V = 1e-5, W_K = "
           "1e-5, W_Q = 1e-5 }\n" +
           solver("dopri5", 1e-6));
  EXPECT_LT(certified().states.front().relative(), 1e-4);
}

TEST_F(CertifyTest, EachHalfOfAStoppedOrInterruptedRunIsJudgedAsFarAsItGoes) {
  simulate(problem + solver("dopri5", 1e-6) +
           "[[event]]\nname = 'low'\nquantity = 'loss'\ncrosses = 0.05\ndirection = 'down'\nstop = true\n");
  const CertifyReport stopped = certified();
  EXPECT_LT(stopped.t_end, 200);
  EXPECT_TRUE(stopped.holds());  // the stopping event is found by the reference too, on whichever side
  EXPECT_EQ(stopped.events.back().name, "low");
  EXPECT_EQ(stopped.events.back().crossings.size(), 1);

  // A twin that crosses with it, and does not stop.
  simulate(problem + solver("dopri5", 1e-5) +
           "[[event]]\nname = 'low'\nquantity = 'loss'\ncrosses = 0.05\ndirection = 'down'\nstop = true\n"
           "[[event]]\nname = 'twin'\nquantity = 'loss'\ncrosses = 0.05\ndirection = 'down'\n");
  for (const EventErrors& event : certified(true).events) EXPECT_TRUE(event.missing.empty()) << event.name;
  EXPECT_TRUE(certified().holds());

  simulate(problem + solver("dopri5", 1e-6, "max_steps = 12\n"));
  const CertifyReport cut = certified();
  EXPECT_EQ(cut.outcome, "step_limit");
  EXPECT_EQ(cut.until, 200);
  EXPECT_LT(cut.t_end, 200);
  EXPECT_EQ(cut.record_t.back(), cut.t_end);
  for (const EventErrors& event : cut.events) EXPECT_TRUE(event.missing.empty()) << event.name;
}

TEST_F(CertifyTest, AStopJustBehindAStepsEndIsFoundByTheReference) {
  simulate(problem + solver("dopri5", 1e-5));
  const trajectory::Steps steps = trajectory::RunReader(file()).steps();
  for (const std::size_t back : {3u, 9u}) {  // the loss at a step's end, and a little less
    const Problem again(read_run_settings(file()), read_run_inputs(file()));
    const double level = Truth(again, {0, steps.t[steps.t.size() - back]}).loss.back() * (1 - 1e-9);
    std::filesystem::path first = file();
    std::filesystem::rename(first, folder_.path() / "first.h5");
    simulate(problem + solver("dopri5", 1e-5) +
             fmt::format("[[event]]\nname = 'halt'\nquantity = 'loss'\ncrosses = {}\ndirection = 'down'\nstop = true\n",
                         level));
    for (const EventErrors& event : certified().events) {
      EXPECT_TRUE(event.missing.empty()) << event.name;
      for (const auto& c : event.crossings) EXPECT_FALSE(std::isnan(c.error)) << event.name;
    }
    std::filesystem::rename(folder_.path() / "first.h5", first);
  }
}

TEST_F(CertifyTest, TheLadderClimbsByEveryMethod) {
  simulate(problem + solver("dopri5", 1e-6));
  const CertifyReport report = certified(true);
  ASSERT_EQ(report.ladder.size(), solvers::methods().size() * 5);
  for (std::size_t i = 0; i < report.ladder.size(); ++i) {
    const Rung& rung = report.ladder[i];
    EXPECT_EQ(rung.outcome, solvers::Outcome::reached_end);
    EXPECT_GT(rung.evaluations, 0);
    if (i % 5 == 0) continue;
    EXPECT_EQ(rung.method, report.ladder[i - 1].method);
    EXPECT_LT(rung.rtol, report.ladder[i - 1].rtol);
    EXPECT_GE(rung.accepted, report.ladder[i - 1].accepted);
  }
  // Four decades of tolerance, in proportion to which errors fall; a hundredth of that is left to where stability, not
  // the tolerance, sets the loosest steps, and to the block whose error happens to be the largest.
  for (std::size_t method = 0; method < 3; ++method)
    EXPECT_LT(report.ladder[5 * method + 4].state_error, 1e-2 * report.ladder[5 * method].state_error);
  // The run's own rung is the run.
  const QuantityError& W_V = named(report.states, "W_V");
  EXPECT_LT(report.ladder[3].state_error, 10 * W_V.relative());
  EXPECT_GT(report.ladder[3].state_error, 0);
}

TEST_F(CertifyTest, WhatCannotBeCertifiedIsRefused) {
  EXPECT_THROW(certified(), FileError);  // there is no file
  struct Impatient : Listener {
    bool interrupt() override { return true; }
  } impatient;
  simulate(problem + solver("dopri5", 1e-6));
  EXPECT_THROW(certify(file(), false, impatient), NotCertified);
}

}  // namespace
}  // namespace gradflow
