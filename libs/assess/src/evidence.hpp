#pragma once

#include <string>

#include "kubernaut/assess/assessor.hpp"

namespace kn::assess {

/// What one look found.
struct Assessor::Evidence {
    Inputs inputs;
    std::optional<Incident> incident;
    std::string worse;        ///< for a person: what is worse than before the action; "" = nothing
    bool alarm = false;       ///< that may well have come of the action: people want to know
    bool take_back = false;   ///< it speaks against the action itself: the target is worse, or what depends on it and the fault is still there
    std::string manager;      ///< who made the drift
    std::string metric_text;  ///< "restarts in 5 m: shift -2.0, improved 0.99"
};

}  // namespace kn::assess
