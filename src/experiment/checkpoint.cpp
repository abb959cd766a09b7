#include "experiment/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <gradflow/storage/file_error.hpp>

namespace gradflow {
namespace {

constexpr std::array counts{
    &solvers::Counts::accepted,   &solvers::Counts::rejected_error, &solvers::Counts::rejected_not_finite,
    &solvers::Counts::for_steps,  &solvers::Counts::for_start,      &solvers::Counts::for_outputs,
    &solvers::Counts::for_events, &solvers::Counts::event_calls};

/// Calls with each number of a state, and with each array of them, in the order of the file.
template <class State, class Scalar, class Array>
void each_real(State& s, Scalar scalar, Array array) {
  scalar(s.stepper.tau);
  scalar(s.continuation.next_step);
  scalar(s.continuation.previous_ratio);
  scalar(s.smallest_step);
  scalar(s.largest_step);
  scalar(s.wall_seconds);
  array(s.continuation.events.zero_since);
  array(s.continuation.events.slope);
  array(s.stepper.x);
  array(s.stepper.dx);
}

template <class State, class Scalar, class Array>
void each_integer(State& s, Scalar scalar, Array array) {
  for (const auto count : counts) scalar(s.counts.*count);
  array(s.continuation.events.sign_at_start);
  array(s.continuation.events.sign);
}

SolveState of_size(std::size_t dimension, std::size_t events) {
  SolveState state;
  state.stepper = {0, std::vector<double>(dimension), std::vector<double>(dimension)};
  state.continuation.events = {std::vector<int>(events), std::vector<int>(events), std::vector<double>(events),
                               std::vector<double>(events)};
  return state;
}

}  // namespace

trajectory::Checkpoint pack(const SolveState& state) {
  trajectory::Checkpoint packed;
  const auto put = [](auto& into) { return [&into](auto value) { into.push_back(value); }; };
  const auto put_all = [](auto& into) {
    return [&into](const auto& values) { into.insert(into.end(), values.begin(), values.end()); };
  };
  each_real(state, put(packed.reals), put_all(packed.reals));
  each_integer(state, put(packed.integers), put_all(packed.integers));
  return packed;
}

void describe_checkpoint(trajectory::RunDescription& description, std::size_t dimension, std::size_t events) {
  const trajectory::Checkpoint sizes = pack(of_size(dimension, events));
  description.checkpoint_reals = std::ssize(sizes.reals);
  description.checkpoint_integers = std::ssize(sizes.integers);
}

SolveState unpack(const trajectory::Checkpoint& checkpoint, std::size_t dimension, std::size_t events,
                  const std::filesystem::path& file) {
  SolveState state = of_size(dimension, events);
  const trajectory::Checkpoint sizes = pack(state);
  if (checkpoint.reals.size() != sizes.reals.size() || checkpoint.integers.size() != sizes.integers.size())
    throw FileError(fmt::format(
        "{}: its checkpoint is of another problem than its settings, task and start: {} and {} numbers "
        "where {} and {} belong",
        file.string(), checkpoint.reals.size(), checkpoint.integers.size(), sizes.reals.size(), sizes.integers.size()));
  const auto take = [](auto& from) {
    return [&from](auto& value) { value = static_cast<std::remove_reference_t<decltype(value)>>(*from++); };
  };
  const auto take_all = [](auto& from) {
    return [&from](auto& values) {
      for (auto& value : values) value = static_cast<std::remove_reference_t<decltype(value)>>(*from++);
    };
  };
  auto real = checkpoint.reals.begin();
  auto integer = checkpoint.integers.begin();
  each_real(state, take(real), take_all(real));
  each_integer(state, take(integer), take_all(integer));
  return state;
}

solvers::Report<double> joined(const SolveState& before, solvers::Report<double> report) {
  const bool stepped = report.counts.accepted > 0, stepped_before = before.counts.accepted > 0;
  for (const auto count : counts) report.counts.*count += before.counts.*count;
  if (stepped_before && stepped) {
    report.smallest_step = std::min(report.smallest_step, before.smallest_step);
    report.largest_step = std::max(report.largest_step, before.largest_step);
  } else if (stepped_before) {
    report.smallest_step = before.smallest_step;
    report.largest_step = before.largest_step;
  }
  report.wall_seconds += before.wall_seconds;
  return report;
}

}  // namespace gradflow
