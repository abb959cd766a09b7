#include "trajectory/reading.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace gradflow::trajectory {

using storage::Dataset;
using storage::Group;
using storage::Kind;

Grown::Grown(Group group) : group_(std::move(group)), t_(group_.open_dataset("t").read<double>()) {
  t_.erase(std::ranges::find_if(t_, [](double t) { return !std::isfinite(t); }), t_.end());
}

Dataset Grown::open(const std::string& name) const {
  Dataset column = group_.open_dataset(name);
  if (column.shape().empty() || column.rows() < rows())
    column.place().fail(fmt::format("is damaged: it has fewer rows than t, which has {}", rows()));
  return column;
}

std::vector<double> Grown::read(const std::string& name) const {
  const Dataset column = open(name);
  if (column.row_size() != 1) column.place().fail("must have one value a row; it has more");
  return column.read<double>(0, rows());
}

Values Grown::values(const std::string& name) const {
  const Dataset column = open(name);
  Values values = described(column, column.read<double>(0, rows()));
  values.shape.front() = rows();
  return values;
}

std::vector<std::string> Grown::columns() const {
  std::vector<std::string> result;
  for (const std::string& name : group_.names()) {
    if (name == "t" || !group_.has_dataset(name)) continue;
    const auto dimensions = group_.open_dataset(name).dimensions();
    if (!dimensions.empty() && dimensions.front() == "t") result.push_back(name);
  }
  return result;
}

Values described(const Dataset& data, std::vector<double> values) {
  return {data.dimensions(),
          data.shape(),
          std::move(values),
          data.text_attribute("units"),
          data.text_attribute("long_name"),
          data.text_attribute("source")};
}

Dimension read_dimension(const Dataset& scale) {
  const std::string name = scale.place().object.substr(scale.place().object.rfind('/') + 1);
  if (scale.kind() == Kind::text) return {name, scale.read_text()};
  return {name, scale.rows()};
}

std::vector<std::string> labels(const Dataset& scale) {
  return scale.rows() == 0 ? std::vector<std::string>{} : scale.read_text();
}

Arrays read_arrays(const Group& group) {
  Arrays result{group.attributes(), {}, {}};
  for (const std::string& name : group.names()) {
    const Dataset data = group.open_dataset(name);
    if (data.is_scale()) {
      result.dimensions.push_back(read_dimension(data));
      continue;
    }
    Array array{name, data.dimensions(), {}, data.text_attribute("units"), data.text_attribute("long_name")};
    if (data.kind() == Kind::integer)
      array.values = data.read<std::int64_t>();
    else
      array.values = data.read<double>();
    result.arrays.push_back(std::move(array));
  }
  return result;
}

std::string required_text(const Group& group, const std::string& attribute) {
  if (!group.attribute(attribute)) group.place().fail("the attribute " + attribute + " is missing");
  return group.text_attribute(attribute);
}

double required_number(const Group& group, const std::string& attribute) {
  const auto value = group.attribute(attribute);
  if (!value || std::holds_alternative<std::string>(*value))
    group.place().fail("the attribute " + attribute + " must be a number; it is " + (value ? "text" : "missing"));
  const auto* integer = std::get_if<std::int64_t>(&*value);
  return integer ? static_cast<double>(*integer) : std::get<double>(*value);
}

Group checked_top(Group group, const std::string& noun) {
  const auto version = group.attribute("schema_version");
  if (!version) group.place().fail(fmt::format("is not a {} of gradflow: it has no attribute schema_version", noun));
  const auto* number = std::get_if<std::int64_t>(&*version);
  if (!number) group.place().fail("is damaged: the attribute schema_version must be an integer");
  if (*number > schema_version)
    group.place().fail(fmt::format("has layout version {}; this program reads versions up to {}: use a newer gradflow",
                                   *number, schema_version));
  return group;
}

bool holds_comparison(const Group& root) { return root.has("comparison") && !root.has_dataset("comparison"); }

}  // namespace gradflow::trajectory
