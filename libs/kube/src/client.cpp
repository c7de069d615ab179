#include "kubernaut/kube/client.hpp"

#include <algorithm>
#include <functional>

#include "kubernaut/base/ids.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/packed.hpp"
#include "kubernaut/kube/status.hpp"

namespace kn::kube {
namespace {

constexpr Duration retry_base = 200ms, retry_cap = 5s;
constexpr int max_attempts = 6;
/// An HTTP 500 is as often a lasting refusal (no reason, two budgets for a pod) as a passing fault: one repetition, not five.
constexpr int max_attempts_500 = 2;
constexpr std::size_t max_error_body = 256 * 1024;
constexpr json::ParseLimits answer_limits{.max_bytes = 256U << 20U};

Result<json::Value> parse_answer(const Response& response, Method method) {
    auto parsed = json::parse(response.body, answer_limits);
    if (parsed) return parsed;
    Error error = std::move(parsed).error();
    error.code = ErrorCode::unavailable;  // a proxy's page, or an answer that was cut
    if (method != Method::get) error.applied = Applied::maybe;
    return std::unexpected(error.with_context("the server's answer"));
}

bool is_success(const Response& response) { return response.status >= 200 && response.status < 300; }

std::string describe(const Request& request) { return std::string(to_string(request.method)) + " " + request.path; }

/// May the read be tried again, and after how long? nullopt: no.
std::optional<Duration> retry_delay(const Error& error, int attempt, int http_status, double unit) {
    const int limit = http_status == 500 ? max_attempts_500 : max_attempts;
    const bool passing = error.code == ErrorCode::unavailable || error.code == ErrorCode::resource_exhausted;
    if (!passing || attempt >= limit || error.reason == invalid_body) return std::nullopt;
    const auto full = std::min(retry_cap, retry_base * (1 << std::min(attempt - 1, 10)));
    const auto jittered = std::chrono::floor<Duration>(std::chrono::duration<double, std::milli>(static_cast<double>(full.count()) * (0.5 + unit)));
    return std::max(jittered, error.retry_after.value_or(Duration::zero()));
}

void add_write_options(Request& request, const WriteOptions& options) {
    if (options.dry_run) request.query.emplace_back("dryRun", "All");
    if (!options.field_manager.empty()) request.query.emplace_back("fieldManager", options.field_manager);
    if (!options.field_validation.empty()) request.query.emplace_back("fieldValidation", options.field_validation);
}

void add_selectors(Request& request, const ListOptions& options) {
    if (!options.label_selector.empty()) request.query.emplace_back("labelSelector", options.label_selector);
    if (!options.field_selector.empty()) request.query.emplace_back("fieldSelector", options.field_selector);
}

Request with_body(Method method, std::string path, const json::Value& body) {
    Request request;
    request.method = method;
    request.path = std::move(path);
    request.content_type = "application/json";
    request.body = json::dump(body);
    return request;
}

json::Object delete_options_body(const DeleteOptions& options) {
    json::Object body{{"kind", "DeleteOptions"}, {"apiVersion", "v1"}};
    json::Object preconditions;
    if (!options.uid.empty()) preconditions["uid"] = options.uid;
    if (!options.resource_version.empty()) preconditions["resourceVersion"] = options.resource_version;
    if (!preconditions.empty()) body["preconditions"] = std::move(preconditions);
    if (options.grace_seconds) body["gracePeriodSeconds"] = *options.grace_seconds;
    if (!options.propagation.empty()) body["propagationPolicy"] = options.propagation;
    if (options.dry_run) body["dryRun"] = json::Array{"All"};
    return body;
}

struct Collect final : ItemSink {
    void add(json::Value item) override { items.push_back(std::move(item)); }
    void add(PackedItem item) override { items.push_back(unpack(item.bytes)); }
    void rewind(std::size_t count) override { items.resize(count); }
    std::vector<json::Value> items;
};

json::Object review(std::string_view kind, json::Object spec) {
    return json::Object{{"kind", kind}, {"apiVersion", "authorization.k8s.io/v1"}, {"spec", std::move(spec)}};
}

json::Object resource_attributes(const std::string& verb, const Resource& resource, const std::string& subresource, const std::string& ns,
                                 const std::string& name) {
    json::Object attributes{{"verb", verb}, {"group", resource.group}, {"version", resource.version}, {"resource", resource.plural}};
    if (!subresource.empty()) attributes["subresource"] = subresource;
    if (!ns.empty()) attributes["namespace"] = ns;
    if (!name.empty()) attributes["name"] = name;
    return attributes;
}

Result<bool> allowed(const json::Value& answer) {
    const auto flag = json::bool_at(answer, "status", "allowed");
    if (!flag) return fail(ErrorCode::internal, "an access review without an answer");
    return *flag;
}

}  // namespace

Client::Client(std::shared_ptr<Transport> transport, async::Clock& clock) : transport_(std::move(transport)), clock_(&clock) {}

Task<Result<>> Client::wait_for_turn(const Request& request, Deadline deadline) {
    const auto now = clock_->steady();
    const auto at = rate_.reserve(request, now);
    if (at <= now) co_return Result<>{};
    if (deadline.passed(at)) {
        Error error{ErrorCode::resource_exhausted, "the server is overloaded: no turn before the deadline"};
        error.reason = "Overload";
        co_return std::unexpected(std::move(error));
    }
    co_await async::sleep_until(*clock_, at);
    co_return Result<>{};
}

Task<Result<Response>> Client::send(Request request, Deadline deadline) {
    KN_CO_CHECK(co_await wait_for_turn(request, deadline));
    auto answer = co_await transport_->send(request, deadline);
    if (answer) rate_.heard(request, *answer, clock_->steady());
    co_return answer;
}

Task<Result<Response>> Client::read_response(Request request, Deadline deadline) {
    // Jitter need not be secret, only different for different callers.
    SeededRandom random(std::hash<std::string>{}(request.path) ^ static_cast<std::uint64_t>(clock_->steady().time_since_epoch().count()));
    for (int attempt = 1;; ++attempt) {
        auto answer = co_await send(request, deadline);
        if (answer) tell_warnings(*answer);
        if (answer && is_success(*answer)) co_return answer;
        const int http_status = answer ? answer->status : 0;
        Error error = answer ? error_from(*answer, Method::get) : std::move(answer).error().with_context(describe(request));
        error.applied = Applied::no;  // a read changes nothing
        const auto delay = retry_delay(error, attempt, http_status, random.unit());
        if (!delay || *delay >= deadline.left(clock_->steady())) co_return std::unexpected(std::move(error));
        co_await async::sleep_for(*clock_, *delay);
    }
}

Task<Result<json::Value>> Client::read(Request request, Deadline deadline) {
    KN_CO_TRY(const Response response, co_await read_response(std::move(request), deadline));
    co_return parse_answer(response, Method::get);
}

Task<Result<json::Value>> Client::write(Request request, Deadline deadline) {
    const Method method = request.method;
    const std::string what = describe(request);
    auto answer = co_await send(std::move(request), deadline);
    if (!answer) co_return std::unexpected(std::move(answer).error().with_context(what));
    tell_warnings(*answer);
    if (!is_success(*answer)) co_return std::unexpected(error_from(*answer, method));
    co_return parse_answer(*answer, method);
}

void Client::tell_warnings(const Response& response) const {
    if (!warned_) return;
    for (const auto& text : response.warnings()) warned_(text);
}

Task<Result<json::Value>> Client::call(Request request, Deadline deadline) {
    if (request.method == Method::get) return read(std::move(request), deadline);
    return write(std::move(request), deadline);
}

Task<Result<json::Value>> Client::get(const Resource& resource, std::string ns, std::string name, Deadline deadline) {
    Request request;
    request.path = resource.path(ns, name);
    return read(std::move(request), deadline);
}

Task<Result<std::string>> Client::list_pages(const Resource& resource, std::string ns, ListOptions options, ItemSink& items, Deadline deadline) {
    std::string version, token;
    const auto decoder = std::make_shared<ListDecoder>(items, resource.kind, resource.api_version());
    do {
        Request request;
        request.path = resource.path(ns);
        request.sink = decoder;
        add_selectors(request, options);
        if (options.page_size > 0) request.query.emplace_back("limit", std::to_string(options.page_size));
        // A continue token carries its own version; both together are refused.
        if (!token.empty())
            request.query.emplace_back("continue", token);
        else if (!options.resource_version.empty())
            request.query.emplace_back("resourceVersion", options.resource_version);
        KN_CO_TRY(const Response response, co_await read_response(std::move(request), deadline));
        if (decoder->untouched()) {
            decoder->begin();
            KN_CO_CHECK(decoder->data(response.body));
        }
        KN_CO_TRY(const json::Value page, decoder->finish());
        version = std::string(resource_version_of(page));
        token = std::string(json::string_at(page, "metadata", "continue"));
    } while (!token.empty());
    co_return version;
}

Task<Result<std::string>> Client::list_into(Resource resource, std::string ns, ListOptions options, ItemSink& items, Deadline deadline) {
    auto version = co_await list_pages(resource, ns, options, items, deadline);
    // The token of a long list expires when etcd is compacted; a fresh start gives a consistent list, the server's offer to go on would not.
    if (!version && version.error().reason == "Expired") {
        items.rewind(0);
        options.resource_version.clear();
        version = co_await list_pages(resource, ns, options, items, deadline);
    }
    co_return version;
}

Task<Result<ObjectList>> Client::list_all(Resource resource, std::string ns, ListOptions options, Deadline deadline) {
    Collect collect;
    KN_CO_TRY(std::string version, co_await list_into(std::move(resource), std::move(ns), std::move(options), collect, deadline));
    co_return ObjectList{std::move(collect.items), std::move(version)};
}

Task<Result<ObjectList>> Client::list(const Resource& resource, std::string ns, ListOptions options, Deadline deadline) {
    return list_all(resource, std::move(ns), std::move(options), deadline);
}

Task<Result<json::Value>> Client::create(const Resource& resource, std::string ns, json::Value object, WriteOptions options, Deadline deadline) {
    Request request = with_body(Method::post, resource.path(ns), object);
    add_write_options(request, options);
    return write(std::move(request), deadline);
}

Task<Result<json::Value>> Client::replace(const Resource& resource, std::string ns, std::string name, json::Value object, PatchOptions options,
                                          Deadline deadline) {
    Request request = with_body(Method::put, resource.path(ns, name, options.subresource), object);
    add_write_options(request, options.write);
    return write(std::move(request), deadline);
}

Task<Result<json::Value>> Client::patch(const Resource& resource, std::string ns, std::string name, PatchType type, json::Value patch,
                                        PatchOptions options, Deadline deadline) {
    Request request = with_body(Method::patch, resource.path(ns, name, options.subresource), patch);
    request.content_type = content_type(type);
    add_write_options(request, options.write);
    if (type == PatchType::apply && options.force) request.query.emplace_back("force", "true");
    return write(std::move(request), deadline);
}

Task<Result<json::Value>> Client::remove(const Resource& resource, std::string ns, std::string name, DeleteOptions options, Deadline deadline) {
    return write(with_body(Method::del, resource.path(ns, name), delete_options_body(options)), deadline);
}

Task<Result<>> Client::evict(std::string ns, std::string pod, DeleteOptions options, Deadline deadline) {
    json::Object body{{"kind", "Eviction"}, {"apiVersion", "policy/v1"}, {"metadata", json::Object{{"name", pod}, {"namespace", ns}}}};
    body["deleteOptions"] = delete_options_body(options);
    Request request = with_body(Method::post, resources::pods.path(ns, pod, "eviction"), body);
    if (options.dry_run) request.query.emplace_back("dryRun", "All");
    KN_CO_CHECK(co_await write(std::move(request), deadline));
    co_return Result<>{};
}

Task<Result<std::string>> Client::logs(std::string ns, std::string pod, LogOptions options, Deadline deadline) {
    Request request;
    request.path = resources::pods.path(ns, pod, "log");
    request.accept = "*/*";
    if (!options.container.empty()) request.query.emplace_back("container", options.container);
    if (options.previous) request.query.emplace_back("previous", "true");
    if (options.tail_lines >= 0) request.query.emplace_back("tailLines", std::to_string(options.tail_lines));
    if (options.limit_bytes > 0) request.query.emplace_back("limitBytes", std::to_string(options.limit_bytes));
    if (options.timestamps) request.query.emplace_back("timestamps", "true");
    KN_CO_TRY(Response response, co_await read_response(std::move(request), deadline));
    co_return std::move(response.body);
}

Task<Result<bool>> Client::ask_access(Request request, Deadline deadline) {
    // A review changes nothing, although it is a POST: it may be repeated like a read.
    KN_CO_TRY(const json::Value answer, co_await read(std::move(request), deadline));
    co_return allowed(answer);
}

Task<Result<bool>> Client::can_i(std::string verb, const Resource& resource, std::string subresource, std::string ns, std::string name,
                                 Deadline deadline) {
    json::Object spec{{"resourceAttributes", resource_attributes(verb, resource, subresource, ns, name)}};
    return ask_access(
        with_body(Method::post, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review("SelfSubjectAccessReview", std::move(spec))),
        deadline);
}

Task<Result<bool>> Client::can_user(std::string user, std::vector<std::string> groups, std::string verb, const Resource& resource, std::string ns,
                                    Deadline deadline) {
    json::Object spec{{"user", user}, {"resourceAttributes", resource_attributes(verb, resource, "", ns, "")}};
    if (!groups.empty()) {
        json::Array names;
        for (const auto& group : groups) names.emplace_back(group);
        spec["groups"] = std::move(names);
    }
    return ask_access(with_body(Method::post, "/apis/authorization.k8s.io/v1/subjectaccessreviews", review("SubjectAccessReview", std::move(spec))),
                      deadline);
}

Task<Result<ServiceAccountToken>> Client::request_token(std::string ns, std::string service_account, std::vector<std::string> audiences, int seconds,
                                                        Deadline deadline) {
    json::Object spec{{"expirationSeconds", seconds}};
    if (!audiences.empty()) {
        json::Array list;
        for (const auto& audience : audiences) list.emplace_back(audience);
        spec["audiences"] = std::move(list);
    }
    const json::Object body{{"kind", "TokenRequest"}, {"apiVersion", "authentication.k8s.io/v1"}, {"spec", std::move(spec)}};
    // Another token does no harm: it may be repeated like a read.
    KN_CO_TRY(const json::Value answer,
              co_await read(with_body(Method::post, resources::service_accounts.path(ns, service_account, "token"), body), deadline));
    const auto expires = time_at(answer, "status", "expirationTimestamp");
    const auto token = json::string_at(answer, "status", "token");
    if (token.empty() || !expires) co_return fail(ErrorCode::internal, "a TokenRequest without a token or its end");
    co_return ServiceAccountToken{std::string(token), *expires};
}

Task<Result<std::string>> Client::cluster_uid(Deadline deadline) {
    KN_CO_TRY(const json::Value ns, co_await get(resources::namespaces, "", "kube-system", deadline));
    if (uid_of(ns).empty()) co_return fail(ErrorCode::internal, "the Namespace kube-system has no uid");
    co_return std::string(uid_of(ns));
}

Task<Result<Resource>> Client::discover(std::string group, std::string kind, Deadline deadline) {
    Request request;
    request.path = group.empty() ? "/api" : "/apis/" + group;
    KN_CO_TRY(const json::Value answer, co_await read(std::move(request), deadline));
    // The preferred version first, then the server's order (which is by stability).
    std::vector<std::string> versions;
    if (const auto preferred = json::string_at(answer, "preferredVersion", "version"); !preferred.empty()) versions.emplace_back(preferred);
    for (const auto& entry : json::array_at(answer, "versions")) {
        std::string version(entry.is_string() ? json::view(entry.get_string()) : json::string_at(entry, "version"));
        if (!version.empty() && std::ranges::find(versions, version) == versions.end()) versions.push_back(std::move(version));
    }
    for (const auto& version : versions) {
        Request list;
        list.path = group.empty() ? "/api/" + version : "/apis/" + group + "/" + version;
        KN_CO_TRY(const json::Value resources, co_await read(std::move(list), deadline));
        for (const auto& entry : json::array_at(resources, "resources")) {
            const auto plural = json::string_at(entry, "name");
            if (json::string_at(entry, "kind") != kind || plural.contains('/')) continue;
            co_return Resource{group, version, std::string(plural), kind, json::bool_at(entry, "namespaced").value_or(true)};
        }
    }
    co_return fail(ErrorCode::not_found, "the server does not serve the kind " + kind + (group.empty() ? "" : "." + group));
}

Task<Result<std::unique_ptr<Stream>>> Client::open_stream(Request request, Deadline connect_deadline) {
    KN_CO_CHECK(co_await wait_for_turn(request, connect_deadline));
    auto opened = co_await transport_->open(request, connect_deadline);
    if (opened) rate_.heard(request, (*opened)->head(), clock_->steady());
    if (!opened) co_return std::unexpected(std::move(opened).error().with_context("watching " + request.path));
    auto& stream = *opened;
    if (stream->head().status == 200) co_return opened;
    Response response = stream->head();
    while (response.body.size() < max_error_body) {
        auto bytes = co_await stream->next(connect_deadline);
        if (!bytes || !*bytes) break;
        response.body += **bytes;
    }
    co_return std::unexpected(error_from(response, Method::get));
}

Task<Result<std::unique_ptr<Stream>>> Client::watch(const Resource& resource, std::string ns, ListOptions options, std::string resource_version,
                                                    int timeout_seconds, Deadline connect_deadline) {
    Request request;
    request.path = resource.path(ns);
    request.query.emplace_back("watch", "1");
    add_selectors(request, options);
    if (!resource_version.empty()) request.query.emplace_back("resourceVersion", resource_version);
    request.query.emplace_back("allowWatchBookmarks", "true");
    if (timeout_seconds > 0) request.query.emplace_back("timeoutSeconds", std::to_string(timeout_seconds));
    return open_stream(std::move(request), connect_deadline);
}

Task<Result<std::unique_ptr<Stream>>> Client::watch_from_list(const Resource& resource, std::string ns, ListOptions options, int timeout_seconds,
                                                              Deadline connect_deadline) {
    Request request;
    request.path = resource.path(ns);
    request.query = {{"watch", "1"}, {"sendInitialEvents", "true"}, {"resourceVersionMatch", "NotOlderThan"}, {"allowWatchBookmarks", "true"}};
    add_selectors(request, options);
    if (!options.resource_version.empty()) request.query.emplace_back("resourceVersion", options.resource_version);
    if (timeout_seconds > 0) request.query.emplace_back("timeoutSeconds", std::to_string(timeout_seconds));
    return open_stream(std::move(request), connect_deadline);
}

}  // namespace kn::kube
