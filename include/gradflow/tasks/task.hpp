#pragma once
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace gradflow {

/// Zero-based position of a word in the vocabulary, of a sample in the training set, ...
using Index = std::ptrdiff_t;

/// A task as plain arrays: what a generator, a file or a text supplies. Words are 0-based here (mu_1 is word 0);
/// messages name words mu_1, mu_2, ... as settings and reports number them.
struct TaskData {
  Index words = 0;                         ///< vocabulary size d
  std::vector<std::vector<Index>> tokens;  ///< [n][L_i], each in 0..d-1; the order within a sample means nothing
  std::vector<int> labels;                 ///< [n], each -1 or +1
  std::array<Index, 2> targets{0, 1};      ///< mu_1 and mu_2: the words whose co-occurrence is asked for
  std::optional<Index> common;             ///< mu_3: the word that every sample contains, if there is one
  std::vector<Index> sample_class;         ///< [n], into class_names
  std::vector<std::string> class_names;    ///< I1, I2, ...
  std::vector<std::string> word_names;     ///< [d]; mu_1, mu_2, ... where words have no names of their own
};

/// One sample as the model sees it: there is no positional encoding, so a sample is a bag of words.
/// `words` are distinct and ascending, `counts` their multiplicities c_ik >= 1 (Yang et al. 2024, Definition 2.1).
struct Bag {
  std::span<const Index> words;
  std::span<const Index> counts;
  Index size() const { return static_cast<Index>(words.size()); }
};

/// n labelled bags of words over a vocabulary of d words. Immutable once made.
class Task {
 public:
  /// Arrays of names left empty are filled in: word_names with mu_1, mu_2, ..., and class_names together with
  /// sample_class by `classify`. Throws std::invalid_argument, naming the sample (from 0), when there is no sample, an
  /// array has the wrong length, a token lies outside 0..d-1, a label is not -1 or +1, a class does not exist, a sample
  /// is empty, a target or the common word lies outside the vocabulary, or two of these three are the same word.
  explicit Task(TaskData data);

  Index samples() const { return static_cast<Index>(data_.labels.size()); }  ///< n
  Index words() const { return data_.words; }                                ///< d
  Index classes() const { return static_cast<Index>(data_.class_names.size()); }
  int label(Index sample) const { return data_.labels[static_cast<std::size_t>(sample)]; }
  Index class_of(Index sample) const { return data_.sample_class[static_cast<std::size_t>(sample)]; }
  Bag bag(Index sample) const;
  /// Words that stand in at least one sample, ascending. The columns of all others never move.
  std::span<const Index> used_words() const { return used_; }
  const TaskData& data() const { return data_; }

 private:
  TaskData data_;
  std::vector<std::size_t> offsets_;  // [n + 1], into the two below
  std::vector<Index> bag_words_, bag_counts_;
  std::vector<Index> used_;
};

}  // namespace gradflow
