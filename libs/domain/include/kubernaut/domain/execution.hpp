#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kubernaut/domain/enums.hpp"
#include "kubernaut/domain/keys.hpp"
#include "kubernaut/domain/plan.hpp"

namespace kn {

/// One run of a workflow. Carries its own snapshot of the definition: the catalogue may change under it.
struct Execution {
    ExecutionId id;
    ClusterId cluster;
    std::optional<IncidentId> incident;  ///< none for a run by hand
    Plan plan;
    json::Value definition;  ///< the workflow as it was at the start
    json::Object context;    ///< what expressions see beside steps: incident, target, facts, cluster, env
    ExecutionState state = ExecutionState::planned;
    bool dry_run = false;       ///< shadow mode or --dry-run: server-side dry run only
    std::string requested_by;   ///< "kubernaut" or a person's name
    std::string error, reason;  ///< for a person; reason is a gate's word for refused and held
    std::string owner;          ///< worker that holds it
    std::int64_t epoch = 0;     ///< fence: raised by every claim, checked by every write
    std::optional<Instant> lease_until;
    std::optional<Instant> wake_at;  ///< the next timer; none while work is ready
    bool cancel_requested = false;
    std::string cancel_by;
    std::int64_t kills = 0;  ///< workers that died with it: 3 = dead letter
    Instant created_at{}, updated_at{};
    std::optional<Instant> started_at, finished_at;
    std::optional<Instant> touched_at;  ///< first mutating call
};

/// One attempt-bearing node of the run. `path` is unique in an execution: "rollback", "loop[2]/evict", "finally/restore".
struct Step {
    ExecutionId execution;
    std::string path;
    std::string id;      ///< of the definition
    std::string kind;    ///< action, branch, parallel, loop, wait, signal, approval, subworkflow, assert, notify
    std::string action;  ///< name in the action registry, "" for others
    StepState state = StepState::pending;
    int attempt = 0;
    json::Object params;    ///< evaluated
    json::Value pre_image;  ///< stored before the call
    json::Value output;
    std::string request_digest;  ///< of the intent
    std::string error;
    std::string error_code;
    std::optional<Instant> started_at, finished_at, due_at;
    bool mutating = false, compensation = false;
};

struct ExecutionWithSteps {
    Execution execution;
    std::vector<Step> steps;  ///< by first start
};

}  // namespace kn
