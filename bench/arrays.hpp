#pragma once
#include <hdf5.h>
#include <hdf5_hl.h>
#include <Eigen/Core>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

/// What the programs of a comparison exchange: one HDF5 file of plain arrays, laid out as gradflow's start and task
/// files are (tokens [n, L], labels [n], W [m1, m], W_V, W_K, W_Q [m, d], a [m1]), and states in the same way.
namespace bench {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// An open HDF5 file. Throws std::runtime_error, naming file and array, for whatever cannot be read or written.
class ArrayFile {
 public:
  enum class Mode { read, write };

  ArrayFile(const std::filesystem::path& path, Mode mode) : path_(path.string()) {
    id_ = mode == Mode::read ? H5Fopen(path_.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT)
                             : H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (id_ < 0) throw std::runtime_error(path_ + ": cannot be opened");
  }
  ArrayFile(const ArrayFile&) = delete;
  ArrayFile& operator=(const ArrayFile&) = delete;
  ~ArrayFile() { H5Fclose(id_); }

  /// A vector is one column.
  Eigen::MatrixXd matrix(const char* name) const {
    const auto [rows, columns] = shape(name);
    RowMatrix values(rows, columns);
    check(H5LTread_dataset_double(id_, name, values.data()), name);
    return values;
  }

  /// [rows][columns]
  std::vector<std::vector<std::ptrdiff_t>> integers(const char* name) const {
    const auto [rows, columns] = shape(name);
    std::vector<std::int64_t> values(static_cast<std::size_t>(rows * columns));
    check(H5LTread_dataset(id_, name, H5T_NATIVE_INT64, values.data()), name);
    std::vector<std::vector<std::ptrdiff_t>> result;
    for (auto row = values.begin(); row != values.end(); row += columns) result.emplace_back(row, row + columns);
    return result;
  }

  void write(const char* name, const Eigen::Ref<const Eigen::MatrixXd>& matrix) const {
    const RowMatrix values = matrix;
    const hsize_t dimensions[] = {static_cast<hsize_t>(values.rows()), static_cast<hsize_t>(values.cols())};
    check(H5LTmake_dataset_double(id_, name, values.cols() == 1 ? 1 : 2, dimensions, values.data()), name);
  }

  void write(const char* name, const std::vector<std::int64_t>& values, std::ptrdiff_t columns = 1) const {
    const hsize_t dimensions[] = {values.size() / static_cast<std::size_t>(columns), static_cast<hsize_t>(columns)};
    check(H5LTmake_dataset(id_, name, columns == 1 ? 1 : 2, dimensions, H5T_NATIVE_INT64, values.data()), name);
  }

  /// An attribute of the file.
  void write_attribute(const char* name, std::int64_t value) const {
    const long number = value;
    check(H5LTset_attribute_long(id_, "/", name, &number, 1), name);
  }

 private:
  std::pair<std::ptrdiff_t, std::ptrdiff_t> shape(const char* name) const {
    int rank = 0;
    hsize_t dimensions[2] = {1, 1};
    check(H5LTget_dataset_ndims(id_, name, &rank), name);
    if (rank < 1 || rank > 2) throw std::runtime_error(path_ + ": " + name + " is neither a vector nor a matrix");
    check(H5LTget_dataset_info(id_, name, dimensions, nullptr, nullptr), name);
    return {static_cast<std::ptrdiff_t>(dimensions[0]), static_cast<std::ptrdiff_t>(dimensions[1])};
  }
  void check(herr_t status, const char* name) const {
    if (status < 0) throw std::runtime_error(path_ + ": " + name + " cannot be read or written");
  }

  std::string path_;
  hid_t id_;
};

/// The four blocks that every program's solution is compared by.
inline void write_state(const std::filesystem::path& path, const Eigen::VectorXd& u,
                        const Eigen::Ref<const Eigen::MatrixXd>& W_V, const Eigen::Ref<const Eigen::MatrixXd>& W_K,
                        const Eigen::Ref<const Eigen::MatrixXd>& W_Q) {
  const ArrayFile file(path, ArrayFile::Mode::write);
  file.write("u", u);
  file.write("W_V", W_V);
  file.write("W_K", W_K);
  file.write("W_Q", W_Q);
}

}  // namespace bench
