#pragma once
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gradflow::settings {

/// Where a key stands: in the file (line and column from 1), or in a --set, whose position is its name.
struct Place {
  std::string override_name{};  ///< "--set section.key", or empty for the file
  std::size_t line = 1, column = 1;
};

/// Collects the problems of an experiment's settings and words them alike:
/// `FILE:LINE:COLUMN: key 'solver.rtol': must be a number > 0, but is -1`, then the line of the file, then what to do.
class Report {
 public:
  Report(std::string file, std::string_view text);

  /// The text of a --set, to be shown with a problem of its, and a remark to be added to the advice.
  void add_override(const std::string& name, std::string text) { overrides_[name] = {std::move(text), ""}; }
  void add_note(const std::string& name, std::string note) { overrides_[name].note = std::move(note); }
  void locate(const std::string& key, Place place) { places_[key] = std::move(place); }
  bool given(const std::string& key) const { return places_.contains(key); }
  /// Whether no problem has been found with the key or with anything inside it.
  bool sound(std::string_view key) const;
  /// "FILE:LINE:COLUMN" of the key, or of the nearest table around it that is there.
  std::string position(const std::string& key) const { return position(nearest_place(key)); }

  void problem(const std::string& key, const std::string& what, const std::string& advice);
  void problem_at(const Place& place, const std::string& key, const std::string& what, const std::string& advice);

  bool empty() const { return problems_.empty(); }
  /// In the order of the file; those of --set last.
  std::vector<std::string> messages() const;

 private:
  struct Problem {
    Place place;
    std::string key, message;
  };
  struct OverrideText {
    std::string text, note;
  };
  Place nearest_place(std::string key) const;
  std::string position(const Place& place) const;
  std::string excerpt(const Place& place) const;

  std::string file_;
  std::vector<std::string> lines_;
  std::map<std::string, OverrideText> overrides_;
  std::map<std::string, Place> places_;
  std::vector<Problem> problems_;
};

/// The edit distance of two words: insertions, deletions, substitutions and swaps of neighbours, blind to case.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// Text of the user's that is safe to show: control characters escaped, long text cut.
std::string shown(std::string_view text);

}  // namespace gradflow::settings
