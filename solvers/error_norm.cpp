#include <solvers/combine.hpp>
#include <solvers/error_norm.hpp>

#include <Eigen/Core>
#include <algorithm>
#include <limits>
#include <solvers/workers.hpp>
#include <stdexcept>
#include <utility>

#include "quad.ipp"

namespace solvers {
namespace {

/// |v|_2, also where the squares overflow or underflow.
template <class Real>
Real length_of(const Real* data, Index size) {
  using std::sqrt;
  const Eigen::Map<const Eigen::Matrix<Real, Eigen::Dynamic, 1>> v(data, size);
  const Real squared = v.squaredNorm();
  const bool extreme =
      squared > std::numeric_limits<Real>::max() || squared < std::numeric_limits<Real>::min() * Real(size);
  return extreme ? Real(v.stableNorm()) : Real(sqrt(squared));
}

std::string component_name(const Block& block, Index position) {
  if (block.size() == 1) return block.name;
  const Index vector = position / block.vector_length(), place = position % block.vector_length();
  auto [row, column] = block.vectors == Block::Vectors::columns ? std::pair(place, vector) : std::pair(vector, place);
  if (!block.column_numbers.empty()) column = block.column_numbers[static_cast<std::size_t>(column)];
  if (block.columns == 1 && block.column_numbers.empty()) return block.name + "[" + std::to_string(row) + "]";
  return block.name + "[" + std::to_string(row) + "," + std::to_string(column) + "]";
}

}  // namespace

template <class Real>
ErrorNorm<Real>::ErrorNorm(std::vector<Block> blocks, Tolerances<Real> tolerances)
    : blocks_(std::move(blocks)), tolerances_(tolerances) {
  using std::isfinite;
  const auto [rtol, atol] = tolerances;
  if (!(rtol >= 0) || !(atol >= 0) || !(rtol + atol > 0) || !isfinite(rtol) || !isfinite(atol))
    throw std::invalid_argument("tolerances: rtol and atol must be finite, not negative and not both 0");
}

template <class Real>
const char* ErrorNorm<Real>::description() {
  return "max over the vectors of the state's blocks (a matrix's columns, or its rows where those are contiguous) of "
         "|error|_2 / (atol sqrt(size) + rtol |x|_2), |x|_2 the larger of the two ends of the step";
}

template <class Real>
template <class Visit>
void ErrorNorm<Real>::for_each_vector(Visit visit) const {
  Index offset = 0;
  for (const Block& block : blocks_) {
    const Index length = block.vector_length();
    for (Index v = 0; v * length < block.size(); ++v) visit(block, offset + v * length, v * length, length);
    offset += block.size();
  }
}

template <class Real>
Real ErrorNorm<Real>::scale(const Block& block, Real norm_old, Real norm_new) const {
  using std::sqrt;
  const Index length = block.space > 0 ? block.space : block.vector_length();
  return tolerances_.atol * sqrt(Real(length)) + tolerances_.rtol * (norm_old > norm_new ? norm_old : norm_new);
}

template <class Real>
Real ErrorNorm<Real>::of_vector(const Block& block, Real error, Real before, Real after) const {
  using std::isfinite;
  if (!isfinite(error) || !isfinite(after)) return std::numeric_limits<Real>::quiet_NaN();
  if (!block.measured || error == 0) return 0;  // error == 0: also where the scale is 0
  return error / scale(block, before, after);
}

template <class Real>
Real ErrorNorm<Real>::weight(Real length, Real lower) {
  using std::sqrt;
  if (length == 0) return 1;
  const Real ratio = lower / length;
  return 1 / sqrt(1 + ratio * ratio / 100);
}

template <class Real>
template <class LengthOfError>
Real ErrorNorm<Real>::largest_ratio(LengthOfError length_of_error, std::span<const Real> x_old,
                                    std::span<const Real> x_new) const {
  const auto enlarge = [&](Real& largest, const Block& block, Index at, Index length, Scratch& scratch) {
    const Real e = length_of_error(at, length, scratch), after = length_of(x_new.data() + at, length);
    const auto ratio = [&](Real before) { return of_vector(block, e, before, after); };
    if (ratio(0) <= largest) return;  // then so is it with the start's length, which need not be known
    largest = larger(ratio(length_of(x_old.data() + at, length)), largest);
  };
  Real largest = 0;
  if (workers_ == nullptr || workers_->threads() == 1) {
    Scratch scratch;
    for_each_vector(
        [&](const Block& block, Index at, Index, Index length) { enlarge(largest, block, at, length, scratch); });
    return largest;
  }
  std::vector<std::pair<const Block*, Index>> vectors;
  for_each_vector([&](const Block& block, Index at, Index, Index) { vectors.emplace_back(&block, at); });
  const auto threads = static_cast<std::size_t>(workers_->threads());
  std::vector<Scratch> scratch(threads);
  std::vector<Real> of_thread(threads, Real(0));
  constexpr Index at_once = 32;
  workers_->for_each((std::ssize(vectors) + at_once - 1) / at_once, [&](Index item, int thread) {
    const auto t = static_cast<std::size_t>(thread);
    for (Index v = item * at_once; v < std::min((item + 1) * at_once, std::ssize(vectors)); ++v) {
      const auto [block, at] = vectors[static_cast<std::size_t>(v)];
      enlarge(of_thread[t], *block, at, block->vector_length(), scratch[t]);
    }
  });
  for (const Real& one : of_thread) largest = larger(one, largest);
  return largest;
}

template <class Real>
Real ErrorNorm<Real>::operator()(std::span<const Real> error, std::span<const Real> x_old,
                                 std::span<const Real> x_new) const {
  return largest_ratio([&](Index at, Index length, Scratch&) { return length_of(error.data() + at, length); }, x_old,
                       x_new);
}

/// Of the vector that begins at `at`, before it is weighted.
template <class Real>
auto ErrorNorm<Real>::form(const CombinedError<Real>& error, Index at, std::span<Real> out, Scratch& scratch) const
    -> Formed {
  const auto sum = [&](std::span<const Real> c, std::span<Real> into) {
    combine<Real>({}, c, error.k, into, static_cast<std::size_t>(at));
    return length_of(into.data(), std::ssize(into));
  };
  const Real length = sum(error.c, out);
  if (error.lower.empty()) return {length, 1};
  scratch.lower.resize(out.size());
  return {length, weight(length, sum(error.lower, scratch.lower))};
}

template <class Real>
Real ErrorNorm<Real>::operator()(const CombinedError<Real>& error, std::span<const Real> x_old,
                                 std::span<const Real> x_new) const {
  const auto length_of_error = [&](Index at, Index length, Scratch& scratch) -> Real {
    scratch.error.resize(static_cast<std::size_t>(length));
    const Formed formed = form(error, at, scratch.error, scratch);
    return formed.weight * formed.length;
  };
  return largest_ratio(length_of_error, x_old, x_new);
}

template <class Real>
void ErrorNorm<Real>::form(const CombinedError<Real>& error, std::span<Real> out) const {
  Scratch scratch;
  for_each_vector([&](const Block&, Index at, Index, Index length) {
    const std::span<Real> vector = out.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(length));
    const Real weight = form(error, at, vector, scratch).weight;
    for (Real& component : vector) component *= weight;
  });
}

template <class Real>
std::vector<Component<Real>> ErrorNorm<Real>::worst(std::span<const Real> error, std::span<const Real> x_old,
                                                    std::span<const Real> x_new, std::size_t count) const {
  using std::abs;
  using std::isfinite;
  struct Place {
    const Block* block;
    Index in_block, at;
    Real share;
  };
  std::vector<Place> places;
  for_each_vector([&](const Block& block, Index at, Index in_block, Index length) {
    const Real before = length_of(x_old.data() + at, length), after = length_of(x_new.data() + at, length);
    const Real tolerance = scale(block, before, isfinite(after) ? after : Real(0));
    for (Index i = 0; i < length; ++i) {
      const auto k = static_cast<std::size_t>(at + i);
      const bool finite = isfinite(error[k]) && isfinite(x_new[k]);
      if (finite && !block.measured) continue;
      const Real share = !finite         ? std::numeric_limits<Real>::infinity()
                         : error[k] == 0 ? Real(0)
                                         : Real(abs(error[k]) / tolerance);
      places.push_back({&block, in_block + i, at + i, share});
    }
  });
  count = std::min(count, places.size());
  std::partial_sort(
      places.begin(), places.begin() + static_cast<std::ptrdiff_t>(count), places.end(),
      [](const Place& a, const Place& b) { return a.share != b.share ? a.share > b.share : a.at < b.at; });
  std::vector<Component<Real>> result;
  for (const Place& p : std::span(places).first(count)) {
    const auto k = static_cast<std::size_t>(p.at);
    result.push_back({component_name(*p.block, p.in_block), x_new[k], error[k], p.share});
  }
  return result;
}

template class ErrorNorm<double>;
template class ErrorNorm<Quad>;

}  // namespace solvers
