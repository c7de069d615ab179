#pragma once

#include <string>
#include <vector>

#include "kubernaut/domain/enums.hpp"
#include "kubernaut/domain/keys.hpp"
#include "kubernaut/json/json.hpp"

namespace kn {

/// One typed observation. Unknown is never no, never zero, never healthy.
struct Fact {
    std::string name;              ///< "pod.waiting_reason", "rollout.revision_is_new", "pvc.used_ratio"
    json::Value value;             ///< null when unknown
    Truth state = Truth::unknown;  ///< for yes/no facts; yes for a known value of another type
    std::string source;            ///< "watch:pods", "live:deployments", "metric:...", "change", "graph", "sched", "access"
    Instant observed_at{};
    std::string resource_version{};
};

/// How a fault class did against the evidence.
struct Candidate {
    std::string fault_class;
    double p = 0;  ///< calibrated probability
    bool excluded = false;
    std::vector<std::string> for_facts, against_facts, unknown_facts;
    std::string why_not;  ///< for a person: why this is not the chosen class; empty for the chosen
};

struct Diagnosis {
    std::string fault_class;  ///< "" when none is likely enough
    double p = 0, margin = 0;
    std::vector<Candidate> candidates;  ///< by p, descending
    std::vector<Fact> facts;
    Instant made_at{};
};

}  // namespace kn
