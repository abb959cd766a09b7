#pragma once
#include "experiment/settings_report.hpp"
#include "gradflow/experiment/settings.hpp"

namespace gradflow::settings {

/// Fills in the defaults that depend on other settings: the common word, the paper's four classes, the width.
void complete(Experiment& experiment, const Report& report);

/// Reports the contradictions between settings that are each fine by themselves.
void check(const Experiment& experiment, Report& report);

}  // namespace gradflow::settings
