#include <gradflow/experiment/simulate.hpp>

#include "experiment/record_flow.hpp"
#include "experiment/simulation_parts.hpp"

namespace gradflow {

Simulation::Simulation(settings::Experiment experiment)
    : Simulation(std::make_unique<Parts>(experiment, read_inputs(experiment))) {}
Simulation::Simulation(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Simulation::~Simulation() = default;
Simulation::Simulation(Simulation&&) noexcept = default;

const settings::Experiment& Simulation::experiment() const { return parts_->problem.experiment; }
const Task& Simulation::task() const { return parts_->problem.task; }
const std::optional<TextReport>& Simulation::text_report() const { return parts_->problem.text_report; }
const Flow<double>& Simulation::flow() const { return *parts_->problem.flow; }
const std::vector<FlowEvent>& Simulation::events() const { return parts_->problem.events; }
double Simulation::t0() const { return parts_->problem.clock.t0(); }

RunResult Simulation::run(const std::filesystem::path& file, bool overwrite, const std::string& command_line,
                          Listener& listener) {
  Problem& p = parts_->problem;
  trajectory::RunWriter writer(file, describe(p, command_line), overwrite);
  const SavePlan plan =
      save_plan(p.clock, p.experiment.solver.until, static_cast<std::size_t>(p.experiment.save.records),
                snapshot_count(p.experiment, *p.flow));
  solvers::Observer<double> nobody;
  const RunResult result = record_flow(p, writer, plan, nobody, listener);
  writer.close();
  return result;
}

}  // namespace gradflow
