#include "kubernaut/decision/facts.hpp"

#include "evidence/facts/sink.hpp"

namespace kn::decision {

FactSet::FactSet(std::vector<Fact> facts) {
    for (auto& fact : facts) put(std::move(fact));
}

void FactSet::put(Fact fact) {
    auto name = fact.name;
    facts_.insert_or_assign(std::move(name), std::move(fact));
}

const Fact* FactSet::find(std::string_view name) const {
    const auto found = facts_.find(name);
    return found == facts_.end() ? nullptr : &found->second;
}

Truth FactSet::truth(std::string_view name) const {
    const auto* fact = find(name);
    return fact == nullptr ? Truth::unknown : fact->state;
}

const json::Value& FactSet::value(std::string_view name) const {
    static const json::Value null;
    const auto* fact = find(name);
    return fact == nullptr ? null : fact->value;
}

std::string_view FactSet::text(std::string_view name) const {
    const auto* text = value(name).if_string();
    return text == nullptr ? std::string_view{} : json::view(*text);
}

std::vector<Fact> FactSet::list() const {
    std::vector<Fact> out;
    out.reserve(facts_.size());
    for (const auto& [name, fact] : facts_) out.push_back(fact);
    return out;
}

json::Object FactSet::tree() const {
    json::Object root;
    for (const auto& [name, fact] : facts_) {
        if (fact.state == Truth::unknown) continue;
        const auto dot = name.find('.');
        auto& family = root[name.substr(0, dot)];
        if (dot == std::string::npos) {
            family = fact.value;
            continue;
        }
        if (!family.is_object()) family.emplace_object();
        family.get_object()[name.substr(dot + 1)] = fact.value;
    }
    return root;
}

FactSet facts_of(const EvidenceSnapshot& snapshot, const DecisionOptions& options) {
    FactSet facts;
    const Model model = model_of(snapshot, options.ages);
    const FactInput in{snapshot, model, options, facts};
    target_facts(in);
    rollout_facts(in);
    crash_facts(in);
    image_facts(in);
    config_facts(in);
    dependency_facts(in);
    ownership_facts(in);
    memory_facts(in);
    probe_facts(in);
    sched_facts(in);
    node_facts(in);
    storage_facts(in);
    quota_facts(in);
    policy_facts(in);
    workload_facts(in);
    service_facts(in);
    access_facts(in);
    return facts;
}

}  // namespace kn::decision
