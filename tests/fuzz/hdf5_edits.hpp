#pragma once
#include <hdf5.h>

#include <cstring>

#include "fuzz/target.hpp"

/// HDF5 inputs for the targets that read files. Bytes that are no HDF5 file are instructions by which a sound file is
/// spoiled through HDF5 itself: parts removed, replaced by others of any type and shape, resized, relinked. So a fuzzer
/// reaches the checks of our readers, where flipped bytes mostly end at HDF5's own.
namespace gradflow::fuzz {

class Edits {
 public:
  Edits(const std::uint8_t* data, std::size_t size) : next_(data), end_(data + size) {}

  /// Spoils the file at `path`, which has the data sets `names`, as the bytes say.
  void apply(const std::string& path, const std::vector<std::string>& names) {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    require(file >= 0, "the sound file can be opened");
    while (next_ < end_) {
      const std::uint8_t kind = byte();
      const std::string& name = names[byte() % names.size()];
      switch (kind % 6) {
        case 0:
          H5Ldelete(file, name.c_str(), H5P_DEFAULT);
          break;
        case 1:
          H5Ldelete(file, name.c_str(), H5P_DEFAULT);
          create(file, name);
          break;
        case 2:
          set_value(file, name);
          break;
        case 3:
          resize(file, name);
          break;
        case 4:
          set_attribute(file, name);
          break;
        default:
          H5Ldelete(file, name.c_str(), H5P_DEFAULT);
          link(file, name, names);
      }
    }
    require(H5Fclose(file) >= 0, "the spoiled file can be closed");
  }

 private:
  std::uint8_t byte() { return next_ < end_ ? *next_++ : std::uint8_t{0}; }

  hsize_t extent() {
    constexpr std::array<hsize_t, 12> extents{
        0, 1, 2, 3, 4, 5, 8, 300, 1'000'000, 3'000'000'000, hsize_t{1} << 40, hsize_t{1} << 61};
    return extents[byte() % extents.size()];
  }

  hid_t type() {
    switch (byte() % 10) {
      case 0:
        return H5Tcopy(H5T_NATIVE_DOUBLE);
      case 1:
        return H5Tcopy(H5T_NATIVE_INT64);
      case 2:
        return H5Tcopy(H5T_STD_U64BE);
      case 3:
        return H5Tcopy(H5T_IEEE_F32BE);
      case 4:
        return H5Tcopy(H5T_NATIVE_LDOUBLE);
      case 5: {
        const hid_t text = H5Tcopy(H5T_C_S1);
        H5Tset_size(text, 1 + byte() * std::size_t{100'000});
        return text;
      }
      case 6: {
        const hid_t text = H5Tcopy(H5T_C_S1);
        H5Tset_size(text, H5T_VARIABLE);
        return text;
      }
      case 7: {
        const hid_t pair = H5Tcreate(H5T_COMPOUND, 16);
        H5Tinsert(pair, "r", 0, H5T_NATIVE_DOUBLE);
        return pair;
      }
      case 8:
        return H5Tvlen_create(H5T_NATIVE_DOUBLE);
      default:
        return H5Tenum_create(H5T_NATIVE_INT8);
    }
  }

  hid_t space() {
    const unsigned rank = byte() % 5;
    if (rank == 4) return H5Screate(H5S_NULL);
    std::vector<hsize_t> extents(rank);
    for (hsize_t& size : extents) size = extent();
    return rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(rank), extents.data(), nullptr);
  }

  void create(hid_t file, const std::string& name) {
    const hid_t of = type(), on = space(), how = H5Pcreate(H5P_DATASET_CREATE);
    const int rank = H5Sget_simple_extent_ndims(on);
    if (rank > 0 && byte() % 2) {
      std::vector<hsize_t> chunk(static_cast<std::size_t>(rank));
      for (hsize_t& size : chunk) size = extent();
      H5Pset_chunk(how, rank, chunk.data());
    }
    const hid_t data = H5Dcreate2(file, name.c_str(), of, on, H5P_DEFAULT, how, H5P_DEFAULT);
    if (data >= 0) H5Dclose(data);
    H5Pclose(how), H5Sclose(on), H5Tclose(of);
  }

  void set_value(hid_t file, const std::string& name) {
    constexpr std::array values{0.0,
                                -1.0,
                                2.0,
                                1e300,
                                -1e300,
                                std::numeric_limits<double>::quiet_NaN(),
                                std::numeric_limits<double>::infinity()};
    const double value = values[byte() % values.size()];
    const hsize_t at = byte();
    const hid_t data = H5Dopen2(file, name.c_str(), H5P_DEFAULT);
    if (data < 0) return;
    const hid_t on = H5Dget_space(data), one = H5Screate(H5S_SCALAR);
    const hssize_t size = H5Sget_simple_extent_npoints(on);
    if (H5Sget_simple_extent_ndims(on) == 1) H5Sselect_elements(on, H5S_SELECT_SET, 1, &at);
    // Of what is larger HDF5 allocates the whole index of the chunks.
    if (H5Sget_select_npoints(on) == 1 && static_cast<hssize_t>(at) < size && size <= 1'000'000)
      H5Dwrite(data, H5T_NATIVE_DOUBLE, one, on, H5P_DEFAULT, &value);
    H5Sclose(one), H5Sclose(on), H5Dclose(data);
  }

  void resize(hid_t file, const std::string& name) {
    const hid_t data = H5Dopen2(file, name.c_str(), H5P_DEFAULT);
    if (data < 0) return;
    const hid_t on = H5Dget_space(data);
    std::array<hsize_t, H5S_MAX_RANK> extents{};
    H5Sget_simple_extent_dims(on, extents.data(), nullptr);
    extents[0] = std::min<hsize_t>(extent(), 1000);  // HDF5 takes its time to shrink what was larger
    H5Dset_extent(data, extents.data());
    H5Sclose(on), H5Dclose(data);
  }

  void set_attribute(hid_t file, const std::string& name) {
    constexpr std::array attributes{"schema_version", "settings", "t0",    "words",
                                    "flag_meanings",  "units",    "CLASS", "NAME"};
    const char* attribute = attributes[byte() % attributes.size()];
    const hid_t object = byte() % 2 ? H5Oopen(file, ".", H5P_DEFAULT) : H5Oopen(file, name.c_str(), H5P_DEFAULT);
    if (object < 0) return;
    H5Adelete(object, attribute);
    const hid_t of = type(), on = byte() % 2 ? H5Screate(H5S_SCALAR) : H5Screate(H5S_NULL);
    const hid_t made = H5Acreate2(object, attribute, of, on, H5P_DEFAULT, H5P_DEFAULT);
    if (made >= 0) {
      const double value = byte();
      H5Awrite(made, H5T_NATIVE_DOUBLE, &value);
      H5Aclose(made);
    }
    H5Sclose(on), H5Tclose(of), H5Oclose(object);
  }

  void link(hid_t file, const std::string& name, const std::vector<std::string>& names) {
    const std::string& target = names[byte() % names.size()];
    switch (byte() % 4) {
      case 0:
        H5Lcreate_soft(("/" + target).c_str(), file, name.c_str(), H5P_DEFAULT, H5P_DEFAULT);
        break;
      case 1:
        H5Lcreate_hard(file, target.c_str(), file, name.c_str(), H5P_DEFAULT, H5P_DEFAULT);
        break;
      case 2:
        H5Lcreate_external("other.h5", "/W", file, name.c_str(), H5P_DEFAULT, H5P_DEFAULT);
        break;
      default:
        H5Gclose(H5Gcreate2(file, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    }
  }

  const std::uint8_t *next_, *end_;
};

/// A sound file of the corpus, spoiled input by input.
class SoundFile {
 public:
  explicit SoundFile(const std::string& path) : bytes_(read_bytes(path)) {
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
    const auto collect = [](hid_t, const char* name, const H5O_info_t* info, void* names) -> herr_t {
      if (info->type == H5O_TYPE_DATASET) static_cast<std::vector<std::string>*>(names)->emplace_back(name);
      return 0;
    };
    require(file >= 0 && H5Ovisit(file, H5_INDEX_NAME, H5_ITER_INC, collect, &names_) >= 0, "the sound file is sound");
    H5Fclose(file);
  }

  /// Leaves in `scratch` the input, if it is an HDF5 file by itself, or else this file spoiled as the input says.
  void spoil(const ScratchFile& scratch, const std::uint8_t* data, std::size_t size) const {
    if (text_of(data, size).starts_with("\x89HDF")) return scratch.write(data, size);
    scratch.write(bytes_.data(), bytes_.size());
    Edits(data, size).apply(scratch.path(), names_);
  }

 private:
  std::vector<std::uint8_t> bytes_;
  std::vector<std::string> names_;
};

}  // namespace gradflow::fuzz
