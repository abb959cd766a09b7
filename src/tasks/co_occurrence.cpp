#include <fmt/format.h>

#include <algorithm>
#include <boost/multiprecision/cpp_int.hpp>
#include <boost/random/uniform_int_distribution.hpp>
#include <gradflow/tasks/co_occurrence.hpp>
#include <gradflow/tasks/random.hpp>
#include <iterator>
#include <set>

#include "checks.hpp"

namespace gradflow {
namespace {

// Unbounded, so that no numerator or denominator a user may write can overflow the checks.
using boost::multiprecision::cpp_int;
using boost::multiprecision::cpp_rational;

cpp_rational exact(const Fraction& fraction) { return {fraction.numerator, fraction.denominator}; }

bool is_share(const Fraction& fraction) { return 0 < fraction.numerator && fraction.numerator <= fraction.denominator; }

std::vector<CoOccurrenceClass> effective_classes(const CoOccurrenceOptions& options) {
  return options.classes.empty() ? paper_classes(options.targets, options.common) : options.classes;
}

/// The words that a class or the task itself gives a meaning.
std::set<Index> reserved_words(const CoOccurrenceOptions& options, const std::vector<CoOccurrenceClass>& classes) {
  std::set<Index> reserved(options.targets.begin(), options.targets.end());
  if (options.common) reserved.insert(*options.common);
  for (const CoOccurrenceClass& c : classes) reserved.insert(c.words.begin(), c.words.end());
  return reserved;
}

void check_class(const CoOccurrenceClass& c, const CoOccurrenceOptions& options, std::vector<std::string>& found) {
  const auto fail = [&](const std::string& what) { found.push_back(fmt::format("class \"{}\": {}", c.name, what)); };
  if (c.name.empty()) fail("a class needs a name");
  if (c.label != 1 && c.label != -1) fail(fmt::format("label must be 1 or -1; given {}", c.label));
  if (!is_share(c.fraction))
    fail(fmt::format("fraction must lie above 0 and be at most 1; given {}/{}", c.fraction.numerator,
                     c.fraction.denominator));
  if (std::ssize(c.words) > options.length)
    fail(fmt::format("it names {} words, but length = {}; raise length or name fewer words", c.words.size(),
                     options.length));
}

void check_class_words(const CoOccurrenceClass& c, const CoOccurrenceOptions& options,
                       std::vector<std::string>& found) {
  const auto fail = [&](const std::string& what) { found.push_back(fmt::format("class \"{}\": {}", c.name, what)); };
  std::set<Index> seen;
  for (const Index word : c.words) {
    if (word < 0 || word >= options.words)
      fail(fmt::format("{} is not in the vocabulary, which is mu_1 to mu_{}", default_word_name(word), options.words));
    if (!seen.insert(word).second) fail(fmt::format("it names {} twice; name each word once", default_word_name(word)));
  }
}

void check_fractions(const std::vector<CoOccurrenceClass>& classes, Index samples, std::vector<std::string>& found) {
  cpp_rational sum = 0;
  cpp_int divisor = 1;  // every fraction divides n exactly if and only if this does
  std::string terms;
  for (const CoOccurrenceClass& c : classes) {
    const cpp_rational fraction = exact(c.fraction);
    sum += fraction;
    divisor = lcm(divisor, denominator(fraction));
    terms += (terms.empty() ? "" : " + ") + fraction.str();
  }
  if (sum != 1)
    found.push_back(
        fmt::format("class: the fractions must sum to 1 exactly; {} = {}; write them as ratios, such as \"1/6\"", terms,
                    sum.str()));
  if (samples < 1) return;
  const cpp_int below = samples / divisor * divisor;
  if (below == samples) return;
  const cpp_int above = below + divisor;
  found.push_back(fmt::format(
      "samples: every class must hold a whole number of samples, so their number must be a multiple of {}; given {}; "
      "the nearest {}",
      divisor.str(), samples,
      below == 0 ? fmt::format("is {}", above.str()) : fmt::format("are {} and {}", below.str(), above.str())));
}

/// Are there words enough for the places that the classes leave open? To be asked only of options that are sound
/// otherwise.
void check_fillers(const std::vector<CoOccurrenceClass>& classes, const CoOccurrenceOptions& options,
                   std::vector<std::string>& found) {
  cpp_rational places = 0;
  for (const CoOccurrenceClass& c : classes)
    places += exact(c.fraction) * options.samples * (options.length - std::ssize(c.words));
  const auto reserved = std::ssize(reserved_words(options, classes));
  const cpp_int needed = options.fillers == Fillers::distinct ? numerator(places) : cpp_int(places > 0 ? 1 : 0);
  const cpp_int words = needed + reserved;
  if (words <= options.words) return;
  const std::string which = fmt::format("words beside the {} that are targets, common or named by a class", reserved);
  found.push_back(
      options.fillers == Fillers::distinct
          ? fmt::format(
                "fillers: distinct fillers take {} {}, so words >= {}; given words = {}; raise words, take fewer "
                "samples, or fillers = \"uniform\"",
                needed.str(), which, words.str(), options.words)
          : fmt::format("fillers: they are drawn from the {}, so words >= {}; given words = {}; raise words", which,
                        words.str(), options.words));
}

/// As many samples of each class as `sizes` says; its words first, then fillers. `filler` is given the pool of words to
/// choose from.
template <class Filler>
TaskData make_samples(const CoOccurrenceOptions& options, const std::vector<CoOccurrenceClass>& classes,
                      const std::vector<Index>& sizes, Filler filler) {
  TaskData data;
  data.words = options.words;
  data.targets = options.targets;
  data.common = options.common;
  data.word_names = default_word_names(options.words);

  std::vector<Index> pool;
  const std::set<Index> reserved = reserved_words(options, classes);
  for (Index word = 0; word < options.words; ++word)
    if (!reserved.contains(word)) pool.push_back(word);
  for (std::size_t c = 0; c < classes.size(); ++c) {
    for (Index k = 0; k < sizes[c]; ++k) {
      std::vector<Index> sample = classes[c].words;
      std::generate_n(std::back_inserter(sample), options.length - std::ssize(sample), [&] { return filler(pool); });
      data.tokens.push_back(std::move(sample));
      data.labels.push_back(classes[c].label);
      data.sample_class.push_back(static_cast<Index>(c));
    }
    data.class_names.push_back(classes[c].name);
  }
  return data;
}

/// Draws uniformly from a pool of words.
class UniformFiller {
 public:
  UniformFiller(std::uint64_t seed, Stream stream) : random_(random_stream(seed, stream)) {}
  Index operator()(const std::vector<Index>& pool) {
    return pool[boost::random::uniform_int_distribution<std::size_t>(0, pool.size() - 1)(random_)];
  }

 private:
  std::mt19937_64 random_;
};

/// n shared out by the classes' fractions, which sum to 1: all round down, and the largest remainders up.
std::vector<Index> shared_out(Index n, const std::vector<CoOccurrenceClass>& classes) {
  std::vector<Index> sizes, order;
  std::vector<cpp_rational> remainders;
  Index left = n;
  for (const CoOccurrenceClass& c : classes) {
    const cpp_rational share = exact(c.fraction) * n;
    sizes.push_back(cpp_int(numerator(share) / denominator(share)).convert_to<Index>());
    remainders.push_back(share - sizes.back());
    order.push_back(std::ssize(order));
    left -= sizes.back();
  }
  std::ranges::stable_sort(order, [&](Index a, Index b) {
    return remainders[static_cast<std::size_t>(a)] > remainders[static_cast<std::size_t>(b)];
  });
  for (Index i = 0; i < left; ++i) ++sizes[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])];
  return sizes;
}

}  // namespace

std::vector<CoOccurrenceClass> paper_classes(const std::array<Index, 2>& targets, const std::optional<Index>& common) {
  std::vector<CoOccurrenceClass> classes{{"I1", {targets[0], targets[1]}, +1, {1, 2}},
                                         {"I2", {targets[0]}, -1, {1, 6}},
                                         {"I3", {targets[1]}, -1, {1, 6}},
                                         {"I4", {}, -1, {1, 6}}};
  if (common)
    for (CoOccurrenceClass& c : classes) c.words.push_back(*common);
  return classes;
}

std::vector<std::string> problems(const CoOccurrenceOptions& options) {
  std::vector<std::string> found = vocabulary_problems(options.words, options.targets, options.common);
  const bool words_are_wrong_already = !found.empty() && options.classes.empty();  // the paper's classes repeat them
  if (options.samples < 1) found.push_back(fmt::format("samples: at least 1 is needed; given {}", options.samples));
  if (options.length < 1) found.push_back(fmt::format("length: at least 1 is needed; given {}", options.length));
  const std::vector<CoOccurrenceClass> classes = effective_classes(options);
  std::set<std::string> names;
  for (const CoOccurrenceClass& c : classes) {
    if (!names.insert(c.name).second)
      found.push_back(fmt::format("class \"{}\": two classes have this name; rename one", c.name));
    if (!words_are_wrong_already) check_class_words(c, options, found);
    check_class(c, options, found);
  }
  if (std::ranges::all_of(classes, is_share, &CoOccurrenceClass::fraction))
    check_fractions(classes, options.samples, found);
  if (found.empty()) check_fillers(classes, options, found);
  return found;
}

TaskData co_occurrence(const CoOccurrenceOptions& options, std::uint64_t seed) {
  throw_if_any(problems(options));
  const std::vector<CoOccurrenceClass> classes = effective_classes(options);
  const std::vector<Index> sizes = shared_out(options.samples, classes);  // without remainders
  if (options.fillers == Fillers::uniform)
    return make_samples(options, classes, sizes, UniformFiller(seed, Stream::task));
  return make_samples(options, classes, sizes,
                      [next = std::size_t{0}](const std::vector<Index>& pool) mutable { return pool[next++]; });
}

TaskData co_occurrence_test(const CoOccurrenceOptions& options, Index samples, std::uint64_t seed) {
  throw_if_any(problems(options));
  if (samples < 1) throw std::invalid_argument(fmt::format("test samples: at least 1 is needed; given {}", samples));
  const std::vector<CoOccurrenceClass> classes = effective_classes(options);
  return make_samples(options, classes, shared_out(samples, classes), UniformFiller(seed, Stream::test));
}

}  // namespace gradflow
