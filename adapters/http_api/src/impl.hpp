#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/http_api/api.hpp"
#include "kubernaut/json/json.hpp"
#include "live.hpp"

namespace kn::http_api {

/// One authorised request on its way through a handler.
struct Call {
    net::HttpRequest request;
    Person person;
    std::map<std::string, std::string, std::less<>> path;  ///< {id} and the like
    Deadline deadline;

    [[nodiscard]] std::string param(std::string_view name) const { return std::string(request.param(name)); }
    [[nodiscard]] ClusterId cluster() const { return ClusterId(param("cluster")); }
};

struct Param {
    const char *name, *help;
};

struct Api::Impl {
    using JsonHandler = Task<Result<json::Value>> (Impl::*)(Call&);

    /// One row of the table of routes.
    struct Route {
        const char* method;
        const char* pattern;     ///< "/api/v1/incidents/{id}"
        const char* permission;  ///< "" = checked in the handler, per object
        const char* summary;
        std::vector<Param> params;
        JsonHandler handler;
        const char* body = "";  ///< what the body looks like, for the document
    };
    static const std::vector<Route>& table();

    explicit Impl(ApiDependencies dependencies) : d(std::move(dependencies)), live(d.feed, d.loop.clock(), d.random) {}
    ApiDependencies d;
    LiveLog live;
    static constexpr Duration request_timeout = 8s;

    Task<net::HttpResponse> handle(net::HttpRequest request);
    Task<net::HttpResponse> intake(net::HttpRequest request, std::string kind, std::string cluster);
    Task<net::HttpResponse> ready(bool verbose);
    net::HttpResponse page(const net::HttpRequest& request);
    net::HttpResponse stream(const net::HttpRequest& request, const Person& person);

    // reads.cpp
    Task<Result<json::Value>> list_incidents(Call& call);
    Task<Result<json::Value>> get_incident(Call& call);
    Task<Result<json::Value>> list_executions(Call& call);
    Task<Result<json::Value>> get_execution(Call& call);
    Task<Result<json::Value>> list_clusters(Call& call);
    Task<Result<json::Value>> get_cluster(Call& call);
    Task<Result<json::Value>> list_workflows(Call& call);
    Task<Result<json::Value>> get_workflow(Call& call);
    Task<Result<json::Value>> list_actions(Call& call);
    Task<Result<json::Value>> list_history(Call& call);
    Task<Result<json::Value>> list_assessments(Call& call);
    Task<Result<json::Value>> list_approvals(Call& call);
    Task<Result<json::Value>> list_pauses(Call& call);
    Task<Result<json::Value>> list_signals(Call& call);
    Task<Result<json::Value>> list_audit(Call& call);
    Task<Result<json::Value>> verify_audit(Call& call);
    Task<Result<json::Value>> list_dead_letters(Call& call);
    Task<Result<json::Value>> get_dead_letter(Call& call);
    Task<Result<json::Value>> replay_dead_letter(Call& call);
    Task<Result<json::Value>> purge_dead_letter(Call& call);
    Task<Result<json::Value>> list_posteriors(Call& call);
    // patterns.cpp
    Task<Result<json::Value>> list_patterns(Call& call);
    Task<Result<json::Value>> get_pattern(Call& call);
    Task<Result<json::Value>> list_warnings(Call& call);
    Task<Result<json::Value>> list_analyzers(Call& call);
    Task<Result<json::Value>> health(Call& call);
    Task<Result<json::Value>> whoami(Call& call);
    // writes.cpp
    Task<Result<json::Value>> run_workflow(Call& call);
    Task<Result<json::Value>> cancel_execution(Call& call);
    Task<Result<json::Value>> grant(Call& call);
    Task<Result<json::Value>> reject(Call& call);
    Task<Result<json::Value>> vote(Call& call, bool granted);
    Task<Result<json::Value>> set_pause(Call& call);
    Task<Result<json::Value>> clear_pause(Call& call);
};

net::HttpResponse error_response(int status, const Error& error);
/// 404 for what the person may not see, so that ids cannot be probed.
Result<> must_see(const Call& call, std::string_view permission, const ClusterId& cluster, std::string_view ns, std::string_view what);
Result<ports::Page> page_of(const Call& call);
Result<json::Value> body_of(const Call& call);

}  // namespace kn::http_api
