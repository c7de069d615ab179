#pragma once

#include <string>
#include <vector>

#include "kubernaut/domain/enums.hpp"
#include "kubernaut/domain/keys.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::ports {

/// A case as it is known before anything is done about it.
struct CaseOutline {
    ClusterId cluster;
    Environment environment = Environment::unknown;
    std::string fault_class, target_kind;
    json::Object facts;  ///< {"family": {"name": value}}, as an execution's context holds them
};

/// How a workflow did in the cases that were most like this one. Sums, weighted by likeness: a case in everything alike counts one.
struct FamilyAdvice {
    std::string workflow;
    double good = 0, bad = 0;
    std::string shared;  ///< what they have in common with it and what told good from bad: "pool = spot-a"
};

class FamilyAdvisor {
public:
    virtual ~FamilyAdvisor() = default;
    /// By workflow, in order of name; empty when nothing that is known of the case tells good from bad. Answers from memory, at once.
    [[nodiscard]] virtual std::vector<FamilyAdvice> advise(const CaseOutline& outline) const = 0;
};

}  // namespace kn::ports
