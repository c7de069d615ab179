#include <algorithm>

#include "impl.hpp"
#include "kubernaut/domain/codec.hpp"
#include "kubernaut/ports/execution_store.hpp"
#include "kubernaut/ports/incident_store.hpp"
#include "kubernaut/ports/learning_store.hpp"
#include "kubernaut/ports/signal_store.hpp"

namespace kn::http_api {
namespace {

template <class E> Result<std::vector<E>> states_of(const Call& call) {
    std::vector<E> states;
    std::string_view rest = call.request.param("state");
    while (!rest.empty()) {
        const auto comma = rest.find(',');
        const auto word = rest.substr(0, comma);
        const auto state = parse_enum<E>(word);
        if (!state) return fail(ErrorCode::invalid_argument, "unknown state \"" + std::string(word.substr(0, 64)) + "\"", "state");
        states.push_back(*state);
        if (comma == std::string_view::npos) break;
        rest.remove_prefix(comma + 1);
    }
    return states;
}

Result<std::optional<Instant>> time_of(const Call& call, const char* name) {
    const std::string text = call.param(name);
    if (text.empty()) return std::nullopt;
    auto time = parse_rfc3339(text);
    if (!time) return fail(ErrorCode::invalid_argument, time.error().message, name);
    return *time;
}

/// A list item without its bulk: the story and the evidence are in the single view.
json::Value brief(const Incident& incident) {
    json::Value value = to_json(incident);
    auto& object = value.get_object();
    object.erase("story");
    object.erase("diagnosis");
    if (!incident.story.empty()) object["last"] = boost::json::string_view(incident.story.back().text);
    return value;
}

json::Value brief(const Execution& execution) {
    json::Value value = to_json(execution);
    value.get_object().erase("definition");
    value.get_object().erase("context");
    return value;
}

json::Value letter_json(const ports::DeadLetter& letter) {
    return json::Object{{"id", letter.id},       {"cluster", letter.cluster.str()}, {"kind", letter.kind},
                        {"title", letter.title}, {"reason", letter.reason},         {"at", format_rfc3339(letter.at)}};
}

json::Value items_of(json::Array items, std::string next) {
    json::Object body{{"items", std::move(items)}};
    if (!next.empty()) body["next"] = next;
    return body;
}

json::Value spec_json(const ports::ActionSpec& spec) {
    json::Array params, permissions, kinds;
    for (const auto& param : spec.params) {
        json::Object one{{"name", param.name}, {"type", param.type}};
        if (param.min) one["min"] = *param.min;
        if (param.max) one["max"] = *param.max;
        if (!param.fallback.is_null()) one["default"] = param.fallback;
        one["required"] = param.fallback.is_null() && !param.optional;
        params.push_back(std::move(one));
    }
    for (const auto& p : spec.permissions)
        permissions.push_back(boost::json::string(p.verb + " " + p.resource + (p.subresource.empty() ? "" : "/" + p.subresource)));
    for (const auto& kind : spec.target_kinds) kinds.push_back(boost::json::string(kind));
    return json::Object{{"name", spec.name},
                        {"description", spec.description},
                        {"risk", to_string(spec.risk)},
                        {"mutating", spec.mutating},
                        {"reversible", spec.reversible},
                        {"timeout", format_duration(spec.timeout)},
                        {"target_kinds", std::move(kinds)},
                        {"params", std::move(params)},
                        {"permissions", std::move(permissions)}};
}

json::Value workflow_json(const WorkflowDefinition& workflow, bool whole) {
    json::Array classes, kinds, steps;
    for (const auto& each : workflow.fault_classes) classes.push_back(boost::json::string(each));
    for (const auto& each : workflow.target_kinds) kinds.push_back(boost::json::string(each));
    for (const auto& step : workflow.steps) steps.push_back(boost::json::string(step.action.empty() ? step.kind : step.action));
    json::Object out{{"id", workflow.id},
                     {"version", workflow.version},
                     {"description", workflow.description},
                     {"risk", to_string(workflow.risk)},
                     {"fault_classes", std::move(classes)},
                     {"target_kinds", std::move(kinds)},
                     {"steps", std::move(steps)},
                     {"origin", workflow.origin}};
    if (whole) out["definition"] = workflow.source;
    return out;
}

}  // namespace

Task<Result<json::Value>> Api::Impl::list_incidents(Call& call) {
    KN_CO_TRY(const auto page, page_of(call));
    ports::IncidentFilter filter{.cluster = call.param("cluster"),
                                 .ns = call.param("namespace"),
                                 .fault_class = call.param("class"),
                                 .target = call.param("target"),
                                 .open_only = call.param("open") == "true"};
    KN_CO_TRY(filter.states, states_of<IncidentState>(call));
    KN_CO_TRY(const auto found, co_await d.stores.incidents.list(std::move(filter), page, call.deadline));
    json::Array items;
    for (const Incident& incident : found.items) {
        if (call.person.may("incident.view", incident.cluster.str(), incident.target.key.ns)) items.push_back(brief(incident));
    }
    co_return items_of(std::move(items), found.next);
}

Task<Result<json::Value>> Api::Impl::get_incident(Call& call) {
    KN_CO_TRY(const Incident incident, co_await d.stores.incidents.find(IncidentId(call.path["id"]), call.deadline));
    KN_CO_CHECK(must_see(call, "incident.view", incident.cluster, incident.target.key.ns, "incident"));
    json::Value body = to_json(incident);
    json::Array signals, executions, approvals, assessments;
    KN_CO_TRY(const auto found_signals, co_await d.stores.signals.of_incident(incident.cluster, incident.id, 100, call.deadline));
    for (const auto& signal : found_signals) signals.push_back(to_json(signal));
    ports::ExecutionFilter filter{.cluster = incident.cluster.str(), .incident = incident.id.str()};
    KN_CO_TRY(const auto found_executions, co_await d.stores.executions.list(filter, {.limit = 50}, call.deadline));
    for (const auto& execution : found_executions.items) {
        executions.push_back(brief(execution));
        ports::AssessmentFilter of{.execution = execution.id.str()};
        KN_CO_TRY(const auto judged, co_await d.stores.learning.assessments(of, {.limit = 10}, call.deadline));
        for (const auto& assessment : judged.items) assessments.push_back(to_json(assessment));
    }
    KN_CO_TRY(const auto asked, co_await d.stores.incidents.approvals(incident.cluster.str(), std::nullopt, call.deadline));
    for (const auto& approval : asked) {
        if (approval.incident == incident.id) approvals.push_back(to_json(approval));
    }
    auto& object = body.get_object();
    object["signals"] = std::move(signals);
    object["executions"] = std::move(executions);
    object["approvals"] = std::move(approvals);
    object["assessments"] = std::move(assessments);
    co_return body;
}

Task<Result<json::Value>> Api::Impl::list_executions(Call& call) {
    KN_CO_TRY(const auto page, page_of(call));
    ports::ExecutionFilter filter{
        .cluster = call.param("cluster"), .incident = call.param("incident"), .workflow = call.param("workflow"), .target = call.param("target")};
    KN_CO_TRY(filter.states, states_of<ExecutionState>(call));
    KN_CO_TRY(const auto found, co_await d.stores.executions.list(std::move(filter), page, call.deadline));
    const std::string ns = call.param("namespace");
    json::Array items;
    for (const Execution& execution : found.items) {
        if (!ns.empty() && execution.plan.target.key.ns != ns) continue;
        if (call.person.may("execution.view", execution.cluster.str(), execution.plan.target.key.ns)) items.push_back(brief(execution));
    }
    co_return items_of(std::move(items), found.next);
}

Task<Result<json::Value>> Api::Impl::get_execution(Call& call) {
    KN_CO_TRY(const auto found, co_await d.stores.executions.get(ExecutionId(call.path["id"]), call.deadline));
    KN_CO_CHECK(must_see(call, "execution.view", found.execution.cluster, found.execution.plan.target.key.ns, "execution"));
    json::Value body = to_json(found.execution);
    json::Array steps;
    for (const Step& step : found.steps) steps.push_back(to_json(step));
    body.get_object()["steps"] = std::move(steps);
    KN_CO_TRY(const auto judged, co_await d.stores.learning.assessments({.execution = found.execution.id.str()}, {.limit = 10}, call.deadline));
    json::Array assessments;
    for (const auto& assessment : judged.items) assessments.push_back(to_json(assessment));
    body.get_object()["assessments"] = std::move(assessments);
    co_return body;
}

Task<Result<json::Value>> Api::Impl::list_clusters(Call& call) {
    json::Array items;
    for (const auto& cluster : d.fleet.clusters()) {
        if (call.person.may("cluster.view", cluster.id.str(), "", true)) items.push_back(to_json(cluster));
    }
    co_return items_of(std::move(items), "");
}

Task<Result<json::Value>> Api::Impl::get_cluster(Call& call) {
    const ClusterId id(call.path["id"]);
    const auto cluster = d.fleet.cluster(id);
    if (!cluster || !call.person.may("cluster.view", id.str(), "", true)) co_return fail(ErrorCode::not_found, "no such cluster");
    json::Value body = to_json(*cluster);
    KN_CO_TRY(const auto locks, co_await d.stores.executions.locks(id, call.deadline));
    json::Array held;
    for (const auto& [object, execution] : locks) held.push_back(json::Object{{"object", object}, {"execution", execution.str()}});
    body.get_object()["locks"] = std::move(held);
    json::Object watched;
    for (const auto& resource : kube::known_resources()) {
        if (const auto cache = d.fleet.cache(id, resource)) {
            watched[resource.plural_group()] =
                json::Object{{"objects", cache->size()}, {"synced", cache->synced()}, {"last_heard", format_rfc3339(cache->last_heard())}};
        }
    }
    body.get_object()["watches"] = std::move(watched);
    co_return body;
}

Task<Result<json::Value>> Api::Impl::list_workflows(Call&) {
    json::Array items;
    for (const auto& workflow : d.workflows()) items.push_back(workflow_json(*workflow, false));
    co_return items_of(std::move(items), "");
}

Task<Result<json::Value>> Api::Impl::get_workflow(Call& call) {
    for (const auto& workflow : d.workflows()) {
        if (workflow->id == call.path["id"]) co_return workflow_json(*workflow, true);
    }
    co_return fail(ErrorCode::not_found, "no such workflow");
}

Task<Result<json::Value>> Api::Impl::list_actions(Call&) {
    json::Array items;
    for (const auto* action : d.actions.all()) items.push_back(spec_json(action->spec()));
    co_return items_of(std::move(items), "");
}

Task<Result<json::Value>> Api::Impl::list_history(Call& call) {
    KN_CO_TRY(const auto page, page_of(call));
    ports::ActionFilter filter{.cluster = call.param("cluster"),
                               .target = call.param("target"),
                               .action = call.param("action"),
                               .workflow = call.param("workflow"),
                               .fault_class = call.param("class"),
                               .actor = call.param("actor")};
    filter.correlation = call.param("correlation");
    KN_CO_TRY(filter.since, time_of(call, "since"));
    KN_CO_TRY(filter.until, time_of(call, "until"));
    KN_CO_TRY(const auto found, co_await d.stores.executions.actions(std::move(filter), page, call.deadline));
    const std::string ns = call.param("namespace");
    json::Array items;
    for (const auto& record : found.items) {
        if (!ns.empty() && record.target.key.ns != ns) continue;
        if (call.person.may("history.view", record.cluster.str(), record.target.key.ns)) items.push_back(to_json(record));
    }
    co_return items_of(std::move(items), found.next);
}

Task<Result<json::Value>> Api::Impl::list_assessments(Call& call) {
    KN_CO_TRY(const auto page, page_of(call));
    ports::AssessmentFilter filter{.cluster = call.param("cluster"),
                                   .workflow = call.param("workflow"),
                                   .fault_class = call.param("class"),
                                   .execution = call.param("execution"),
                                   .done_only = call.param("done") == "true"};
    KN_CO_TRY(const auto found, co_await d.stores.learning.assessments(std::move(filter), page, call.deadline));
    json::Array items;
    for (const auto& assessment : found.items) {
        if (call.person.may("history.view", assessment.cluster.str(), assessment.target.ns)) items.push_back(to_json(assessment));
    }
    co_return items_of(std::move(items), found.next);
}

Task<Result<json::Value>> Api::Impl::list_posteriors(Call& call) {
    KN_CO_TRY(const auto found, co_await d.stores.learning.posteriors(call.param("class"), call.deadline));
    json::Array items;
    for (const auto& posterior : found) {
        const bool shared = posterior.scope.str().starts_with("_");
        if (shared || call.person.may("history.view", posterior.scope.str(), "", true)) items.push_back(to_json(posterior));
    }
    co_return items_of(std::move(items), "");
}

Task<Result<json::Value>> Api::Impl::list_approvals(Call& call) {
    std::optional<ApprovalState> state;
    if (const std::string word = call.param("state"); !word.empty()) {
        state = parse_enum<ApprovalState>(word);
        if (!state) co_return fail(ErrorCode::invalid_argument, "pending, granted, rejected or expired expected", "state");
    }
    KN_CO_TRY(const auto found, co_await d.stores.incidents.approvals(call.param("cluster"), state, call.deadline));
    json::Array items;
    for (const auto& approval : found) {
        if (call.person.may("incident.view", approval.cluster.str(), approval.target.ns)) items.push_back(to_json(approval));
    }
    co_return items_of(std::move(items), "");
}

Task<Result<json::Value>> Api::Impl::list_pauses(Call& call) {
    KN_CO_TRY(const auto found, co_await d.stores.registry.pauses(call.deadline));
    json::Array items;
    for (const auto& pause : found) {
        const bool everybody = pause.cluster.str() == "_fleet";
        if (everybody || call.person.may("cluster.view", pause.cluster.str(), pause.ns, pause.ns.empty())) items.push_back(to_json(pause));
    }
    co_return items_of(std::move(items), "");
}

Task<Result<json::Value>> Api::Impl::list_signals(Call& call) {
    KN_CO_TRY(const auto page, page_of(call));
    if (const std::string word = call.param("state"); !word.empty() && !parse_enum<SignalState>(word)) {
        co_return fail(ErrorCode::invalid_argument, "pending, correlated, ignored or quarantined expected", "state");
    }
    KN_CO_TRY(const auto found, co_await d.stores.signals.recent(call.param("cluster"), call.param("state"), page.limit, call.deadline));
    json::Array items;
    for (const auto& signal : found) {
        const std::string ns = signal.object ? signal.object->ns : "";
        if (call.person.may("incident.view", signal.cluster.str() == "unknown" ? "" : signal.cluster.str(), ns, ns.empty()))
            items.push_back(to_json(signal));
    }
    co_return items_of(std::move(items), "");
}

Task<Result<json::Value>> Api::Impl::list_audit(Call& call) {
    KN_CO_TRY(const auto page, page_of(call));
    ports::AuditFilter filter{.cluster = call.param("cluster"),
                              .actor = call.param("actor"),
                              .object = call.param("object"),
                              .verb = call.param("verb"),
                              .correlation = call.param("correlation")};
    KN_CO_TRY(filter.since, time_of(call, "since"));
    KN_CO_TRY(filter.until, time_of(call, "until"));
    KN_CO_TRY(const auto found, co_await d.stores.registry.audit(std::move(filter), page, call.deadline));
    json::Array items;
    for (const auto& record : found.items) {
        if (call.person.may("audit.view", record.cluster.str(), "", true)) items.push_back(to_json(record));
    }
    co_return items_of(std::move(items), found.next);
}

Task<Result<json::Value>> Api::Impl::verify_audit(Call& call) {
    KN_CO_TRY(const auto check, co_await d.stores.registry.verify_audit(call.param("cluster"), d.loop.clock().deadline_in(60s)));
    co_return json::Value(json::Object{{"records", check.records}, {"intact", check.intact}, {"first_break", check.first_break}});
}

Task<Result<json::Value>> Api::Impl::list_dead_letters(Call& call) {
    KN_CO_TRY(const auto page, page_of(call));
    KN_CO_TRY(const auto found,
              co_await d.stores.registry.dead_letters({.cluster = call.param("cluster"), .kind = call.param("kind")}, page, call.deadline));
    json::Array items;
    for (const auto& letter : found.items) {
        if (call.person.may("execution.view", letter.cluster.str(), "", true)) items.push_back(letter_json(letter));
    }
    co_return items_of(std::move(items), found.next);
}

Task<Result<json::Value>> Api::Impl::get_dead_letter(Call& call) {
    KN_CO_TRY(const auto letter, co_await d.stores.registry.dead_letter(call.path["id"], call.deadline));
    // The document is everything that was stored: only for those who may see the whole cluster.
    KN_CO_CHECK(must_see(call, "execution.view", letter.cluster, "", "dead letter"));
    json::Value body = letter_json(letter);
    body.get_object()["details"] = letter.details;
    co_return body;
}

Task<Result<json::Value>> Api::Impl::health(Call& call) {
    json::Array components;
    const auto add = [&](std::string name, std::string state, std::string detail) {
        components.push_back(json::Object{{"component", name}, {"state", state}, {"detail", detail}});
    };
    const auto store = co_await d.stores.registry.ready(call.deadline);
    add("store", store ? "ok" : "down", store ? "" : store.error().message);
    const auto level = co_await d.stores.signals.level(call.deadline);
    if (level)
        add("inbox", level->pending > 10'000 ? "degraded" : "ok", std::to_string(level->pending) + " waiting");
    else
        add("inbox", "unknown", level.error().message);
    for (const auto& cluster : d.fleet.clusters()) {
        if (!call.person.may("cluster.view", cluster.id.str(), "", true)) continue;
        const char* state = cluster.verdict == ClusterVerdict::healthy   ? "ok"
                            : cluster.verdict == ClusterVerdict::unknown ? "unknown"
                            : cluster.verdict == ClusterVerdict::suspect ? "degraded"
                                                                         : "down";
        add("cluster/" + cluster.id.str(), state, cluster.verdict_reason);
    }
    co_return json::Value(json::Object{{"components", std::move(components)}, {"version", d.version}});
}

Task<Result<json::Value>> Api::Impl::whoami(Call& call) { co_return json::Value(json::Object{{"name", call.person.name()}, {"version", d.version}}); }

}  // namespace kn::http_api
