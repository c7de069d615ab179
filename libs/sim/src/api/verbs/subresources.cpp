// status, scale, eviction, binding, log and the rest of what hangs below an object.
#include <algorithm>
#include <charconv>

#include "api/core.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/patch.hpp"

namespace kn::sim::api {
namespace {

using json::at;
using json::Object;
using json::string_at;

constexpr std::string_view budgets = "poddisruptionbudgets.policy";

Value created_status() { return Object{{"kind", "Status"}, {"apiVersion", "v1"}, {"metadata", Object{}}, {"status", "Success"}, {"code", 201}}; }

bool pod_ready(const Value& pod) {
    const auto condition = kube::condition_of(pod, "Ready");
    return condition && condition->status == "True";
}

/// The value at "spec.replicas"; made on the way when `create`.
const Value* at_path(const Value& object, std::string_view path) {
    const Value* value = &object;
    while (value != nullptr && !path.empty()) {
        const auto dot = path.find('.');
        value = at(*value, path.substr(0, dot));
        path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
    }
    return value;
}

void set_path(Value& object, std::string_view path, Value value) {
    Value* here = &object;
    while (!path.empty()) {
        const auto dot = path.find('.');
        here = &json::make_at(*here, path.substr(0, dot));
        path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
    }
    *here = std::move(value);
}

struct ScalePaths {
    std::string spec = "spec.replicas", status = "status.replicas", selector;
};

ScalePaths scale_paths(const ServedType& type) {
    if (!type.custom) return {};
    return {type.custom->scale_spec, type.custom->scale_status, type.custom->scale_selector};
}

Value scale_of(const ServedType& type, const Value& object) {
    const auto paths = scale_paths(type);
    Object metadata;
    for (const std::string_view key : {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"}) {
        if (const auto* value = at(object, "metadata", key)) metadata[key] = *value;
    }
    Object status{{"replicas", json::to_int(at_path(object, paths.status)).value_or(0)}};
    std::string selector;
    if (type.custom) {
        const auto* text = paths.selector.empty() ? nullptr : at_path(object, paths.selector);
        if (text != nullptr && text->is_string()) selector = json::view(text->get_string());
    } else if (const auto* found = at(object, "spec", "selector")) {
        selector = type.storage == "replicationcontrollers" ? kube::to_query(Object{{"matchLabels", *found}}) : kube::to_query(*found);
    }
    if (!selector.empty()) status["selector"] = selector;
    Object spec;
    const auto replicas = json::to_int(at_path(object, paths.spec));
    if (replicas && *replicas != 0) spec["replicas"] = *replicas;
    return Object{{"kind", "Scale"},
                  {"apiVersion", "autoscaling/v1"},
                  {"metadata", std::move(metadata)},
                  {"spec", std::move(spec)},
                  {"status", std::move(status)}};
}

}  // namespace

Outcome<kube::Response> Core::subresource(const RequestInfo& info, const ServedType& type, const Identity& identity) {
    const auto& name = info.subresource;
    const bool reading = info.verb == "get";
    const bool changing = info.verb == "update" || info.verb == "patch";
    if (name == "status" || name == "resize" || name == "ephemeralcontainers") {
        if (reading) return get(info, type);
        if (!changing) return method_not_allowed();
        if (info.verb == "update" && name != "status") {
            // As a PUT of the whole pod with that part changed.
            KN_TRY(auto context, write_context(info, type, identity, "UpdateOptions"));
            KN_TRY(auto body, read_body(*info.request, type.resource.kind));
            const auto old = find(type.storage, info.ns, info.name);
            if (!old) return not_found(type.resource, info.name);
            KN_TRY(const auto written, update(context, old, std::move(body), name == "resize" ? UpdatePart::resize : UpdatePart::ephemeral));
            write_changed_ = written.changed && !context.dry_run;
            return render(200, type, *written.object, info, std::move(context.warnings));
        }
        return write(info, type, identity);
    }
    if (name == "scale") return scale(info, type, identity);
    if (name == "finalize") {
        if (info.verb != "update") return method_not_allowed();
        KN_TRY(auto context, write_context(info, type, identity, "UpdateOptions"));
        KN_TRY(auto body, read_body(*info.request, type.resource.kind));
        const auto old = find(type.storage, {}, info.name);
        if (!old) return not_found(type.resource, info.name);
        KN_TRY(const auto written, update(context, old, std::move(body), UpdatePart::finalize));
        write_changed_ = written.changed;
        return render(200, type, *written.object, info);
    }
    if (name == "eviction") return info.verb == "create" ? evict(info, type, identity) : method_not_allowed();
    if (name == "binding") return info.verb == "create" ? bind(info, type, identity) : method_not_allowed();
    if (name == "log") return reading ? log(info) : method_not_allowed();
    if (name == "token") return info.verb == "create" ? service_account_token(info) : method_not_allowed();
    if (name == "exec" || name == "attach" || name == "portforward") {
        if (!find("pods", info.ns, info.name)) return not_found(type.resource, info.name);
        // Without a kubelet's streaming server behind, the answer is the one of k21: no upgrade was offered, or none can be served.
        return bad_request("Upgrade request required");
    }
    return refuse(503, "ServiceUnavailable", "no endpoints available to proxy to");
}

Outcome<kube::Response> Core::scale(const RequestInfo& info, const ServedType& type, const Identity& identity) {
    const auto old = find(type.storage, info.ns, info.name);
    if (!old) return not_found(type.resource, info.name);
    const Value current = scale_of(type, old->value());
    if (info.verb == "get") return json_response(200, current);
    if (info.verb != "update" && info.verb != "patch") return method_not_allowed();
    KN_TRY(auto context, write_context(info, type, identity, info.verb == "update" ? "UpdateOptions" : "PatchOptions"));
    Value wanted;
    if (info.verb == "update") {
        KN_TRY(wanted, read_body(*info.request, "Scale"));
    } else {
        KN_TRY(wanted, patched(context, current, "Scale"));
    }
    if (!wanted.is_object() || (kube::kind_of(wanted) != "Scale" && !kube::kind_of(wanted).empty())) return bad_request("the body is no Scale");
    const auto name = kube::name_of(wanted);
    if (!name.empty() && name != info.name) {
        return bad_request("the name of the object (" + std::string(name) + ") does not match the name on the URL (" + info.name + ")");
    }
    const auto replicas = json::int_at(wanted, "spec", "replicas").value_or(0);
    if (replicas < 0) {
        return invalid("autoscaling", "Scale", info.name, {invalid_value("spec.replicas", Value(replicas), "must be greater than or equal to 0")});
    }
    Value next = old->value();
    set_path(next, scale_paths(type).spec, replicas);
    // Without a version in the body the latest one is meant.
    if (const auto version = kube::resource_version_of(wanted); !version.empty()) json::make_at(next, "metadata", "resourceVersion") = version;
    if (const auto uid = kube::uid_of(wanted); !uid.empty()) json::make_at(next, "metadata", "uid") = uid;
    KN_TRY(const auto written, update(context, old, std::move(next), UpdatePart::scale));
    write_changed_ = written.changed && !context.dry_run;
    return json_response(200, scale_of(type, written.object->value()));
}

Outcome<kube::Response> Core::evict(const RequestInfo& info, const ServedType& type, const Identity& identity) {
    KN_TRY(const auto body, read_body(*info.request, "Eviction"));
    if (const auto name = kube::name_of(body); !name.empty() && name != info.name)
        return bad_request("name in URL does not match name in Eviction object");
    const auto* options_body = at(body, "deleteOptions");
    KN_TRY(auto spec, delete_spec(info, options_body == nullptr ? Value(nullptr) : *options_body));
    const auto pod = find("pods", info.ns, info.name);
    if (!pod) return not_found(type.resource, info.name);
    const Value& object = pod->value();
    const auto phase = string_at(object, "status", "phase");

    const auto finish = [&]() -> Outcome<kube::Response> {
        KN_TRY(const auto removed, remove_object(type, pod, spec));
        write_changed_ = removed.changed && !spec.dry_run;
        return json_response(201, created_status());
    };
    // Budgets protect pods that run.
    if (phase == "Succeeded" || phase == "Failed" || phase == "Pending" || kube::is_deleting(object)) return finish();
    std::vector<ObjectPtr> matching;
    const auto& labels = json::object_at(object, "metadata", "labels");
    const auto& all = store.of(budgets).objects();
    for (auto it = all.lower_bound(KeyView{info.ns, {}}); it != all.end() && it->first.first == info.ns; ++it) {
        const auto* selector = at(it->second->value(), "spec", "selector");
        if (selector != nullptr && kube::label_selector_matches(selector, labels)) matching.push_back(it->second);
    }
    if (matching.empty()) return finish();
    if (matching.size() > 1) {
        return refuse(500, "", "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
    }
    const auto budget = matching.front();
    const auto number = [&](std::string_view field) { return json::int_at(budget->value(), "status", field).value_or(0); };
    const auto name = std::string(kube::name_of(budget->value()));
    const auto blocked = [&](const std::string& cause, int retry_after) {
        auto refused = refuse(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.",
                              Object{{"causes", json::Array{Object{{"reason", "DisruptionBudget"}, {"message", cause}}}}});
        refused.error().retry_after = retry_after;
        return refused;
    };
    if (!pod_ready(object)) {
        const auto policy = string_at(budget->value(), "spec", "unhealthyPodEvictionPolicy");
        const bool healthy_budget = number("currentHealthy") >= number("desiredHealthy") && number("desiredHealthy") > 0;
        if (policy == "AlwaysAllow" || (policy != "AlwaysAllow" && healthy_budget)) return finish();
    }
    if (number("observedGeneration") < kube::generation_of(budget->value())) {
        return blocked("The disruption budget " + name + " is still being processed by the server.", 10);
    }
    if (number("disruptionsAllowed") <= 0) {
        return blocked("The disruption budget " + name + " needs " + std::to_string(number("desiredHealthy")) + " healthy pods and has " +
                           std::to_string(number("currentHealthy")) + " currently",
                       0);
    }
    if (!spec.dry_run) {
        Value next = budget->value();
        json::make_at(next, "status", "disruptionsAllowed") = number("disruptionsAllowed") - 1;
        json::make_at(next, "status", "disruptedPods", info.name) = format_rfc3339(std::chrono::floor<std::chrono::seconds>(now()));
        WriteContext context;
        context.info = &info;
        context.type = types.by_storage(budgets);
        context.identity = identity;
        context.manager = "kube-apiserver";
        context.subresource = "status";
        context.now = now();
        KN_CHECK(update(context, budget, std::move(next), UpdatePart::status));
    }
    return finish();
}

Outcome<kube::Response> Core::bind(const RequestInfo& info, const ServedType& type, const Identity& identity) {
    KN_TRY(const auto body, read_body(*info.request, "Binding"));
    const auto node = string_at(body, "target", "name");
    if (node.empty()) return invalid("", "Binding", info.name, {required("target.name")});
    const auto pod = find("pods", info.ns, info.name);
    if (!pod) return not_found(type.resource, info.name);
    if (const auto uid = kube::uid_of(body); !uid.empty() && uid != kube::uid_of(pod->value())) {
        return conflict(kube::Resource{"", "v1", "pods/binding", "Binding", true}, info.name,
                        "Precondition failed: UID in precondition: " + std::string(uid));
    }
    const auto refuse_binding = [&](std::string why) { return conflict(kube::Resource{"", "v1", "pods/binding", "Binding", true}, info.name, why); };
    if (kube::is_deleting(pod->value())) return refuse_binding("pod " + info.name + " is being deleted, cannot be assigned to a host");
    if (const auto now_at = string_at(pod->value(), "spec", "nodeName"); !now_at.empty()) {
        return refuse_binding("pod " + info.name + " is already assigned to node \"" + std::string(now_at) + "\"");
    }
    KN_TRY(auto context, write_context(info, type, identity, "CreateOptions"));
    Value next = pod->value();
    json::make_at(next, "spec", "nodeName") = node;
    // Labels of the zone are copied from the node (1.35 and later).
    if (const auto home = find("nodes", {}, node)) {
        for (const std::string_view key : {"topology.kubernetes.io/zone", "topology.kubernetes.io/region"}) {
            if (const auto value = kube::label_of(home->value(), key); !value.empty()) json::make_at(next, "metadata", "labels", key) = value;
        }
    }
    for (const auto& [key, value] : json::object_at(body, "metadata", "annotations"))
        json::make_at(next, "metadata", "annotations", std::string_view(key)) = value;
    // The server itself records that the pod has a place now.
    json::Array conditions;
    for (const Value& condition : json::array_at(next, "status", "conditions")) {
        if (string_at(condition, "type") != "PodScheduled") conditions.push_back(condition);
    }
    conditions.push_back(Object{{"type", "PodScheduled"},
                                {"status", "True"},
                                {"lastProbeTime", nullptr},
                                {"lastTransitionTime", format_rfc3339(std::chrono::floor<std::chrono::seconds>(now()))}});
    KN_TRY(auto written, update(context, pod, next, UpdatePart::binding));
    if (!context.dry_run) {
        Value with_status = written.object->value();
        json::make_at(with_status, "status", "conditions") = std::move(conditions);
        // A part of the same write: one more version, as with a real server's transaction only the last one is seen.
        context.subresource = "status";
        KN_CHECK(update(context, written.object, std::move(with_status), UpdatePart::status));
    }
    write_changed_ = !context.dry_run;
    return json_response(201, created_status());
}

Outcome<std::string> Core::read_log(const RequestInfo& info) {
    const auto pod = find("pods", info.ns, info.name);
    if (!pod) return not_found(kube::resources::pods, info.name);
    const Value& object = pod->value();
    int tail = -1;
    if (const auto text = info.query("tailLines"); !text.empty()) {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), tail);
        if (error != std::errc{} || tail < 0) {
            return invalid("", "PodLogOptions", info.name, {invalid_value("tailLines", Value(tail), "must be greater than or equal to 0")});
        }
    }
    std::vector<std::string> names;
    for (const std::string_view list : {"containers", "initContainers"}) {
        for (const Value& container : json::array_at(object, "spec", list)) names.emplace_back(string_at(container, "name"));
    }
    std::string container(info.query("container"));
    if (container.empty()) {
        if (const auto wanted = kube::annotation_of(object, "kubectl.kubernetes.io/default-container"); !wanted.empty())
            container = wanted;
        else if (json::array_at(object, "spec", "containers").size() == 1)
            container = names.front();
    }
    if (container.empty()) {
        std::string list;
        for (const auto& name : names) list += (list.empty() ? "" : " ") + name;
        return bad_request("a container name must be specified for pod " + info.name + ", choose one of: [" + list + "]");
    }
    if (std::ranges::find(names, container) == names.end()) return bad_request("container " + container + " is not valid for pod " + info.name);
    if (string_at(object, "spec", "nodeName").empty()) return std::string{};
    const bool previous = info.flag("previous");
    for (const std::string_view list : {"containerStatuses", "initContainerStatuses"}) {
        for (const Value& status : json::array_at(object, "status", list)) {
            if (string_at(status, "name") != container) continue;
            const auto* waiting = at(status, "state", "waiting");
            if (!previous && waiting != nullptr && at(status, "lastState", "terminated") == nullptr) {
                return bad_request("container \"" + container + "\" in pod \"" + info.name + "_" + info.ns +
                                   "\" is waiting to start: " + std::string(string_at(*waiting, "reason")));
            }
            if (previous && at(status, "lastState", "terminated") == nullptr) {
                return bad_request("previous terminated container \"" + container + "\" in pod \"" + info.name + "_" + info.ns + "\" not found");
            }
        }
    }
    if (!log_source) return refuse(500, "", "no kubelet serves the logs of node " + std::string(string_at(object, "spec", "nodeName")));
    auto text = log_source({.ns = info.ns, .pod = info.name, .container = container, .previous = previous, .tail_lines = tail});
    if (!text) {
        if (text.error().code == ErrorCode::not_found && previous) {
            return bad_request("previous terminated container \"" + container + "\" in pod \"" + info.name + "_" + info.ns + "\" not found");
        }
        if (text.error().code == ErrorCode::not_found) return bad_request(text.error().message);
        if (text.error().code == ErrorCode::failed_precondition || text.error().code == ErrorCode::invalid_argument)
            return bad_request(text.error().message);
        return refuse(500, "", text.error().message);
    }
    if (const auto limit = info.query("limitBytes"); !limit.empty()) {
        std::size_t bytes = 0;
        std::from_chars(limit.data(), limit.data() + limit.size(), bytes);
        if (bytes == 0) return invalid("", "PodLogOptions", info.name, {invalid_value("limitBytes", Value(0), "must be greater than 0")});
        text->resize(std::min(bytes, text->size()));
    }
    return std::move(*text);
}

Outcome<kube::Response> Core::log(const RequestInfo& info) {
    const auto pod = find("pods", info.ns, info.name);
    KN_TRY(auto text, read_log(info));
    if (pod && string_at(pod->value(), "spec", "nodeName").empty()) return text_response(204, {});
    auto out = text_response(200, std::move(text));
    out.content_type = "text/plain";
    out.headers.front().second = "text/plain";
    return out;
}

}  // namespace kn::sim::api
