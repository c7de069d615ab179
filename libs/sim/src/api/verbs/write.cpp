// One pipeline for everything that changes an object: decode, defaults, admission, validation, ownership of fields, storage.
#include <algorithm>
#include <array>

#include "api/access/admission.hpp"
#include "api/core.hpp"
#include "api/objects/defaults.hpp"
#include "api/objects/duplicate_fields.hpp"
#include "api/objects/managed.hpp"
#include "api/objects/validation.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::sim::api {
namespace {

using json::at;
using json::Object;
using json::string_at;

std::string seconds(Instant now) { return format_rfc3339(std::chrono::floor<std::chrono::seconds>(now)); }

Manager manager_of(const WriteContext& context, bool apply) {
    return {context.manager, apply ? "Apply" : "Update", context.type->resource.api_version(), context.subresource};
}

/// The fields of metadata in the order that real servers write them.
void order_metadata(Value& object) {
    static constexpr std::array<std::string_view, 14> order{"name",
                                                            "generateName",
                                                            "namespace",
                                                            "uid",
                                                            "resourceVersion",
                                                            "generation",
                                                            "creationTimestamp",
                                                            "deletionTimestamp",
                                                            "deletionGracePeriodSeconds",
                                                            "labels",
                                                            "annotations",
                                                            "ownerReferences",
                                                            "finalizers",
                                                            "managedFields"};
    auto& metadata = object.as_object()["metadata"].as_object();
    Object out;
    out.reserve(order.size());
    for (const auto key : order) {
        if (auto* value = metadata.if_contains(key)) out[key] = std::move(*value);
    }
    metadata = std::move(out);
}

const Value& managed_of(const Value& object) {
    static const Value none = json::Array{};
    const auto* managed = at(object, "metadata", "managedFields");
    return managed != nullptr && managed->is_array() ? *managed : none;
}

/// Sets or removes a field of metadata as it is in the stored object.
void keep_metadata(Value& object, const Value& old, std::string_view key) {
    auto& metadata = object.as_object()["metadata"].as_object();
    if (const auto* value = at(old, "metadata", key))
        metadata[key] = *value;
    else
        metadata.erase(key);
}

void keep_root(Value& object, const Value& old, std::string_view key) {
    if (const auto* value = at(old, key))
        object.as_object()[key] = *value;
    else
        object.as_object().erase(key);
}

void remove_unknown(Value& object, const std::string& path) {
    const auto dot = path.find('.');
    if (dot == std::string::npos) {
        object.as_object().erase(path);
    } else if (auto* parent = object.as_object().if_contains(path.substr(0, dot)); parent != nullptr && parent->is_object()) {
        parent->get_object().erase(path.substr(dot + 1));
    }
}

/// Unknown fields: refused, told or dropped in silence, as fieldValidation asks.
Outcome<> field_validation(WriteContext& context, Value& object) {
    std::vector<std::string> unknown;
    if (context.type->custom) {
        unknown = prune_custom(*context.type, object);
    } else {
        // The table is that of the stored form.
        if (context.type->storage == "events") return {};
        unknown = unknown_fields(*context.type, object);
        for (const auto& path : unknown) remove_unknown(object, path);
    }
    if (context.field_validation == WriteContext::FieldValidation::ignore) return {};
    std::vector<std::string> complaints;
    for (const auto& path : unknown) complaints.push_back("unknown field \"" + path + "\"");
    const auto* request = context.info->request;
    const bool patching = context.info->verb == "patch";
    if (request != nullptr && !patching && (request->content_type.empty() || request->content_type.starts_with("application/json"))) {
        for (const auto& path : duplicate_fields(request->body)) complaints.push_back("duplicate field \"" + path + "\"");
    }
    if (complaints.empty()) return {};
    std::string list;
    for (const auto& text : complaints) {
        if (context.field_validation == WriteContext::FieldValidation::warn) context.warnings.push_back(text);
        list += (list.empty() ? "" : ", ") + text;
    }
    if (context.field_validation == WriteContext::FieldValidation::warn) return {};
    // A patch is refused as such, an object as one that cannot be read.
    if (patching)
        return invalid("", "", "",
                       {invalid_value("patch", Value(request == nullptr ? std::string{} : request->body), "strict decoding error: " + list)});
    const auto& r = context.type->resource;
    return bad_request(r.kind + " in version \"" + r.version + "\" cannot be handled as a " + r.kind + ": strict decoding error: " + list);
}

Outcome<> check_envelope(const WriteContext& context, Value& object) {
    const auto& resource = context.type->resource;
    if (!object.is_object())
        return bad_request("the object provided is unrecognized (must be of type " + resource.kind + "): couldn't get version/kind");
    const auto kind = kube::kind_of(object), version = kube::api_version_of(object);
    if ((kind.empty() || version.empty()) && context.type->custom) {
        return bad_request("Object 'Kind' is missing in '" + json::dump(object).substr(0, 200) + "'");
    }
    if (!kind.empty() && kind != resource.kind) {
        return bad_request(std::string(kind) + " in version \"" + std::string(version) + "\" cannot be handled as a " + resource.kind +
                           ": converting (" + std::string(version) + "." + std::string(kind) + ") to (" +
                           (resource.group.empty() ? "core" : resource.group) + "." + resource.kind + "): unknown conversion");
    }
    if (!version.empty() && version != resource.api_version()) {
        return bad_request("the API version in the data (" + std::string(version) + ") does not match the expected API version (" +
                           resource.api_version() + ")");
    }
    auto& metadata = object.as_object()["metadata"];
    if (!metadata.is_object()) metadata.emplace_object();
    const auto ns = kube::namespace_of(object);
    if (resource.namespaced) {
        if (ns.empty())
            metadata.as_object()["namespace"] = context.info->ns;
        else if (ns != context.info->ns)
            return bad_request("the namespace of the provided object does not match the namespace sent on the request");
    } else {
        metadata.as_object().erase("namespace");
    }
    return {};
}

/// Objects may only be created in a namespace that exists and is not going.
Outcome<> check_namespace(Core& core, const WriteContext& context, std::string_view name) {
    if (!context.type->resource.namespaced) return {};
    const auto& ns = context.info->ns;
    const auto object = core.find("namespaces", {}, ns);
    if (!object) return not_found(kube::resources::namespaces, ns);
    if (string_at(object->value(), "status", "phase") != "Terminating") return {};
    return forbidden(context.type->resource, name, "unable to create new content in namespace " + ns + " because it is being terminated",
                     {{"NamespaceTerminating", "namespace " + ns + " is being terminated", "metadata.namespace"}});
}

void establish_definition(Value& object, Instant now) {
    json::Array stored;
    for (const Value& version : json::array_at(object, "spec", "versions")) {
        if (json::bool_at(version, "storage").value_or(false)) stored.emplace_back(string_at(version, "name"));
    }
    const auto condition = [&](std::string_view type, std::string_view reason, std::string_view message) {
        return Object{{"type", type}, {"status", "True"}, {"lastTransitionTime", seconds(now)}, {"reason", reason}, {"message", message}};
    };
    const auto* names = at(object, "spec", "names");
    object.as_object()["status"] =
        Object{{"conditions", json::Array{condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                                          condition("Established", "InitialNamesAccepted", "the initial names have been accepted")}},
               {"acceptedNames", names == nullptr ? Value(Object{}) : *names},
               {"storedVersions", std::move(stored)}};
}

/// Does a change of this object count as a new generation?
bool spec_changed(const ServedType& type, const Value& now, const Value& before) {
    if (type.custom) {
        for (const auto& [key, value] : now.as_object()) {
            if (key == "metadata" || key == "kind" || key == "apiVersion" || (key == "status" && type.status)) continue;
            const auto* old = at(before, std::string_view(key));
            if (old == nullptr || *old != value) return true;
        }
        for (const auto& [key, value] : before.as_object()) {
            if (key != "metadata" && !(key == "status" && type.status) && !now.as_object().contains(key)) return true;
        }
        return false;
    }
    const Value none = nullptr;
    const auto same = [&](const Value* a, const Value* b) { return (a == nullptr ? none : *a) == (b == nullptr ? none : *b); };
    if (!same(at(now, "spec"), at(before, "spec"))) return true;
    // A Deployment's annotations are copied to its ReplicaSets, so they count too.
    return type.storage == "deployments.apps" && !same(at(now, "metadata", "annotations"), at(before, "metadata", "annotations"));
}

bool same_but_managed(const Value& a, const Value& b) {
    const auto& x = a.as_object();
    const auto& y = b.as_object();
    if (x.size() != y.size()) return false;
    for (const auto& [key, value] : x) {
        const auto* other = y.if_contains(key);
        if (other == nullptr) return false;
        if (key != "metadata") {
            if (value != *other) return false;
            continue;
        }
        const auto& m = value.as_object();
        const auto& n = other->as_object();
        for (const auto& [field, item] : m) {
            if (field == "managedFields") continue;
            const auto* old = n.if_contains(field);
            if (old == nullptr || *old != item) return false;
        }
        for (const auto& [field, item] : n) {
            if (field != "managedFields" && !m.contains(field)) return false;
        }
    }
    return true;
}

/// `old` with the container resources of `wanted`: whatever else a resize says is dropped without a word.
Value only_resize(const Value& old, const Value& wanted) {
    Value out = old;
    for (const std::string_view list : {"containers", "initContainers"}) {
        auto* spec = out.as_object().if_contains("spec");
        auto* containers = spec == nullptr || !spec->is_object() ? nullptr : spec->get_object().if_contains(list);
        if (containers == nullptr || !containers->is_array()) continue;
        for (Value& container : containers->get_array()) {
            for (const Value& other : json::array_at(wanted, "spec", list)) {
                if (!container.is_object() || string_at(other, "name") != string_at(container, "name")) continue;
                for (const std::string_view field : {"resources", "resizePolicy"}) {
                    if (const auto* value = at(other, field)) container.get_object()[field] = *value;
                }
            }
        }
    }
    return out;
}

bool has_finalizers(const Value& object) {
    if (!json::array_at(object, "metadata", "finalizers").empty()) return true;
    return kube::kind_of(object) == "Namespace" && kube::api_version_of(object) == "v1" && !json::array_at(object, "spec", "finalizers").empty();
}

}  // namespace

Outcome<WriteContext> Core::write_context(const RequestInfo& info, const ServedType& type, const Identity& identity, std::string_view options_kind) {
    WriteContext context;
    context.info = &info;
    context.type = &type;
    context.identity = identity;
    context.now = now();
    context.subresource = info.subresource;
    const auto options_invalid = [&](Cause cause) { return invalid("meta.k8s.io", options_kind, "", {std::move(cause)}); };
    for (const auto value : info.query_all("dryRun")) {
        if (value.empty()) continue;
        if (value != "All") return options_invalid(unsupported("dryRun", json::Array{Value(value)}, {"All"}));
        context.dry_run = true;
    }
    const auto validation = info.query("fieldValidation");
    if (validation == "Ignore")
        context.field_validation = WriteContext::FieldValidation::ignore;
    else if (validation == "Strict")
        context.field_validation = WriteContext::FieldValidation::strict;
    else if (!validation.empty() && validation != "Warn") {
        return options_invalid(unsupported("fieldValidation", Value(validation), {"", "Ignore", "Strict", "Warn"}));
    }
    context.manager = info.query("fieldManager");
    if (context.manager.size() > 128) return options_invalid({"FieldValueTooLong", "Too long: may not be more than 128 bytes", "fieldManager"});
    if (context.manager.empty()) {
        for (const auto& [key, value] : info.request->headers) {
            if (key == "user-agent" || key == "User-Agent") context.manager = value.substr(0, value.find('/'));
        }
    }
    if (context.manager.empty()) context.manager = identity.user.substr(identity.user.rfind(':') + 1);
    return context;
}

Outcome<kube::Response> Core::write(const RequestInfo& info, const ServedType& type, const Identity& identity) {
    if (const auto accepted = negotiate(info.request->accept, &type); !accepted) return std::unexpected(accepted.error());
    const auto kind = info.verb == "create" ? "CreateOptions" : info.verb == "update" ? "UpdateOptions" : "PatchOptions";
    KN_TRY(auto context, write_context(info, type, identity, kind));
    Outcome<Written> written;
    if (info.verb == "create") {
        KN_TRY(auto body, read_body(*info.request, type.resource.kind));
        written = create(context, std::move(body));
    } else if (info.verb == "update") {
        KN_TRY(auto body, read_body(*info.request, type.resource.kind));
        KN_CHECK(check_envelope(context, body));
        const auto name = kube::name_of(body);
        if (name != info.name) {
            if (name.empty()) return bad_request("name is required");  // recorded: the same code for an empty and for another name
            return bad_request("the name of the object (" + std::string(name) + ") does not match the name on the URL (" + info.name + ")");
        }
        const auto old = find(type.storage, type.resource.namespaced ? info.ns : std::string{}, info.name);
        if (!old) {
            if (!type.create_on_update) return not_found(type.resource, info.name);
            written = create(context, std::move(body));
        } else {
            const auto part = info.subresource == "status" ? UpdatePart::status : UpdatePart::main;
            written = update(context, old, stored_value(type, std::move(body)), part);
        }
    } else {
        written = patch(context);
    }
    if (!written) return std::unexpected(std::move(written).error());
    write_changed_ = written->changed && !context.dry_run;
    write_name_ = kube::name_of(written->object->value());
    return render(written->created ? 201 : 200, type, *written->object, info, std::move(context.warnings));
}

Outcome<Written> Core::create(WriteContext& context, Value object, const FieldSet* applied) {
    const auto& type = *context.type;
    KN_CHECK(check_envelope(context, object));
    if (!string_at(object, "metadata", "resourceVersion").empty())
        return refuse(500, "", "resourceVersion should not be set on objects to be created");
    if (kube::name_of(object).empty()) {
        const auto prefix = string_at(object, "metadata", "generateName");
        if (!prefix.empty()) {
            // Long prefixes are cut, so that the name stays a label.
            object.as_object()["metadata"].as_object()["name"] = std::string(prefix.substr(0, 58)) + random_suffix(5);
        }
    }
    KN_CHECK(check_namespace(*this, context, kube::name_of(object)));
    KN_CHECK(field_validation(context, object));
    object = stored_value(type, std::move(object));
    const auto& stored_type = *types.by_storage(type.storage);
    normalize(type.custom ? type : stored_type, object);
    auto& metadata = object.as_object()["metadata"].as_object();
    for (const std::string_view key :
         {"resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "generation", "selfLink"})
        metadata.erase(key);
    metadata["uid"] = make_uid();
    metadata["creationTimestamp"] = seconds(context.now);
    if (type.generation) metadata["generation"] = 1;
    // A node registers with its status; everybody else begins without one.
    if (type.status && type.storage != "nodes") object.as_object().erase("status");
    if (const auto status = initial_status(type); !status.is_null() && !object.as_object().contains("status")) object.as_object()["status"] = status;
    if (type.custom) default_custom(type, object);
    apply_defaults(type, object);
    KN_CHECK(admit_create(*this, context, object));
    if (type.storage == "customresourcedefinitions.apiextensions.k8s.io") establish_definition(object, context.now);
    if (const auto causes = validate(type, object, nullptr, UpdatePart::main); !causes.empty()) {
        return invalid(type.resource.group, type.resource.kind, kube::name_of(object), causes);
    }
    KN_CHECK(check_create(*this, context, object));
    const Key key{type.resource.namespaced ? context.info->ns : std::string{}, std::string(kube::name_of(object))};
    if (find(type.storage, key.first, key.second)) return already_exists(type.resource, key.second);

    Value owned = object;
    if (type.status) owned.as_object().erase("status");
    const auto fields = applied != nullptr ? *applied : FieldSet::of(owned, !type.custom);
    auto managed = managed_for_create(manager_of(context, applied != nullptr), fields, context.now);
    object.as_object()["metadata"].as_object()["resourceVersion"] = "";
    if (!managed.empty()) object.as_object()["metadata"].as_object()["managedFields"] = std::move(managed);
    order_metadata(object);
    Written out{.created = true, .changed = true};
    if (context.dry_run) {
        object.as_object()["metadata"].as_object().erase("resourceVersion");
        out.object = std::make_shared<const StoredObject>(std::move(object), 0);
        return out;
    }
    out.object = store.put(type.storage, key, std::move(object), context.now);
    after_store(type, out);
    return out;
}

Outcome<Written> Core::update(WriteContext& context, const ObjectPtr& old_object, Value object, UpdatePart part, const FieldSet* applied) {
    const auto& type = *context.type;
    const Value& old = old_object->value();
    const auto name = kube::name_of(old);
    if (!object.is_object()) return bad_request("the object provided is no object");
    const auto uid = kube::uid_of(object);
    const bool other_uid = !uid.empty() && uid != kube::uid_of(old);
    // A patch has no precondition on the uid: there it is a field that may not change, looked at after the version.
    const bool patching = context.info->verb == "patch" && applied == nullptr;
    if (other_uid && !patching) {
        return conflict(type.resource, name,
                        "Precondition failed: UID in precondition: " + std::string(uid) + ", UID in object meta: " + std::string(kube::uid_of(old)));
    }
    const auto version = kube::resource_version_of(object);
    if (version.empty() || version == "0") {
        if (!type.unconditional_update && context.info->verb == "update" && part == UpdatePart::main) {
            return invalid(type.resource.group, type.resource.plural, name,
                           {invalid_value("metadata.resourceVersion", Value(0), "must be specified for an update")});
        }
    } else if (version != kube::resource_version_of(old)) {
        return conflict(type.resource, name);
    }
    if (other_uid) return invalid(type.resource.group, type.resource.kind, name, {invalid_value("metadata.uid", Value(uid), "field is immutable")});
    if (!at(object, "metadata") || !at(object, "metadata")->is_object()) object.as_object()["metadata"] = Object{};
    if (part != UpdatePart::status) KN_CHECK(field_validation(context, object));
    normalize(type.custom ? type : *types.by_storage(type.storage), object);
    if (part == UpdatePart::resize) object = only_resize(old, object);
    if (part == UpdatePart::status) {
        // Everything but the status, and what some kinds take along (h08), stays.
        Value kept = old;
        auto* status = object.as_object().if_contains("status");
        if (status == nullptr || status->is_null())
            kept.as_object().erase("status");
        else
            kept.as_object()["status"] = std::move(*status);
        if (!type.custom) {
            for (const std::string_view key : {"annotations", "finalizers"}) {
                if (const auto* value = at(object, "metadata", key))
                    json::make_at(kept, "metadata", key) = *value;
                else
                    kept.as_object()["metadata"].as_object().erase(key);
            }
            if (type.storage != "deployments.apps") {
                if (const auto* value = at(object, "metadata", "labels"))
                    json::make_at(kept, "metadata", "labels") = *value;
                else
                    kept.as_object()["metadata"].as_object().erase("labels");
            }
        }
        object = std::move(kept);
    } else {
        for (const std::string_view key : {"name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
                                           "generation", "generateName", "resourceVersion", "managedFields"}) {
            keep_metadata(object, old, key);
        }
        if (type.status) keep_root(object, old, "status");
        if (type.custom) default_custom(type, object);
        apply_defaults(type, object);
        if (type.storage == "namespaces" && part != UpdatePart::finalize)
            json::make_at(object, "spec", "finalizers") = json::array_at(old, "spec", "finalizers");
        // Addresses that the server gave are kept when a PUT leaves them out.
        if (type.storage == "services") {
            for (const std::string_view key : {"clusterIP", "clusterIPs"}) {
                if (at(object, "spec", key) == nullptr && at(old, "spec", key) != nullptr && string_at(object, "spec", "type") != "ExternalName") {
                    json::make_at(object, "spec", key) = *at(old, "spec", key);
                }
            }
        }
        // New finalizers on something that is being deleted would never be worked on.
        if (kube::is_deleting(old)) {
            const auto& before = json::array_at(old, "metadata", "finalizers");
            for (const Value& finalizer : json::array_at(object, "metadata", "finalizers")) {
                if (std::ranges::find(before, finalizer) == before.end()) {
                    return invalid(type.resource.group, type.resource.kind, name,
                                   {forbidden_field("metadata.finalizers",
                                                    "no new finalizers can be added if the object is being deleted, found new finalizers")});
                }
            }
        }
    }
    const bool bump = type.generation && part != UpdatePart::status && spec_changed(type, object, old);
    if (bump) json::make_at(object, "metadata", "generation") = kube::generation_of(old) + 1;
    if (const auto causes = validate(type, object, &old, part); !causes.empty()) {
        return invalid(type.resource.group, type.resource.kind, name, causes);
    }
    if (part == UpdatePart::main || part == UpdatePart::scale || part == UpdatePart::resize) KN_CHECK(check_update(*this, context, object, old));

    Written out;
    const bool same = same_but_managed(object, old);
    const auto& managed_before = managed_of(old).get_array();
    if (!same || applied != nullptr) {
        const auto changes = same ? FieldChanges{} : compare_fields(old, object, !type.custom);
        auto managed = managed_after(managed_before, manager_of(context, applied != nullptr), changes, applied, context.now);
        // The time alone of an apply that changed nothing does not count.
        if (same && managed == managed_before) {
            out.object = old_object;
            return out;
        }
        if (managed.empty())
            object.as_object()["metadata"].as_object().erase("managedFields");
        else
            object.as_object()["metadata"].as_object()["managedFields"] = std::move(managed);
    } else {
        out.object = old_object;
        return out;
    }
    order_metadata(object);
    out.changed = true;
    if (context.dry_run) {
        out.object = std::make_shared<const StoredObject>(std::move(object), old_object->version());
        return out;
    }
    const Key key{type.resource.namespaced ? std::string(kube::namespace_of(old)) : std::string{}, std::string(name)};
    const bool goes =
        kube::is_deleting(object) && !has_finalizers(object) && json::int_at(object, "metadata", "deletionGracePeriodSeconds").value_or(0) == 0;
    out.object = store.put(type.storage, key, std::move(object), context.now);
    if (goes) {
        store.erase(type.storage, key, context.now);
        out.deleted = true;
        object_gone(type.storage, *out.object);
        return out;
    }
    after_store(type, out);
    return out;
}

void Core::after_store(const ServedType& type, const Written& written) {
    const Value& object = written.object->value();
    if (type.resource.group == "rbac.authorization.k8s.io") rbac.forget();
    if (type.storage == "events") {
        Key key{std::string(kube::namespace_of(object)), std::string(kube::name_of(object))};
        event_ages_.emplace_back(now(), key);
        event_times_[std::move(key)] = now();
    }
    if (type.storage == "customresourcedefinitions.apiextensions.k8s.io") types.set_custom(object);
    if (type.storage == "namespaces" && written.created && options.default_service_accounts) {
        RequestInfo info;
        static const kube::Request none;
        info.request = &none;
        info.ns = kube::name_of(object);
        WriteContext context;
        context.info = &info;
        context.type = types.by_storage("serviceaccounts");
        context.identity = {.user = "system:serviceaccount:kube-system:service-account-controller", .groups = {"system:masters"}};
        context.manager = "kube-controller-manager";
        context.now = now();
        (void)create(context, Object{{"kind", "ServiceAccount"}, {"apiVersion", "v1"}, {"metadata", Object{{"name", "default"}}}});
    }
}

}  // namespace kn::sim::api
