#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/result.hpp"
#include "kubernaut/decision/facts.hpp"
#include "kubernaut/decision/options.hpp"
#include "kubernaut/decision/signal_map.hpp"
#include "kubernaut/domain/diagnosis.hpp"
#include "kubernaut/domain/enums.hpp"

namespace kn::decision {

/// A condition over facts: `name`, `!name`, `name == value`, `name >= 3`, joined by `&&` and `||`, three-valued.
class Condition {
public:
    static Result<Condition> parse(std::string_view text);
    [[nodiscard]] Truth evaluate(const FactSet& facts) const;
    [[nodiscard]] const std::string& text() const { return text_; }
    /// Names of the facts it reads.
    [[nodiscard]] const std::vector<std::string>& reads() const { return reads_; }

private:
    struct Node;
    std::string text_;
    std::vector<std::string> reads_;
    std::shared_ptr<const Node> root_;
};

struct WeightedCondition {
    Condition condition;
    double weight = 0;
    std::string why;
};

struct PlanChoice {
    std::string workflow;
    std::vector<Condition> when;             ///< all must be yes
    std::string why_not;                     ///< told when `when` does not hold
    bool approval = false;                   ///< always asks
};

struct LeaveAlone {
    Condition condition;
    std::string reason;                      ///< "paused", "no_good_revision", "no_rollback", ...
    std::string text;
};

/// One fault class of catalog/faults.yaml.
struct FaultClass {
    std::string name, title;
    std::vector<std::string> kinds;          ///< of the target; empty = any
    double prior = 0;                        ///< logit, without an alert that names it
    std::vector<Condition> required;
    std::vector<std::vector<Condition>> any; ///< of each group at least one
    std::vector<WeightedCondition> supporting, against;
    std::vector<WeightedCondition> excluding;
    std::vector<PlanChoice> plans;
    std::vector<LeaveAlone> leave_alone;
    Risk risk = Risk::none;
    std::string still_there;                 ///< condition that tells that the evidence is gone; "" = the required ones
};

/// The table of fault classes. Immutable.
class FaultCatalog {
public:
    /// All errors at once, each with its line.
    static Result<FaultCatalog> parse(std::string_view yaml, std::string_view origin);
    /// catalog/faults.yaml as built in.
    static Result<FaultCatalog> builtin();
    [[nodiscard]] const FaultClass* find(std::string_view name) const;
    [[nodiscard]] const std::vector<FaultClass>& classes() const { return classes_; }

private:
    std::vector<FaultClass> classes_;        ///< by name
};

/// Facts → probabilities → one class or none. Pure and deterministic.
class Classifier {
public:
    Classifier(const FaultCatalog& faults, const SignalMap& signals, DecisionOptions options);
    /// `alerts`: names of the signals behind the incident; their order does not matter.
    [[nodiscard]] Diagnosis diagnose(const FactSet& facts, std::string_view target_kind, const std::vector<std::string>& alerts, Instant now) const;
    /// Is the class's evidence still there? Unknown when it cannot be told.
    [[nodiscard]] Truth still_there(std::string_view fault_class, const FactSet& facts) const;
    [[nodiscard]] const FaultCatalog& faults() const { return *faults_; }

private:
    const FaultCatalog* faults_;
    const SignalMap* signals_;
    DecisionOptions options_;
};

}  // namespace kn::decision
