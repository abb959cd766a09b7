#include <gradflow/storage/sound_file.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>

#include "storage/file.hpp"
#include "storage/seal.hpp"
#include "trajectory/example_run.hpp"

// The seal of a finished file, and what a child process finds out about files without one.
namespace gradflow::storage {
namespace {

using testing::HasSubstr;
using trajectory::example::Folder;
namespace fs = std::filesystem;

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void put_bytes(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// A finished file with some numbers and a text of variable length.
fs::path finished(const Folder& folder) {
  const fs::path path = folder / "numbers.h5";
  File file = File::create(path, true);
  Group root = file.root();
  root.set_attribute("text", std::string("of some length"));
  Dataset data = root.create_dataset("x", Layout{Kind::real, {3}});
  data.write(std::span<const double>(std::array{1.0, 2.0, 3.0}));
  file.publish();
  file.close();
  return path;
}

std::string refusal(const fs::path& path) {
  try {
    require_sound(path);
  } catch (const FileError& error) {
    return error.what();
  }
  return "";
}

TEST(SoundFile, ASealIsTheChecksumOfAllBeforeIt) {
  const Folder folder;
  // The check value of CRC-32 (ISO 3309, as zlib and Ethernet have it).
  put_bytes(folder / "check", "123456789");
  write_seal(folder / "check");
  EXPECT_EQ(bytes_of(folder / "check"), "123456789gradflow CRC-32 cbf43926");
  EXPECT_TRUE(check_seal(folder / "check"));

  const fs::path path = finished(folder);
  EXPECT_TRUE(check_seal(path));
  EXPECT_EQ(refusal(path), "");
  EXPECT_THAT(File::open(path).root().open_dataset("x").read<double>(), testing::ElementsAre(1, 2, 3));
}

TEST(SoundFile, AnyBitThatChangesShows) {
  const Folder folder;
  const fs::path path = finished(folder);
  const std::string whole = bytes_of(path);
  const auto expect_refusal = [&](std::size_t bit) {
    std::string changed = whole;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ 1 << bit % 8);
    put_bytes(path, changed);
    EXPECT_THAT(refusal(path), HasSubstr("is damaged: its bytes are not those with which it was finished")) << bit;
  };
  const std::size_t sealed_bits = 8 * (whole.size() - 24);
  for (std::size_t bit = 0; bit < sealed_bits; bit += 997) expect_refusal(bit);
  for (std::size_t bit = sealed_bits; bit < 8 * whole.size(); ++bit) expect_refusal(bit);
}

TEST(SoundFile, WhatHasNoSealIsTriedOut) {
  const Folder folder;
  const fs::path path = finished(folder);
  std::string bytes = bytes_of(path);
  bytes.resize(bytes.size() - 24);
  put_bytes(path, bytes);
  EXPECT_FALSE(check_seal(path));
  EXPECT_EQ(refusal(path), "");

  // The length of the first text in the heap of texts becomes absurd: HDF5 1.10 reads far beyond its memory.
  const std::size_t heap = bytes.find("GCOL");
  ASSERT_NE(heap, std::string::npos);
  bytes[heap + 25] = '\xff';
  put_bytes(path, bytes);
  EXPECT_THAT(refusal(path), HasSubstr("numbers.h5: is damaged: the HDF5 library crashes on it"));
}

TEST(SoundFile, OtherFilesAreForTheirReadersToRefuse) {
  const Folder folder;
  put_bytes(folder / "empty", "");
  put_bytes(folder / "text", "no HDF5 at all");
  for (const char* name : {"empty", "text", "missing", "."}) EXPECT_EQ(refusal(folder / name), "") << name;
}

TEST(SoundFile, OnlyWhatIsFinishedIsSealed) {
  const Folder folder;
  const fs::path path = folder / "x.h5";
  {
    File file = File::create(path, false);
    file.root().create_dataset("x", Layout{Kind::real, {3}});
    file.publish();
    EXPECT_FALSE(check_seal(path));
    EXPECT_EQ(refusal(path), "");  // while it is written as well
  }
  EXPECT_FALSE(check_seal(path));
  const std::string before = bytes_of(finished(folder));
  File::create(folder / "numbers.h5", true).close();  // never published: the old one stays as it was
  EXPECT_EQ(bytes_of(folder / "numbers.h5"), before);
}

}  // namespace
}  // namespace gradflow::storage
