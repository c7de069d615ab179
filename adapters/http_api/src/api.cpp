#include <algorithm>

#include "impl.hpp"
#include "kubernaut/base/log.hpp"

namespace kn::http_api {
namespace {

std::vector<std::string> segments(std::string_view path) {
    std::vector<std::string> parts;
    while (!path.empty()) {
        const auto slash = path.find('/');
        if (slash != 0) parts.emplace_back(path.substr(0, slash));
        if (slash == std::string_view::npos) break;
        path.remove_prefix(slash + 1);
    }
    return parts;
}

bool match(std::string_view pattern, const std::vector<std::string>& path, std::map<std::string, std::string, std::less<>>& values) {
    const auto parts = segments(pattern);
    if (parts.size() != path.size()) return false;
    values.clear();
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (parts[i].front() == '{')
            values[parts[i].substr(1, parts[i].size() - 2)] = path[i];
        else if (parts[i] != path[i])
            return false;
    }
    return true;
}

std::string_view bearer_of(const net::HttpRequest& request) {
    constexpr std::string_view scheme = "Bearer ";
    const auto header = request.header("authorization");
    if (header.size() > scheme.size() && (header.starts_with(scheme) || header.starts_with("bearer "))) return header.substr(scheme.size());
    return {};
}

net::HttpResponse json_response(int status, const json::Value& value) {
    net::HttpResponse response;
    response.status = status;
    response.body = json::dump(value);
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
}

net::HttpResponse text_response(int status, std::string text) {
    net::HttpResponse response;
    response.status = status;
    response.content_type = "text/plain; charset=utf-8";
    response.body = std::move(text);
    return response;
}

}  // namespace

int http_status(ErrorCode code) {
    switch (code) {
        case ErrorCode::invalid_argument: return 400;
        case ErrorCode::unauthenticated: return 401;
        case ErrorCode::permission_denied: return 403;
        case ErrorCode::not_found: return 404;
        case ErrorCode::already_exists:
        case ErrorCode::aborted: return 409;
        case ErrorCode::failed_precondition: return 412;
        case ErrorCode::resource_exhausted:
        case ErrorCode::unavailable: return 503;
        case ErrorCode::deadline_exceeded: return 504;
        case ErrorCode::unimplemented: return 501;
        case ErrorCode::cancelled:
        case ErrorCode::internal: return 500;
    }
    return 500;
}

net::HttpResponse error_response(int status, const Error& error) {
    json::Object body{{"code", to_string(error.code)}, {"message", error.message}};
    if (!error.field.empty()) body["field"] = error.field;
    if (!error.reason.empty()) body["reason"] = error.reason;
    auto response = json_response(status, json::Object{{"error", std::move(body)}});
    if (status == 503) response.headers.emplace_back("Retry-After", "5");
    if (status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return response;
}

Result<> must_see(const Call& call, std::string_view permission, const ClusterId& cluster, std::string_view ns, std::string_view what) {
    if (call.person.may(permission, cluster.str(), ns)) return {};
    return fail(ErrorCode::not_found, "no such " + std::string(what));
}

Result<ports::Page> page_of(const Call& call) {
    ports::Page page;
    const std::string limit = call.param("limit");
    if (!limit.empty()) {
        if (limit.size() > 3 || limit.find_first_not_of("0123456789") != std::string::npos || std::stoi(limit) < 1 || std::stoi(limit) > 500) {
            return fail(ErrorCode::invalid_argument, "a number from 1 to 500 expected", "limit");
        }
        page.limit = std::stoi(limit);
    }
    page.cursor = call.param("cursor");
    return page;
}

Result<json::Value> body_of(const Call& call) {
    if (call.request.body.empty()) return json::Value(json::Object{});
    KN_TRY(auto body, json::parse(call.request.body, {.max_bytes = 1U << 20U, .max_depth = 32}));
    if (!body.is_object()) return fail(ErrorCode::invalid_argument, "a JSON object expected");
    return body;
}

Api::Api(ApiDependencies dependencies) : impl_(std::make_unique<Impl>(std::move(dependencies))) {}
Api::~Api() = default;

void Api::set_auth(AuthTable auth) { impl_->d.auth = std::move(auth); }
Task<net::HttpResponse> Api::handle(net::HttpRequest request) {
    if (request.path == "/openapi.json") co_return json_response(200, openapi());
    co_return co_await impl_->handle(std::move(request));
}

Task<net::HttpResponse> Api::Impl::handle(net::HttpRequest request) {
    const auto path = segments(request.path);
    const bool api = path.size() >= 2 && path[0] == "api" && path[1] == "v1";
    if (request.path == "/alerts" || (api && path.size() == 3 && path[2] == "alerts")) co_return co_await intake(std::move(request), "alerts", "");
    if (api && path.size() == 4 && path[2] == "alerts") {
        std::string cluster = path[3];
        co_return co_await intake(std::move(request), "alerts", std::move(cluster));
    }
    if (api && path.size() == 3 && path[2] == "events") co_return co_await intake(std::move(request), "events", "");
    if (request.path == "/livez") co_return text_response(200, "ok\n");
    if (request.path == "/readyz" || request.path == "/healthz") {
        const bool verbose = std::any_of(request.query.begin(), request.query.end(), [](const auto& q) { return q.first == "verbose"; });
        co_return co_await ready(verbose);
    }
    if (request.path == "/metrics") {
        auto response = text_response(200, d.metrics.text());
        response.content_type = "text/plain; version=0.0.4; charset=utf-8";
        co_return response;
    }
    if (!api) co_return page(request);

    const auto person = d.auth.authenticate(bearer_of(request), request.client_name, request.loopback);
    if (!person)
        co_return error_response(401, Error{.code = ErrorCode::unauthenticated, .message = "a bearer token or a known client certificate is needed"});
    if (path.size() == 3 && path[2] == "stream" && request.method == "GET") co_return stream(request, *person);

    bool path_known = false;
    Call call{.request = {}, .person = *person, .path = {}, .deadline = d.loop.clock().deadline_in(request_timeout)};
    for (const Route& route : table()) {
        if (!match(route.pattern, path, call.path)) continue;
        path_known = true;
        if (request.method != route.method) continue;
        for (const auto& [name, value] : request.query) {
            const bool known = std::any_of(route.params.begin(), route.params.end(), [&](const Param& p) { return name == p.name; });
            if (!known)
                co_return error_response(400, Error{.code = ErrorCode::invalid_argument,
                                                    .message = "unknown parameter \"" + name.substr(0, 64) + "\"",
                                                    .field = name.substr(0, 64)});
        }
        call.request = std::move(request);
        if (*route.permission != '\0' &&
            !call.person.may(route.permission, call.param("cluster"), call.param("namespace"), call.param("namespace").empty())) {
            co_return error_response(
                403, Error{.code = ErrorCode::permission_denied, .message = call.person.name() + " has no role with " + route.permission + " there"});
        }
        auto answer = co_await (this->*route.handler)(call);
        const int status = answer ? 200 : http_status(answer.error().code);
        d.metrics
            .counter("kubernaut_api_requests_total", "API requests",
                     {{"route", route.pattern}, {"method", route.method}, {"code", std::to_string(status)}})
            .add();
        if (answer) co_return json_response(200, *answer);
        if (status >= 500) log::warning("an API request failed", {{"route", route.pattern}, {"error", answer.error().describe()}});
        co_return error_response(status, answer.error());
    }
    if (path_known) co_return error_response(405, Error{.code = ErrorCode::invalid_argument, .message = request.method + " is not possible here"});
    co_return error_response(404, Error{.code = ErrorCode::not_found, .message = "no such path: see /openapi.json"});
}

Task<net::HttpResponse> Api::Impl::intake(net::HttpRequest request, std::string kind, std::string cluster) {
    intake::IntakeRequest in{.kind = std::move(kind),
                             .method = request.method,
                             .content_type = std::string(request.header("content-type")),
                             .path_cluster = std::move(cluster),
                             .header_cluster = std::string(request.header("x-kubernaut-cluster")),
                             .bearer = std::string(bearer_of(request)),
                             .client_name = request.client_name,
                             .peer = request.peer,
                             .loopback = request.loopback};
    in.body = std::move(request.body);
    const auto answer = co_await d.intake.handle(std::move(in));
    net::HttpResponse response;
    response.status = answer.status;
    response.body = answer.body;
    if (answer.retry_after_seconds) response.headers.emplace_back("Retry-After", std::to_string(*answer.retry_after_seconds));
    if (answer.status == 405) response.headers.emplace_back("Allow", "POST");
    co_return response;
}

Task<net::HttpResponse> Api::Impl::ready(bool verbose) {
    const auto store = co_await d.stores.registry.ready(d.loop.clock().deadline_in(2s));
    const bool draining = d.draining && d.draining();
    const bool ok = store.has_value() && !draining;
    std::string text;
    if (verbose) {
        text += store ? "[+]store ok\n" : "[-]store failed: " + store.error().message + "\n";
        text += draining ? "[-]draining\n" : "[+]not draining\n";
        for (const auto& cluster : d.fleet.clusters()) {
            text += "[ ]cluster " + cluster.id.str() + " " + std::string(to_string(cluster.verdict)) + " (does not count)\n";
        }
    }
    text += ok ? "ready\n" : "not ready\n";
    co_return text_response(ok ? 200 : 503, std::move(text));
}

net::HttpResponse Api::Impl::page(const net::HttpRequest& request) {
    if (request.method != "GET" && request.method != "HEAD")
        return error_response(405, Error{.code = ErrorCode::invalid_argument, .message = request.method + " is not possible here"});
    auto found = d.asset ? d.asset(request.path == "/" ? "/index.html" : request.path) : std::nullopt;
    // The page routes by itself: paths without a file extension are its own.
    if (!found && d.asset && request.path.find('.') == std::string::npos) found = d.asset("/index.html");
    if (!found)
        return error_response(404, Error{.code = ErrorCode::not_found,
                                         .message = d.asset ? "no such path" : "this binary was built without the page; the API is under /api/v1"});
    net::HttpResponse response;
    response.content_type = std::string(found->content_type);
    response.headers.emplace_back("ETag", std::string(found->etag));
    response.headers.emplace_back("Content-Security-Policy",
                                  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'");
    response.headers.emplace_back("Referrer-Policy", "no-referrer");
    response.headers.emplace_back("Cache-Control", found->content_type.starts_with("text/html") ? "no-cache" : "public, max-age=31536000, immutable");
    if (request.header("if-none-match") == found->etag)
        response.status = 304;
    else
        response.body = std::string(found->bytes);
    return response;
}

net::HttpResponse Api::Impl::stream(const net::HttpRequest& request, const Person& person) {
    if (!person.may("incident.view", "", "", true))
        return error_response(403, Error{.code = ErrorCode::permission_denied, .message = "incident.view is needed"});
    net::HttpResponse response;
    response.content_type = "text/event-stream";
    response.headers.emplace_back("Cache-Control", "no-store");
    response.headers.emplace_back("X-Accel-Buffering", "no");
    response.stream = live.open(person, request.header("last-event-id"));
    return response;
}

}  // namespace kn::http_api
