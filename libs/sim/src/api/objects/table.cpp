// Rows as kubectl prints them. Every kind has NAME and AGE; those that people look at most have the columns that real servers give them.
#include <algorithm>

#include "api/core.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::sim::api {
namespace {

using json::array_at;
using json::at;
using json::object_at;
using json::string_at;

using Cell = Value (*)(const Value& object, Instant now);

struct Column {
    std::string_view name, type, format;
    int priority;
    Cell cell;
};

std::string join(const std::vector<std::string>& list) {
    std::string out;
    for (const auto& text : list) out += (out.empty() ? "" : ",") + text;
    return out;
}

/// As `kubectl` shortens durations: 80s, 5m, 3h, 2d4h, 14d.
std::string human_duration(Duration d) {
    const auto s = std::chrono::duration_cast<std::chrono::seconds>(d).count();
    if (s < 0) return "0s";
    if (s < 120) return std::to_string(s) + "s";
    const auto two = [](std::int64_t big, const char* big_unit, std::int64_t small, const char* small_unit) {
        return small == 0 ? std::to_string(big) + big_unit : std::to_string(big) + big_unit + std::to_string(small) + small_unit;
    };
    const auto m = s / 60, h = m / 60, days = h / 24;
    if (m < 10) return two(m, "m", s % 60, "s");
    if (m < 180) return std::to_string(m) + "m";
    if (h < 8) return two(h, "h", m % 60, "m");
    if (h < 48) return std::to_string(h) + "h";
    if (days < 8) return two(days, "d", h % 24, "h");
    return std::to_string(days) + "d";
}

Value age(const Value& object, Instant now) {
    const auto time = kube::creation_time(object);
    return time ? Value(human_duration(now - *time)) : Value("<unknown>");
}

Value name(const Value& object, Instant) { return Value(kube::name_of(object)); }

Value or_none(std::string_view text) { return Value(text.empty() ? std::string_view("<none>") : text); }

template <class... Keys> std::int64_t number(const Value& object, const Keys&... keys) { return json::int_at(object, keys...).value_or(0); }

std::string ratio(std::int64_t a, std::int64_t b) { return std::to_string(a) + "/" + std::to_string(b); }

std::vector<std::string> container_fields(const Value& spec, std::string_view field) {
    std::vector<std::string> out;
    for (const Value& container : array_at(spec, "containers")) out.emplace_back(string_at(container, field));
    return out;
}

Value template_containers(const Value& o, Instant) {
    const auto* spec = at(o, "spec", "template", "spec");
    return spec == nullptr ? Value("") : Value(join(container_fields(*spec, "name")));
}
Value template_images(const Value& o, Instant) {
    const auto* spec = at(o, "spec", "template", "spec");
    return spec == nullptr ? Value("") : Value(join(container_fields(*spec, "image")));
}
Value selector_text(const Value& o, Instant) {
    const auto* selector = at(o, "spec", "selector");
    return selector == nullptr ? Value("<none>") : or_none(kube::to_query(*selector));
}

// Pods: the status word is the most telling reason of its containers (printers/internalversion/printers.go).
Value pod_status(const Value& pod, Instant) {
    std::string reason(string_at(pod, "status", "phase"));
    if (const auto own = string_at(pod, "status", "reason"); !own.empty()) reason = own;
    if (const auto scheduled = kube::condition_of(pod, "PodScheduled"); scheduled && scheduled->reason == "SchedulingGated")
        reason = "SchedulingGated";
    std::size_t index = 0;
    bool initializing = false;
    for (const Value& status : array_at(pod, "status", "initContainerStatuses")) {
        const auto* ended = at(status, "state", "terminated");
        const auto waiting = string_at(status, "state", "waiting", "reason");
        if (ended != nullptr && number(*ended, "exitCode") == 0) {
            ++index;
            continue;
        }
        if (ended != nullptr) {
            const auto why = string_at(*ended, "reason");
            reason = "Init:" + (why.empty() ? "ExitCode:" + std::to_string(number(*ended, "exitCode")) : std::string(why));
        } else if (!waiting.empty() && waiting != "PodInitializing") {
            reason = "Init:" + std::string(waiting);
        } else {
            reason = "Init:" + ratio(static_cast<std::int64_t>(index), static_cast<std::int64_t>(array_at(pod, "spec", "initContainers").size()));
        }
        initializing = true;
        break;
    }
    if (!initializing) {
        bool running = false;
        const auto& statuses = array_at(pod, "status", "containerStatuses");
        for (auto it = statuses.rbegin(); it != statuses.rend(); ++it) {
            const auto waiting = string_at(*it, "state", "waiting", "reason");
            const auto* ended = at(*it, "state", "terminated");
            if (!waiting.empty()) {
                reason = waiting;
            } else if (ended != nullptr) {
                const auto why = string_at(*ended, "reason");
                if (!why.empty())
                    reason = why;
                else
                    reason = number(*ended, "signal") != 0 ? "Signal:" + std::to_string(number(*ended, "signal"))
                                                           : "ExitCode:" + std::to_string(number(*ended, "exitCode"));
            } else if (json::bool_at(*it, "ready").value_or(false) && at(*it, "state", "running") != nullptr) {
                running = true;
            }
        }
        if (reason == "Completed" && running) {
            const auto ready = kube::condition_of(pod, "Ready");
            reason = ready && ready->status == "True" ? "Running" : "NotReady";
        }
    }
    if (kube::is_deleting(pod)) reason = string_at(pod, "status", "reason") == "NodeLost" ? "Unknown" : "Terminating";
    return Value(reason);
}

Value pod_ready(const Value& pod, Instant) {
    std::int64_t ready = 0;
    for (const Value& status : array_at(pod, "status", "containerStatuses")) ready += json::bool_at(status, "ready").value_or(false) ? 1 : 0;
    return Value(ratio(ready, static_cast<std::int64_t>(array_at(pod, "spec", "containers").size())));
}

Value pod_restarts(const Value& pod, Instant now) {
    std::int64_t restarts = 0;
    std::optional<Instant> last;
    for (const Value& status : array_at(pod, "status", "containerStatuses")) {
        restarts += number(status, "restartCount");
        const auto ended = kube::time_at(status, "lastState", "terminated", "finishedAt");
        if (ended && (!last || *ended > *last)) last = ended;
    }
    if (restarts == 0 || !last) return Value(std::to_string(restarts));
    return Value(std::to_string(restarts) + " (" + human_duration(now - *last) + " ago)");
}

Value node_status(const Value& node, Instant) {
    const auto ready = kube::condition_of(node, "Ready");
    std::string out = !ready ? "Unknown" : ready->status == "True" ? "Ready" : "NotReady";
    if (json::bool_at(node, "spec", "unschedulable").value_or(false)) out += ",SchedulingDisabled";
    return Value(out);
}

Value node_roles(const Value& node, Instant) {
    std::vector<std::string> roles;
    for (const auto& [key, value] : object_at(node, "metadata", "labels")) {
        constexpr std::string_view prefix = "node-role.kubernetes.io/";
        if (std::string_view(key).starts_with(prefix)) roles.emplace_back(std::string_view(key).substr(prefix.size()));
    }
    std::ranges::sort(roles);
    return or_none(join(roles));
}

Value node_address(const Value& node, std::string_view type) {
    for (const Value& address : array_at(node, "status", "addresses")) {
        if (string_at(address, "type") == type) return Value(string_at(address, "address"));
    }
    return Value("<none>");
}

Value service_ports(const Value& service, Instant) {
    std::vector<std::string> out;
    for (const Value& port : array_at(service, "spec", "ports")) {
        auto text = std::to_string(number(port, "port"));
        if (const auto node = number(port, "nodePort"); node != 0) text += ":" + std::to_string(node);
        out.push_back(text + "/" + std::string(string_at(port, "protocol")));
    }
    return or_none(join(out));
}

std::string quantity_text(const Value* value) {
    if (value == nullptr) return "";
    return value->is_string() ? std::string(json::view(value->get_string())) : json::dump(*value);
}

Value claim_modes(const Value& claim, Instant) {
    std::vector<std::string> out;
    for (const Value& mode : array_at(claim, "spec", "accessModes")) {
        const auto text = mode.is_string() ? json::view(mode.get_string()) : std::string_view{};
        out.emplace_back(text == "ReadWriteOnce" ? "RWO" : text == "ReadOnlyMany" ? "ROX" : text == "ReadWriteMany" ? "RWX" : "RWOP");
    }
    return Value(join(out));
}

Value budget_bound(const Value& budget, std::string_view field) {
    const auto text = quantity_text(at(budget, "spec", field));
    return Value(text.empty() ? "N/A" : text);
}

Value event_seen(const Value& event, Instant now) {
    for (const std::string_view field : {"lastTimestamp", "eventTime", "firstTimestamp"}) {
        if (const auto time = kube::time_at(event, field)) return Value(human_duration(now - *time));
    }
    return age(event, now);
}

using Columns = std::vector<Column>;

const std::map<std::string, Columns, std::less<>>& tables() {
    static const std::map<std::string, Columns, std::less<>> all{
        {"pods",
         {{"Name", "string", "name", 0, name},
          {"Ready", "string", "", 0, pod_ready},
          {"Status", "string", "", 0, pod_status},
          {"Restarts", "string", "", 0, pod_restarts},
          {"Age", "string", "", 0, age},
          {"IP", "string", "", 1, [](const Value& o, Instant) { return or_none(string_at(o, "status", "podIP")); }},
          {"Node", "string", "", 1, [](const Value& o, Instant) { return or_none(string_at(o, "spec", "nodeName")); }},
          {"Nominated Node", "string", "", 1, [](const Value& o, Instant) { return or_none(string_at(o, "status", "nominatedNodeName")); }},
          {"Readiness Gates", "string", "", 1,
           [](const Value& o, Instant) {
               const auto total = array_at(o, "spec", "readinessGates").size();
               return total == 0 ? Value("<none>") : Value(std::to_string(total));
           }}}},
        {"deployments.apps",
         {{"Name", "string", "name", 0, name},
          {"Ready", "string", "", 0,
           [](const Value& o, Instant) { return Value(ratio(number(o, "status", "readyReplicas"), number(o, "spec", "replicas"))); }},
          {"Up-to-date", "integer", "", 0, [](const Value& o, Instant) { return Value(number(o, "status", "updatedReplicas")); }},
          {"Available", "integer", "", 0, [](const Value& o, Instant) { return Value(number(o, "status", "availableReplicas")); }},
          {"Age", "string", "", 0, age},
          {"Containers", "string", "", 1, template_containers},
          {"Images", "string", "", 1, template_images},
          {"Selector", "string", "", 1, selector_text}}},
        {"replicasets.apps",
         {{"Name", "string", "name", 0, name},
          {"Desired", "integer", "", 0, [](const Value& o, Instant) { return Value(number(o, "spec", "replicas")); }},
          {"Current", "integer", "", 0, [](const Value& o, Instant) { return Value(number(o, "status", "replicas")); }},
          {"Ready", "integer", "", 0, [](const Value& o, Instant) { return Value(number(o, "status", "readyReplicas")); }},
          {"Age", "string", "", 0, age},
          {"Containers", "string", "", 1, template_containers},
          {"Images", "string", "", 1, template_images},
          {"Selector", "string", "", 1, selector_text}}},
        {"statefulsets.apps",
         {{"Name", "string", "name", 0, name},
          {"Ready", "string", "", 0,
           [](const Value& o, Instant) { return Value(ratio(number(o, "status", "readyReplicas"), number(o, "spec", "replicas"))); }},
          {"Age", "string", "", 0, age},
          {"Containers", "string", "", 1, template_containers},
          {"Images", "string", "", 1, template_images}}},
        {"daemonsets.apps",
         {{"Name", "string", "name", 0, name},
          {"Desired", "integer", "", 0, [](const Value& o, Instant) { return Value(number(o, "status", "desiredNumberScheduled")); }},
          {"Current", "integer", "", 0, [](const Value& o, Instant) { return Value(number(o, "status", "currentNumberScheduled")); }},
          {"Ready", "integer", "", 0, [](const Value& o, Instant) { return Value(number(o, "status", "numberReady")); }},
          {"Up-to-date", "integer", "", 0, [](const Value& o, Instant) { return Value(number(o, "status", "updatedNumberScheduled")); }},
          {"Available", "integer", "", 0, [](const Value& o, Instant) { return Value(number(o, "status", "numberAvailable")); }},
          {"Node Selector", "string", "", 0,
           [](const Value& o, Instant) {
               const auto* map = at(o, "spec", "template", "spec", "nodeSelector");
               return map == nullptr ? Value("<none>") : or_none(kube::to_query(json::Object{{"matchLabels", *map}}));
           }},
          {"Age", "string", "", 0, age}}},
        {"nodes",
         {{"Name", "string", "name", 0, name},
          {"Status", "string", "", 0, node_status},
          {"Roles", "string", "", 0, node_roles},
          {"Age", "string", "", 0, age},
          {"Version", "string", "", 0, [](const Value& o, Instant) { return Value(string_at(o, "status", "nodeInfo", "kubeletVersion")); }},
          {"Internal-IP", "string", "", 1, [](const Value& o, Instant) { return node_address(o, "InternalIP"); }},
          {"External-IP", "string", "", 1, [](const Value& o, Instant) { return node_address(o, "ExternalIP"); }},
          {"OS-Image", "string", "", 1, [](const Value& o, Instant) { return Value(string_at(o, "status", "nodeInfo", "osImage")); }},
          {"Kernel-Version", "string", "", 1, [](const Value& o, Instant) { return Value(string_at(o, "status", "nodeInfo", "kernelVersion")); }},
          {"Container-Runtime", "string", "", 1,
           [](const Value& o, Instant) { return Value(string_at(o, "status", "nodeInfo", "containerRuntimeVersion")); }}}},
        {"services",
         {{"Name", "string", "name", 0, name},
          {"Type", "string", "", 0, [](const Value& o, Instant) { return Value(string_at(o, "spec", "type")); }},
          {"Cluster-IP", "string", "", 0, [](const Value& o, Instant) { return or_none(string_at(o, "spec", "clusterIP")); }},
          {"External-IP", "string", "", 0, [](const Value&, Instant) { return Value("<none>"); }},
          {"Port(s)", "string", "", 0, service_ports},
          {"Age", "string", "", 0, age},
          {"Selector", "string", "", 1,
           [](const Value& o, Instant) {
               const auto* map = at(o, "spec", "selector");
               return map == nullptr ? Value("<none>") : or_none(kube::to_query(json::Object{{"matchLabels", *map}}));
           }}}},
        {"namespaces",
         {{"Name", "string", "name", 0, name},
          {"Status", "string", "", 0, [](const Value& o, Instant) { return Value(string_at(o, "status", "phase")); }},
          {"Age", "string", "", 0, age}}},
        {"configmaps",
         {{"Name", "string", "name", 0, name},
          {"Data", "string", "", 0,
           [](const Value& o, Instant) { return Value(static_cast<std::int64_t>(object_at(o, "data").size() + object_at(o, "binaryData").size())); }},
          {"Age", "string", "", 0, age}}},
        {"secrets",
         {{"Name", "string", "name", 0, name},
          {"Type", "string", "", 0, [](const Value& o, Instant) { return Value(string_at(o, "type")); }},
          {"Data", "string", "", 0, [](const Value& o, Instant) { return Value(static_cast<std::int64_t>(object_at(o, "data").size())); }},
          {"Age", "string", "", 0, age}}},
        {"persistentvolumeclaims",
         {{"Name", "string", "name", 0, name},
          {"Status", "string", "", 0, [](const Value& o, Instant) { return Value(string_at(o, "status", "phase")); }},
          {"Volume", "string", "", 0, [](const Value& o, Instant) { return Value(string_at(o, "spec", "volumeName")); }},
          {"Capacity", "string", "", 0, [](const Value& o, Instant) { return Value(quantity_text(at(o, "status", "capacity", "storage"))); }},
          {"Access Modes", "string", "", 0, claim_modes},
          {"StorageClass", "string", "", 0, [](const Value& o, Instant) { return Value(string_at(o, "spec", "storageClassName")); }},
          {"Age", "string", "", 0, age}}},
        {"jobs.batch",
         {{"Name", "string", "name", 0, name},
          {"Status", "string", "", 0,
           [](const Value& o, Instant) {
               const auto done = kube::condition_of(o, "Complete");
               const auto failed = kube::condition_of(o, "Failed");
               return Value(done && done->status == "True" ? "Complete" : failed && failed->status == "True" ? "Failed" : "Running");
           }},
          {"Completions", "string", "", 0,
           [](const Value& o, Instant) {
               return Value(ratio(number(o, "status", "succeeded"), json::int_at(o, "spec", "completions").value_or(1)));
           }},
          {"Age", "string", "", 0, age}}},
        {"cronjobs.batch",
         {{"Name", "string", "name", 0, name},
          {"Schedule", "string", "", 0, [](const Value& o, Instant) { return Value(string_at(o, "spec", "schedule")); }},
          {"Suspend", "boolean", "", 0,
           [](const Value& o, Instant) { return Value(json::bool_at(o, "spec", "suspend").value_or(false) ? "True" : "False"); }},
          {"Active", "integer", "", 0,
           [](const Value& o, Instant) { return Value(static_cast<std::int64_t>(array_at(o, "status", "active").size())); }},
          {"Age", "string", "", 0, age}}},
        {"poddisruptionbudgets.policy",
         {{"Name", "string", "name", 0, name},
          {"Min Available", "string", "", 0, [](const Value& o, Instant) { return budget_bound(o, "minAvailable"); }},
          {"Max Unavailable", "string", "", 0, [](const Value& o, Instant) { return budget_bound(o, "maxUnavailable"); }},
          {"Allowed Disruptions", "integer", "", 0, [](const Value& o, Instant) { return Value(number(o, "status", "disruptionsAllowed")); }},
          {"Age", "string", "", 0, age}}},
        {"horizontalpodautoscalers.autoscaling",
         {{"Name", "string", "name", 0, name},
          {"Reference", "string", "", 0,
           [](const Value& o, Instant) {
               return Value(std::string(string_at(o, "spec", "scaleTargetRef", "kind")) + "/" +
                            std::string(string_at(o, "spec", "scaleTargetRef", "name")));
           }},
          {"MinPods", "string", "", 0, [](const Value& o, Instant) { return Value(std::to_string(number(o, "spec", "minReplicas"))); }},
          {"MaxPods", "integer", "", 0, [](const Value& o, Instant) { return Value(number(o, "spec", "maxReplicas")); }},
          {"Replicas", "integer", "", 0, [](const Value& o, Instant) { return Value(number(o, "status", "currentReplicas")); }},
          {"Age", "string", "", 0, age}}},
        {"events",
         {{"Last Seen", "string", "", 0, event_seen},
          {"Type", "string", "", 0, [](const Value& o, Instant) { return Value(string_at(o, "type")); }},
          {"Reason", "string", "", 0, [](const Value& o, Instant) { return Value(string_at(o, "reason")); }},
          {"Object", "string", "", 0,
           [](const Value& o, Instant) {
               std::string kind(string_at(o, "involvedObject", "kind"));
               std::ranges::transform(kind, kind.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
               return Value(kind + "/" + std::string(string_at(o, "involvedObject", "name")));
           }},
          {"Message", "string", "", 0, [](const Value& o, Instant) { return Value(string_at(o, "message")); }},
          {"Name", "string", "name", 1, name}}},
        {"customresourcedefinitions.apiextensions.k8s.io",
         {{"Name", "string", "name", 0, name},
          {"Created At", "date", "", 0, [](const Value& o, Instant) { return Value(string_at(o, "metadata", "creationTimestamp")); }}}},
    };
    return all;
}

const Columns& columns_of(const ServedType& type) {
    static const Columns plain{{"Name", "string", "name", 0, name}, {"Age", "string", "", 0, age}};
    const auto found = tables().find(type.storage);
    return found == tables().end() ? plain : found->second;
}

/// A simple JSON path of additionalPrinterColumns: ".spec.n", ".status.conditions[?(@.type=="Ready")].status".
Value json_path(const Value& object, std::string_view path) {
    const Value* value = &object;
    if (path.starts_with('.')) path.remove_prefix(1);
    while (value != nullptr && !path.empty()) {
        const auto end = path.find_first_of(".[");
        const auto key = path.substr(0, end);
        if (!key.empty()) value = at(*value, key);
        if (end == std::string_view::npos) break;
        if (path[end] == '.') {
            path.remove_prefix(end + 1);
            continue;
        }
        const auto close = path.find(']', end);
        if (close == std::string_view::npos || value == nullptr) return nullptr;
        const auto inside = path.substr(end + 1, close - end - 1);
        const auto* list = value->if_array();
        value = nullptr;
        if (list == nullptr) return nullptr;
        if (inside.starts_with("?(@.")) {
            const auto eq = inside.find("==");
            if (eq == std::string_view::npos) return nullptr;
            const auto field = inside.substr(4, eq - 4);
            auto wanted = inside.substr(eq + 2);
            while (!wanted.empty() && (wanted.front() == '"' || wanted.front() == '\'' || wanted.front() == ' ')) wanted.remove_prefix(1);
            while (!wanted.empty() && (wanted.back() == '"' || wanted.back() == '\'' || wanted.back() == ')' || wanted.back() == ' '))
                wanted.remove_suffix(1);
            for (const Value& item : *list) {
                if (value == nullptr && string_at(item, field) == wanted) value = &item;
            }
        } else {
            const auto index = json::parse(inside);
            if (index && index->is_int64() && static_cast<std::size_t>(index->get_int64()) < list->size())
                value = &(*list)[static_cast<std::size_t>(index->get_int64())];
        }
        path.remove_prefix(close + 1);
        if (path.starts_with('.')) path.remove_prefix(1);
    }
    return value == nullptr ? Value(nullptr) : *value;
}

}  // namespace

json::Array table_columns(const ServedType& type) {
    json::Array out;
    const auto add = [&out](std::string_view column_name, std::string_view column_type, std::string_view format, std::int64_t priority,
                            std::string_view description) {
        out.push_back(
            json::Object{{"name", column_name}, {"type", column_type}, {"format", format}, {"description", description}, {"priority", priority}});
    };
    if (type.custom && !type.custom->columns.empty()) {
        add("Name", "string", "name", 0, "Name of the object");
        for (const Value& column : type.custom->columns) {
            add(string_at(column, "name"), string_at(column, "type"), string_at(column, "format"), json::int_at(column, "priority").value_or(0),
                string_at(column, "description"));
        }
        return out;
    }
    for (const auto& column : columns_of(type)) add(column.name, column.type, column.format, column.priority, column.name);
    return out;
}

json::Array table_row(const ServedType& type, const Value& object, Instant now) {
    json::Array out;
    if (type.custom && !type.custom->columns.empty()) {
        out.push_back(name(object, now));
        for (const Value& column : type.custom->columns) {
            auto value = json_path(object, string_at(column, "jsonPath"));
            if (string_at(column, "type") == "date" && value.is_string()) {
                const auto time = parse_rfc3339(json::view(value.get_string()));
                value = time ? Value(human_duration(now - *time)) : Value("<unknown>");
            }
            out.push_back(std::move(value));
        }
        return out;
    }
    for (const auto& column : columns_of(type)) out.push_back(column.cell(object, now));
    return out;
}

Value table_of(const ServedType& type, const std::vector<ObjectPtr>& objects, const Value& list_metadata, std::string_view include_object,
               Instant now, bool with_columns) {
    json::Array rows;
    for (const auto& object : objects) {
        json::Object row{{"cells", table_row(type, object->value(), now)}};
        if (include_object == "None")
            row["object"] = nullptr;
        else if (include_object == "Object")
            row["object"] = served_value(type, object->value());
        else
            row["object"] = partial_metadata(object->value());
        rows.push_back(std::move(row));
    }
    return json::Object{{"kind", "Table"},
                        {"apiVersion", "meta.k8s.io/v1"},
                        {"metadata", list_metadata},
                        {"columnDefinitions", with_columns ? Value(table_columns(type)) : Value(nullptr)},
                        {"rows", std::move(rows)}};
}

}  // namespace kn::sim::api
