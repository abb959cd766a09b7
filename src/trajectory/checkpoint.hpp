#pragma once
#include <gradflow/trajectory/schema.hpp>

#include <array>
#include <cstdint>
#include <optional>

#include "storage/file.hpp"

/// The group `checkpoint` of a run or a comparison. It has two slots, written in turn, each with its sequence number
/// and the checksum of all that it holds, written last: a kill in the middle of one leaves the other.
namespace gradflow::trajectory {

class CheckpointSlots {
 public:
  /// Makes the group; both slots are empty.
  /// `tables`: of how many the rows are counted.
  CheckpointSlots(storage::Group& parent, std::int64_t reals, std::int64_t integers, std::int64_t tables);

  /// Writes the older slot. What it counts must have reached the file before; `sync` makes it reach the disk.
  template <class Sync>
  void write(const Checkpoint& checkpoint, Sync sync) {
    write_content(checkpoint);
    sync();
    write_seal();
    sync();
  }

 private:
  struct Slot {
    storage::Dataset reals, integers, rows, seal;
  };
  static Slot create(storage::Group group, std::int64_t reals, std::int64_t integers, std::int64_t tables);
  void write_content(const Checkpoint& checkpoint);
  void write_seal();

  std::array<Slot, 2> slots_;
  std::int64_t sequence_ = 0, checksum_ = 0;
};

/// The newest whole one; nothing where there is none. Throws FileError for a group that is damaged in its make.
std::optional<Checkpoint> read_checkpoint(const storage::Group& parent);

}  // namespace gradflow::trajectory
