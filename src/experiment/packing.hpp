#pragma once
#include <gradflow/storage/file_error.hpp>
#include <gradflow/trajectory/schema.hpp>

#include <span>

namespace gradflow {

/// Turns what a solve or a descent goes on from into the numbers of a checkpoint, and back. One function for both ways
/// visits each number in turn, so that the two orders cannot differ.
class Packing {
 public:
  /// To pack.
  Packing() = default;
  /// To unpack; the checkpoint must outlive it.
  explicit Packing(const trajectory::Checkpoint& from) : from_(&from) {}

  bool packs() const { return from_ == nullptr; }

  void operator()(double& value) { next(value, packed_.reals, from_ ? &from_->reals : nullptr, real_); }
  void operator()(std::int64_t& value) { next(value, packed_.integers, from_ ? &from_->integers : nullptr, integer_); }
  void operator()(int& value) { through<std::int64_t>(value); }
  void operator()(bool& value) { through<std::int64_t>(value); }
  void operator()(std::size_t& value) { through<std::int64_t>(value); }
  /// All elements; their number must be known.
  template <class Range>
  requires requires(Range& range) { range.begin(); }
  void operator()(Range& range) {
    for (auto& value : range) (*this)(value);
  }
  /// `absent`: a number that no value is.
  template <class T>
  void optional(std::optional<T>& value, T absent) {
    T number = value.value_or(absent);
    (*this)(number);
    value = number == absent ? std::optional<T>() : std::optional<T>(number);
  }

  const trajectory::Checkpoint& packed() const { return packed_; }
  /// Whether unpacking took all that there was, and no more.
  bool fits() const { return real_ == std::ssize(from_->reals) && integer_ == std::ssize(from_->integers) && !short_; }

 private:
  template <class T>
  void next(T& value, std::vector<T>& into, const std::vector<T>* from, std::ptrdiff_t& place) {
    if (from == nullptr)
      into.push_back(value);
    else if (place < std::ssize(*from))
      value = (*from)[static_cast<std::size_t>(place++)];
    else
      short_ = true;
  }
  template <class Wide, class T>
  void through(T& value) {
    auto wide = static_cast<Wide>(value);
    (*this)(wide);
    value = static_cast<T>(wide);
  }

  const trajectory::Checkpoint* from_ = nullptr;
  trajectory::Checkpoint packed_;
  std::ptrdiff_t real_ = 0, integer_ = 0;
  bool short_ = false;
};

}  // namespace gradflow
