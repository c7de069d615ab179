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
#include "kubernaut/expr/expr.hpp"

namespace kn::decision {

/// Facts as expressions see them: `family.name`. Made once for many conditions.
class FactView {
public:
    FactView(const FactSet& facts, Instant now) : environment_{facts.tree(), now} {}
    [[nodiscard]] const expr::Environment& environment() const { return environment_; }

private:
    expr::Environment environment_;
};

/// An expression over facts, three-valued: what it needs and is not known makes it unknown.
class Condition {
public:
    static Result<Condition> parse(std::string_view text);
    [[nodiscard]] Truth evaluate(const FactView& facts) const;
    [[nodiscard]] const std::string& text() const { return program_.text(); }
    [[nodiscard]] const std::vector<std::string>& reads() const { return program_.reads(); }

private:
    expr::Program program_;
};

struct WeightedCondition {
    Condition condition;
    double weight = 0;
    std::string why;
};

struct PlanChoice {
    std::string workflow;
    std::vector<Condition> when;  ///< all must be yes
    std::string why_not;          ///< told when `when` does not hold
    bool approval = false;        ///< always asks
};

struct LeaveAlone {
    Condition condition;
    std::string reason;  ///< "paused", "no_good_revision", "no_rollback", ...
    std::string text;
};

/// One fault class of catalog/faults.yaml.
struct FaultClass {
    std::string name, title;
    std::vector<std::string> kinds;  ///< of the target; empty = any
    double prior = 0;                ///< logit, without an alert that names it
    std::vector<Condition> required;
    std::vector<std::vector<Condition>> any;    ///< of each group at least one
    std::vector<WeightedCondition> supporting;  ///< a negative weight speaks against it
    std::vector<WeightedCondition> excluding;
    std::vector<PlanChoice> plans;
    std::vector<LeaveAlone> leave_alone;
    Risk risk = Risk::none;
    std::vector<Condition> evidence;  ///< holds while the fault is there; empty = the required ones
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
    /// Every class that a workflow may name: those above and the ones that cannot be proven yet.
    [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

private:
    std::vector<FaultClass> classes_;  ///< by name
    std::vector<std::string> names_;
};

/// Facts → probabilities → one class or none. Pure and deterministic.
class Classifier {
public:
    Classifier(const FaultCatalog& faults, const SignalMap& signals, DecisionOptions options);
    void set_options(DecisionOptions options) { options_ = std::move(options); }
    /// `alerts`: names of the signals behind the incident; their order does not matter.
    [[nodiscard]] Diagnosis diagnose(const FactSet& facts, std::string_view target_kind, const std::vector<std::string>& alerts, Instant now) const;
    /// Is the class's evidence still there? Unknown when it cannot be told.
    [[nodiscard]] Truth still_there(std::string_view fault_class, const FactSet& facts) const;
    [[nodiscard]] const FaultCatalog& faults() const { return *faults_; }
    [[nodiscard]] const SignalMap& signals() const { return *signals_; }

private:
    const FaultCatalog* faults_;
    const SignalMap* signals_;
    DecisionOptions options_;
};

}  // namespace kn::decision
