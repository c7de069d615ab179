#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "evidence/model.hpp"
#include "kubernaut/decision/facts.hpp"

namespace kn::decision {

/// Puts facts of one source into a set. An empty optional is unknown.
class FactSink {
public:
    FactSink(FactSet& facts, std::string source, Instant at, std::string resource_version = {})
        : facts_(facts), source_(std::move(source)), at_(at), resource_version_(std::move(resource_version)) {}

    void truth(std::string_view name, std::optional<bool> value) {
        Fact fact = make(name);
        if (value) {
            fact.value = *value;
            fact.state = *value ? Truth::yes : Truth::no;
        }
        facts_.put(std::move(fact));
    }
    void truth(std::string_view name, Truth value) { truth(name, value == Truth::unknown ? std::nullopt : std::optional(value == Truth::yes)); }
    /// A null value is unknown.
    void value(std::string_view name, json::Value value) {
        Fact fact = make(name);
        fact.state = value.is_null() ? Truth::unknown : Truth::yes;
        fact.value = std::move(value);
        facts_.put(std::move(fact));
    }
    void text(std::string_view name, std::string_view text) { value(name, text.empty() ? json::Value(nullptr) : json::Value(text)); }
    void time(std::string_view name, std::optional<Instant> time) { value(name, time ? json::Value(format_rfc3339(*time)) : json::Value(nullptr)); }
    void list(std::string_view name, const std::vector<std::string>& items) {
        json::Array array;
        for (const auto& item : items) array.emplace_back(item);
        value(name, std::move(array));
    }

private:
    Fact make(std::string_view name) const {
        Fact fact;
        fact.name = name;
        fact.source = source_;
        fact.observed_at = at_;
        fact.resource_version = resource_version_;
        return fact;
    }
    FactSet& facts_;
    std::string source_;
    Instant at_;
    std::string resource_version_;
};

/// What every family of facts is made from.
struct FactInput {
    const EvidenceSnapshot& snapshot;
    const Model& model;
    const DecisionOptions& options;
    FactSet& facts;
    [[nodiscard]] Instant now() const { return snapshot.taken_at; }
    [[nodiscard]] const RuleAges& ages() const { return options.ages; }
};

// One function a family; each reads the snapshot only, later ones may read the facts of earlier ones.
void target_facts(const FactInput& in);
void rollout_facts(const FactInput& in);
void crash_facts(const FactInput& in);
void image_facts(const FactInput& in);
void config_facts(const FactInput& in);
void dependency_facts(const FactInput& in);
void ownership_facts(const FactInput& in);
void memory_facts(const FactInput& in);
void probe_facts(const FactInput& in);
void sched_facts(const FactInput& in);
void node_facts(const FactInput& in);
void storage_facts(const FactInput& in);
void quota_facts(const FactInput& in);
void policy_facts(const FactInput& in);
void workload_facts(const FactInput& in);
void service_facts(const FactInput& in);
void access_facts(const FactInput& in);

/// The containers that are in trouble of one sort, with their pods.
using Troubled = std::vector<std::pair<const PodView*, const ContainerView*>>;
Troubled crashing(const FactInput& in);
Troubled image_waiting(const FactInput& in);
/// All of the newest revision / some of an older one; unknown when revisions are not known.
Truth all_newest(const Model& model, const Troubled& troubled);
Truth some_older(const Model& model, const Troubled& troubled);
std::optional<Instant> first_failure_of(const FactInput& in, const Troubled& troubled);

}  // namespace kn::decision
