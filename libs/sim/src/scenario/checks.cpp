#include <algorithm>

#include "common/text.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/resource.hpp"
#include "scenario/state.hpp"

namespace kn::sim {
namespace {

namespace r = kube::resources;
using Words = async::Task<Result<std::string>>;

Result<std::optional<json::Value>> or_absent(Result<json::Value> read) {
    if (read) return std::optional(*std::move(read));
    if (read.error().code == ErrorCode::not_found) return std::optional<json::Value>{};
    return fail(std::move(read).error());
}

async::Task<Result<std::optional<json::Value>>> read_object(Stage stage, ObjectName object, Deadline deadline) {
    co_return or_absent(co_await stage.client->get(*object.resource, object.ns, object.name, deadline));
}

/// The part of a body that names an object: the body itself when it is a text, else its "object".
std::string object_of(const json::Value& body) {
    return std::string(body.is_string() ? json::view(body.get_string()) : json::string_at(body, "object"));
}

Words check_field(Stage stage, json::Value body, Deadline deadline) {
    const auto object = ObjectName::parse(object_of(body));
    KN_CO_TRY(const auto live, co_await read_object(stage, *object, deadline));
    if (!live) co_return object->text() + " does not exist";
    const std::string pointer(json::string_at(body, "pointer"));
    const auto* value = json::at_pointer(*live, pointer);
    const std::string shown = value == nullptr ? "nothing" : json::dump(*value);
    if (const auto* wanted = json::at(body, "equals"); wanted != nullptr && (value == nullptr || *value != *wanted))
        co_return object->text() + " " + pointer + " is " + shown + ", not " + json::dump(*wanted);
    if (const auto* wanted = json::at(body, "not"); wanted != nullptr && value != nullptr && *value == *wanted)
        co_return object->text() + " " + pointer + " is still " + shown;
    const auto number = kube::quantity_at(value);
    if (const auto least = kube::quantity_at(json::at(body, "at_least")); least && (!number || *number < *least))
        co_return object->text() + " " + pointer + " is " + shown + ", too small";
    if (const auto most = kube::quantity_at(json::at(body, "at_most")); most && (!number || *number > *most))
        co_return object->text() + " " + pointer + " is " + shown + ", too large";
    co_return std::string();
}

Words check_as_before(Scenario::State* state, Stage stage, json::Value body, Deadline deadline) {
    const auto object = ObjectName::parse(object_of(body));
    const auto before = state->before.find(object->text());
    KN_CO_TRY(const auto live, co_await read_object(stage, *object, deadline));
    if (!live) co_return object->text() + " does not exist";
    if (before == state->before.end()) co_return fail(ErrorCode::failed_precondition, "check() before inject()");
    std::string pointer(json::string_at(body, "pointer"));
    if (pointer.empty())
        pointer = json::at(before->second, "spec") != nullptr      ? "/spec"
                  : json::at(before->second, "rules") != nullptr   ? "/rules"
                  : json::at(before->second, "roleRef") != nullptr ? "/roleRef"
                                                                   : "/data";
    const auto* was = json::at_pointer(before->second, pointer);
    const auto* is = json::at_pointer(*live, pointer);
    const bool same = was == is || (was != nullptr && is != nullptr && *was == *is);
    co_return same ? std::string() : object->text() + " " + pointer + " is not as it was";
}

Words check_pods(Stage stage, json::Value body, Deadline deadline) {
    KN_CO_TRY(const auto pods, co_await stage.client->list(r::pods, std::string(json::string_at(body, "ns")), {}, deadline));
    const auto phase = json::string_at(body, "phase");
    for (const auto& pod : pods.items) {
        if (!phase.empty() && json::string_at(pod, "status", "phase") == phase)
            co_return "pod " + std::string(kube::name_of(pod)) + " is " + std::string(phase);
        if (json::bool_at(body, "unschedulable").value_or(false)) {
            const auto scheduled = kube::condition_of(pod, "PodScheduled");
            if (scheduled && scheduled->status == "False") co_return "pod " + std::string(kube::name_of(pod)) + " has no node";
        }
    }
    co_return std::string();
}

Words check_volume(Stage stage, json::Value body, Deadline) {
    const auto parts = split(json::string_at(body, "claim"), '/');
    const Instant now = stage.client->clock().now();
    const double used = stage.metrics->volume_used(parts[0], parts[1], now), capacity = stage.metrics->volume_capacity(parts[0], parts[1], now);
    const double limit = json::double_at(body, "below").value_or(0.85);
    if (capacity > 0 && used / capacity < limit) co_return std::string();
    co_return "volume " + parts[0] + "/" + parts[1] + " is " + std::to_string(static_cast<int>(capacity > 0 ? 100 * used / capacity : 0)) + " % full";
}

/// Every running container of the namespace's workload uses less than this part of its limit.
Words check_memory(Stage stage, json::Value body, Deadline) {
    const Instant now = stage.client->clock().now();
    const std::string app(json::string_at(body, "app"));
    const double below = json::double_at(body, "below").value_or(0.8);
    const auto usage =
        stage.metrics->query("container_memory_working_set_bytes", {{"namespace", std::string(json::string_at(body, "ns"))}}, now, now, 1s);
    if (!usage) co_return fail(usage.error());
    for (const auto& series : *usage) {
        const auto pod = series.labels.find("pod");
        if (pod == series.labels.end() || !pod->second.starts_with(app)) continue;
        const double limit = stage.metrics->value("container_spec_memory_limit_bytes", series.labels, now).value_or(0);
        if (limit > 0 && series.samples.back().value / limit >= below)
            co_return "pod " + pod->second + " uses " + std::to_string(static_cast<int>(100 * series.samples.back().value / limit)) +
                " % of its memory";
    }
    co_return std::string();
}

Words check_node_clear(Stage stage, json::Value body, Deadline deadline) {
    const std::string name(json::string_at(body, "node"));
    KN_CO_TRY(const auto node, co_await read_object(stage, {&r::nodes, {}, name}, deadline));
    if (!node) co_return std::string();
    if (const auto taint = json::string_at(body, "no_taint"); !taint.empty()) {
        for (const auto& each : json::array_at(*node, "spec", "taints")) {
            if (json::string_at(each, "key") == taint) co_return "node " + name + " still has the taint " + std::string(taint);
        }
    }
    if (!json::bool_at(body, "drained").value_or(false)) co_return std::string();
    KN_CO_TRY(const auto pods, co_await stage.client->list(r::pods, {}, {.field_selector = "spec.nodeName=" + name}, deadline));
    for (const auto& pod : pods.items) {
        const auto owner = kube::controller_of(pod);
        const bool stuck = kube::is_deleting(pod);  // nobody ends it while the machine is off
        if (!stuck && !(owner && owner->kind == "DaemonSet")) co_return "pod " + std::string(kube::name_of(pod)) + " is still on node " + name;
    }
    co_return std::string();
}

Words check_access(Stage stage, json::Value body, Deadline deadline) {
    const auto* resource = kube::find_resource(json::string_at(body, "resource"));
    if (resource == nullptr) co_return fail(ErrorCode::invalid_argument, "unknown resource");
    const std::string user(json::string_at(body, "user")), ns(json::string_at(body, "ns"));
    std::vector<std::string> groups{"system:authenticated", "system:serviceaccounts"};
    KN_CO_TRY(const bool allowed, co_await stage.client->can_user(user, groups, std::string(json::string_at(body, "verb")), *resource, ns, deadline));
    const bool wanted = json::bool_at(body, "allowed").value_or(true);
    co_return allowed == wanted
        ? std::string()
        : user + (wanted ? " may not " : " may ") + std::string(json::string_at(body, "verb")) + " " + resource->plural + " in " + ns;
}

Words check_hpa_free(Stage stage, json::Value body, Deadline deadline) {
    const auto object = ObjectName::parse(object_of(body));
    KN_CO_TRY(const auto live, co_await read_object(stage, *object, deadline));
    if (!live) co_return object->text() + " does not exist";
    const auto limited = kube::condition_of(*live, "ScalingLimited");
    co_return limited && limited->status == "True" ? object->text() + " is limited: " + limited->reason : std::string();
}

bool has_text(const json::Value& body, std::string_view key) { return !json::string_at(body, key).empty(); }

}  // namespace

async::Task<Result<std::string>> workload_trouble(std::shared_ptr<kube::Client> client, ObjectName workload, Duration calm, Deadline deadline) {
    auto read = or_absent(co_await client->get(*workload.resource, workload.ns, workload.name, deadline));
    if (!read) co_return fail(std::move(read).error());
    const std::string name = workload.text();
    if (!*read) co_return name + " does not exist";
    const json::Value& object = **read;
    const auto status = [&](std::string_view field) { return json::int_at(object, "status", field).value_or(0); };
    if (status("observedGeneration") < kube::generation_of(object)) co_return name + " was not looked at yet";
    const auto kind = kube::kind_of(object);
    const auto wanted = kind == "DaemonSet" ? status("desiredNumberScheduled") : json::int_at(object, "spec", "replicas").value_or(1);
    const auto ready = status(kind == "DaemonSet" ? "numberReady" : "readyReplicas");
    const auto updated = status(kind == "DaemonSet" ? "updatedNumberScheduled" : "updatedReplicas");
    const auto total = kind == "DaemonSet" ? wanted : status("replicas");
    if (ready != wanted || updated != wanted || total != wanted) {
        co_return name + ": " + std::to_string(ready) + " of " + std::to_string(wanted) + " ready, " + std::to_string(updated) + " updated, " +
            std::to_string(total) + " in all";
    }
    KN_CO_TRY(const auto pods,
              co_await client->list(r::pods, workload.ns,
                                    {.label_selector =
                                         [&] {
                                             std::vector<std::string> terms;
                                             for (const auto& [key, value] : json::object_at(object, "spec", "selector", "matchLabels"))
                                                 terms.push_back(std::string(key) + "=" + std::string(json::view(value.get_string())));
                                             return join(terms, ",");
                                         }()},
                                    deadline));
    for (const auto& pod : pods.items) {
        if (kube::is_deleting(pod)) continue;
        for (const auto* container : kube::container_statuses(pod)) {
            const auto last = kube::time_at(*container, "lastState", "terminated", "finishedAt");
            const auto running = json::at(*container, "state", "running") != nullptr;
            if (!running && json::string_at(*container, "state", "terminated", "reason") != "Completed")
                co_return name + ": a container of " + std::string(kube::name_of(pod)) + " does not run";
            if (last && client->clock().now() - *last < calm) co_return name + ": " + std::string(kube::name_of(pod)) + " restarted a moment ago";
        }
    }
    co_return std::string();
}

Result<> validate_check(const Step& step) {
    const auto& body = step.body;
    static const std::set<std::string, std::less<>> on_objects{"ready", "as_before", "field", "absent", "exists", "hpa_free"};
    if (on_objects.contains(step.kind)) {
        if (const auto object = ObjectName::parse(object_of(body)); !object) return fail(object.error());
        if (step.kind == "field" && !has_text(body, "pointer")) return fail(ErrorCode::invalid_argument, "field needs a pointer");
        return {};
    }
    if (step.kind == "no_pods") return has_text(body, "ns") ? Result<>{} : fail(ErrorCode::invalid_argument, "no_pods needs ns");
    if (step.kind == "volume")
        return json::string_at(body, "claim").contains('/') ? Result<>{} : fail(ErrorCode::invalid_argument, "volume needs claim: namespace/name");
    if (step.kind == "memory")
        return has_text(body, "ns") && has_text(body, "app") ? Result<>{} : fail(ErrorCode::invalid_argument, "memory needs ns and app");
    if (step.kind == "node") return has_text(body, "node") ? Result<>{} : fail(ErrorCode::invalid_argument, "node needs the name of one");
    if (step.kind == "access")
        return has_text(body, "user") && has_text(body, "verb") && kube::find_resource(json::string_at(body, "resource")) != nullptr
                   ? Result<>{}
                   : fail(ErrorCode::invalid_argument, "access needs user, verb and resource");
    return fail(ErrorCode::invalid_argument, "unknown check '" + step.kind + "'");
}

std::vector<std::string> compared_objects(const Step& check) {
    if (check.kind != "as_before") return {};
    return {ObjectName::parse(object_of(check.body))->text()};
}

async::Task<Result<std::string>> run_check(Scenario::State* state, Stage stage, Step step, Deadline deadline) {
    const json::Value& body = step.body;
    if (step.kind == "ready") {
        const Duration calm{static_cast<std::int64_t>(60'000 / stage.hurry)};
        co_return co_await workload_trouble(stage.client, *ObjectName::parse(object_of(body)), calm, deadline);
    }
    if (step.kind == "as_before") co_return co_await check_as_before(state, stage, body, deadline);
    if (step.kind == "field") co_return co_await check_field(stage, body, deadline);
    if (step.kind == "absent" || step.kind == "exists") {
        const auto object = ObjectName::parse(object_of(body));
        KN_CO_TRY(const auto live, co_await read_object(stage, *object, deadline));
        const bool wanted = step.kind == "exists";
        co_return live.has_value() == wanted ? std::string() : object->text() + (wanted ? " does not exist" : " still exists");
    }
    if (step.kind == "hpa_free") co_return co_await check_hpa_free(stage, body, deadline);
    if (step.kind == "no_pods") co_return co_await check_pods(stage, body, deadline);
    if (step.kind == "volume") co_return co_await check_volume(stage, body, deadline);
    if (step.kind == "memory") co_return co_await check_memory(stage, body, deadline);
    if (step.kind == "node") co_return co_await check_node_clear(stage, body, deadline);
    co_return co_await check_access(stage, body, deadline);
}

}  // namespace kn::sim
