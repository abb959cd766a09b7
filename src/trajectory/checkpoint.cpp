#include "trajectory/checkpoint.hpp"

#include <zlib.h>

#include <string>

#include "trajectory/layout.hpp"

namespace gradflow::trajectory {

using storage::Dataset;
using storage::Group;
using storage::Kind;
using storage::Layout;

namespace {

constexpr std::array<const char*, 2> slot_names{"0", "1"};

std::int64_t checksum(std::int64_t sequence, const Checkpoint& checkpoint) {
  uLong crc = 0;
  const auto add = [&](const auto& values) {
    crc = crc32_z(crc, reinterpret_cast<const Bytef*>(values.data()), values.size() * sizeof values[0]);
  };
  add(std::span(&sequence, 1));
  add(checkpoint.reals);
  add(checkpoint.integers);
  add(checkpoint.rows);
  return static_cast<std::int64_t>(crc);
}

template <class T>
Dataset create(Group& group, const std::string& name, Kind kind, std::int64_t size, const std::string& meaning) {
  Dataset data = group.create_dataset(name, Layout{kind, {size}});
  describe(data, "1", meaning);
  // Written now, because it must have its place in the file before others read it.
  const std::vector<T> zeros(static_cast<std::size_t>(size));
  data.write(std::span<const T>(zeros));
  return data;
}

}  // namespace

CheckpointSlots::Slot CheckpointSlots::create(Group group, std::int64_t reals, std::int64_t integers,
                                              std::int64_t tables) {
  using trajectory::create;
  return {create<double>(group, "reals", Kind::real, reals, "states and all else that the next step depends on"),
          create<std::int64_t>(group, "integers", Kind::integer, integers, "signs and counts"),
          create<std::int64_t>(group, "rows", Kind::integer, tables, "how many there were of all that grows"),
          create<std::int64_t>(group, "seal", Kind::integer, 2, "sequence number, and checksum of all")};
}

CheckpointSlots::CheckpointSlots(Group& parent, std::int64_t reals, std::int64_t integers, std::int64_t tables)
    : slots_{(parent.create_group("checkpoint"), create(parent.create_group("checkpoint/0"), reals, integers, tables)),
             create(parent.create_group("checkpoint/1"), reals, integers, tables)} {}

void CheckpointSlots::write_content(const Checkpoint& checkpoint) {
  Slot& slot = slots_[static_cast<std::size_t>(++sequence_ % 2)];
  if (std::ssize(checkpoint.reals) != slot.reals.rows() || std::ssize(checkpoint.integers) != slot.integers.rows() ||
      std::ssize(checkpoint.rows) != slot.rows.rows())
    misuse("a checkpoint has other sizes than it was described with");
  checksum_ = checksum(sequence_, checkpoint);
  slot.reals.write(std::span<const double>(checkpoint.reals));
  slot.integers.write(std::span<const std::int64_t>(checkpoint.integers));
  slot.rows.write(std::span<const std::int64_t>(checkpoint.rows));
}

void CheckpointSlots::write_seal() {
  const std::array<std::int64_t, 2> seal{sequence_, checksum_};
  slots_[static_cast<std::size_t>(sequence_ % 2)].seal.write(std::span<const std::int64_t>(seal));
}

std::optional<Checkpoint> read_checkpoint(const Group& parent) {
  std::optional<Checkpoint> newest;
  std::int64_t newest_sequence = 0;
  if (!parent.has("checkpoint")) return newest;
  for (const char* name : slot_names) {
    const Group slot = parent.open_group(std::string("checkpoint/") + name);
    const auto seal = slot.open_dataset("seal").read<std::int64_t>();
    if (seal.size() != 2 || seal[0] <= newest_sequence) continue;
    Checkpoint found{.reals = slot.open_dataset("reals").read<double>(),
                     .integers = slot.open_dataset("integers").read<std::int64_t>(),
                     .rows = slot.open_dataset("rows").read<std::int64_t>()};
    if (seal[1] != checksum(seal[0], found)) continue;
    newest_sequence = seal[0];
    newest = std::move(found);
  }
  return newest;
}

}  // namespace gradflow::trajectory
