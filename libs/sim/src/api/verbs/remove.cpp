// DELETE in all its forms, and what follows from it: grace, finalizers, propagation, namespaces, Events that grow old.
#include <algorithm>
#include <charconv>

#include "api/core.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::sim::api {
namespace {

using json::string_at;

std::string seconds(Instant now) { return format_rfc3339(std::chrono::ceil<std::chrono::seconds>(now)); }

bool holds_finalizers(const Value& object) {
    if (!json::array_at(object, "metadata", "finalizers").empty()) return true;
    return kube::kind_of(object) == "Namespace" && kube::api_version_of(object) == "v1" && !json::array_at(object, "spec", "finalizers").empty();
}

Value success_status(const ServedType& type, const Value& object) {
    json::Object details{{"name", kube::name_of(object)}};
    if (!type.resource.group.empty()) details["group"] = type.resource.group;
    details["kind"] = type.resource.plural;
    details["uid"] = kube::uid_of(object);
    return json::Object{
        {"kind", "Status"}, {"apiVersion", "v1"}, {"metadata", json::Object{}}, {"status", "Success"}, {"details", std::move(details)}};
}

/// The grace that a pod gets: 0 when nothing runs that could be stopped gently.
int pod_grace(const Value& pod, int asked) {
    const auto phase = string_at(pod, "status", "phase");
    if (string_at(pod, "spec", "nodeName").empty() || phase == "Succeeded" || phase == "Failed") return 0;
    const auto own = static_cast<int>(json::int_at(pod, "spec", "terminationGracePeriodSeconds").value_or(30));
    return asked >= 0 ? asked : std::max(own, 0);
}

/// Adds or removes the finalizers that stand for the propagation policy.
void set_propagation(Value& object, std::string_view policy) {
    json::Array finalizers;
    for (const Value& finalizer : json::array_at(object, "metadata", "finalizers")) {
        if (finalizer != "orphan" && finalizer != "foregroundDeletion")
            finalizers.push_back(finalizer);
        else if (policy.empty())
            finalizers.push_back(finalizer);
    }
    if (policy == "Orphan") finalizers.emplace_back("orphan");
    if (policy == "Foreground") finalizers.emplace_back("foregroundDeletion");
    if (finalizers.empty())
        object.as_object()["metadata"].as_object().erase("finalizers");
    else
        json::make_at(object, "metadata", "finalizers") = std::move(finalizers);
}

}  // namespace

Outcome<Core::DeleteSpec> Core::delete_spec(const RequestInfo& info, const Value& body) {
    DeleteSpec spec;
    const auto number = [](std::string_view text) {
        int value = -1;
        std::from_chars(text.data(), text.data() + text.size(), value);
        return value;
    };
    if (const auto text = info.query("gracePeriodSeconds"); !text.empty()) spec.grace_seconds = number(text);
    spec.propagation = info.query("propagationPolicy");
    std::vector<std::string> dry;
    for (const auto value : info.query_all("dryRun")) dry.emplace_back(value);
    if (body.is_object()) {
        if (const auto grace = json::int_at(body, "gracePeriodSeconds")) spec.grace_seconds = static_cast<int>(*grace);
        if (const auto policy = string_at(body, "propagationPolicy"); !policy.empty()) spec.propagation = policy;
        if (json::bool_at(body, "orphanDependents").value_or(false)) spec.propagation = "Orphan";
        spec.uid = string_at(body, "preconditions", "uid");
        spec.resource_version = string_at(body, "preconditions", "resourceVersion");
        for (const Value& value : json::array_at(body, "dryRun"))
            dry.emplace_back(value.is_string() ? json::view(value.get_string()) : std::string_view{});
    }
    for (const auto& value : dry) {
        if (value.empty()) continue;
        if (value != "All") {
            return invalid("meta.k8s.io", "DeleteOptions", "", {unsupported("dryRun", json::Array{Value(value)}, {"All"})});
        }
        spec.dry_run = true;
    }
    if (!spec.propagation.empty() && spec.propagation != "Background" && spec.propagation != "Foreground" && spec.propagation != "Orphan") {
        return invalid("meta.k8s.io", "DeleteOptions", "",
                       {unsupported("propagationPolicy", Value(spec.propagation), {"Background", "Foreground", "Orphan"})});
    }
    return spec;
}

Outcome<Core::Removed> Core::remove_object(const ServedType& type, const ObjectPtr& object, const DeleteSpec& spec) {
    const Value& old = object->value();
    const auto name = kube::name_of(old);
    if (!spec.uid.empty() && spec.uid != kube::uid_of(old)) {
        // The one place where details.kind is the kind and not the resource (b12).
        return refuse(409, "Conflict",
                      "Operation cannot be fulfilled on " + type.resource.kind_group() + " \"" + std::string(name) +
                          "\": the UID in the precondition (" + spec.uid + ") does not match the UID in record (" + std::string(kube::uid_of(old)) +
                          "). The object might have been deleted and then recreated",
                      json::Object{{"name", name}, {"kind", type.resource.kind}});
    }
    if (!spec.resource_version.empty() && spec.resource_version != kube::resource_version_of(old)) {
        return refuse(409, "Conflict",
                      "Operation cannot be fulfilled on " + type.resource.kind_group() + " \"" + std::string(name) +
                          "\": the ResourceVersion in the precondition (" + spec.resource_version +
                          ") does not match the ResourceVersion in record (" + std::string(kube::resource_version_of(old)) +
                          "). The object might have been modified",
                      json::Object{{"name", name}, {"kind", type.resource.kind}});
    }
    const bool pod = type.storage == "pods";
    const int grace = pod ? pod_grace(old, spec.grace_seconds) : 0;
    Value next = old;
    set_propagation(next, spec.propagation);
    const bool deleting = kube::is_deleting(old);
    const Key key{type.resource.namespaced ? std::string(kube::namespace_of(old)) : std::string{}, std::string(name)};

    if (deleting) {
        const auto left = json::int_at(old, "metadata", "deletionGracePeriodSeconds").value_or(0);
        // Asking again changes something only when it asks for less time (j02).
        const bool shorter = pod && grace < left;
        if (!shorter && (holds_finalizers(next) || left > 0) && next == old) return Removed{.object = object};
        if (shorter) {
            json::make_at(next, "metadata", "deletionGracePeriodSeconds") = grace;
            json::make_at(next, "metadata", "deletionTimestamp") = seconds(now() + std::chrono::seconds(grace));
            if (type.generation) json::make_at(next, "metadata", "generation") = kube::generation_of(old) + 1;
        }
    }
    if (!deleting) {
        json::make_at(next, "metadata", "deletionTimestamp") = seconds(now() + std::chrono::seconds(grace));
        if (type.storage != "namespaces") json::make_at(next, "metadata", "deletionGracePeriodSeconds") = grace;
        if (type.generation) json::make_at(next, "metadata", "generation") = kube::generation_of(old) + 1;
    }
    if (type.storage == "namespaces") json::make_at(next, "status", "phase") = "Terminating";
    const bool stays = holds_finalizers(next) || json::int_at(next, "metadata", "deletionGracePeriodSeconds").value_or(0) > 0;
    if (spec.dry_run) {
        return Removed{.object = std::make_shared<const StoredObject>(std::move(next), object->version()), .gone = !stays, .changed = true};
    }
    if (stays) return Removed{.object = store.put(type.storage, key, std::move(next), now()), .gone = false, .changed = true};
    // Pods are answered in their last state, with the times set.
    auto last = std::make_shared<const StoredObject>(std::move(next), object->version());
    const auto erased = store.erase(type.storage, key, now());
    object_gone(type.storage, *erased);
    return Removed{.object = pod ? last : erased, .gone = true, .changed = true};
}

Outcome<kube::Response> Core::remove(const RequestInfo& info, const ServedType& type, const Identity& identity) {
    (void)identity;
    Value body = nullptr;
    if (!info.request->body.empty()) {
        KN_TRY(body, read_body(*info.request, "DeleteOptions"));
    }
    KN_TRY(const auto spec, delete_spec(info, body));
    const auto object = find(type.storage, type.resource.namespaced ? info.ns : std::string{}, info.name);
    if (!object) return not_found(type.resource, info.name);
    if (type.storage == "namespaces" && (info.name == "default" || info.name == "kube-system" || info.name == "kube-public")) {
        return forbidden(type.resource, info.name, "this namespace may not be deleted");
    }
    KN_TRY(const auto removed, remove_object(type, object, spec));
    write_changed_ = removed.changed && !spec.dry_run;
    if (type.storage == "namespaces" && !spec.dry_run) clean_namespace(info.name);
    if (removed.gone && type.storage != "pods") return json_response(200, success_status(type, removed.object->value()));
    return render(200, type, *removed.object, info);
}

Outcome<kube::Response> Core::remove_collection(const RequestInfo& info, const ServedType& type, const Identity& identity) {
    (void)identity;
    Value body = nullptr;
    if (!info.request->body.empty()) {
        KN_TRY(body, read_body(*info.request, "DeleteOptions"));
    }
    KN_TRY(auto spec, delete_spec(info, body));
    KN_TRY(const auto selection, Selection::read(info, type));
    std::vector<ObjectPtr> chosen;
    const auto& objects = store.of(type.storage).objects();
    for (auto it = objects.lower_bound(KeyView{type.resource.namespaced ? std::string_view(info.ns) : std::string_view{}, {}}); it != objects.end();
         ++it) {
        if (type.resource.namespaced && !info.ns.empty() && it->first.first != info.ns) break;
        if (selection.matches(it->second->value())) chosen.push_back(it->second);
    }
    std::string items;
    for (const auto& object : chosen) {
        KN_TRY(const auto removed, remove_object(type, object, spec));
        write_changed_ = write_changed_ || (removed.changed && !spec.dry_run);
        items += (items.empty() ? "" : ",") + served_item_text(type, *removed.object);
    }
    return json_response(200, "{\"kind\":\"" + type.resource.kind + "List\",\"apiVersion\":\"" + type.resource.api_version() +
                                  "\",\"metadata\":{\"resourceVersion\":\"" + std::to_string(store.version()) + "\"},\"items\":[" + items + "]}\n");
}

/// What follows when an object has left the store.
void Core::object_gone(std::string_view storage, const StoredObject& object) {
    if (storage.ends_with(".rbac.authorization.k8s.io")) rbac.forget();
    if (storage == "customresourcedefinitions.apiextensions.k8s.io") {
        const std::string group(string_at(object.value(), "spec", "group")), plural(string_at(object.value(), "spec", "names", "plural"));
        store.drop(plural + "." + group, now());
        types.remove_custom(group, plural);
    }
    const auto ns = kube::namespace_of(object.value());
    if (ns.empty() || !options.namespace_cleaner) return;
    const auto home = find("namespaces", {}, ns);
    if (home && kube::is_deleting(home->value())) clean_namespace(std::string(ns));
}

/// The namespace controller's work: deletes what is there, and the namespace itself once it is empty. Runs a moment later and again whenever something
/// of the namespace goes.
void Core::clean_namespace(const std::string& name) {
    if (!options.namespace_cleaner || !cleaning_.insert(name).second) return;
    loop.clock().call_at(loop.clock().steady() + std::chrono::milliseconds(100), [weak = weak_from_this(), name] {
        const auto core = weak.lock();
        if (!core) return;
        const auto home = core->find("namespaces", {}, name);
        if (!home || !kube::is_deleting(home->value())) {
            core->cleaning_.erase(name);
            return;
        }
        const Identity controller{.user = "system:serviceaccount:kube-system:namespace-controller"};
        bool empty = true;
        std::vector<std::string> storages;
        for (const auto& [storage, collection] : core->store.all()) storages.push_back(storage);
        for (const auto& storage : storages) {
            const auto* type = core->types.by_storage(storage);
            if (type == nullptr || !type->resource.namespaced) continue;
            std::vector<ObjectPtr> inside;
            const auto& objects = core->store.of(storage).objects();
            for (auto it = objects.lower_bound(KeyView{name, {}}); it != objects.end() && it->first.first == name; ++it) inside.push_back(it->second);
            for (const auto& object : inside) {
                RequestInfo info;
                info.verb = "delete";
                info.ns = name;
                const auto removed = core->remove_object(*type, object, {});
                if (removed && removed->changed) {
                    core->note_write(info, *type, controller, "", 200, false, true, kube::name_of(object->value()));
                }
                if (!removed || !removed->gone) empty = false;
            }
        }
        core->cleaning_.erase(name);
        if (!empty) return;  // the last one that goes brings us back
        Value last = home->value();
        json::make_at(last, "spec").as_object().erase("finalizers");
        if (!json::array_at(last, "metadata", "finalizers").empty()) {
            core->store.put("namespaces", {"", name}, std::move(last), core->now());
            return;
        }
        const auto gone = core->store.erase("namespaces", {"", name}, core->now());
        RequestInfo info;
        info.verb = "delete";
        core->note_write(info, *core->types.by_storage("namespaces"), controller, "", 200, false, true, name);
        core->object_gone("namespaces", *gone);
    });
}

/// Events live for an hour (--event-ttl). Looked at whenever a request comes, oldest change first.
void Core::expire_events() {
    const auto limit = now() - options.event_ttl;
    auto& collection = store.of("events");
    // The queue holds one entry a change; an Event that changed since has a later one.
    while (!event_ages_.empty() && event_ages_.front().first < limit) {
        const auto [time, key] = event_ages_.front();
        event_ages_.pop_front();
        const auto object = collection.find(key.first, key.second);
        if (!object) continue;
        const auto newest = event_times_.find(key);
        if (newest != event_times_.end() && newest->second > time) continue;
        if (newest != event_times_.end()) event_times_.erase(newest);
        store.erase("events", key, now());
    }
}

}  // namespace kn::sim::api
