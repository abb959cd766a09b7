#include <gradflow/observables/observables.hpp>

#include <algorithm>
#include <array>
#include <sstream>
#include <stdexcept>

#include "observables/quantities.hpp"

namespace gradflow {
namespace {

constexpr std::array<std::string_view, 4> word_dimensions{"word", "word2", "key", "query"};

/// "B[2,1]" -> {"B", {"2", "1"}}; throws unless the brackets close.
std::pair<std::string, std::vector<std::string>> split(const std::string& quantity) {
  const std::size_t open = quantity.find('[');
  if (open == std::string::npos) return {quantity, {}};
  if (quantity.back() != ']')
    throw std::invalid_argument("quantity '" + quantity +
                                "': the bracket does not close; write \"G[3]\" or \"B[2,1]\"");
  // The comma behind the last index makes "G[3,]" two indices, the second empty.
  std::istringstream inside(quantity.substr(open + 1, quantity.size() - open - 2) + ",");
  std::vector<std::string> indices;
  for (std::string index; std::getline(inside, index, ',');) {
    index.erase(std::remove(index.begin(), index.end(), ' '), index.end());
    indices.push_back(index);
  }
  return {quantity.substr(0, open), indices};
}

std::string join(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all;
}

}  // namespace

Observables::Observables(Moment& start, std::vector<Index> words, const std::vector<std::string>& requested,
                         const Task* test)
    : task_(start.task()),
      has_weights_(start.flow().has_weights()),
      context_{std::move(words), start.origin(),
               test == nullptr ? nullptr : std::make_shared<const Model<double>>(*test)} {
  for (const Index word : context_.words)
    if (word < 0 || word >= task_.words())
      throw std::invalid_argument("tracked word " + std::to_string(word + 1) + " lies outside the vocabulary of " +
                                  std::to_string(task_.words()) + " words");
  const std::vector<std::string> known = observables_on_request();
  for (const std::string& name : requested)
    if (std::ranges::find(known, name) == known.end())
      throw std::invalid_argument("observable '" + name +
                                  "' is none that is recorded on request; these are: " + join(known));
  for (const Observable& row : observable_table()) {
    const bool asked = std::ranges::find(requested, row.name) != requested.end();
    if (const std::string why = why_absent(row); asked && !why.empty())
      throw std::invalid_argument("observable '" + row.name + "' " + why);
    else if (why.empty() && (asked || !row.on_request)) {
      rows_.push_back(&row);
      total_ += size(row);
    }
  }
}

std::string Observables::why_absent(const Observable& row) const {
  if (row.needs_weights && !has_weights_)
    return "needs weights, and this flow has inner products only; choose the formulation \"reduced\" or \"full\"";
  if (row.needs_test && context_.test == nullptr)
    return "needs test samples, and there are none; set task.test_samples (of a text task.test_share)";
  return "";
}

std::vector<std::string> Observables::labels(const std::string& dimension) const {
  if (dimension == "class") return task_.data().class_names;
  if (dimension == "matrix") return {"W", "W_V", "W_K", "W_Q"};
  if (dimension == "key_role" || dimension == "query_role") return {role_names.begin(), role_names.end()};
  if (dimension == "statistic") return {"mean", "deviation", "min", "max"};
  std::vector<std::string> names;
  for (const Index word : context_.words) names.push_back(task_.data().word_names[static_cast<std::size_t>(word)]);
  return names;
}

std::size_t Observables::size(const Observable& observable) const {
  std::size_t product = why_absent(observable).empty() ? 1 : 0;
  for (const std::string& dimension : observable.dimensions) product *= labels(dimension).size();
  return product;
}

void Observables::evaluate(Moment& moment, std::span<double> out) const {
  std::size_t place = 0;
  for (const Observable* row : rows_) {
    const std::size_t count = size(*row);
    row->evaluate(moment, context_, out.subspan(place, count));
    place += count;
  }
}

std::function<double(Moment&)> Observables::scalar(const std::string& quantity) const {
  const auto [name, indices] = split(quantity);
  const auto rows = observable_table();
  const auto row =
      std::find_if(rows.begin(), rows.end(), [&, &wanted = name](const Observable& o) { return o.name == wanted; });
  if (row == rows.end()) {
    std::vector<std::string> names;
    for (const Observable& o : rows) names.push_back(o.name);
    throw std::invalid_argument("unknown quantity '" + quantity + "'; there are: " + join(names));
  }
  if (const std::string why = why_absent(*row); !why.empty())
    throw std::invalid_argument("quantity '" + quantity + "' " + why);
  if (indices.size() != row->dimensions.size())
    throw std::invalid_argument("quantity '" + quantity + "': " + row->name + " has " +
                                std::to_string(row->dimensions.size()) + " indices" +
                                (row->dimensions.empty() ? "" : " [" + join(row->dimensions) + "]") + ", but " +
                                std::to_string(indices.size()) + " were given");
  std::size_t place = 0;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const std::string &dimension = row->dimensions[i], &index = indices[i];
    const bool words = std::ranges::find(word_dimensions, dimension) != word_dimensions.end();
    const std::vector<std::string> names = labels(dimension);
    std::vector<std::string> numbers;  // of words, from 1: they go by number as well as by name
    for (const Index word : context_.words)
      if (words) numbers.push_back(std::to_string(word + 1));
    const auto position = [&](const std::vector<std::string>& in) {
      return static_cast<std::size_t>(std::find(in.begin(), in.end(), index) - in.begin());
    };
    const std::size_t at = words && position(numbers) < numbers.size() ? position(numbers) : position(names);
    if (at == names.size())
      throw std::invalid_argument("quantity '" + quantity + "': no " + (words ? "tracked word" : dimension) + " '" +
                                  index + "'; there are: " + join(words ? numbers : names) +
                                  (words ? " (track more with save.words)" : ""));
    place = place * names.size() + at;
  }
  return [this, &observable = *row, place, values = std::vector<double>(size(*row))](Moment& moment) mutable {
    observable.evaluate(moment, context_, values);
    return values[place];
  };
}

}  // namespace gradflow
