#pragma once
#include <gradflow/trajectory/schema.hpp>

#include <string>
#include <vector>

#include "storage/file.hpp"

/// How the schema's dimensions, coordinates and units are laid out in HDF5: as netCDF does, so that xarray opens every
/// group as it is.
namespace gradflow::trajectory {

/// Throws std::invalid_argument.
[[noreturn]] void misuse(const std::string& what);

/// The sizes of a variable's dimensions. Throws std::invalid_argument for one that is not defined, or that stands
/// twice.
storage::Shape shape_of(const std::vector<Dimension>& dimensions, const std::vector<std::string>& names,
                        const std::string& variable);

/// Makes the coordinate of each dimension, a data set that bears its name.
void create_dimensions(storage::Group& group, const std::vector<Dimension>& dimensions);

/// Names the axes of a variable, from `first_axis` on, by coordinates of its group.
void attach_dimensions(storage::Group& group, storage::Dataset& data, const std::vector<std::string>& names,
                       std::size_t first_axis = 0);

/// The attributes units, long_name and source; those that are "" are left out.
void describe(storage::Dataset& data, const std::string& unit, const std::string& long_name,
              const std::string& source = {});

/// The meanings of a code, which counts from -1, as the CF conventions have them (flag_values, flag_meanings).
void describe_code(storage::Dataset& data, const std::string& meaning_of_minus_one,
                   const std::vector<std::string>& meanings);
/// The word for a code that describe_code() has described; "" for one that has none.
std::string meaning_of(const storage::Dataset& data, std::int64_t code);

/// Gives what stands at the top, the file's root or the group of a run, its attributes and the layout's version.
storage::Group create_top(storage::Group group, const std::vector<Attribute>& attributes);
/// Makes a group of that name with its arrays.
storage::Group create_arrays(storage::Group& parent, const std::string& name, const Arrays& arrays);

}  // namespace gradflow::trajectory
