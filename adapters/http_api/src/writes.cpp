#include <algorithm>

#include "impl.hpp"
#include "kubernaut/actions/registry.hpp"
#include "kubernaut/domain/codec.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/ports/execution_store.hpp"
#include "kubernaut/ports/incident_store.hpp"

namespace kn::http_api {
namespace {

std::string text_of(const json::Value& body, std::string_view name) { return std::string(json::string_at(body, name)); }

AuditRecord audit_of(const Call& call, ClusterId cluster, Instant now, std::string verb, std::string object, std::string reason) {
    return {.cluster = std::move(cluster),
            .at = now,
            .actor = call.person.name(),
            .verb = std::move(verb),
            .object = std::move(object),
            .reason = std::move(reason)};
}

}  // namespace

Task<Result<json::Value>> Api::Impl::run_workflow(Call& call) {
    KN_CO_TRY(const auto body, body_of(call));
    const std::string workflow_id = text_of(body, "workflow");
    std::shared_ptr<const WorkflowDefinition> workflow;
    for (const auto& each : d.workflows()) {
        if (each->id == workflow_id) workflow = each;
    }
    if (workflow == nullptr) co_return fail(ErrorCode::invalid_argument, "there is no workflow \"" + workflow_id.substr(0, 128) + "\"", "workflow");
    auto target = ObjectKey::parse(text_of(body, "target"));
    if (!target) co_return fail(ErrorCode::invalid_argument, target.error().message, "target");
    const auto cluster = d.fleet.cluster(target->cluster);
    if (!cluster || !call.person.may("cluster.view", target->cluster.str(), "", true))
        co_return fail(ErrorCode::invalid_argument, "there is no cluster " + target->cluster.str(), "target");
    const auto limit = call.person.may_run(target->cluster.str(), target->ns, cluster->environment);
    if (!limit || *limit < workflow->risk) {
        co_return fail(ErrorCode::permission_denied,
                       call.person.name() + " may not start workflows of risk " + std::string(to_string(workflow->risk)) + " there");
    }
    if (!workflow->target_kinds.empty() &&
        std::find(workflow->target_kinds.begin(), workflow->target_kinds.end(), target->kind) == workflow->target_kinds.end()) {
        co_return fail(ErrorCode::invalid_argument, workflow->id + " does not act on a " + target->kind, "target");
    }
    KN_CO_TRY(auto params, actions::validate_params(workflow->params, json::object_at(body, "params")));

    const auto client = d.fleet.client(target->cluster);
    const auto* resource = kube::find_resource(target->kind_group());
    if (client == nullptr || resource == nullptr)
        co_return fail(ErrorCode::invalid_argument, "kind " + target->kind_group() + " is not known", "target");
    auto object = co_await client->get(*resource, target->ns, target->name, call.deadline);
    if (!object) co_return fail(object.error().with_context("reading " + target->str()));

    const Instant now = d.loop.clock().now();
    Plan plan;
    plan.id = PlanId(make_id("pln_", now, d.random));
    plan.workflow = workflow->id;
    plan.version = workflow->version;
    plan.fault_class = "manual";
    plan.target = ObjectRef{.key = *target,
                            .uid = std::string(kube::uid_of(*object)),
                            .resource_version = std::string(kube::resource_version_of(*object)),
                            .observed_at = now};
    plan.params = std::move(params);
    plan.risk = workflow->risk;
    plan.p = 1;
    plan.reasons = {"asked for by " + call.person.name() + (text_of(body, "reason").empty() ? "" : ": " + text_of(body, "reason"))};
    plan.hash = plan_hash(plan);

    Incident incident;  // not stored: it only tells the gates where the plan would act
    incident.cluster = target->cluster;
    incident.environment = cluster->environment;
    incident.target = plan.target;
    incident.updated_at = now;
    KN_CO_TRY(const auto report, co_await d.gatekeeper.before_start(incident, plan, *workflow, true, call.deadline));
    if (report.decision.answer != ports::GateAnswer::allow) {
        co_return fail(Error{.code = ErrorCode::failed_precondition,
                             .message = "guardrail \"" + report.decision.gate + "\": " + report.decision.text,
                             .reason = report.decision.reason});
    }
    ports::StartRequest start;
    start.execution.id = ExecutionId(make_id("exe_", now, d.random));
    start.execution.cluster = target->cluster;
    start.execution.plan = plan;
    start.execution.definition = workflow->source;
    start.execution.context = json::Object{{"target", to_json(plan.target)}, {"params", plan.params}, {"env", to_string(cluster->environment)}};
    start.execution.state = ExecutionState::queued;
    start.execution.dry_run = report.dry_run || json::bool_at(body, "dry_run").value_or(false);
    start.execution.requested_by = call.person.name();
    start.execution.created_at = start.execution.updated_at = now;
    if (!start.execution.dry_run) {
        start.locks = report.locks;
        start.locks_until = now + 30s;
        start.cooldowns = report.cooldowns;
        start.budgets = report.budgets;
    }
    start.audit.push_back(audit_of(call, target->cluster, now, start.execution.dry_run ? "dry_run" : "start", target->str(), workflow->id));
    const json::Value answer = to_json(start.execution);
    KN_CO_CHECK(co_await d.stores.executions.start(std::move(start), call.deadline));
    d.wakeups.executions.notify();
    co_return answer;
}

Task<Result<json::Value>> Api::Impl::cancel_execution(Call& call) {
    KN_CO_TRY(const auto found, co_await d.stores.executions.get(ExecutionId(call.path["id"]), call.deadline));
    const Execution& execution = found.execution;
    const std::string& ns = execution.plan.target.key.ns;
    KN_CO_CHECK(must_see(call, "execution.view", execution.cluster, ns, "execution"));
    if (!call.person.may("execution.cancel", execution.cluster.str(), ns))
        co_return fail(ErrorCode::permission_denied, call.person.name() + " may not cancel there");
    const Instant now = d.loop.clock().now();
    KN_CO_CHECK(co_await d.stores.executions.request_cancel(execution.id, call.person.name(), now, call.deadline));
    KN_CO_CHECK(co_await d.stores.registry.append_audit({audit_of(call, execution.cluster, now, "cancel", execution.id.str(), "")}, call.deadline));
    d.wakeups.executions.notify();
    co_return json::Value(json::Object{{"id", execution.id.str()}, {"cancel_requested", true}});
}

Task<Result<json::Value>> Api::Impl::grant(Call& call) { return vote(call, true); }
Task<Result<json::Value>> Api::Impl::reject(Call& call) { return vote(call, false); }

Task<Result<json::Value>> Api::Impl::vote(Call& call, bool granted) {
    KN_CO_TRY(const auto body, body_of(call));
    KN_CO_TRY(const Approval approval, co_await d.stores.incidents.approval(ApprovalId(call.path["id"]), call.deadline));
    KN_CO_CHECK(must_see(call, "incident.view", approval.cluster, approval.target.ns, "approval"));
    const auto limit = call.person.may_approve(approval.cluster.str(), approval.target.ns);
    if (!limit || *limit < approval.risk) {
        co_return fail(ErrorCode::permission_denied,
                       call.person.name() + " may not approve risk " + std::string(to_string(approval.risk)) + " there");
    }
    const Instant now = d.loop.clock().now();
    if (approval.state == ApprovalState::pending && approval.expires_at <= now)
        co_return fail(ErrorCode::failed_precondition, "the approval has expired");
    Approval::Vote vote{.by = call.person.name(), .granted = granted, .comment = text_of(body, "comment").substr(0, 1024), .at = now};
    KN_CO_TRY(const Approval settled, co_await d.stores.incidents.vote(approval.id, std::move(vote), call.deadline));
    KN_CO_CHECK(co_await d.stores.registry.append_audit(
        {audit_of(call, approval.cluster, now, granted ? "approve" : "reject", approval.id.str(), approval.workflow)}, call.deadline));
    // The driver looks at the incident at once, not at its next turn.
    if (auto incident = co_await d.stores.incidents.get(approval.cluster, approval.incident, call.deadline)) {
        incident->next_look_at = now;
        ports::IncidentCommit commit;
        commit.incidents.push_back(*std::move(incident));
        (void)co_await d.stores.incidents.commit(std::move(commit),
                                                 call.deadline);  // another writer has just moved it: then it is being looked at anyway
    }
    d.wakeups.incidents.notify();
    d.feed.publish("approval", to_json(settled));
    co_return to_json(settled);
}

Task<Result<json::Value>> Api::Impl::set_pause(Call& call) {
    KN_CO_TRY(const auto body, body_of(call));
    const std::string scope = text_of(body, "scope");
    Pause pause{.cluster = ClusterId(text_of(body, "cluster")),
                .ns = text_of(body, "namespace"),
                .by = call.person.name(),
                .reason = text_of(body, "reason").substr(0, 1024),
                .since = d.loop.clock().now()};
    if (scope == "fleet")
        pause.cluster = ClusterId("_fleet"), pause.ns.clear();
    else if (scope == "cluster")
        pause.ns.clear();
    else if (scope != "namespace" || pause.ns.empty())
        co_return fail(ErrorCode::invalid_argument, "fleet, cluster or namespace (with its name) expected", "scope");
    if (scope != "fleet" && !d.fleet.cluster(pause.cluster))
        co_return fail(ErrorCode::invalid_argument, "there is no cluster \"" + pause.cluster.str().substr(0, 64) + "\"", "cluster");
    const bool may = scope == "fleet" ? call.person.may("pause.fleet", "", "") : call.person.may("pause.set", pause.cluster.str(), pause.ns);
    if (!may) co_return fail(ErrorCode::permission_denied, call.person.name() + " may not pause there");
    if (const std::string length = text_of(body, "for"); !length.empty()) {
        const auto duration = parse_duration(length);
        if (!duration) co_return fail(ErrorCode::invalid_argument, duration.error().message, "for");
        pause.until = pause.since + *duration;
    }
    auto audit = audit_of(call, pause.cluster, pause.since, "pause", pause.ns.empty() ? pause.cluster.str() : pause.cluster.str() + "/" + pause.ns,
                          pause.reason);
    KN_CO_CHECK(co_await d.stores.registry.set_pause(pause, std::move(audit), call.deadline));
    d.feed.publish("pause", to_json(pause));
    co_return to_json(pause);
}

Task<Result<json::Value>> Api::Impl::clear_pause(Call& call) {
    const std::string scope = call.param("scope");
    ClusterId cluster(call.param("cluster"));
    std::string ns = call.param("namespace");
    if (scope == "fleet")
        cluster = ClusterId("_fleet"), ns.clear();
    else if (scope == "cluster")
        ns.clear();
    else if (scope != "namespace" || ns.empty())
        co_return fail(ErrorCode::invalid_argument, "fleet, cluster or namespace (with its name) expected", "scope");
    const bool may = scope == "fleet" ? call.person.may("pause.fleet", "", "") : call.person.may("pause.set", cluster.str(), ns);
    if (!may) co_return fail(ErrorCode::permission_denied, call.person.name() + " may not resume there");
    const Instant now = d.loop.clock().now();
    auto audit = audit_of(call, cluster, now, "resume", ns.empty() ? cluster.str() : cluster.str() + "/" + ns, "");
    KN_CO_CHECK(co_await d.stores.registry.clear_pause(cluster, ns, std::move(audit), call.deadline));
    d.wakeups.incidents.notify();
    co_return json::Value(json::Object{{"scope", scope}, {"cluster", cluster.str()}, {"namespace", ns}, {"paused", false}});
}

Task<Result<json::Value>> Api::Impl::replay_dead_letter(Call& call) {
    KN_CO_TRY(const auto letter, co_await d.stores.registry.dead_letter(call.path["id"], call.deadline));
    KN_CO_CHECK(must_see(call, "execution.view", letter.cluster, "", "dead letter"));
    if (!call.person.may("dead_letter.manage", letter.cluster.str(), "", true))
        co_return fail(ErrorCode::permission_denied, call.person.name() + " may not replay dead letters");
    const Instant now = d.loop.clock().now();
    KN_CO_CHECK(co_await d.stores.registry.replay_dead_letter(
        letter.id, audit_of(call, letter.cluster, now, "dead_letter.replay", letter.id, letter.reason), now, call.deadline));
    d.wakeups.executions.notify();
    co_return json::Value(json::Object{{"id", letter.id}, {"kind", letter.kind}, {"replayed", true}});
}

Task<Result<json::Value>> Api::Impl::purge_dead_letter(Call& call) {
    KN_CO_TRY(const auto letter, co_await d.stores.registry.dead_letter(call.path["id"], call.deadline));
    KN_CO_CHECK(must_see(call, "execution.view", letter.cluster, "", "dead letter"));
    if (!call.person.may("dead_letter.manage", letter.cluster.str(), "", true))
        co_return fail(ErrorCode::permission_denied, call.person.name() + " may not purge dead letters");
    const Instant now = d.loop.clock().now();
    KN_CO_CHECK(co_await d.stores.registry.purge_dead_letter(
        letter.id, audit_of(call, letter.cluster, now, "dead_letter.purge", letter.id, letter.reason), call.deadline));
    co_return json::Value(json::Object{{"id", letter.id}, {"purged", true}});
}

}  // namespace kn::http_api
