#include "trajectory/checkpoint.hpp"

#include <boost/crc.hpp>
#include <string>

#include "trajectory/layout.hpp"

namespace gradflow::trajectory {

using storage::Dataset;
using storage::Group;
using storage::Kind;
using storage::Layout;

namespace {

constexpr std::array<const char*, 2> slot_names{"0", "1"};
constexpr std::int64_t counted_rows = 4;  // records, snapshots, crossings, steps

std::vector<std::int64_t> all_integers(const Checkpoint& checkpoint) {
  std::vector<std::int64_t> all = checkpoint.integers;
  for (const std::int64_t rows : {checkpoint.records, checkpoint.snapshots, checkpoint.crossings, checkpoint.steps})
    all.push_back(rows);
  return all;
}

std::int64_t checksum(std::int64_t sequence, const std::vector<std::int64_t>& integers,
                      const std::vector<double>& reals) {
  boost::crc_32_type crc;
  crc.process_bytes(&sequence, sizeof sequence);
  crc.process_bytes(integers.data(), integers.size() * sizeof integers[0]);
  crc.process_bytes(reals.data(), reals.size() * sizeof reals[0]);
  return static_cast<std::int64_t>(crc.checksum());
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

CheckpointSlots::Slot CheckpointSlots::create(Group group, std::int64_t reals, std::int64_t integers) {
  using trajectory::create;
  return {create<double>(group, "reals", Kind::real, reals, "state, its derivative and what the next step depends on"),
          create<std::int64_t>(group, "integers", Kind::integer, integers + counted_rows, "signs, counts and rows"),
          create<std::int64_t>(group, "seal", Kind::integer, 2, "sequence number, and checksum of all")};
}

CheckpointSlots::CheckpointSlots(Group& run, std::int64_t reals, std::int64_t integers)
    : slots_{(run.create_group("checkpoint"), create(run.create_group("checkpoint/0"), reals, integers)),
             create(run.create_group("checkpoint/1"), reals, integers)} {}

void CheckpointSlots::write_content(const Checkpoint& checkpoint) {
  Slot& slot = slots_[static_cast<std::size_t>(++sequence_ % 2)];
  const std::vector<std::int64_t> integers = all_integers(checkpoint);
  if (std::ssize(checkpoint.reals) != slot.reals.rows() || std::ssize(integers) != slot.integers.rows())
    misuse("a checkpoint has other sizes than it was described with");
  checksum_ = checksum(sequence_, integers, checkpoint.reals);
  slot.reals.write(std::span<const double>(checkpoint.reals));
  slot.integers.write(std::span<const std::int64_t>(integers));
}

void CheckpointSlots::write_seal() {
  const std::array<std::int64_t, 2> seal{sequence_, checksum_};
  slots_[static_cast<std::size_t>(sequence_ % 2)].seal.write(std::span<const std::int64_t>(seal));
}

std::optional<Checkpoint> read_checkpoint(const Group& run) {
  std::optional<Checkpoint> newest;
  std::int64_t newest_sequence = 0;
  if (!run.has("checkpoint")) return newest;
  for (const char* name : slot_names) {
    const Group slot = run.open_group(std::string("checkpoint/") + name);
    const auto seal = slot.open_dataset("seal").read<std::int64_t>();
    const auto integers = slot.open_dataset("integers").read<std::int64_t>();
    if (seal.size() != 2 || seal[0] <= newest_sequence || std::ssize(integers) < counted_rows) continue;
    Checkpoint found{.reals = slot.open_dataset("reals").read<double>(), .integers = integers};
    if (seal[1] != checksum(seal[0], integers, found.reals)) continue;
    newest_sequence = seal[0];
    const auto rows = found.integers.end() - counted_rows;
    found.records = rows[0], found.snapshots = rows[1], found.crossings = rows[2], found.steps = rows[3];
    found.integers.erase(rows, found.integers.end());
    newest = std::move(found);
  }
  return newest;
}

}  // namespace gradflow::trajectory
