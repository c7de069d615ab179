#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kubernaut/json/yaml.hpp"
#include "kubernaut/sim/scenario/scenario.hpp"
#include "scenario/macros.hpp"

namespace kn::sim {

/// `kind` is the single key of a step or check, `body` its value.
struct Step {
    std::string kind;
    json::Value body;
    std::string place;
};

struct Scenario::State {
    std::string id, name, title, target;
    std::uint64_t seed = 0;
    std::map<std::string, std::string> variables;
    std::vector<std::string> needs, namespaces;
    std::vector<NodeSpec> nodes;
    std::vector<std::vector<json::Value>> waves;  // objects to create; each wave is Ready before the next begins
    json::Value book;                             // {registries, behaviours}
    std::vector<Step> fault, cured, aftercare;    // aftercare: what clean_up undoes
    std::set<std::string> signals;
    std::set<std::string, std::less<>> may_touch;
    Expectation expect;

    // Of a run.
    std::map<std::string, json::Value, std::less<>> before;  // objects that checks compare with, as they were
    std::optional<StateSnapshot> healthy, faulty;
    std::set<std::string> stopped_nodes;
    std::optional<Instant> cured_since;
};

/// Does this step or check have a known form? Called when the file is read.
Result<> validate_fault_step(const Step& step);
Result<> validate_check(const Step& step);
async::Task<Result<>> run_fault_step(Scenario::State* state, Stage stage, Step step, Deadline deadline);
/// What is missing, in words; empty = fulfilled.
async::Task<Result<std::string>> run_check(Scenario::State* state, Stage stage, Step step, Deadline deadline);
/// The objects whose state before the fault a check needs.
std::vector<std::string> compared_objects(const Step& check);
/// "" when the workload is complete and has been calm for `calm`.
async::Task<Result<std::string>> workload_trouble(std::shared_ptr<kube::Client> client, ObjectName workload, Duration calm, Deadline deadline);

}  // namespace kn::sim
