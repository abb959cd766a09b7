// The parts of a solve, one thread, each beside what this machine's memory and arithmetic allow:
//
//     kernels [--sizes=S,M,L] [--benchmark_filter=...] [--benchmark_out=kernels.json]
//
// `of_limit` is the time over limit = max(bytes / bandwidth, flops / peak); `passes` the time in passes over the state.
#include <gradflow/descent/descent.hpp>
#include <gradflow/experiment/simulate.hpp>
#include <gradflow/flows/gram.hpp>
#include <gradflow/tasks/co_occurrence.hpp>

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <cmath>
#include <solvers/stepper.hpp>

#include "problem.hpp"
#include "roofline.hpp"

namespace {

using namespace gradflow;
using benchmark::Counter;

/// What a kernel must do at the least.
struct Work {
  double bytes, flops;
};

/// This machine's peak, and its bandwidths by how much memory is gone through.
struct Machine {
  struct Rung {
    double bytes;  ///< of the two arrays of a copy together
    bench::Bandwidth bandwidth;
  };
  double flops = bench::flop_peak();
  std::vector<Rung> ladder;

  Machine() {
    for (Index numbers = 1 << 13; numbers <= 1 << 25; numbers *= 4)
      ladder.push_back({16.0 * static_cast<double>(numbers), bench::bandwidth(numbers)});
  }

  /// Bytes a second of a copy that goes through so much memory; between two rungs in logarithms.
  double copy(double bytes) const {
    if (bytes <= ladder.front().bytes) return ladder.front().bandwidth.copy;
    for (std::size_t i = 1; i < ladder.size(); ++i)
      if (bytes <= ladder[i].bytes) {
        const double share = std::log(bytes / ladder[i - 1].bytes) / std::log(ladder[i].bytes / ladder[i - 1].bytes);
        return std::exp(std::lerp(std::log(ladder[i - 1].bandwidth.copy), std::log(ladder[i].bandwidth.copy), share));
      }
    return ladder.back().bandwidth.copy;
  }
  double limit(const Work& work) const { return std::max(work.bytes / copy(work.bytes), work.flops / flops); }
};

const Machine& machine() {
  static const Machine measured;
  return measured;
}

/// Of a derivative in weights: the state read and its derivative written once; for every sample of l distinct words the
/// scores and both of their gradients (2 m l^2 each), for every word its value, W_V gV and u gV^T.
Work gradient_work(const Flow<double>& flow) {
  double squares = 0;
  for (Index i = 0; i < flow.task().samples(); ++i) {
    const auto l = static_cast<double>(flow.task().bag(i).size());
    squares += l * l;
  }
  const auto m = static_cast<double>(flow.width()), n = static_cast<double>(std::ssize(flow.words()));
  return {16.0 * static_cast<double>(flow.dimension()), m * (6 * squares + 5 * n)};
}

/// The state read, its derivative written: where formulations of different states are compared.
Work least_work(const Flow<double>& flow) { return {16.0 * static_cast<double>(flow.dimension()), 0}; }

void report(benchmark::State& state, Work work, Index size) {
  const auto time_over = Counter::Flags(Counter::kIsIterationInvariantRate | Counter::kInvert);
  state.counters["of_limit"] = Counter(machine().limit(work), time_over);
  state.counters["passes"] = Counter(8.0 * static_cast<double>(size) / machine().copy(work.bytes), time_over);
  state.counters["bytes"] = work.bytes;
  state.counters["flops"] = work.flops;
}

using MakeFlow = std::function<std::unique_ptr<Flow<double>>()>;

void derivative(benchmark::State& state, const MakeFlow& make, Work (*work)(const Flow<double>&)) {
  const auto flow = make();
  const std::vector<double> x = flow->initial_state();
  std::vector<double> dx(x.size());
  for (auto _ : state) {
    flow->derivative(0, x, dx);
    bench::use(dx.data());
  }
  report(state, work(*flow), std::ssize(x));
}

/// With six earlier derivatives, which are read as well.
void stage(benchmark::State& state, const MakeFlow& make) {
  constexpr std::size_t earlier = 6;
  const auto flow = make();
  const std::vector<double> x = flow->initial_state(), c(earlier, 1e-9);
  const std::vector<std::vector<double>> derivatives(earlier, x);
  std::vector<const double*> k;
  for (const auto& one : derivatives) k.push_back(one.data());
  std::vector<double> y(x.size()), dx(x.size());
  for (auto _ : state) {
    flow->stage({.t = 0, .x = x, .c = c, .k = k}, y, false, dx);
    bench::use(dx.data());
  }
  Work work = gradient_work(*flow);
  work.bytes += 8.0 * static_cast<double>(earlier * x.size());
  work.flops += 2.0 * static_cast<double>(earlier * x.size());
  report(state, work, std::ssize(x));
}

void step(benchmark::State& state, const MakeFlow& make, std::string_view method, Work (*work)(const Flow<double>&)) {
  const auto flow = make();
  const auto stepper = solvers::make_stepper<double>(method, *flow, solvers::Clock<double>::log(1), {1e-6, 1e-8});
  stepper->start(0, flow->initial_state());
  constexpr double h = 1e-9;  // stays where the state is ordinary, however often it is repeated
  const auto advance = [&] {
    benchmark::DoNotOptimize(stepper->attempt(stepper->tau() + h));
    stepper->accept();
  };
  advance();
  const solvers::Index before = stepper->evaluations();
  for (auto _ : state) advance();
  const double evaluations =
      static_cast<double>(stepper->evaluations() - before) / static_cast<double>(state.iterations());
  const Work one = work(*flow);
  report(state, {evaluations * one.bytes, evaluations * one.flops}, flow->dimension());
  state.counters["evaluations"] = evaluations;
}

void descent_step(benchmark::State& state, const MakeFlow& make) {
  const auto flow = make();
  Descent descent(*flow, Update("gd", 1e-9));
  for (auto _ : state) descent.step();
  report(state, gradient_work(*flow), flow->dimension());
}

void add(const std::string& name, std::function<void(benchmark::State&)> run) {
  benchmark::RegisterBenchmark(name.c_str(), run)->Unit(benchmark::kMicrosecond);
}

void add_size(const std::string& size) {
  const auto problem = std::make_shared<bench::Problem>(bench::read_problem(GRADFLOW_BENCH_DIR "/" + size + ".toml"));
  const MakeFlow reduced = [problem] { return make_reduced_flow(problem->task, problem->start); };
  const MakeFlow full = [problem] { return make_full_flow(problem->task, problem->start); };
  const MakeFlow coupled = [problem] { return make_coupled_flow(problem->task, gram_start(problem->start)); };
  add("derivative/reduced/" + size, [=](auto& state) { derivative(state, reduced, gradient_work); });
  add("derivative/full/" + size, [=](auto& state) { derivative(state, full, gradient_work); });
  if (problem->task.words() < 5000)  // its state grows with the square: 4 GB at L
    add("derivative/coupled/" + size, [=](auto& state) { derivative(state, coupled, least_work); });
  add("stage/reduced/" + size, [=](auto& state) { stage(state, reduced); });
  for (const solvers::Method& method : solvers::methods())
    add(fmt::format("step/{}/{}", method.name, size),
        [=](auto& state) { step(state, reduced, method.name, gradient_work); });
  add("descent-step/gd/" + size, [=](auto& state) { descent_step(state, reduced); });
}

/// Two classes; sparse: every filler is a word of its own, so that pairs of words grow like d; dense: 2 d samples with
/// fillers drawn from few words, so that nearly every two words share a sample.
Task formulation_task(bool dense, Index words) {
  const CoOccurrenceOptions options{.samples = dense ? 2 * words : (words - 3) / 8 * 2,
                                    .length = dense ? 8 : 6,
                                    .words = words,
                                    .fillers = dense ? Fillers::uniform : Fillers::distinct,
                                    .classes = {{"both", {0, 1, 2}, 1, {1, 2}}, {"neither", {2}, -1, {1, 2}}}};
  return Task(co_occurrence(options, 1));
}

/// One step of the default method, coupled and reduced at several widths.
void add_formulations() {
  const std::string_view method = solvers::methods().front().name;
  for (const bool dense : {false, true})
    for (const Index words : {16, 32, 64, 128}) {
      const auto task = std::make_shared<Task>(formulation_task(dense, words));
      const auto start = [=](Index width) {
        return draw_start(StartLaw::gaussian, width, 64, words, {0.05, 0.03, 0.02, 0.02}, 1);
      };
      const auto name = fmt::format("formulation/{}/d={}", dense ? "dense" : "sparse", words);
      const MakeFlow coupled = [=] { return make_coupled_flow(*task, gram_start(start(64), coupled_words(*task))); };
      add(name + "/coupled", [=](auto& state) { step(state, coupled, method, least_work); });
      for (const Index width : {8, 16, 32, 64, 128, 256, 512}) {
        const MakeFlow reduced = [=] { return make_reduced_flow(*task, start(width)); };
        add(fmt::format("{}/m={}", name, width), [=](auto& state) { step(state, reduced, method, least_work); });
      }
    }
}

/// --sizes=S,M,L, taken out of the arguments.
std::vector<std::string> sizes(int& argc, char** argv) {
  std::string list = "S,M,L";
  for (int i = 1; i < argc; ++i)
    if (const std::string argument = argv[i]; argument.starts_with("--sizes=")) {
      list = argument.substr(8);
      std::copy(argv + i + 1, argv + argc, argv + i);
      --argc;
      break;
    }
  std::vector<std::string> names;
  for (std::size_t from = 0; from <= list.size();) {
    const std::size_t comma = std::min(list.find(',', from), list.size());
    names.push_back(list.substr(from, comma - from));
    from = comma + 1;
  }
  return names;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> chosen = sizes(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::AddCustomContext("flop_peak", fmt::format("{:.4g}", machine().flops));
  for (const auto& [bytes, rates] : machine().ladder)
    benchmark::AddCustomContext(fmt::format("bandwidth_{}", bytes),
                                fmt::format("{:.4g} {:.4g} {:.4g}", rates.read, rates.copy, rates.triad));
  for (const std::string& size : chosen) add_size(size);
  add_formulations();
  benchmark::RunSpecifiedBenchmarks();
}
