#include <cstring>

#include "storage/file.hpp"

namespace gradflow::storage {

namespace {

Handle text_type(const Place& place) {
  Handle type = place.own(H5Tcopy(H5T_C_S1), "make a type of text");
  place.check(H5Tset_size(type.get(), H5T_VARIABLE), "make a type of text");
  place.check(H5Tset_cset(type.get(), H5T_CSET_UTF8), "make a type of text");
  return type;
}

// A variable-length text is converted to a variable-length one of the same character set, which HDF5 demands, and the
// memory is HDF5's own; a fixed-length one may lack the final zero.
std::string read_text_attribute(const Place& place, hid_t attribute, hid_t type) {
  if (H5Tis_variable_str(type) > 0) {
    char* text = nullptr;
    place.check(H5Aread(attribute, type, &text), "read the attribute");
    std::string result = text ? text : "";
    H5free_memory(text);
    return result;
  }
  std::string result(H5Tget_size(type), '\0');
  place.check(H5Aread(attribute, type, result.data()), "read the attribute");
  result.resize(strnlen(result.data(), result.size()));
  return result;
}

std::optional<Value> read_value(const Place& place, hid_t attribute) {
  const Handle space = place.own(H5Aget_space(attribute), "read the attribute");
  if (H5Sget_simple_extent_npoints(space.get()) != 1) return {};
  const Handle type = place.own(H5Aget_type(attribute), "read the attribute");
  switch (H5Tget_class(type.get())) {
    case H5T_STRING:
      return read_text_attribute(place, attribute, type.get());
    case H5T_INTEGER: {
      std::int64_t value = 0;
      place.check(H5Aread(attribute, H5T_NATIVE_INT64, &value), "read the attribute");
      return value;
    }
    case H5T_FLOAT: {
      double value = 0;
      place.check(H5Aread(attribute, H5T_NATIVE_DOUBLE, &value), "read the attribute");
      return value;
    }
    default:
      return {};
  }
}

bool kept_for_scales(const std::string& name) {
  return name == "CLASS" || name == "NAME" || name == "DIMENSION_LIST" || name == "REFERENCE_LIST";
}

}  // namespace

Handle Object::create_attribute(const std::string& name, hid_t type, hid_t space) {
  return place()
      .inside("@" + name)
      .own(H5Acreate2(id(), name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), "create the attribute");
}

void Object::set_attribute(const std::string& name, const Value& value) {
  const Quiet quiet;
  const Place where = place_.inside("@" + name);
  const Handle space = where.own(H5Screate(H5S_SCALAR), "create the attribute");
  const auto write = [&](hid_t file_type, hid_t memory_type, const void* data) {
    const Handle attribute = create_attribute(name, file_type, space.get());
    where.check(H5Awrite(attribute.get(), memory_type, data), "write the attribute");
  };
  if (const auto* text = std::get_if<std::string>(&value)) {
    const Handle type = text_type(where);
    const char* data = text->c_str();
    write(type.get(), type.get(), &data);
  } else if (const auto* real = std::get_if<double>(&value)) {
    write(H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, real);
  } else {
    write(H5T_STD_I64LE, H5T_NATIVE_INT64, &std::get<std::int64_t>(value));
  }
}

void Object::set_attribute(const std::string& name, std::span<const std::int64_t> values) {
  const Quiet quiet;
  const Place where = place_.inside("@" + name);
  const hsize_t size = values.size();
  const Handle space = where.own(H5Screate_simple(1, &size, nullptr), "create the attribute");
  const Handle attribute = create_attribute(name, H5T_STD_I64LE, space.get());
  where.check(H5Awrite(attribute.get(), H5T_NATIVE_INT64, values.data()), "write the attribute");
}

std::optional<Value> Object::attribute(const std::string& name) const {
  const Quiet quiet;
  const Place where = place_.inside("@" + name);
  const htri_t exists = H5Aexists(id(), name.c_str());
  where.check(exists, "look for the attribute");
  if (exists == 0) return {};
  const Handle attribute = where.own(H5Aopen(id(), name.c_str(), H5P_DEFAULT), "open the attribute");
  std::optional<Value> value = read_value(where, attribute.get());
  if (!value) where.fail("the attribute must be one number or one text; it is neither");
  return value;
}

std::string Object::text_attribute(const std::string& name) const {
  const std::optional<Value> value = attribute(name);
  if (!value) return {};
  if (const auto* text = std::get_if<std::string>(&*value)) return *text;
  place_.inside("@" + name).fail("the attribute must be text; it is a number");
}

std::vector<std::pair<std::string, Value>> Object::attributes() const {
  const Quiet quiet;
  H5O_info_t info;
  place_.check(H5Oget_info2(id(), &info, H5O_INFO_NUM_ATTRS), "read the attributes");
  std::vector<std::pair<std::string, Value>> result;
  for (hsize_t i = 0; i < info.num_attrs; ++i) {
    const Handle attribute = place_.own(
        H5Aopen_by_idx(id(), ".", H5_INDEX_NAME, H5_ITER_INC, i, H5P_DEFAULT, H5P_DEFAULT), "open an attribute");
    std::string name(static_cast<std::size_t>(H5Aget_name(attribute.get(), 0, nullptr)), '\0');
    H5Aget_name(attribute.get(), name.size() + 1, name.data());
    if (kept_for_scales(name)) continue;
    if (const auto value = read_value(place_.inside("@" + name), attribute.get())) result.emplace_back(name, *value);
  }
  return result;
}

}  // namespace gradflow::storage
