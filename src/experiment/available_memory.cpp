#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>

#include "experiment/needs.hpp"

namespace gradflow {
namespace {

namespace fs = std::filesystem;

constexpr double infinity = std::numeric_limits<double>::infinity();

/// The number after `name` in a file of such lines; `otherwise` where there is none.
double value_of(const fs::path& file, const std::string& name, double otherwise) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    std::istringstream words(line);
    std::string first;
    double value = 0;
    if (words >> first >> value && first == name) return value;
  }
  return otherwise;
}

/// The only number of a file; infinity where it says "max", or nothing.
double number_in(const fs::path& file) {
  double value = infinity;
  return std::ifstream(file) >> value ? value : infinity;
}

/// What a group's files are called.
struct Names {
  const char *limit, *use, *stat_prefix;
};
constexpr Names version1{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_"},
    version2{"memory.max", "memory.current", ""};

/// What the limits of a group and of those above it leave. A container may not see the group's own folder: then the
/// mount's top is the container's own.
double left_by(const fs::path& mount, const fs::path& group, const Names& names) {
  double left = infinity;
  fs::path path = mount;
  const auto look = [&] {
    const double limit = number_in(path / names.limit), use = number_in(path / names.use);
    if (!(limit < infinity && use < infinity)) return;
    const auto pages = [&](const char* kind) {
      return value_of(path / "memory.stat", std::string(names.stat_prefix) + kind, 0);
    };
    const double taken = use - pages("inactive_file") - pages("active_file");
    left = std::min(left, std::max(0.0, limit - std::max(0.0, taken)));
  };
  look();
  for (const fs::path& part : group.relative_path()) {
    path /= part;
    look();
  }
  return left;
}

}  // namespace

double available_memory(const fs::path& root) {
  double available = 1024 * value_of(root / "proc/meminfo", "MemAvailable:", infinity);
  const fs::path groups = root / "sys/fs/cgroup";
  std::ifstream memberships(root / "proc/self/cgroup");
  for (std::string line; std::getline(memberships, line);) {  // hierarchy:controllers:path
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const fs::path group = line.substr(second + 1);
    if (controllers == ",,") available = std::min(available, left_by(groups, group, version2));
    if (controllers.find(",memory,") != std::string::npos)
      available = std::min(available, left_by(groups / "memory", group, version1));
  }
  return available;
}

}  // namespace gradflow
