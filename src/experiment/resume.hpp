#pragma once
#include <gradflow/experiment/simulate.hpp>
#include <gradflow/trajectory/reader.hpp>
#include <gradflow/trajectory/writer.hpp>

#include <span>

namespace gradflow {

/// Rows of several columns, one after the other, as a writer takes them; each column must have as many.
std::vector<std::vector<double>> rows_of(const std::vector<trajectory::Values>& columns, std::int64_t rows);

/// Throws FileError, naming the file, unless a run has as many rows as a checkpoint counts: records, snapshots,
/// crossings and steps.
void check_rows(const trajectory::RunReader& run, std::span<const std::int64_t> rows,
                const std::filesystem::path& file);

/// Puts into a fresh group what a run has: so many records, snapshots, crossings and steps. Without what a companion
/// solve has said of its crossings; it says it again.
void copy_rows(const trajectory::RunReader& run, std::span<const std::int64_t> rows,
               const trajectory::RunDescription& description, trajectory::RunGroupWriter& writer);

/// A file's own attributes in the place of fresh ones, but for those named, and how often it was gone on with.
std::vector<trajectory::Attribute> carried_over(std::vector<trajectory::Attribute> fresh,
                                                const std::vector<trajectory::Attribute>& before,
                                                const std::vector<std::string>& but);

/// Whether max_steps or max_rejections ended the run.
bool ended_by_budget(const trajectory::RunReader& run);

}  // namespace gradflow
