#include "impl.hpp"

namespace kn::http_api {

const std::vector<Api::Impl::Route>& Api::Impl::table() {
    static const Param limit{"limit", "items a page, 1 to 500 (50)"}, cursor{"cursor", "from `next` of the page before"};
    static const Param cluster{"cluster", "cluster id"}, ns{"namespace", "namespace"};
    static const std::vector<Route> routes{
        {"GET",
         "/api/v1/incidents",
         "incident.view",
         "Incidents, newest first",
         {cluster,
          ns,
          {"class", "fault class"},
          {"target", "object key"},
          {"state", "states, separated by commas"},
          {"open", "true: only those not ended"},
          limit,
          cursor},
         &Impl::list_incidents},
        {"GET", "/api/v1/incidents/{id}", "", "One incident with its story, signals, executions, approvals and assessments", {}, &Impl::get_incident},
        {"GET",
         "/api/v1/executions",
         "execution.view",
         "Executions, newest first",
         {cluster,
          ns,
          {"incident", "incident id"},
          {"workflow", "workflow id"},
          {"target", "object key"},
          {"state", "states, separated by commas"},
          limit,
          cursor},
         &Impl::list_executions},
        {"POST", "/api/v1/executions", "", "Run a workflow by hand", {}, &Impl::run_workflow, "{workflow, target, params, dry_run, reason}"},
        {"GET", "/api/v1/executions/{id}", "", "One execution with its steps", {}, &Impl::get_execution},
        {"POST", "/api/v1/executions/{id}/cancel", "", "Cancel after the call in flight", {}, &Impl::cancel_execution},
        {"GET", "/api/v1/clusters", "cluster.view", "Clusters with their verdict", {}, &Impl::list_clusters},
        {"GET", "/api/v1/clusters/{id}", "", "One cluster", {}, &Impl::get_cluster},
        {"GET", "/api/v1/workflows", "execution.view", "The catalogue of workflows", {}, &Impl::list_workflows},
        {"GET", "/api/v1/workflows/{id}", "execution.view", "One workflow", {}, &Impl::get_workflow},
        {"GET", "/api/v1/actions", "execution.view", "The registry of actions", {}, &Impl::list_actions},
        {"GET",
         "/api/v1/history",
         "history.view",
         "What was done, newest first",
         {cluster,
          ns,
          {"target", "object key"},
          {"action", "action name"},
          {"workflow", "workflow id"},
          {"class", "fault class"},
          {"actor", "who"},
          {"since", "RFC 3339 time"},
          {"until", "RFC 3339 time, not included"},
          {"correlation", "an incident, execution or action id"},
          limit,
          cursor},
         &Impl::list_history},
        {"GET",
         "/api/v1/assessments",
         "history.view",
         "Judgements of executions",
         {cluster,
          {"workflow", "workflow id"},
          {"class", "fault class"},
          {"execution", "execution id"},
          {"done", "true: only those made"},
          limit,
          cursor},
         &Impl::list_assessments},
        {"GET", "/api/v1/posteriors", "history.view", "What was learned", {{"class", "fault class"}}, &Impl::list_posteriors},
        {"GET",
         "/api/v1/patterns",
         "pattern.view",
         "Patterns in the history and in measurements, the most confident first",
         {{"cluster", "cluster id; _fleet for those over all clusters"},
          {"kind", "forecast, recurrence, family, trend, ..."},
          {"status", "new, confirmed, fading or retired, separated by commas; without it all but retired"},
          {"subject", "what it is about"},
          {"shadow", "true: those of analyzers in shadow instead"},
          limit,
          cursor},
         &Impl::list_patterns},
        {"GET", "/api/v1/patterns/{id}", "", "One pattern with its checks and early warnings", {}, &Impl::get_pattern},
        {"GET",
         "/api/v1/warnings",
         "pattern.view",
         "Early warnings and what became of them, newest first",
         {cluster,
          {"pattern", "pattern id"},
          {"incident", "incident id"},
          {"outcome", "open, came_true, averted, false_alarm or unknown, separated by commas"},
          limit,
          cursor},
         &Impl::list_warnings},
        {"GET", "/api/v1/analyzers", "pattern.view", "How the analyzers of patterns did in the last run", {}, &Impl::list_analyzers},
        {"GET",
         "/api/v1/approvals",
         "incident.view",
         "Approvals",
         {cluster, {"state", "pending, granted, rejected or expired"}},
         &Impl::list_approvals},
        {"POST", "/api/v1/approvals/{id}/grant", "", "Agree to a plan", {}, &Impl::grant, "{comment}"},
        {"POST", "/api/v1/approvals/{id}/reject", "", "Refuse a plan", {}, &Impl::reject, "{comment}"},
        {"GET", "/api/v1/pauses", "cluster.view", "Pauses in force", {}, &Impl::list_pauses},
        {"POST",
         "/api/v1/pauses",
         "",
         "Stop all changes in the fleet, a cluster or a namespace",
         {},
         &Impl::set_pause,
         "{scope: fleet | cluster | namespace, cluster, namespace, reason, for}"},
        {"DELETE", "/api/v1/pauses", "", "Go on", {{"scope", "fleet, cluster or namespace"}, cluster, ns}, &Impl::clear_pause},
        {"GET",
         "/api/v1/signals",
         "incident.view",
         "Alerts and events as they came, newest first",
         {cluster, {"state", "pending, correlated, ignored or quarantined"}, limit},
         &Impl::list_signals},
        {"GET",
         "/api/v1/audit",
         "audit.view",
         "The audit chain, newest first",
         {cluster,
          {"actor", "who"},
          {"object", "object key"},
          {"verb", "what"},
          {"correlation", "an incident or execution id"},
          {"since", "RFC 3339 time"},
          {"until", "RFC 3339 time, not included"},
          limit,
          cursor},
         &Impl::list_audit},
        {"GET", "/api/v1/audit/verify", "audit.verify", "Walk the hash chains", {cluster}, &Impl::verify_audit},
        {"GET",
         "/api/v1/dead-letters",
         "execution.view",
         "Executions and notifications that nobody can carry on, newest first",
         {cluster, {"kind", "execution or notification"}, limit, cursor},
         &Impl::list_dead_letters},
        {"GET", "/api/v1/dead-letters/{id}", "", "One dead letter with what was stored", {}, &Impl::get_dead_letter},
        {"POST", "/api/v1/dead-letters/{id}/replay", "", "Put the work back where it was taken out", {}, &Impl::replay_dead_letter},
        {"DELETE", "/api/v1/dead-letters/{id}", "", "Forget it; the history stays", {}, &Impl::purge_dead_letter},
        {"GET", "/api/v1/health", "cluster.view", "State of every component", {}, &Impl::health},
        {"GET", "/api/v1/whoami", "", "Name of the caller", {}, &Impl::whoami},
    };
    return routes;
}

json::Value Api::openapi() const {
    json::Object paths;
    const auto ref_error = json::Object{{"description", "an error: {error: {code, message, field}}"}};
    for (const auto& route : Impl::table()) {
        json::Array params;
        const std::string_view pattern = route.pattern;
        if (const auto open = pattern.find('{'); open != std::string_view::npos) {
            params.push_back(json::Object{{"name", pattern.substr(open + 1, pattern.find('}') - open - 1)},
                                          {"in", "path"},
                                          {"required", true},
                                          {"schema", json::Object{{"type", "string"}}}});
        }
        for (const Param& param : route.params) {
            params.push_back(
                json::Object{{"name", param.name}, {"in", "query"}, {"description", param.help}, {"schema", json::Object{{"type", "string"}}}});
        }
        json::Object operation{{"summary", route.summary},
                               {"parameters", std::move(params)},
                               {"responses", json::Object{{"200", json::Object{{"description", "the answer as JSON"}}},
                                                          {"400", ref_error},
                                                          {"401", ref_error},
                                                          {"403", ref_error},
                                                          {"404", ref_error}}}};
        if (*route.permission != '\0') operation["x-permission"] = route.permission;
        if (*route.body != '\0') {
            operation["requestBody"] =
                json::Object{{"description", route.body},
                             {"content", json::Object{{"application/json", json::Object{{"schema", json::Object{{"type", "object"}}}}}}}};
        }
        std::string method(route.method);
        for (char& c : method) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        auto& path = paths[route.pattern];
        if (!path.is_object()) path.emplace_object();
        path.get_object()[method] = std::move(operation);
    }
    const auto plain = [&](const char* path, const char* method, const char* summary) {
        auto& entry = paths[path];
        if (!entry.is_object()) entry.emplace_object();
        entry.get_object()[method] = json::Object{{"summary", summary}, {"responses", json::Object{{"200", json::Object{{"description", "ok"}}}}}};
    };
    plain("/api/v1/alerts", "post", "Alertmanager webhook, version 4; 200 only when everything is durable");
    plain("/api/v1/alerts/{cluster}", "post", "The same for one cluster");
    plain("/api/v1/events", "post", "Kubernetes Events");
    plain("/api/v1/stream", "get", "Live changes as server-sent events");
    plain("/livez", "get", "The process answers");
    plain("/readyz", "get", "The store is writable and the process is not draining");
    plain("/metrics", "get", "Prometheus text");
    return json::Object{
        {"openapi", "3.1.0"},
        {"info", json::Object{{"title", "Kubernaut"}, {"version", impl_->d.version}}},
        {"components", json::Object{{"securitySchemes", json::Object{{"bearer", json::Object{{"type", "http"}, {"scheme", "bearer"}}}}}}},
        {"security", json::Array{json::Object{{"bearer", json::Array{}}}}},
        {"paths", std::move(paths)}};
}

std::vector<std::string> Api::routes() const {
    std::vector<std::string> all;
    for (const auto& route : Impl::table()) all.push_back(std::string(route.method) + " " + route.pattern);
    return all;
}

}  // namespace kn::http_api
