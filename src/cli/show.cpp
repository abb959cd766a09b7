#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <sstream>

#include "cli/command.hpp"
#include "cli/comparison_results.hpp"
#include "cli/format.hpp"
#include "cli/results.hpp"

namespace gradflow::cli {
namespace {

using Json = nlohmann::ordered_json;
using trajectory::Attribute;
using trajectory::RunReader;

const char* const footer =
    "Examples:\n"
    "  gradflow show paper.h5\n"
    "  gradflow show paper.h5 --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"end\"][\"loss\"])'";

Json settings_json(const std::string& toml_text) {
  std::ostringstream text;
  const toml::table settings = toml::parse(std::string_view(toml_text));
  text << toml::json_formatter(settings);
  return Json::parse(text.str());
}

/// The file's attributes but for the settings, which are shown by themselves, and what `phases` reports.
std::vector<Attribute> provenance(const RunReader& run) {
  std::vector<Attribute> attributes = run.attributes();
  std::erase_if(attributes, [](const Attribute& attribute) {
    return attribute.first == "settings" || attribute.first == "T2" || attribute.first.starts_with("T1_");
  });
  return attributes;
}

Json json(const RunReader& run, const std::string& file) {
  Json attributes = Json::object();
  for (const auto& [name, value] : provenance(run))
    attributes[name] = std::visit(
        [](const auto& v) -> Json {
          if constexpr (std::is_same_v<std::decay_t<decltype(v)>, double>)
            return number(v);
          else
            return v;
        },
        value);
  const trajectory::RunEnd end = run.end();
  Json values = {{"t", run.t().empty() ? Json(nullptr) : number(run.t().back())}};
  for (const std::string& name : run.observables()) values[name] = end_value(run, name);
  return {{"file", file},
          {"provenance", attributes},
          {"settings", settings_json(run.text_attribute("settings"))},
          {"outcome", end.outcome < 0 ? Json(nullptr) : Json(run.outcome(end.outcome))},
          {"message", end.message},
          {"statistics", statistics_json(run)},
          {"records", run.t().size()},
          {"snapshots", run.state_t().size()},
          {"end", values}};
}

std::string figure(const Json& value) {
  return value.is_number() ? fmt::format("{:.8g}", value.get<double>()) : "undefined";
}

/// A row for each number: "loss", "G[mu_1]", "B[mu_2,mu_1]".
void add_rows(std::vector<std::vector<std::string>>& rows, const std::string& name, const std::string& labels,
              const Json& value) {
  if (!value.is_object()) {
    rows.push_back({labels.empty() ? name : fmt::format("{}[{}]", name, labels), figure(value)});
    return;
  }
  for (const auto& [label, part] : value.items())
    add_rows(rows, name, labels.empty() ? label : fmt::format("{},{}", labels, label), part);
}

std::string text(const RunReader& run, const std::string& file) {
  std::string text = fmt::format("{}\n\nSettings\n", file);
  std::istringstream settings(run.text_attribute("settings"));
  for (std::string line; std::getline(settings, line);) text += line.empty() ? "\n" : "  " + line + "\n";

  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, value] : provenance(run))
    rows.push_back({"  " + name, std::visit([](const auto& v) { return fmt::format("{}", v); }, value)});
  text += "\nProvenance\n" + table(rows) + "\nRun\n" + statistics_text(run);

  if (run.t().empty()) return text + "\nNo record has been written yet.\n";
  text += fmt::format("\nEnd values, t = {:.8g} ({} records, {} snapshots)\n", run.t().back(), run.t().size(),
                      run.state_t().size());
  rows.clear();
  for (const std::string& name : run.observables()) add_rows(rows, name, "", end_value(run, name));
  return text + table(rows);
}

void show(const std::string& file, bool as_json) {
  require_run(file);
  if (!is_hdf5(file) || !trajectory::is_comparison(file)) {
    const RunReader run(file);
    fmt::print("{}", as_json ? document(json(run, file)) : text(run, file));
    return;
  }
  const trajectory::ComparisonReader comparison(file);
  if (!as_json) {
    fmt::print("{}\nDescents\n{}", text(comparison.flow(), file), comparison_text(comparison));
    return;
  }
  Json whole = json(comparison.flow(), file);
  whole["comparison"] = comparison_json(comparison);
  fmt::print("{}", document(whole));
}

}  // namespace

void add_show(CLI::App& app, Action& action) {
  struct Options {
    std::string run;
    bool json = false;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("show", "Settings, provenance, outcome, statistics and end values of a run");
  command->add_option("RUN.h5", options->run, "the run's file")->required()->type_name("");
  command->add_flag("--json", options->json, "one JSON document and nothing else");
  command->footer(footer);
  command->callback([options, &action] {
    action = [options](const std::string&) {
      show(options->run, options->json);
      return done;
    };
  });
}

}  // namespace gradflow::cli
