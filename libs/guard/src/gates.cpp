#include "kubernaut/guard/gates.hpp"

#include <algorithm>
#include <cmath>

namespace kn::guard {
namespace {

GateVerdict allow(std::string gate) { return {.gate = std::move(gate)}; }
GateVerdict deny(std::string gate, std::string reason, std::string text) {
    return {.gate = std::move(gate), .answer = GateAnswer::deny, .reason = std::move(reason), .text = std::move(text)};
}
GateVerdict hold(std::string gate, std::string reason, std::string text, Instant until) {
    return {.gate = std::move(gate), .answer = GateAnswer::hold, .reason = std::move(reason), .text = std::move(text), .until = until};
}
GateVerdict ask(std::string gate, std::string reason, std::string text, int people) {
    return {.gate = std::move(gate), .answer = GateAnswer::ask, .reason = std::move(reason), .text = std::move(text), .approvals = people};
}

bool in_window(const FreezeWindow& window, Instant now) {
    const auto days = std::chrono::floor<std::chrono::days>(now);
    const int minute = static_cast<int>(std::chrono::floor<std::chrono::minutes>(now - days).count());
    const auto weekday = [](std::chrono::sys_days day) { return static_cast<int>(std::chrono::weekday{day}.c_encoding()); };
    const auto fits = [&](int day) { return window.weekday < 0 || window.weekday == day; };
    if (window.from_minute <= window.to_minute) return fits(weekday(days)) && minute >= window.from_minute && minute < window.to_minute;
    return (fits(weekday(days)) && minute >= window.from_minute) || (fits(weekday(days - std::chrono::days{1})) && minute < window.to_minute);
}

bool is_disruptive(const GateInput& in) {
    return std::any_of(in.actions.begin(), in.actions.end(), [](const auto* spec) { return spec->disruptive; });
}

bool acts_on_node(const GateInput& in) {
    if (in.plan.target.key.kind == "Node") return true;
    return std::any_of(in.actions.begin(), in.actions.end(),
                       [](const auto* spec) { return spec->name == "cordon_node" || spec->name == "drain_node"; });
}

}  // namespace

bool is_mutating(const GateInput& in) {
    return std::any_of(in.actions.begin(), in.actions.end(), [](const auto* spec) { return spec->mutating; });
}

Mode effective_mode(const GateInput& in) { return stricter(in.cluster.mode, stricter(in.ns_mode, in.target_mode)); }

Risk effective_risk(const GateInput& in) {
    if (in.plan.risk == Risk::none) return Risk::none;
    int levels = 0;
    if (in.single_replica_stateful) ++levels;
    if (in.budget_at_limit && is_disruptive(in)) ++levels;
    if (in.plan.target.key.ns == "kube-system") ++levels;
    if (in.plan.p < in.policy.auto_p) ++levels;
    // In production only: elsewhere the first use is how a workflow earns its record.
    if (in.first_use_in_cluster && in.plan.risk >= Risk::medium && (in.environment == Environment::prod || in.environment == Environment::unknown))
        ++levels;
    return raised(in.plan.risk, levels);
}

GateVerdict gate_pause(const GateInput& in) {
    if (!is_mutating(in)) return allow("pause");
    for (const Pause& pause : in.pauses) {
        if (pause.until && *pause.until <= in.now) continue;
        const bool fleet = pause.cluster.str() == "_fleet";
        if (!fleet && pause.cluster != in.incident.cluster) continue;
        if (!pause.ns.empty() && pause.ns != in.plan.target.key.ns) continue;
        const std::string scope = fleet              ? "the fleet"
                                  : pause.ns.empty() ? "cluster " + pause.cluster.str()
                                                     : "namespace " + pause.cluster.str() + "/" + pause.ns;
        return hold("pause", "paused", scope + " was paused by " + pause.by + (pause.reason.empty() ? "" : " (" + pause.reason + ")"),
                    std::min(pause.until.value_or(in.now + 30s), in.now + 30s));
    }
    if (in.target_paused_until && *in.target_paused_until > in.now) {
        return hold("pause", "paused", "the object is paused until " + format_rfc3339(*in.target_paused_until), *in.target_paused_until);
    }
    if (in.cluster.verdict == ClusterVerdict::isolated_hub)
        return hold("pause", "hub_isolated", "this hub is cut off from most clusters", in.now + 10s);
    if (in.cluster.verdict == ClusterVerdict::wrong_cluster)
        return deny("pause", "wrong_cluster", "another cluster answers at this address: " + in.cluster.verdict_reason);
    if (in.cluster.verdict != ClusterVerdict::healthy) {
        return hold("pause", "cluster_not_healthy", "the cluster is " + std::string(to_string(in.cluster.verdict)) + ": " + in.cluster.verdict_reason,
                    in.now + 5s);
    }
    return allow("pause");
}

GateVerdict gate_protected(const GateInput& in) {
    if (!is_mutating(in)) return allow("protected");
    if (in.target_protected) return deny("protected", "protected", "the object or its namespace is labelled as protected");
    if (in.policy.protected_namespaces.contains(in.plan.target.key.ns)) {
        return deny("protected", "protected", "namespace " + in.plan.target.key.ns + " is protected");
    }
    if (in.policy.opt_in && !in.opted_in) {
        return deny("protected", "not_in_scope", "scope opt_in: neither the object nor its namespace is annotated with kubernaut.io/mode");
    }
    const Mode mode = effective_mode(in);
    if (mode == Mode::off) return deny("protected", "mode", "mode off: nothing is done here");
    if (mode == Mode::observe) return deny("protected", "mode", "mode observe: the plan is shown, nothing is started");
    for (const FreezeWindow& window : in.policy.freeze) {
        if (!window.cluster.empty() && window.cluster != in.incident.cluster.str()) continue;
        if (!window.ns.empty() && window.ns != in.plan.target.key.ns) continue;
        if (in.plan.risk == Risk::none || !in_window(window, in.now)) continue;
        return hold("protected", "freeze_window", "freeze window " + window.name, in.now + 1min);
    }
    return allow("protected");
}

GateVerdict gate_permission(const GateInput& in) {
    if (in.forbidden.empty()) return allow("permission");
    std::string list;
    for (const auto& each : in.forbidden) list += (list.empty() ? "" : ", ") + each;
    return deny("permission", "cluster_rbac", "our identity in the cluster may not: " + list);
}

GateVerdict gate_parameters(const GateInput& in) {
    if (in.parameter_errors.empty()) return allow("parameters");
    std::string list;
    for (const auto& each : in.parameter_errors) list += (list.empty() ? "" : "; ") + each;
    return deny("parameters", "invalid_parameters", list);
}

GateVerdict gate_unchanged(const GateInput& in) {
    if (!is_mutating(in)) return allow("unchanged");
    if (!in.target_exists) return deny("unchanged", "target_changed", "the target does not exist any more");
    if (!in.target_uid_same) return deny("unchanged", "target_changed", "the target was deleted and made anew since the diagnosis");
    if (in.target_deleting) return deny("unchanged", "target_changed", "the target is being deleted");
    if (in.now - in.evidence_at > in.evidence_limit) {
        return deny("unchanged", "stale_facts",
                    "the evidence is " + format_duration(std::chrono::floor<std::chrono::seconds>(in.now - in.evidence_at)) + " old");
    }
    const bool safe = std::all_of(in.actions.begin(), in.actions.end(), [](const auto* spec) { return !spec->mutating || spec->gitops_safe; });
    if (!in.gitops_owner.empty() && !safe) {
        return deny("unchanged", "gitops_owned", "the object is managed by " + in.gitops_owner + ": a change here would be undone or hide drift");
    }
    return allow("unchanged");
}

GateVerdict gate_one_per_target(const GateInput& in) {
    if (!is_mutating(in) || in.locks.empty()) return allow("one_per_target");
    return hold("one_per_target", "busy", in.locks.front().first + " is held by execution " + in.locks.front().second.str(), in.now + 5s);
}

GateVerdict gate_cooldown(const GateInput& in) {
    if (!is_mutating(in)) return allow("cooldown");
    // The binding check is in the transaction of the start; this one explains it early.
    for (const auto* spec : in.actions) {
        if (!spec->mutating) continue;
        std::optional<Instant> last;
        bool effective = true;
        int bad = 0;
        for (const PastAction& past : in.history) {
            if (past.action != spec->name) continue;
            const bool was_bad = past.effectiveness && *past.effectiveness < 0.5;
            bad += was_bad ? 1 : 0;
            if (!last || past.at > *last) {
                last = past.at;
                effective = !was_bad;
            }
        }
        if (!last) continue;
        const Instant until = *last + cooldown_after(in.policy, effective, std::max(0, bad - 1));
        if (until > in.now) return hold("cooldown", "cooldown", spec->name + " was done here at " + format_rfc3339(*last), until);
    }
    return allow("cooldown");
}

GateVerdict gate_oscillation(const GateInput& in) {
    if (!is_mutating(in)) return allow("oscillation");
    if (in.ineffective_in_4h >= 3) return deny("oscillation", "oscillation", "three executions for this fault had no effect within four hours");
    if (in.recurrences_in_24h >= 5) return deny("oscillation", "oscillation", "the fault came back five times within a day");
    OscillationReport worst;
    for (const auto* spec : in.actions) {
        if (!spec->mutating) continue;
        auto found = detect_oscillation(in.history, spec->name, in.now, in.policy.oscillation_window);
        if (found.finding > worst.finding) worst = std::move(found);
    }
    const std::string text = worst.detector + ": " + worst.text;
    switch (worst.finding) {
        case Finding::critical: return deny("oscillation", "oscillation", text);
        case Finding::high: return hold("oscillation", "oscillation", text, in.now + in.policy.oscillation_hold);
        case Finding::medium: return in.approved ? allow("oscillation") : ask("oscillation", "oscillation", text, 1);
        case Finding::none: break;
    }
    return allow("oscillation");
}

GateVerdict gate_risk(const GateInput& in) {
    if (!is_mutating(in)) return allow("risk");
    const Mode mode = effective_mode(in);
    if (mode == Mode::shadow || in.approved) return allow("risk");
    if (mode == Mode::approve) return ask("risk", "approval_required", "mode approve: a person decides", 1);
    const Risk risk = effective_risk(in);
    const bool prod = in.environment == Environment::prod || in.environment == Environment::unknown;
    const std::string where = prod ? "production" : std::string(to_string(in.environment));
    const std::string text = "risk " + std::string(to_string(risk)) + " in " + where;
    if (in.plan.p < in.policy.auto_p) return ask("risk", "confidence_low", text + ", p = " + std::to_string(in.plan.p).substr(0, 4), 1);
    switch (risk) {
        case Risk::none:
        case Risk::low: return allow("risk");
        case Risk::medium:
            if (!prod) return allow("risk");
            if (in.plan.p >= in.policy.prod_p && in.q10 >= in.policy.min_q10 && in.n_eff >= in.policy.min_n) return allow("risk");
            return ask("risk", "approval_required", text + ": not enough proof yet that it works here", 1);
        case Risk::high:
            if (in.environment == Environment::dev) return allow("risk");
            return ask("risk", "approval_required", text, 1);
        case Risk::critical: return ask("risk", "approval_required", text, in.environment == Environment::dev ? 1 : 2);
    }
    return ask("risk", "approval_required", text, 1);
}

GateVerdict gate_budgets(const GateInput& in) {
    if (!is_mutating(in)) return allow("budgets");
    if (in.plan.risk > Risk::none && in.storm) {
        return hold(
            "budgets", "storm",
            "a storm is on (" + std::to_string(in.incidents_last_minute) + " new incidents in the last minute): nothing above risk none starts",
            in.now + 1min);
    }
    if (acts_on_node(in) && in.ready_nodes_ratio < in.policy.min_ready_nodes) {
        return deny("budgets", "budget_cluster",
                    "only " + std::to_string(static_cast<int>(in.ready_nodes_ratio * 100)) + " % of the nodes are Ready");
    }
    const int most = std::max(1, static_cast<int>(std::floor(in.policy.clusters_ratio * in.clusters_total)));
    if (is_disruptive(in) && acts_on_node(in) && in.clusters_busy_now >= most && in.clusters_total > 1) {
        return hold("budgets", "budget_fleet", "node work goes on in " + std::to_string(in.clusters_busy_now) + " other cluster(s)", in.now + 30s);
    }
    return allow("budgets");
}

GateVerdict gate_breaker(const GateInput& in) {
    if (in.breaker_open_until && *in.breaker_open_until > in.now) {
        return hold("breaker", "breaker_open", in.breaker_name + " failed too often lately", *in.breaker_open_until);
    }
    return allow("breaker");
}

GateVerdict gate_slot(const GateInput& in) {
    if (!is_mutating(in)) return allow("slot");
    if (in.mutating_in_flight_cluster >= in.policy.slots_cluster) return hold("slot", "no_slot", "enough is going on in this cluster", in.now + 2s);
    if (in.mutating_in_flight_fleet >= in.policy.slots_fleet) return hold("slot", "no_slot", "enough is going on in the fleet", in.now + 2s);
    return allow("slot");
}

Duration cooldown_after(const GuardPolicy& policy, bool effective, int bad_before) {
    if (effective) return policy.cooldown_ok;
    Duration wait = policy.cooldown_bad;
    for (int i = 0; i < bad_before && wait < policy.cooldown_max; ++i) wait *= 2;
    return std::min(wait, policy.cooldown_max);
}

ports::GateReport ask_gates(const GateInput& in) {
    using Gate = GateVerdict (*)(const GateInput&);
    static constexpr Gate gates[] = {gate_pause,    gate_protected,   gate_permission, gate_parameters, gate_unchanged, gate_one_per_target,
                                     gate_cooldown, gate_oscillation, gate_risk,       gate_budgets,    gate_breaker,   gate_slot};
    ports::GateReport report;
    report.mode = effective_mode(in);
    report.risk = effective_risk(in);
    report.dry_run = report.mode == Mode::shadow;
    for (const Gate gate : gates) {
        report.verdicts.push_back(gate(in));
        report.decision = report.verdicts.back();
        if (report.decision.answer != GateAnswer::allow) return report;
    }
    const ObjectKey& key = in.plan.target.key;
    const std::string object = key.str(), cluster = in.incident.cluster.str();
    if (!is_mutating(in) || report.dry_run) return report;
    report.locks.push_back(object);
    if (acts_on_node(in)) report.locks.push_back(cluster + "/_/Node/*");
    for (const auto* spec : in.actions) {
        if (spec->mutating) report.cooldowns.push_back({object + " " + spec->name, in.now + in.policy.cooldown_ok});
    }
    if (!in.incident.incident_key.empty()) {
        report.cooldowns.push_back({"incident " + in.incident.incident_key + " " + in.plan.workflow, in.now + in.policy.cooldown_incident});
    }
    report.budgets.push_back({object, "budget_object", in.policy.object.in_flight, in.policy.object.per_hour});
    if (!key.ns.empty()) report.budgets.push_back({cluster + "/" + key.ns, "budget_namespace", in.policy.ns.in_flight, in.policy.ns.per_hour});
    report.budgets.push_back({cluster, "budget_cluster", in.policy.cluster.in_flight, in.policy.cluster.per_hour});
    report.budgets.push_back({"_fleet", "budget_fleet", in.policy.fleet.in_flight, in.policy.fleet.per_hour});
    return report;
}

}  // namespace kn::guard
