#pragma once
#include <Eigen/QR>
#include <cstdlib>
#include <gradflow/flows/flow.hpp>
#include <gradflow/flows/start.hpp>
#include <gradflow/tasks/co_occurrence.hpp>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "scalars.hpp"

/// Tables of tasks, starts and rates, and flows at states away from their start.
namespace gradflow::tests {

struct NamedTask {
  std::string name;
  TaskData data;
};

inline TaskData task_of(Index words, std::vector<std::vector<Index>> tokens, std::vector<int> labels,
                        std::optional<Index> common = 2) {
  TaskData data;
  data.words = words;
  data.tokens = std::move(tokens);
  data.labels = std::move(labels);
  data.common = common;
  return Task(std::move(data)).data();  // with classes and names
}

inline std::vector<NamedTask> tasks() {
  CoOccurrenceOptions paper, distinct;
  paper.samples = distinct.samples = 6;
  paper.length = distinct.length = 4;
  paper.words = 7;
  distinct.words = 13;
  distinct.fillers = Fillers::distinct;
  return {{"paper", Task(co_occurrence(paper, 3)).data()},
          {"distinct", Task(co_occurrence(distinct, 3)).data()},
          // Words 3 and 6 stand nowhere; of the repeated ones some are target or common word.
          {"ragged",
           task_of(7, {{0, 1, 2, 4, 4}, {2, 0}, {5, 1, 2, 5, 5}, {2}, {1, 4, 0, 1, 2, 2, 5}}, {1, -1, -1, -1, 1})},
          {"no_common", task_of(5, {{0, 1, 3}, {0, 4}, {3, 1, 3}, {4, 3, 4, 2}}, {1, -1, -1, 1}, std::nullopt)},
          {"one_sample", task_of(4, {{3, 0, 2, 1, 3}}, {1})},
          {"one_word_samples", task_of(4, {{0}, {1}, {2}, {0}}, {1, -1, 1, -1})}};
}

/// All rates 1, none 1, and each matrix frozen in turn.
inline const std::vector<std::pair<std::string, Rates<double>>> all_rates{{"unit", {}},
                                                                          {"mixed", {0.5, 2, 1.5, 0.25}},
                                                                          {"frozen_W", {0, 1, 1, 2}},
                                                                          {"frozen_W_V", {1, 0, 1, 1}},
                                                                          {"frozen_W_K", {1, 1, 0, 3}},
                                                                          {"frozen_W_Q", {2, 1, 1, 0}}};

struct FlowCase {
  std::string name;
  TaskData task;
  Weights<double> start;
  Rates<double> rates;
  bool full;
};

/// Every task with every kind of start, rates and formulation, at full width; orthogonal starts are wider than 2 d + 2,
/// so that the laws are compressed there.
inline const std::vector<FlowCase>& flow_cases() {
  static std::vector<FlowCase> cases;
  if (!cases.empty()) return cases;
  for (const NamedTask& task : tasks()) {
    const Index d = task.data.words;
    const std::vector<std::pair<std::string, Weights<double>>> starts{
        {"gaussian", draw_start(StartLaw::gaussian, 4, 5, d, {0.3, 0.2, 0.25, 0.35}, 7)},
        {"kaiming", draw_start(StartLaw::kaiming_normal, 3, 4, d, {}, 8)},
        {"orthogonal", draw_start(StartLaw::orthogonal, 2 * d + 3, 3, d, {0.2, 0.3, 0.1, 0.2}, 9)}};
    for (const auto& [start_name, start] : starts)
      for (const auto& [rates_name, rho] : all_rates)
        for (const bool full : {true, false})
          cases.push_back({task.name + "_" + start_name + "_" + rates_name + (full ? "_full" : "_reduced"), task.data,
                           start, rho, full});
  }
  return cases;
}

template <class Real>
Rates<Real> cast(const Rates<double>& rho) {
  return {Real(rho.W), Real(rho.W_V), Real(rho.W_K), Real(rho.W_Q)};
}

/// A flow with the task that it needs; the reduced one in the coordinates of the weights unless told otherwise.
template <class Real>
struct OwnedFlow {
  template <class Other>
  OwnedFlow(const TaskData& data, const Weights<Other>& start, const Rates<double>& rates, bool full,
            Coordinates coordinates = Coordinates::full_width)
      : task(std::make_unique<Task>(data)),
        flow(full ? make_full_flow<Real>(*task, start.template cast<Real>(), cast<Real>(rates))
                  : make_reduced_flow<Real>(*task, start.template cast<Real>(), cast<Real>(rates), coordinates)) {}
  explicit OwnedFlow(const FlowCase& c) : OwnedFlow(c.task, c.start, c.rates, c.full) {}

  const Flow<Real>* operator->() const { return flow.get(); }
  const Flow<Real>& operator*() const { return *flow; }

  std::vector<Real> derivative(const std::vector<Real>& x) const {
    std::vector<Real> dx(x.size(), Real(-1));
    flow->derivative(Real(0), x, dx);
    return dx;
  }
  /// gV and gA at x.
  std::pair<std::vector<Real>, std::vector<Real>> coefficients(const std::vector<Real>& x) const {
    const auto d = static_cast<std::size_t>(task->words());
    const auto pairs = static_cast<std::size_t>(flow->model().pairs().size());
    std::vector<Real> G(d), A(pairs), gV(d), gA(pairs);
    typename Model<Real>::Forward forward;
    flow->values(x, G);
    flow->scores(x, A);
    flow->model().forward(G, A, forward);
    flow->model().coefficients(G, forward, gV, gA);
    return {gV, gA};
  }

  std::unique_ptr<Task> task;
  std::unique_ptr<Flow<Real>> flow;
};

/// The start moved by a Gaussian step of this length per component: a state like any other, on none of the flow's laws.
template <class Real>
std::vector<Real> away_from_start(const Flow<Real>& flow, double step = 0.2, unsigned seed = 5) {
  std::mt19937_64 generator(seed);
  std::vector<Real> x = flow.initial_state();
  for (Real& v : x) v += Real(step * (static_cast<double>(generator() >> 11U) * 0x1p-52 - 1));
  return x;
}

/// A random orthogonal matrix.
inline Matrix<double> rotation(Index size, unsigned seed) {
  std::srand(seed);
  return Eigen::HouseholderQR<Matrix<double>>(Matrix<double>::Random(size, size)).householderQ();
}

template <class To, class From>
std::vector<To> cast(const std::vector<From>& values) {
  std::vector<To> result;
  for (const From& v : values) result.push_back(static_cast<To>(v));
  return result;
}

/// The parts of a state or of a derivative at full width, in Eigen's shapes; `head` is W by rows or u.
template <class Real>
struct Parts {
  Matrix<Real> head, W_V, W_K, W_Q;
  Real last;
};

/// The columns of words that the state does not hold are those of `start` (of a state) or 0 (of a derivative).
template <class Real>
Parts<Real> parts(const Flow<Real>& flow, const std::vector<Real>& x, const Weights<double>* start = nullptr) {
  const std::vector<solvers::Block> blocks = flow.blocks();
  const Real* place = x.data();
  const auto next = [&](const solvers::Block& block) -> Matrix<Real> {
    const Real* const begin = std::exchange(place, place + block.size());
    if (block.vectors == solvers::Block::Vectors::rows)
      return Eigen::Map<const RowMatrix<Real>>(begin, block.rows, block.columns);
    return Eigen::Map<const Matrix<Real>>(begin, block.rows, block.columns);
  };
  const auto spread = [&](const solvers::Block& block, const Matrix<double> Weights<double>::*matrix) {
    Matrix<Real> all = Matrix<Real>::Zero(block.rows, flow.task().words());
    if (start) all = (start->*matrix).template cast<Real>();
    all(Eigen::all, std::vector<Index>(flow.words().begin(), flow.words().end())) = next(block);
    return all;
  };
  return {next(blocks[0]), spread(blocks[1], &Weights<double>::W_V), spread(blocks[2], &Weights<double>::W_K),
          spread(blocks[3], &Weights<double>::W_Q), *place};
}

}  // namespace gradflow::tests
