#include "kubernaut/guard/keeper.hpp"

#include <algorithm>
#include <cmath>

#include "kubernaut/actions/registry.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/resource.hpp"
#include "kubernaut/ports/learning_store.hpp"

namespace kn::guard {
namespace {

void collect(const std::vector<StepSpec>& steps, const ports::ActionRegistry& registry, std::vector<const ports::ActionSpec*>& found) {
    for (const StepSpec& step : steps) {
        if (!step.action.empty()) {
            if (const auto* action = registry.find(step.action)) {
                const auto* spec = &action->spec();
                if (std::find(found.begin(), found.end(), spec) == found.end()) found.push_back(spec);
            }
        }
        for (const auto& branch : step.branches) collect(branch, registry, found);
        collect(step.then_steps, registry, found);
        collect(step.else_steps, registry, found);
        collect(step.body, registry, found);
    }
}

Mode mode_annotation(const json::Value& object) {
    const auto text = kube::annotation_of(object, "kubernaut.io/mode");
    return text.empty() ? Mode::automatic : parse_enum<Mode>(text).value_or(Mode::approve);
}

bool is_protected(const json::Value& object) {
    return kube::label_of(object, "kubernaut.io/protected") == "true" || kube::annotation_of(object, "kubernaut.io/protected") == "true";
}

}  // namespace

std::vector<const ports::ActionSpec*> actions_of(const WorkflowDefinition& workflow, const ports::ActionRegistry& registry) {
    std::vector<const ports::ActionSpec*> found;
    collect(workflow.steps, registry, found);
    collect(workflow.finally, registry, found);
    return found;
}

std::string gitops_owner_of(const json::Value& object) {
    for (const auto key :
         {"argocd.argoproj.io/instance", "argocd.argoproj.io/tracking-id", "kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name"}) {
        if (!kube::label_of(object, key).empty() || !kube::annotation_of(object, key).empty()) return key;
    }
    return {};
}

Keeper::Keeper(GuardPolicy policy, ports::Stores stores, ports::ClusterGateway& fleet, const ports::ActionRegistry& actions,
               ports::Notifier& notifier, async::Clock& clock, metrics::Registry& metrics)
    : policy_(std::move(policy)), stores_(stores), fleet_(fleet), actions_(actions), notifier_(notifier), clock_(clock), metrics_(metrics) {}

Task<Result<ports::GateReport>> Keeper::before_start(const Incident& incident, const Plan& plan, const WorkflowDefinition& workflow, bool approved,
                                                     Deadline deadline) {
    auto input = co_await gather(incident, plan, workflow, approved, deadline);
    if (!input) co_return fail(input.error().with_context("reading what the guardrails need"));
    auto report = ask_gates(*input);
    for (const auto& verdict : report.verdicts) {
        const char* answer = verdict.answer == GateAnswer::allow  ? "allow"
                             : verdict.answer == GateAnswer::deny ? "deny"
                             : verdict.answer == GateAnswer::hold ? "hold"
                                                                  : "ask";
        metrics_
            .counter("kubernaut_guard_verdicts_total", "answers of the guardrails",
                     {{"cluster", incident.cluster.str()}, {"gate", verdict.gate}, {"verdict", answer}, {"reason", verdict.reason}})
            .add();
    }
    co_return report;
}

Task<Result<GateInput>> Keeper::gather(const Incident& incident, const Plan& plan, const WorkflowDefinition& workflow, bool approved,
                                       Deadline deadline) {
    GateInput in;
    in.now = clock_.now();
    in.policy = policy_;
    const auto cluster = fleet_.cluster(incident.cluster);
    if (!cluster) co_return fail(ErrorCode::not_found, "cluster " + incident.cluster.str() + " is not registered");
    in.cluster = *cluster;
    in.environment = cluster->environment;
    in.incident = incident;
    in.plan = plan;
    in.workflow_id = workflow.id;
    in.actions = actions_of(workflow, actions_);
    in.approved = approved;
    if (auto valid = actions::validate_params(workflow.params, plan.params); !valid) in.parameter_errors.push_back(valid.error().describe());
    in.evidence_at = incident.diagnosis ? incident.diagnosis->made_at : incident.updated_at;
    KN_CO_TRY(in.pauses, co_await stores_.registry.pauses(deadline));
    in.clusters_total = static_cast<int>(fleet_.clusters().size());
    if (!is_mutating(in)) co_return in;

    KN_CO_CHECK(co_await gather_target(in, deadline));
    KN_CO_CHECK(co_await gather_permissions(in, deadline));
    KN_CO_CHECK(co_await gather_history(in, deadline));
    gather_nodes(in);
    KN_CO_CHECK(co_await look_for_storm(in, deadline));
    for (const auto* spec : in.actions) {
        if (const auto until = breaker_open_until(incident.cluster, spec->name)) {
            in.breaker_open_until = until;
            in.breaker_name = spec->name;
        }
    }
    co_return in;
}

Task<Result<>> Keeper::gather_target(GateInput& in, Deadline deadline) {
    const auto client = fleet_.client(in.incident.cluster);
    const auto* resource = kube::find_resource(in.plan.target.key.kind_group());
    if (client == nullptr || resource == nullptr) co_return fail(ErrorCode::failed_precondition, "no access to " + in.plan.target.key.str());
    // A cluster that does not answer is the first gate's business; what we cannot read here must not look changed.
    if (in.cluster.verdict != ClusterVerdict::healthy) co_return Result<>{};
    auto target = co_await client->get(*resource, in.plan.target.key.ns, in.plan.target.key.name, deadline);
    if (!target && target.error().code == ErrorCode::not_found) {
        in.target_exists = in.plan.target.uid.empty();  // a plan for a missing object (restore) has no uid
    } else if (!target) {
        co_return fail(target.error());
    } else {
        in.target_uid_same = in.plan.target.uid.empty() || kube::uid_of(*target) == in.plan.target.uid;
        in.target_deleting = kube::is_deleting(*target);
        in.target_protected = is_protected(*target);
        in.target_mode = mode_annotation(*target);
        in.opted_in = !kube::annotation_of(*target, "kubernaut.io/mode").empty();
        in.gitops_owner = gitops_owner_of(*target);
        in.target_paused_until = kube::time_at(*target, "metadata", "annotations", "kubernaut.io/paused-until");
        const auto replicas = json::int_at(*target, "spec", "replicas");
        in.single_replica_stateful = in.plan.target.key.kind == "StatefulSet" && replicas.value_or(1) <= 1;
        gather_disruption_budgets(in, *target);
    }
    if (!in.plan.target.key.ns.empty()) {
        auto ns = co_await client->get(kube::resources::namespaces, "", in.plan.target.key.ns, deadline);
        if (ns) {
            in.target_protected = in.target_protected || is_protected(*ns);
            in.ns_mode = mode_annotation(*ns);
            in.opted_in = in.opted_in || !kube::annotation_of(*ns, "kubernaut.io/mode").empty();
        } else if (ns.error().code != ErrorCode::permission_denied && ns.error().code != ErrorCode::not_found) {
            co_return fail(ns.error());
        }
    }
    co_return Result<>{};
}

Task<Result<>> Keeper::gather_permissions(GateInput& in, Deadline deadline) {
    const auto client = fleet_.client(in.incident.cluster);
    if (in.cluster.verdict != ClusterVerdict::healthy) co_return Result<>{};
    for (const auto* spec : in.actions) {
        for (const auto& permission : spec->permissions) {
            const auto* resource = kube::find_resource(permission.resource);
            if (resource == nullptr) continue;
            const std::string ns = resource->namespaced ? in.plan.target.key.ns : "";
            const std::string key =
                in.incident.cluster.str() + " " + permission.verb + " " + permission.resource + "/" + permission.subresource + " " + ns;
            auto known = permissions_.find(key);
            if (known == permissions_.end() || known->second.first + permission_age < clock_.steady()) {
                KN_CO_TRY(const bool allowed, co_await client->can_i(permission.verb, *resource, permission.subresource, ns, "", deadline));
                known = permissions_.insert_or_assign(key, std::pair(clock_.steady(), allowed)).first;
            }
            if (known->second.second) continue;
            const std::string text =
                permission.verb + " " + permission.resource + (permission.subresource.empty() ? "" : "/" + permission.subresource);
            if (std::find(in.forbidden.begin(), in.forbidden.end(), text) == in.forbidden.end()) in.forbidden.push_back(text);
        }
    }
    co_return Result<>{};
}

Task<Result<>> Keeper::gather_history(GateInput& in, Deadline deadline) {
    const std::string target = in.plan.target.key.str();
    KN_CO_TRY(const auto locks, co_await stores_.executions.locks(in.incident.cluster, deadline));
    for (const auto& lock : locks) {
        if (lock.first == target) in.locks.push_back(lock);
    }
    ports::AssessmentFilter judged{.cluster = in.incident.cluster.str(), .done_only = true};
    KN_CO_TRY(const auto assessments, co_await stores_.learning.assessments(judged, {.limit = 200}, deadline));
    std::map<std::string, double> scores;
    for (const Assessment& assessment : assessments.items) {
        if (!assessment.score) continue;
        const bool newer = scores.emplace(assessment.execution.str(), *assessment.score).second;
        if (!newer || assessment.incident_key != in.incident.incident_key || in.incident.incident_key.empty()) continue;
        if (assessment.action_at > in.now - 4h && *assessment.score < 0.5) ++in.ineffective_in_4h;
        if (assessment.action_at > in.now - 24h && assessment.came_back == Truth::yes) ++in.recurrences_in_24h;
    }
    ports::ActionFilter filter{.cluster = in.incident.cluster.str(), .target = target, .since = in.now - 24h, .mutating_only = true};
    KN_CO_TRY(const auto actions, co_await stores_.executions.actions(filter, {.limit = 200}, deadline));
    for (const ActionRecord& record : actions.items) {
        if (record.dry_run || record.compensation) continue;
        PastAction past{.action = record.action, .at = record.started_at};
        if (const auto score = scores.find(record.execution.str()); score != scores.end()) past.effectiveness = score->second;
        if (record.action == "scale_workload") {
            const auto before = json::int_at(record.pre_image, "replicas"), after = json::int_at(json::Value(record.params), "replicas");
            if (before && after) past.direction = *after > *before ? 1 : *after < *before ? -1 : 0;
        }
        in.history.push_back(std::move(past));
    }

    KN_CO_TRY(const auto posteriors, co_await stores_.learning.posteriors(in.plan.fault_class, deadline));
    double a = 0, b = 0;
    for (const Posterior& posterior : posteriors) {
        if (posterior.workflow != in.plan.workflow || posterior.scope != in.incident.cluster) continue;
        a = posterior.a;
        b = posterior.b;
    }
    in.n_eff = a + b;
    // A cautious normal approximation of the 10 % quantile of Beta(a + 1, b + 1).
    const double mean = (a + 1) / (a + b + 2), sd = std::sqrt(mean * (1 - mean) / (a + b + 3));
    in.q10 = std::max(0.0, mean - 1.2816 * sd);
    ports::ExecutionFilter used{.cluster = in.incident.cluster.str(), .workflow = in.plan.workflow, .states = {ExecutionState::succeeded}};
    KN_CO_TRY(const auto earlier, co_await stores_.executions.list(used, {.limit = 1}, deadline));
    in.first_use_in_cluster = earlier.items.empty();

    ports::ExecutionFilter running{
        .states = {ExecutionState::queued, ExecutionState::running, ExecutionState::verifying, ExecutionState::compensating}};
    KN_CO_TRY(const auto open, co_await stores_.executions.list(running, {.limit = 200}, deadline));
    std::vector<std::string> node_clusters;
    for (const Execution& execution : open.items) {
        if (execution.dry_run || execution.plan.risk == Risk::none) continue;
        ++in.mutating_in_flight_fleet;
        if (execution.cluster == in.incident.cluster)
            ++in.mutating_in_flight_cluster;
        else if (execution.plan.target.key.kind == "Node")
            node_clusters.push_back(execution.cluster.str());
    }
    std::sort(node_clusters.begin(), node_clusters.end());
    in.clusters_busy_now = static_cast<int>(std::unique(node_clusters.begin(), node_clusters.end()) - node_clusters.begin());
    co_return Result<>{};
}

void Keeper::gather_disruption_budgets(GateInput& in, const json::Value& target) {
    const auto budgets = fleet_.cache(in.incident.cluster, kube::resources::pod_disruption_budgets);
    if (budgets == nullptr) return;
    const json::Object& labels = json::object_at(target, "spec", "template", "metadata", "labels");
    for (const auto& budget : budgets->list()) {
        if (kube::namespace_of(*budget) != in.plan.target.key.ns || !kube::label_selector_matches(json::at(*budget, "spec", "selector"), labels))
            continue;
        // Not said yet (a new budget, a controller that lags) is no permission.
        if (json::int_at(*budget, "status", "disruptionsAllowed").value_or(0) <= 0) in.budget_at_limit = true;
    }
}

/// A storm is on since the rate of new incidents was above the limit, until it was below half of it for long enough. People hear of its start.
Task<Result<>> Keeper::look_for_storm(GateInput& in, Deadline deadline) {
    const ClusterId cluster = in.incident.cluster;
    KN_CO_TRY(in.incidents_last_minute, co_await stores_.incidents.opened_since(cluster.str(), in.now - 60s, deadline));
    const auto known = storms_.find(cluster);
    const bool was_on = known != storms_.end() && in.now - known->second < policy_.storm_cooldown;
    const std::int64_t limit = was_on ? policy_.storm_incidents_per_minute / 2 : policy_.storm_incidents_per_minute;
    const bool too_many = in.incidents_last_minute > limit;
    in.storm = was_on || too_many;
    if (too_many) storms_[cluster] = in.now;
    metrics_.gauge("kubernaut_storm_active", "1 while so many incidents open that nothing above risk none starts", {{"cluster", cluster.str()}})
        .set(in.storm ? 1 : 0);
    if (was_on || !too_many) co_return Result<>{};
    const std::string minutes = std::to_string(std::chrono::floor<std::chrono::minutes>(policy_.storm_cooldown).count());
    const auto told = co_await notifier_.send(
        {.kind = "storm",
         .key = "storm/" + std::to_string(in.now.time_since_epoch().count()),
         .cluster = cluster,
         .title = "Storm of incidents in cluster " + cluster.str(),
         .text = std::to_string(in.incidents_last_minute) + " incidents were opened within a minute (limit " + std::to_string(limit) +
                 "). Nothing above risk none starts there until fewer than half as many come for " + minutes + " minutes.",
         .severity = Severity::critical},
        deadline);
    // The gate holds whether or not the message got through.
    if (!told) log::warning("the notice of a storm was not accepted", {{"cluster", cluster.str()}, {"error", told.error().describe()}});
    co_return Result<>{};
}

void Keeper::gather_nodes(GateInput& in) {
    const auto nodes = fleet_.cache(in.incident.cluster, kube::resources::nodes);
    if (nodes == nullptr || nodes->size() == 0) return;
    std::size_t ready = 0;
    for (const auto& node : nodes->list()) {
        const auto condition = kube::condition_of(*node, "Ready");
        if (condition && condition->status == "True") ++ready;
    }
    in.ready_nodes_ratio = static_cast<double>(ready) / static_cast<double>(nodes->size());
}

Task<Result<>> Keeper::before_write(const Execution& execution, const ClusterId& where, const ports::ActionSpec& spec, bool compensating,
                                    Deadline deadline) {
    if (!spec.mutating || execution.dry_run) co_return Result<>{};
    GateInput in;
    in.now = clock_.now();
    in.policy = policy_;
    const auto cluster = fleet_.cluster(where);
    if (!cluster) co_return fail(ErrorCode::not_found, "cluster " + where.str() + " is not registered");
    in.cluster = *cluster;
    in.incident.cluster = where;
    in.plan = execution.plan;
    in.actions = {&spec};
    KN_CO_TRY(in.pauses, co_await stores_.registry.pauses(deadline));
    const auto refuse = [&](const GateVerdict& verdict) {
        metrics_
            .counter("kubernaut_guard_verdicts_total", "answers of the guardrails",
                     {{"cluster", where.str()}, {"gate", verdict.gate}, {"verdict", "deny"}, {"reason", verdict.reason}})
            .add();
        Error error{.code = ErrorCode::failed_precondition, .message = verdict.text, .reason = verdict.reason};
        if (verdict.answer == GateAnswer::hold) error.retry_after = std::max(Duration{1000}, verdict.until - in.now);
        return fail(std::move(error));
    };
    if (const auto verdict = gate_pause(in); verdict.answer != GateAnswer::allow) co_return refuse(verdict);
    if (cluster->mode < Mode::approve && !compensating) {
        co_return refuse({.gate = "protected", .answer = GateAnswer::deny, .reason = "mode", .text = "the cluster's mode no longer allows changes"});
    }
    if (!compensating) {
        if (const auto until = breaker_open_until(where, spec.name)) {
            co_return refuse({.gate = "breaker",
                              .answer = GateAnswer::hold,
                              .reason = "breaker_open",
                              .text = spec.name + " failed too often lately",
                              .until = *until});
        }
    }
    auto fence = co_await fleet_.check_fence(where, deadline);
    if (!fence) metrics_.counter("kubernaut_fence_rejections_total", "writes stopped by the fence", {{"cluster", where.str()}}).add();
    co_return fence;
}

void Keeper::after_write(const Execution& execution, const ports::ActionSpec& spec, bool ok) {
    auto& failures = failures_[execution.cluster.str() + " " + spec.name];
    if (ok) {
        failures.clear();
        return;
    }
    failures.push_back(clock_.now());
    while (!failures.empty() && failures.front() < clock_.now() - policy_.breaker_window) failures.pop_front();
}

std::optional<Instant> Keeper::breaker_open_until(const ClusterId& cluster, const std::string& action) const {
    const auto found = failures_.find(cluster.str() + " " + action);
    if (found == failures_.end() || static_cast<int>(found->second.size()) < policy_.breaker_failures) return std::nullopt;
    const Instant until = found->second.back() + policy_.breaker_half_open;
    return until > clock_.now() ? std::optional(until) : std::nullopt;
}

}  // namespace kn::guard
