#pragma once
#include <gradflow/experiment/simulate.hpp>
#include <gradflow/trajectory/reader.hpp>
#include <solvers/stepper.hpp>
#include <string>

#include "support/process.hpp"

namespace gradflow::tests {

/// An experiment from TOML text, as if it stood in `folder`.
inline settings::Experiment experiment(const std::string& toml, const std::filesystem::path& folder = "/nowhere") {
  std::vector<std::string> methods;
  for (const solvers::Method& method : solvers::methods()) methods.emplace_back(method.name);
  return settings::parse(toml, folder / "experiment.toml", {}, methods);
}

/// The problems with which `call` refuses an experiment; fails the test if it does not.
template <class Call>
std::string problems_of(const Call& call) {
  try {
    call();
  } catch (const settings::Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return {};
}

/// Six samples of four words, some of 13; all matrices have different shapes, none square. Functions, because Clang 14
/// initializes an inline variable later than those variables of a test file that are made from it.
inline std::string small_task() {
  return R"(
[task]
samples = 6
length = 4
words = 13
fillers = "distinct"
)";
}
inline std::string small_model() {
  return R"(
[model]
width = 8
hidden = 6
start = { kind = "gaussian", W = 0.3, W_V = 0.2, W_K = 0.4, W_Q = 0.5 }
)";
}

}  // namespace gradflow::tests
