#pragma once
#include <gradflow/trajectory/schema.hpp>
#include <gradflow/trajectory/writer.hpp>

#include <unistd.h>

#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

/// A run of the size of the paper's, whose every value says where it belongs: a row that is torn, shifted or lost
/// shows.
namespace gradflow::trajectory::example {

/// A folder of its own, removed at the end.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "gradflow-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Row r of every run is at this time; t determines every other value of its row.
inline double time_of(std::int64_t row) { return 0.25 * static_cast<double>(row); }

inline std::vector<double> iota(std::size_t size, double first) {
  std::vector<double> values(size);
  std::iota(values.begin(), values.end(), first);
  return values;
}

/// Observables: 20 scalars "q0".., then G [word], B [key, query], Gamma [word, word2], power [matrix].
constexpr std::size_t scalars = 20, row_values = scalars + 3 + 9 + 9 + 4;
constexpr std::int64_t hidden = 16, width = 32, words = 8;

/// Value i of the row at time t is 1000 t + i.
inline std::vector<double> row_at(double t) { return iota(row_values, 1000 * t); }

inline RunDescription description() {
  RunDescription run;
  run.attributes = {{"program", std::string("gradflow 0.1")},
                    {"settings", std::string(100'000, 's') + " µ_1"},
                    {"t0", 0.5},
                    {"threads", std::int64_t{2}}};
  const std::vector<std::string> tracked{"µ_1", "mu_2", "mu_3"};
  run.observables.dimensions = {{"word", tracked},
                                {"word2", tracked},
                                {"key", tracked},
                                {"query", tracked},
                                {"matrix", std::vector<std::string>{"W", "W_V", "W_K", "W_Q"}}};
  for (std::size_t i = 0; i < scalars; ++i)
    run.observables.columns.push_back({"q" + std::to_string(i), {}, "1", "scalar", ""});
  run.observables.columns.push_back({"G", {"word"}, "1", "value of a word", "Yang et al. 2024, equation 1"});
  run.observables.columns.push_back({"B", {"key", "query"}, "1", "W_K^T W_Q", ""});
  run.observables.columns.push_back({"Gamma", {"word", "word2"}, "1", "W_V^T W_V", ""});
  run.observables.columns.push_back({"power", {"matrix"}, "1", "squared speed", ""});

  run.task.attributes = {{"words", words}};
  run.task.dimensions = {{"sample", 2}, {"position", 3}, {"class", std::vector<std::string>{"I1", "I2"}}};
  run.task.arrays = {{"tokens", {"sample", "position"}, std::vector<std::int64_t>{0, 1, 2, 7, 2, -1}, "1", "words"},
                     {"labels", {"sample"}, std::vector<std::int64_t>{1, -1}, "1", "labels"}};
  run.start.dimensions = {{"hidden", hidden}, {"width", width}, {"word", words}};
  run.start.arrays = {{"W", {"hidden", "width"}, iota(hidden * width, 0), "1", "linear layer"},
                      {"W_V", {"width", "word"}, iota(width * words, 0.5), "1", "value matrix"},
                      {"a", {"hidden"}, std::vector<double>(hidden, 1.0), "1", "readout"}};
  run.states.dimensions = run.start.dimensions;
  run.states.columns = {{"W", {"hidden", "width"}, "1", "linear layer", ""},
                        {"W_V", {"width", "word"}, "1", "value matrix", ""},
                        {"drift", {}, "1", "drift of a law", ""}};
  run.events = {{"classified", "min z > 0"}, {"loss_below(0.1)", "loss < 0.1"}};
  run.crossing_values = {{"loss", {}, "1", "loss there", ""}};
  run.verdicts = {"never", "at start and for good", "once and for good"};
  run.outcomes = {"reached_end", "stopped_by_event", "step_limit"};
  run.counts = {"steps", "evaluations"};
  return run;
}

inline void write_snapshot(RunGroupWriter& writer, double t) {
  const std::vector<double> W = iota(hidden * width, 1000 * t), W_V = iota(width * words, 2000 * t), drift{t};
  const std::vector<std::span<const double>> blocks{W, W_V, drift};
  writer.snapshot(t, blocks);
}

}  // namespace gradflow::trajectory::example
