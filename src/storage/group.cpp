#include <algorithm>
#include <limits>

#include "storage/file.hpp"

namespace gradflow::storage {

namespace {

// Access properties that refuse to follow a link into another file, wherever on the way it stands.
Handle stay_in_file(const Place& place) {
  Handle access = place.own(H5Pcreate(H5P_LINK_ACCESS), "prepare access");
  const auto refuse = [](const char*, const char*, const char*, const char*, unsigned*, hid_t, void*) -> herr_t {
    return -1;
  };
  place.check(H5Pset_elink_cb(access.get(), refuse, nullptr), "prepare access");
  return access;
}

Handle file_type(const Place& place, const Layout& layout) {
  if (layout.kind == Kind::real) return place.own(H5Tcopy(H5T_IEEE_F64LE), "make a type");
  if (layout.kind == Kind::integer) return place.own(H5Tcopy(H5T_STD_I64LE), "make a type");
  Handle type = place.own(H5Tcopy(H5T_C_S1), "make a type");
  place.check(H5Tset_size(type.get(), layout.text_bytes > 0 ? layout.text_bytes : H5T_VARIABLE), "make a type");
  place.check(H5Tset_cset(type.get(), H5T_CSET_UTF8), "make a type");
  return type;
}

// Creation order is tracked because the netCDF library expects it; times are not, so that equal runs give equal files.
Handle creation_properties(const Place& place, const Layout& layout) {
  Handle creation = place.own(H5Pcreate(H5P_DATASET_CREATE), "prepare a data set");
  constexpr unsigned tracked = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;
  place.check(H5Pset_attr_creation_order(creation.get(), tracked), "prepare a data set");
  place.check(H5Pset_obj_track_times(creation.get(), false), "prepare a data set");
  if (layout.kind == Kind::real) {
    constexpr double missing = std::numeric_limits<double>::quiet_NaN();
    place.check(H5Pset_fill_value(creation.get(), H5T_NATIVE_DOUBLE, &missing), "prepare a data set");
  } else if (layout.kind == Kind::integer) {
    constexpr std::int64_t missing = -1;
    place.check(H5Pset_fill_value(creation.get(), H5T_NATIVE_INT64, &missing), "prepare a data set");
  }
  if (layout.chunk_rows > 0) {
    std::vector<hsize_t> chunk;
    for (const std::int64_t size : layout.shape) chunk.push_back(static_cast<hsize_t>(std::max<std::int64_t>(size, 1)));
    chunk[0] = static_cast<hsize_t>(layout.chunk_rows);
    place.check(H5Pset_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data()), "prepare a data set");
    if (layout.checksum) place.check(H5Pset_fletcher32(creation.get()), "prepare a data set");
  }
  return creation;
}

}  // namespace

bool Group::has(const std::string& name) const {
  const Quiet quiet;
  const Handle access = stay_in_file(place());
  for (std::size_t end = name.find('/');; end = name.find('/', end + 1)) {
    const std::string prefix = name.substr(0, end);
    if (H5Lexists(id(), prefix.c_str(), access.get()) <= 0 ||
        H5Oexists_by_name(id(), prefix.c_str(), access.get()) <= 0)
      return false;
    if (end == std::string::npos) return true;
  }
}

Group Group::create_group(const std::string& name) {
  const Quiet quiet;
  const Place where = place().inside(name);
  const Handle creation = where.own(H5Pcreate(H5P_GROUP_CREATE), "prepare a group");
  constexpr unsigned tracked = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;
  where.check(H5Pset_link_creation_order(creation.get(), tracked), "prepare a group");
  where.check(H5Pset_attr_creation_order(creation.get(), tracked), "prepare a group");
  where.check(H5Pset_obj_track_times(creation.get(), false), "prepare a group");
  return {where,
          where.own(H5Gcreate2(id(), name.c_str(), H5P_DEFAULT, creation.get(), H5P_DEFAULT), "create the group")};
}

Dataset Group::create_dataset(const std::string& name, const Layout& layout) {
  const Quiet quiet;
  const Place where = place().inside(name);
  std::vector<hsize_t> now(layout.shape.begin(), layout.shape.end()), most = now;
  if (layout.chunk_rows > 0) most.at(0) = H5S_UNLIMITED;
  const Handle space = where.own(
      now.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(now.size()), now.data(), most.data()),
      "create the data set");
  const Handle type = file_type(where, layout);
  const Handle creation = creation_properties(where, layout);
  return {where,
          where.own(H5Dcreate2(id(), name.c_str(), type.get(), space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
                    "create the data set")};
}

Handle Group::open_any(const std::string& name) const {
  const Quiet quiet;
  const Place where = place().inside(name);
  const Handle access = stay_in_file(where);
  return where.own(H5Oopen(id(), name.c_str(), access.get()), "open");
}

Handle Group::open_object(const std::string& name, H5I_type_t type, const char* noun) const {
  const Quiet quiet;
  const Place where = place().inside(name);
  if (!has(name))
    where.fail(std::string("there is no such ") + noun + " in the file (links to other files are not followed)");
  Handle object = open_any(name);
  if (H5Iget_type(object.get()) != type) where.fail(std::string("must be a ") + noun + "; it is something else");
  return object;
}

bool Group::has_dataset(const std::string& name) const {
  return has(name) && H5Iget_type(open_any(name).get()) == H5I_DATASET;
}

Group Group::open_group(const std::string& name) const {
  return {place().inside(name), open_object(name, H5I_GROUP, "group")};
}

Dataset Group::open_dataset(const std::string& name) const {
  return {place().inside(name), open_object(name, H5I_DATASET, "data set")};
}

std::vector<std::string> Group::names() const {
  const Quiet quiet;
  std::vector<std::string> result;
  const auto collect = [](hid_t, const char* name, const H5L_info_t*, void* data) -> herr_t {
    static_cast<std::vector<std::string>*>(data)->emplace_back(name);
    return 0;
  };
  if (H5Literate(id(), H5_INDEX_CRT_ORDER, H5_ITER_INC, nullptr, collect, &result) < 0) {
    result.clear();
    place().check(H5Literate(id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &result), "list the group");
  }
  return result;
}

}  // namespace gradflow::storage
