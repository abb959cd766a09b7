// gradflow's solve alone, through the library: no events, no records but the end, no file. Also exports task and start
// for its peers.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <solvers/solve.hpp>

#include "arrays.hpp"
#include "problem.hpp"
#include "stopwatch.hpp"

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace {

using namespace gradflow;

void export_problem(const std::filesystem::path& path, const TaskData& task, const Weights<double>& start) {
  const bench::ArrayFile file(path, bench::ArrayFile::Mode::write);
  std::vector<std::int64_t> tokens;
  for (const auto& sample : task.tokens) tokens.insert(tokens.end(), sample.begin(), sample.end());
  file.write("tokens", tokens, std::ssize(task.tokens.front()));
  file.write("labels", std::vector<std::int64_t>(task.labels.begin(), task.labels.end()));
  file.write_attribute("words", task.words);
  file.write("W", start.W);
  file.write("W_V", start.W_V);
  file.write("W_K", start.W_K);
  file.write("W_Q", start.W_Q);
  file.write("a", start.a);
}

/// A state of a reduced flow in full width, or a derivative of one; every word of the vocabulary stands in a sample.
void write_full_width(const std::filesystem::path& path, const Flow<double>& flow, std::span<const double> x) {
  const Index m = flow.width(), d = std::ssize(flow.words());
  if (d != flow.task().words()) throw std::invalid_argument("a benchmark's task must use all words of its vocabulary");
  const auto block = [&](Index begin, Index columns) {
    return Eigen::Map<const Eigen::MatrixXd>(x.data() + begin, m, columns);
  };
  bench::write_state(path, block(0, 1), block(m, d), block(m + m * d, d), block(m + 2 * m * d, d));
}

/// The log clock's t0 that the command takes by default: 1 / (U + M max_k Gamma(k, k)).
double first_time_scale(const Weights<double>& start) {
  const Vector<double> u = start.W.transpose() * start.a;
  return 1 / (u.squaredNorm() + static_cast<double>(start.hidden()) * start.W_V.colwise().squaredNorm().maxCoeff());
}

/// The derivative at the start; in full width the state is the matrices themselves, so that it is laid out as one.
void write_derivative(const std::filesystem::path& path, const bench::Problem& problem) {
  const auto flow = make_reduced_flow(problem.task, problem.start, {}, Coordinates::full_width);
  const std::vector<double> x = flow->initial_state();
  std::vector<double> dx(x.size());
  flow->derivative(0, x, dx);
  write_full_width(path, *flow, dx);
}

/// Solves, writes the state at the end and prints what it took; true: the end was reached.
bool solve(const std::filesystem::path& path, bench::Problem problem, double until,
           solvers::SolveOptions<double> options) {
  options.clock = solvers::Clock<double>::log(first_time_scale(problem.start));
  const auto flow = make_reduced_flow(problem.task, problem.start);
  problem.start = {};  // the flow has its own
  const std::vector<double> x0 = flow->initial_state();
  const bench::Stopwatch watch;
  const auto solution = solvers::solve(*flow, x0, {.end = until, .outputs = {}}, options);
  const auto [seconds, processor_seconds] = watch.read();
  const long peak = bench::peak_bytes();  // before what writing takes

  const Weights<double> weights = flow->weights(solution.x_end);
  bench::write_state(path, weights.W.transpose() * weights.a, weights.W_V, weights.W_K, weights.W_Q);
  const solvers::Counts& counts = solution.report.counts;
  std::printf(
      "{\"seconds\": %.9g, \"processor_seconds\": %.9g, \"evaluations\": %td, \"steps\": %td, \"peak_bytes\": %ld}\n",
      seconds, processor_seconds, counts.evaluations(), counts.accepted, peak);
  return solution.report.reached_target();
}

}  // namespace

int main(int argc, char** argv) {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 4 << 20);  // a small state's vectors from pages that are there, as in the command
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
#endif
  std::string experiment, out, problem_file;
  double until = 1;
  solvers::SolveOptions<double> options;
  bool derivative = false, list = false;
  CLI::App app("gradflow's solve alone");
  app.add_option("experiment", experiment, "TOML");
  app.add_option("--until", until);
  app.add_option("--rtol", options.tolerances.rtol);
  app.add_option("--atol", options.tolerances.atol);
  app.add_option("--method", options.method);
  app.add_option("--out", out, "where the final state goes (HDF5)");
  app.add_flag("--derivative", derivative, "write the derivative at the start instead");
  app.add_option("--export", problem_file, "write task and start to this file (HDF5) instead");
  app.add_flag("--methods", list, "list the methods, the default first");
  CLI11_PARSE(app, argc, argv);

  if (list) {
    for (const std::string& name : bench::method_names()) std::puts(name.c_str());
    return 0;
  }
  bench::Problem problem = bench::read_problem(experiment);
  if (!problem_file.empty()) {
    export_problem(problem_file, problem.task.data(), problem.start);
  } else if (derivative) {
    write_derivative(out, problem);
  } else if (!solve(out, std::move(problem), until, options)) {
    return 1;
  }
}
