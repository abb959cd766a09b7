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
void Simulation::use_threads(int threads) { parts_->problem.flow->use(std::make_shared<solvers::Workers>(threads)); }
const std::vector<FlowEvent>& Simulation::events() const { return parts_->problem.events; }
double Simulation::t0() const { return parts_->problem.clock.t0(); }

RunResult Simulation::Parts::solve_into(const std::filesystem::path& file, bool overwrite,
                                        const trajectory::RunDescription& description, const SavePlan& plan,
                                        Listener& listener, const EarlierPart* earlier,
                                        const std::function<void(trajectory::RunGroupWriter&)>& begin) {
  trajectory::RunWriter writer(file, description, overwrite, std::chrono::seconds(1),
                               [&](trajectory::RunGroupWriter& fresh) {
                                 Packing sizes;
                                 empty_state().visit(sizes);
                                 fresh.prepare_checkpoints(sizes.packed());
                                 begin(fresh);
                               });
  const KeepCheckpoint keep = [&](SolveState& state) {
    Packing packing;
    state.visit(packing);
    writer.checkpoint(packing.packed());
  };
  solvers::Observer<double> nobody;
  const RunResult result = record_flow(problem, writer, plan, nobody, listener, keep, earlier);
  writer.close();
  return result;
}

RunResult Simulation::run(const std::filesystem::path& file, bool overwrite, const std::string& command_line,
                          Listener& listener) {
  const Problem& p = parts_->problem;
  require_disk(p.experiment, Undertaking::simulation, sizes_of(p), file);
  return parts_->solve_into(file, overwrite, describe(p, command_line), save_plan(p), listener, nullptr,
                            [](trajectory::RunGroupWriter&) {});
}

}  // namespace gradflow
