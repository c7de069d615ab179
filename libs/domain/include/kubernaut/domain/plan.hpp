#pragma once

#include <string>
#include <vector>

#include "kubernaut/domain/enums.hpp"
#include "kubernaut/domain/keys.hpp"
#include "kubernaut/json/json.hpp"

namespace kn {

/// A workflow chosen for an incident: a pure function of its inputs, byte for byte.
struct Plan {
    PlanId id;
    std::string workflow;
    int version = 1;
    std::string fault_class;
    ObjectRef target;
    json::Object params;  ///< complete: defaults filled in
    Risk risk = Risk::none;
    double p = 0;  ///< of the fault class
    double rank_score = 0;
    std::string posterior_version;     ///< snapshot of what was learned that the ranking used
    std::vector<std::string> reasons;  ///< for a person, in order
    struct Alternative {
        std::string workflow;
        double rank_score = 0;
        std::string why_not;
    };
    std::vector<Alternative> alternatives;  ///< the other candidates, each with the reason against it
    std::string hash;                       ///< SHA-256 of the canonical JSON of everything above but id
};

}  // namespace kn
