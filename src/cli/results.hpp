#pragma once
#include <gradflow/analysis/phases.hpp>
#include <gradflow/trajectory/reader.hpp>
#include <nlohmann/json.hpp>
#include <string>

/// What a run's file says, in words and in JSON: shared by the subcommands, so that `simulate` ends with what `show`
/// would show.
namespace gradflow::cli {

/// Null for NaN and infinity.
nlohmann::ordered_json number(double value);

/// The document that --json prints. Names in it that are not UTF-8 (a path may be anything) are mended.
std::string document(const nlohmann::ordered_json& json);

/// Outcome, counts, step sizes and wall time. Throws FileError.
std::string statistics_text(const trajectory::RunReader& run);
nlohmann::ordered_json statistics_json(const trajectory::RunReader& run);

/// The last record of one observable, over its dimensions: a number, or objects keyed by class, word or matrix.
nlohmann::ordered_json end_value(const trajectory::RunReader& run, const std::string& observable);

/// A table of the events: verdict, and the first crossings of each with time, error bar and slope; then what its marks
/// mean.
std::string events_text(const PhasesReport& report);

}  // namespace gradflow::cli
