#include <algorithm>
#include <array>

#include "families/families.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::actions {
namespace {

using kube::Resource;

/// Subjects that stand for everybody, nobody or the whole power of a cluster.
constexpr std::array forbidden_subjects{std::string_view{"system:masters"}, std::string_view{"system:authenticated"},
                                        std::string_view{"system:unauthenticated"}, std::string_view{"system:anonymous"},
                                        std::string_view{"system:serviceaccounts"}};

bool has_wildcard(const json::Value& role) {
    const auto star = [](const json::Array& list) {
        return std::ranges::any_of(list, [](const json::Value& v) { return v.is_string() && v.get_string() == "*"; });
    };
    return std::ranges::any_of(json::array_at(role, "rules"), [&](const json::Value& rule) {
        return star(json::array_at(rule, "verbs")) || star(json::array_at(rule, "resources")) || star(json::array_at(rule, "apiGroups")) ||
               star(json::array_at(rule, "nonResourceURLs"));
    });
}

/// Verbs by which a role could give itself more than it has.
bool can_escalate(const json::Value& role) {
    return std::ranges::any_of(json::array_at(role, "rules"), [](const json::Value& rule) {
        return std::ranges::any_of(json::array_at(rule, "verbs"), [](const json::Value& v) {
            return v.is_string() && (v.get_string() == "escalate" || v.get_string() == "bind" || v.get_string() == "impersonate");
        });
    });
}

class RestoreRoleBinding final : public BaseAction {
public:
    explicit RestoreRoleBinding(Shared& shared) : BaseAction("restore_role_binding", shared) {}

    Task<Result<ActionOutcome>> execute(const ActionContext& context) override {
        KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        const auto* binding = json::at(context.pre_image, "binding");
        if (binding == nullptr) co_return fail(ErrorCode::internal, "no pre-image was stored for this action");
        Calls calls;
        auto made = co_await create_ours(context, resource_of(key), key.ns, *binding, calls);
        if (!made && made.error().code == ErrorCode::already_exists)
            co_return refuse("target_changed", key.str() + " has been made by somebody else");
        if (!made) co_return fail(made.error());
        co_return outcome(key, std::string(kube::uid_of(*made)), std::move(calls));
    }

    Task<Result<AppliedCheck>> applied_already(const ActionContext& context) override {
        KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        const auto live = co_await read_object(context, key);
        if (!live) co_return unreadable_or(live.error());
        co_return made_by(context, live->live) ? AppliedCheck::applied : AppliedCheck::not_applied;
    }

    /// The binding is there, and the server says yes to what its role allows.
    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        KN_CO_TRY(const auto live, co_await read_object(context, key));
        const auto* probe = json::at(context.pre_image, "probe");
        if (probe == nullptr || !probe->is_object()) co_return true;
        const Resource asked{.group = std::string(json::string_at(*probe, "group")),
                             .version = {},
                             .plural = std::string(json::string_at(*probe, "resource")),
                             .kind = {},
                             .namespaced = true};
        std::vector<std::string> groups;
        for (const auto& group : json::array_at(*probe, "groups")) groups.emplace_back(json::view(group.as_string()));
        co_return co_await context.client->can_user(std::string(json::string_at(*probe, "user")), std::move(groups),
                                                    std::string(json::string_at(*probe, "verb")), asked, key.ns, call_deadline(context));
    }

    Task<Result<ActionOutcome>> compensate(const ActionContext& context) override {
        KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        const auto live = co_await read_object(context, key);
        if (!live && live.error().code == ErrorCode::not_found) co_return outcome(key, "", {});
        if (!live) co_return fail(live.error());
        const auto* binding = json::at(context.pre_image, "binding");
        if (!made_by(context, live->live) || binding == nullptr ||
            !same_value(json::at(live->live, "subjects"), json::at(*binding, "subjects"), false)) {
            co_return refuse("drift", key.str() + " has been changed since we made it");
        }
        Calls calls;
        KN_CO_CHECK(co_await delete_exactly(context, *live, {}, calls));
        co_return outcome(key, "", std::move(calls));
    }

protected:
    Task<Result<Prepared>> plan(const ActionContext& context, const Params& params) override {
        const json::Value snapshot(params.object("binding"));
        KN_CO_TRY(const auto key, key_of(context, snapshot));
        KN_CO_TRY(const auto target, co_await reread(context, context.target.key, context.target.uid));
        KN_CO_CHECK(co_await check_writable(context, spec(), target));
        KN_CO_CHECK(check_subjects(snapshot));
        if (!gitops_owner(snapshot).empty())
            co_return refuse("gitops_owned", key.str() + " is owned by " + std::string(gitops_owner(snapshot)) + ": change it in git");

        const auto present = co_await read_object(context, key);
        if (present) co_return refuse("exists", key.str() + " exists");
        if (present.error().code != ErrorCode::not_found) co_return fail(present.error());
        KN_CO_TRY(const auto role, co_await read_role(context, snapshot, key));

        json::Object image;
        image["object"] = key.str();
        image["binding"] = clean(snapshot, key);
        image["probe"] = probe_of(snapshot, role);
        const auto bytes = json::canonical(image["binding"]);
        Prepared prepared;
        prepared.request_digest = to_hex(sha256_parts({"create", key.str(), bytes}));
        prepared.pre_image = json::Value(std::move(image));
        prepared.writes = {key.str()};
        prepared.summary = "make " + key.kind + " " + place_text(key) + " anew, as it was";
        co_return prepared;
    }

private:
    static const Resource& resource_of(const ObjectKey& key) {
        return key.kind == "RoleBinding" ? kube::resources::role_bindings : kube::resources::cluster_role_bindings;
    }

    static Result<ObjectKey> key_of(const ActionContext& context, const json::Value& snapshot) {
        const std::string kind(kube::kind_of(snapshot)), name(kube::name_of(snapshot)), ns(kube::namespace_of(snapshot));
        if (kind != "RoleBinding" && kind != "ClusterRoleBinding") return bad_param("binding.kind", "must be RoleBinding or ClusterRoleBinding");
        if (name.empty()) return bad_param("binding.metadata.name", "is required");
        const bool namespaced = kind == "RoleBinding";
        if (namespaced && (ns.empty() || ns != context.target.key.ns))
            return bad_param("binding.metadata.namespace", "must be the target's namespace");
        return ObjectKey{
            .cluster = context.target.key.cluster, .ns = namespaced ? ns : "", .kind = kind, .group = "rbac.authorization.k8s.io", .name = name};
    }

    static Result<> check_subjects(const json::Value& snapshot) {
        const auto& subjects = json::array_at(snapshot, "subjects");
        if (subjects.empty()) return bad_param("binding.subjects", "is empty");
        for (const auto& each : subjects) {
            const auto name = json::string_at(each, "name");
            if (std::ranges::find(forbidden_subjects, name) != forbidden_subjects.end()) {
                return refuse("too_wide", "a binding for " + std::string(name) + " is never made");
            }
        }
        return {};
    }

    static Task<Result<json::Value>> read_role(const ActionContext& context, const json::Value& snapshot, const ObjectKey& key) {
        const std::string kind(json::string_at(snapshot, "roleRef", "kind")), name(json::string_at(snapshot, "roleRef", "name"));
        const bool cluster_role = kind == "ClusterRole";
        if (name.empty() || (!cluster_role && (kind != "Role" || key.ns.empty())))
            co_return bad_param("binding.roleRef", "names no role that such a binding may have");
        auto role = co_await context.client->get(cluster_role ? kube::resources::cluster_roles : kube::resources::roles, cluster_role ? "" : key.ns,
                                                 name, call_deadline(context));
        if (!role && role.error().code == ErrorCode::not_found) co_return refuse("no_role", kind + " " + name + " does not exist");
        if (!role) co_return fail(role.error());
        if (has_wildcard(*role)) co_return refuse("wildcard_role", kind + " " + name + " allows everything of something");
        if (can_escalate(*role)) co_return refuse("too_wide", kind + " " + name + " can give more rights than it has");
        co_return role;
    }

    static json::Object clean(const json::Value& snapshot, const ObjectKey& key) {
        json::Object made;
        made["apiVersion"] = "rbac.authorization.k8s.io/v1", made["kind"] = key.kind;
        json::Object metadata;
        metadata["name"] = key.name;
        if (!key.ns.empty()) metadata["namespace"] = key.ns;
        if (const auto& labels = json::object_at(snapshot, "metadata", "labels"); !labels.empty()) metadata["labels"] = labels;
        if (const auto& notes = json::object_at(snapshot, "metadata", "annotations"); !notes.empty()) metadata["annotations"] = notes;
        made["metadata"] = std::move(metadata);
        made["roleRef"] = json::object_at(snapshot, "roleRef");
        made["subjects"] = json::array_at(snapshot, "subjects");
        return made;
    }

    /// One question that the role answers with yes, for the first subject that can be asked about.
    static json::Value probe_of(const json::Value& snapshot, const json::Value& role) {
        for (const auto& rule : json::array_at(role, "rules")) {
            // A rule for named objects says nothing about a question without a name; "pods/log" asks about a subresource.
            const auto resource = json::string_at(rule, "resources", 0);
            if (resource.empty() || resource.contains('/') || !json::array_at(rule, "resourceNames").empty()) continue;
            for (const auto& subject : json::array_at(snapshot, "subjects")) {
                const auto kind = json::string_at(subject, "kind");
                const std::string name(json::string_at(subject, "name")), ns(json::string_at(subject, "namespace"));
                if (kind == "Group") continue;
                json::Object probe;
                json::Array groups;
                if (kind == "ServiceAccount") {
                    groups.emplace_back("system:serviceaccounts");
                    groups.emplace_back("system:serviceaccounts:" + ns);
                }
                groups.emplace_back("system:authenticated");
                probe["user"] = kind == "ServiceAccount" ? "system:serviceaccount:" + ns + ":" + name : name;
                probe["groups"] = std::move(groups);
                probe["verb"] = json::string_at(rule, "verbs", 0);
                probe["group"] = json::string_at(rule, "apiGroups", 0);
                probe["resource"] = resource;
                return json::Value(std::move(probe));
            }
        }
        return nullptr;
    }

    static ActionOutcome outcome(const ObjectKey& key, std::string uid, Calls calls) {
        json::Object output;
        output["object"] = key.str(), output["uid"] = uid, output["changed"] = !calls.empty();
        return {.output = json::Value(output), .post_image = json::Value(output), .calls = std::move(calls)};
    }
};

}  // namespace

void add_binding_actions(ActionList& list, Shared& shared) { list.push_back(std::make_unique<RestoreRoleBinding>(shared)); }

}  // namespace kn::actions
