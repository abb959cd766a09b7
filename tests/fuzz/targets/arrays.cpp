// HDF5 starts and tasks: any bytes are refused with FileError, or are arrays as the caller asked for them.
#include <cmath>
#include <gradflow/trajectory/array_file.hpp>

#include "fuzz/hdf5_edits.hpp"

namespace {

using gradflow::trajectory::ArrayFile;

template <class T>
void check(const gradflow::trajectory::NumericArray<T>& array, std::size_t rank) {
  std::size_t size = 1;
  for (const std::int64_t extent : array.shape) size *= static_cast<std::size_t>(extent);
  gradflow::fuzz::require(array.shape.size() == rank && array.values.size() == size, "an array has its shape");
  for (const T value : array.values)
    gradflow::fuzz::require(std::isfinite(static_cast<double>(value)), "reals are finite");
}

template <class Work>
void refused_or(Work work) {
  try {
    work();
  } catch (const gradflow::FileError&) {
  }
}

void read(const std::string& path) {
  const ArrayFile file(path);
  for (const char* name : {"W", "W_V", "W_K", "W_Q", "Gamma"})
    for (const std::optional<std::int64_t> snapshot : {std::optional<std::int64_t>{}, std::optional<std::int64_t>{1}})
      refused_or([&] { check(file.start(name, 2, snapshot), 2); });
  refused_or([&] { check(file.start("a", 1, {}), 1); });
  refused_or([&] { check(file.start("U", 0, 0), 0); });
  for (const char* prefix : {"", "task/", "task/test_"}) {
    refused_or([&] { check(file.integers(std::string(prefix) + "tokens", 2), 2); });
    refused_or([&] { check(file.integers(std::string(prefix) + "labels", 1), 1); });
  }
  refused_or([&] { file.integer_attribute("words"); });
  refused_or([&] { file.integer_attribute("words", "task"); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const gradflow::fuzz::ScratchFile scratch("arrays.h5");
  static const gradflow::fuzz::SoundFile sound(GRADFLOW_CORPUS "/arrays/start_new.h5");
  sound.spoil(scratch, data, size);
  refused_or([&] { read(scratch.path()); });
  return 0;
}
