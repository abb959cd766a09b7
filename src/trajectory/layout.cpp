#include "trajectory/layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <sstream>
#include <stdexcept>

namespace gradflow::trajectory {

using storage::Dataset;
using storage::Group;
using storage::Kind;
using storage::Layout;

namespace {

void create_array(Group& group, const std::vector<Dimension>& dimensions, const Array& array) {
  if (group.has(array.name)) misuse(fmt::format("the name {} is given twice", array.name));
  const storage::Shape shape = shape_of(dimensions, array.dimensions, array.name);
  std::visit(
      [&](const auto& values) {
        using T = typename std::decay_t<decltype(values)>::value_type;
        const auto size = std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
        if (size != std::ssize(values))
          misuse(fmt::format("{} has {} values where its dimensions make {}", array.name, values.size(), size));
        Dataset data =
            group.create_dataset(array.name, Layout{std::is_same_v<T, double> ? Kind::real : Kind::integer, shape});
        data.write(std::span<const T>(values));
        attach_dimensions(group, data, array.dimensions);
        describe(data, array.unit, array.long_name);
      },
      array.values);
}

void set_attributes(Group& group, const std::vector<Attribute>& attributes) {
  for (const auto& [name, value] : attributes) group.set_attribute(name, value);
}

}  // namespace

void misuse(const std::string& what) { throw std::invalid_argument("trajectory: " + what); }

storage::Shape shape_of(const std::vector<Dimension>& dimensions, const std::vector<std::string>& names,
                        const std::string& variable) {
  storage::Shape shape;
  for (const std::string& name : names) {
    const auto found = std::ranges::find(dimensions, name, &Dimension::name);
    if (found == dimensions.end())
      misuse(fmt::format("{} has the dimension {}, which its group does not define", variable, name));
    if (std::ranges::count(names, name) > 1) misuse(fmt::format("{} has the dimension {} twice", variable, name));
    shape.push_back(found->size);
  }
  return shape;
}

void create_dimensions(Group& group, const std::vector<Dimension>& dimensions) {
  for (const Dimension& dimension : dimensions) {
    if (group.has(dimension.name)) misuse(fmt::format("the dimension {} is defined twice", dimension.name));
    if (dimension.labels.empty()) {
      Dataset scale = group.create_dataset(dimension.name, Layout{Kind::integer, {dimension.size}});
      std::vector<std::int64_t> positions(static_cast<std::size_t>(dimension.size));
      std::iota(positions.begin(), positions.end(), 0);
      scale.write(std::span<const std::int64_t>(positions));
      scale.make_scale(dimension.name);
    } else {
      Dataset scale = group.create_dataset(dimension.name, Layout{Kind::text, {dimension.size}});
      scale.write(dimension.labels);
      scale.make_scale(dimension.name);
    }
  }
}

void attach_dimensions(Group& group, Dataset& data, const std::vector<std::string>& names, std::size_t first_axis) {
  for (const std::string& name : names) data.attach_scale(group.open_dataset(name), first_axis++);
}

void describe(Dataset& data, const std::string& unit, const std::string& long_name, const std::string& source) {
  if (!unit.empty()) data.set_attribute("units", unit);
  if (!long_name.empty()) data.set_attribute("long_name", long_name);
  if (!source.empty()) data.set_attribute("source", source);
}

void describe_code(Dataset& data, const std::string& meaning_of_minus_one, const std::vector<std::string>& meanings) {
  std::vector<std::int64_t> values(meanings.size() + 1);
  std::iota(values.begin(), values.end(), -1);
  // Blanks separate the meanings, so that one of several words is joined.
  std::string joined = meaning_of_minus_one;
  for (std::string meaning : meanings) {
    std::ranges::replace(meaning, ' ', '_');
    joined += " " + meaning;
  }
  data.set_attribute("flag_values", values);
  data.set_attribute("flag_meanings", joined);
}

std::string meaning_of(const Dataset& data, std::int64_t code) {
  std::istringstream words(data.text_attribute("flag_meanings"));
  std::string word;
  for (std::int64_t value = -1; words >> word; ++value)
    if (value == code) return word;
  return {};
}

storage::Group create_top(Group group, const std::vector<Attribute>& attributes) {
  group.set_attribute("schema_version", schema_version);
  set_attributes(group, attributes);
  return group;
}

Group create_arrays(Group& parent, const std::string& name, const Arrays& arrays) {
  Group group = parent.create_group(name);
  set_attributes(group, arrays.attributes);
  create_dimensions(group, arrays.dimensions);
  for (const Array& array : arrays.arrays) create_array(group, arrays.dimensions, array);
  return group;
}

}  // namespace gradflow::trajectory
