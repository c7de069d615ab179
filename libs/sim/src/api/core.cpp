#include "api/core.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "api/objects/events.hpp"
#include "api/verbs/aggregation.hpp"
#include "kubernaut/json/yaml.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::sim::api {

Core::Core(async::EventLoop& event_loop, RandomSource& random_source, ApiServerOptions server_options)
    : loop(event_loop),
      random(random_source),
      options(std::move(server_options)),
      store(options.watch_history, options.watch_history_age),
      rbac(store),
      faults(random_source) {}

std::string Core::make_uid() {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    std::uint64_t bits = 0;
    for (int i = 0; i < 32; ++i) {
        if (i % 16 == 0) bits = random.next();
        if (i == 8 || i == 12 || i == 16 || i == 20) out += '-';
        auto nibble = static_cast<unsigned>(bits & 0xFU);
        bits >>= 4U;
        if (i == 12) nibble = 4;                   // RFC 4122: version 4
        if (i == 16) nibble = 8U | (nibble & 3U);  // and variant 1
        out += digits[nibble];
    }
    return out;
}

std::string Core::random_suffix(std::size_t length) {
    // No vowels and no digits that look like them, so that no words come about; as the API server does.
    static constexpr std::string_view alphabet = "bcdfghjklmnpqrstvwxz2456789";
    std::string out;
    for (std::size_t i = 0; i < length; ++i) out += alphabet[random.next() % alphabet.size()];
    return out;
}

ObjectPtr Core::find(std::string_view storage, std::string_view ns, std::string_view name) const {
    const auto* collection = store.find(storage);
    return collection == nullptr ? nullptr : collection->find(ns, name);
}

namespace {

std::string_view header(const kube::Request& request, std::string_view name) {
    for (const auto& [key, value] : request.headers) {
        if (std::ranges::equal(key, name, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b; }))
            return value;
    }
    return {};
}

bool is_write(std::string_view verb) {
    return verb == "create" || verb == "update" || verb == "patch" || verb == "delete" || verb == "deletecollection";
}

/// `timeout=1ms`: the server's own deadline for a request. Answers here take no time, so only what no server could keep counts as over.
bool ran_out(std::string_view timeout) {
    double amount = 0;
    const auto [end, error] = std::from_chars(timeout.data(), timeout.data() + timeout.size(), amount);
    const std::string_view unit(end, static_cast<std::size_t>(timeout.data() + timeout.size() - end));
    return error == std::errc{} && !timeout.empty() && (unit == "ns" || unit == "us" || (unit == "ms" && amount <= 1));
}

/// The API that is kept for those who still ask, with its warning (b30).
kube::Response component_statuses() {
    auto out = json_response(
        200, json::Object{{"kind", "ComponentStatusList"}, {"apiVersion", "v1"}, {"metadata", json::Object{}}, {"items", json::Array{}}});
    out.headers.emplace_back("warning", R"(299 - "v1 ComponentStatus is deprecated in v1.19+")");
    return out;
}

/// A Status without a kind, sent as text (l08).
kube::Response timed_out() {
    auto out = text_response(
        504,
        R"({"metadata":{},"status":"Failure","message":"Timeout: request did not complete within the allotted timeout","reason":"Timeout","details":{},"code":504})");
    return out;
}

}  // namespace

Outcome<Identity> Core::effective_identity(const kube::Request& request, const Identity& identity) const {
    auto caller = with_implied_groups(identity);
    const auto user = header(request, "impersonate-user");
    if (user.empty()) return caller;
    const auto may = [&](std::string_view resource, std::string_view name) {
        return rbac.allowed(caller, {.verb = "impersonate", .group = "", .resource = std::string(resource), .name = std::string(name)});
    };
    Identity other{.user = std::string(user)};
    if (!may("users", user)) {
        return refuse(403, "Forbidden",
                      "users \"" + other.user + "\" is forbidden: User \"" + caller.user +
                          "\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope",
                      json::Object{{"name", user}, {"kind", "users"}});
    }
    for (const auto& [key, value] : request.headers) {
        if (header(kube::Request{.headers = {{key, value}}}, "impersonate-group").empty()) continue;
        if (!may("groups", value)) {
            return refuse(403, "Forbidden",
                          "groups \"" + value + "\" is forbidden: User \"" + caller.user +
                              "\" cannot impersonate resource \"groups\" in API group \"\" at the cluster scope",
                          json::Object{{"name", value}, {"kind", "groups"}});
        }
        other.groups.push_back(value);
    }
    return with_implied_groups(std::move(other));
}

Outcome<> Core::authorize(const RequestInfo& info, const Identity& identity) const {
    AccessQuestion question;
    question.verb = info.verb;
    question.resource_request = info.resource_request;
    question.group = info.group;
    question.resource = info.plural;
    question.subresource = info.subresource;
    question.ns = info.ns;
    question.name = info.name;
    if (!info.resource_request) question.path = info.path;
    if (rbac.allowed(identity, question)) return {};
    if (!info.resource_request) {
        return refuse(403, "Forbidden", "forbidden: User \"" + identity.user + "\" cannot " + info.verb + " path \"" + info.path + "\"",
                      json::Object{});
    }
    const kube::Resource resource{info.group, info.version, info.plural, "", true};
    const auto full = info.subresource.empty() ? info.plural : info.plural + "/" + info.subresource;
    return forbidden(resource, info.name,
                     "User \"" + identity.user + "\" cannot " + info.verb + " resource \"" + full + "\" in API group \"" + info.group + "\" " +
                         (info.ns.empty() ? "at the cluster scope" : "in the namespace \"" + info.ns + "\""));
}

kube::Response Core::handle(const kube::Request& request, const Identity& identity, std::string_view raw_method) {
    const auto info = read_request(request, raw_method);
    expire_events();
    if (!raw_method.empty() && raw_method != kube::to_string(request.method) && info.resource_request) {
        auto refused = method_not_allowed().error().response();
        if (raw_method == "HEAD") refused.body.clear();
        return refused;
    }
    const bool writing = info.resource_request && is_write(info.verb);
    ++(writing ? counters.writes : counters.reads);
    write_changed_ = false;
    write_name_ = info.name;
    const auto caller = effective_identity(request, identity);
    auto answer = [&]() -> Outcome<kube::Response> {
        if (!caller) return std::unexpected(caller.error());
        KN_CHECK(authorize(info, *caller));
        return dispatch(info, *caller);
    }();
    auto response = answer ? std::move(*answer) : answer.error().response();
    if (response.status >= 400) ++counters.refused;
    if (writing) {
        const auto* type = types.find(info.group, info.version, info.plural);
        if (type != nullptr && !type->storage.empty()) {
            const auto manager = info.query("fieldManager");
            note_write(info, *type, caller ? *caller : identity, manager, response.status, !info.query("dryRun").empty(), write_changed_,
                       write_name_);
        }
    }
    return response;
}

void Core::note_write(const RequestInfo& info, const ServedType& type, const Identity& identity, std::string_view manager, int code, bool dry_run,
                      bool changed, std::string_view name) {
    const auto resource = type.resource.plural_group();
    if (options.keep_write && !options.keep_write(identity.user, resource)) return;
    WriteRecord record;
    record.time = now();
    record.user = identity.user;
    record.manager = manager;
    record.verb = info.verb;
    record.resource = resource;
    record.ns = type.resource.namespaced ? info.ns : std::string{};
    record.name = name;
    record.subresource = info.subresource;
    record.dry_run = dry_run;
    record.code = code;
    record.changed = changed;
    record.resource_version = store.version();
    if (info.request != nullptr) record.body = info.request->body.substr(0, 4096);
    writes.push_back(std::move(record));
    while (writes.size() > options.write_log_limit) {
        writes.pop_front();
        ++dropped_writes;
    }
}

Outcome<kube::Response> Core::dispatch(const RequestInfo& info, const Identity& identity) {
    for (const auto& api : foreign) {
        if (info.path == api.prefix || info.path.starts_with(api.prefix + "/")) return api.handler(*info.request, identity);
    }
    if (is_dead_api(*this, info.path)) return text_response(503, "service unavailable");
    if (ran_out(info.query("timeout"))) return timed_out();
    if (!info.resource_request) return non_resource(info);
    if (info.group.empty() && info.plural == "componentstatuses" && info.verb == "list") return component_statuses();
    const auto* type = types.find(info.group, info.version, info.plural);
    if (type == nullptr) {
        if (types.has_group_version(info.group, info.version)) return no_such_resource();
        return page_not_found();
    }
    // Keeps the type alive when the request itself changes the table (a CRD that is deleted).
    const auto hold = *std::ranges::find_if(types.all(), [type](const auto& t) { return t.get() == type; });
    if (type->storage.empty()) return review(info, *type, identity);
    const bool own_namespace = info.plural == "namespaces" && info.group.empty();
    if (!type->resource.namespaced && !info.ns.empty() && !own_namespace) return no_such_resource();
    if (type->resource.namespaced && info.ns.empty() && !info.name.empty()) return no_such_resource();
    if (!info.subresource.empty()) {
        if (!type->subresources.contains(info.subresource)) return no_such_resource();
        return subresource(info, *type, identity);
    }
    if (info.verb == "get") return get(info, *type);
    if (info.verb == "list") return list(info, *type);
    if (info.verb == "watch") {
        return bad_request("a watch is a stream");  // callers use open()
    }
    if (!type->has_verb(info.verb)) return method_not_allowed();
    if (info.verb == "create") {
        if (!info.name.empty() || (type->resource.namespaced && info.ns.empty())) return method_not_allowed();
        return write(info, *type, identity);
    }
    if (info.verb == "update" || info.verb == "patch") {
        if (info.name.empty()) return method_not_allowed();
        return write(info, *type, identity);
    }
    if (info.verb == "delete") return remove(info, *type, identity);
    return remove_collection(info, *type, identity);
}

kube::Response Core::render(int code, const ServedType& type, const StoredObject& object, const RequestInfo& info,
                            std::vector<std::string> warnings) {
    const auto accepted = negotiate(info.request->accept, &type);
    if (!accepted) return accepted.error().response();
    kube::Response out;
    if (accepted->form == Form::object && !accepted->yaml) {
        out = json_response(code, served_text(type, object) + "\n");
    } else {
        Value value;
        if (accepted->form == Form::table) {
            const auto shared = std::make_shared<const StoredObject>(object);
            value = table_of(type, {shared}, json::Object{{"resourceVersion", kube::resource_version_of(object.value())}},
                             info.query("includeObject"), now(), true);
        } else {
            value = served_value(type, object.value());
            if (accepted->form == Form::metadata) value = partial_metadata(value);
        }
        out = json_response(code, accepted->yaml ? json::dump_yaml(value) : json::dump(value) + "\n");
        out.content_type = accepted->content_type;
        out.headers.front().second = accepted->content_type;
    }
    for (const auto& warning : warnings) {
        std::string quoted;
        for (const char c : warning) {
            if (c == '"' || c == '\\') quoted += '\\';
            quoted += c;
        }
        out.headers.emplace_back("warning", "299 - \"" + quoted + "\"");
    }
    return out;
}

Value partial_metadata(const Value& object) {
    const auto* metadata = json::at(object, "metadata");
    return json::Object{
        {"kind", "PartialObjectMetadata"}, {"apiVersion", "meta.k8s.io/v1"}, {"metadata", metadata == nullptr ? Value(json::Object{}) : *metadata}};
}

namespace {

bool stored_as_served(const ServedType& type, const Value& stored) { return kube::api_version_of(stored) == type.resource.api_version(); }

}  // namespace

Value served_value(const ServedType& type, const Value& stored) {
    if (stored_as_served(type, stored)) return stored;
    if (type.storage == "events") return event_to_new_form(stored);
    Value out = stored;
    json::make_at(out, "apiVersion") = type.resource.api_version();
    return out;
}

Value stored_value(const ServedType& type, Value sent) {
    if (type.storage == "events" && type.resource.group == "events.k8s.io") return event_to_old_form(sent);
    return sent;
}

std::string served_text(const ServedType& type, const StoredObject& object) {
    if (stored_as_served(type, object.value())) return object.text();
    return json::dump(served_value(type, object.value()));
}

std::string served_item_text(const ServedType& type, const StoredObject& object) {
    if (stored_as_served(type, object.value())) return "{" + std::string(object.text_after_type());
    const StoredObject converted(served_value(type, object.value()), object.version());
    return "{" + std::string(converted.text_after_type());
}

void Core::bootstrap() {
    RequestInfo info;
    static const kube::Request none;
    info.request = &none;
    const auto add = [&](std::string_view storage, std::string_view ns, Value object) {
        const auto* type = types.by_storage(storage);
        WriteContext context;
        context.info = &info;
        context.type = type;
        context.identity = {.user = "system:apiserver", .groups = {"system:masters"}};
        context.manager = "kube-apiserver";
        context.now = now();
        info.ns = ns;
        (void)create(context, std::move(object));
    };
    const auto named = [](std::string_view kind, std::string_view api_version, std::string_view name) {
        return Value(json::Object{{"kind", kind}, {"apiVersion", api_version}, {"metadata", json::Object{{"name", name}}}});
    };
    for (const std::string_view name : {"kube-system", "kube-public", "kube-node-lease", "default"})
        add("namespaces", {}, named("Namespace", "v1", name));
    for (auto& object : bootstrap_rbac())
        add(std::string(kube::kind_of(object)) == "ClusterRole" ? "clusterroles.rbac.authorization.k8s.io"
                                                                : "clusterrolebindings.rbac.authorization.k8s.io",
            {}, object);
    for (const auto& [name, value] :
         {std::pair<std::string_view, std::int64_t>{"system-cluster-critical", 2000000000}, {"system-node-critical", 2000001000}}) {
        auto object = named("PriorityClass", "scheduling.k8s.io/v1", name);
        object.as_object()["value"] = value;
        add("priorityclasses.scheduling.k8s.io", {}, std::move(object));
    }
    auto service = named("Service", "v1", "kubernetes");
    service.as_object()["metadata"].as_object()["labels"] = json::Object{{"component", "apiserver"}, {"provider", "kubernetes"}};
    service.as_object()["spec"] =
        json::Object{{"clusterIP", "10.96.0.1"}, {"ports", json::Array{json::Object{{"name", "https"}, {"port", 443}, {"targetPort", 6443}}}}};
    add("services", "default", std::move(service));
}

}  // namespace kn::sim::api
