#pragma once
#include <array>
#include <cstdint>
#include <gradflow/tasks/task.hpp>
#include <optional>
#include <string>
#include <vector>

namespace gradflow {

/// How the places of a sample that its class does not name are filled, from the words that are neither a target, nor
/// the common word, nor named by any class.
enum class Fillers {
  uniform,  ///< drawn independently and uniformly, so that words repeat: the distribution of Definition 2.1
  /// No filler stands twice in the whole training set (Assumption 2.3 ii). Taken in ascending order, without any random
  /// draw: words that stand once are interchangeable, the seed matters only through the start.
  distinct,
};

/// An exact fraction of the training set, numerator / denominator.
struct Fraction {
  Index numerator = 0, denominator = 1;
};

/// One class of samples: the words (0-based, distinct) that each contains once, besides fillers; its label, -1 or +1;
/// its share.
struct CoOccurrenceClass {
  std::string name;
  std::vector<Index> words;
  int label = 1;
  Fraction fraction;
};

/// The word co-occurrence task (Yang et al. 2024, Definition 2.1, Assumption 2.3); the defaults are the paper's
/// experiment (Appendix A).
struct CoOccurrenceOptions {
  Index samples = 60;  ///< n; each class holds exactly n * fraction samples
  Index length = 5;    ///< L, tokens in a sample
  Index words = 64;    ///< vocabulary size d
  Fillers fillers = Fillers::uniform;
  std::array<Index, 2> targets{0, 1};      ///< mu_1, mu_2
  std::optional<Index> common = 2;         ///< mu_3
  std::vector<CoOccurrenceClass> classes;  ///< empty: paper_classes(targets, common)
};

/// The paper's four classes: I1 contains both targets (+1, 1/2), I2 the first only, I3 the second only, I4 neither (-1,
/// 1/6 each); all contain the common word, if there is one.
std::vector<CoOccurrenceClass> paper_classes(const std::array<Index, 2>& targets, const std::optional<Index>& common);

/// Everything that is wrong with the options; empty if a task can be made from them. Each entry reads "key: rule;
/// given; what to do", where key is `samples`, `length`, `words`, `fillers`, `targets`, `common`, `class` or `class
/// "NAME"`. Words are named mu_1, mu_2, ... (mu_1 is word 0).
std::vector<std::string> problems(const CoOccurrenceOptions& options);

/// The training set, class by class in the order given. In a sample the words of its class come first, then its fillers
/// (uniform: from Stream::task of the seed). Throws std::invalid_argument with all `problems`, one to a line.
TaskData co_occurrence(const CoOccurrenceOptions& options, std::uint64_t seed);

/// `samples` fresh samples of the distribution that the training set of the same options and seed stands for: as many
/// of each class as the fractions say, the largest remainders rounded up (of equal ones the first), laid out like the
/// training set, and fillers always drawn uniformly, from Stream::test of the seed. Throws as co_occurrence does, and
/// where samples < 1.
TaskData co_occurrence_test(const CoOccurrenceOptions& options, Index samples, std::uint64_t seed);

}  // namespace gradflow
