#include "core/subject.hpp"

#include <algorithm>
#include <array>

#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::actions {
namespace {

constexpr Duration one_call = 15s;
constexpr int max_owners = 6;

struct GitOpsMark {
    std::string_view key, tool;
};
constexpr std::array gitops_marks{GitOpsMark{"argocd.argoproj.io/instance", "argocd"}, GitOpsMark{"argocd.argoproj.io/tracking-id", "argocd"},
                                  GitOpsMark{"kustomize.toolkit.fluxcd.io/name", "flux"}, GitOpsMark{"helm.toolkit.fluxcd.io/name", "flux"}};
constexpr std::array gitops_sources{std::string_view{"argocd"}, std::string_view{"flux"}, std::string_view{"gitops"}};

std::vector<std::string> split(std::string_view text, char by) {
    std::vector<std::string> parts(1);
    for (const char c : text) {
        if (c == by)
            parts.emplace_back();
        else
            parts.back() += c;
    }
    return parts;
}

std::pair<std::string, std::string> kind_and_group(std::string_view text) {
    const auto dot = text.find('.');
    if (dot == std::string_view::npos) return {std::string(text), ""};
    return {std::string(text.substr(0, dot)), std::string(text.substr(dot + 1))};
}

std::string group_of(std::string_view api_version) {
    const auto slash = api_version.find('/');
    return slash == std::string_view::npos ? "" : std::string(api_version.substr(0, slash));
}

}  // namespace

std::unexpected<Error> refuse(std::string_view reason, std::string message) {
    return fail(Error{.code = ErrorCode::failed_precondition, .message = std::move(message), .reason = std::string(reason)});
}

std::unexpected<Error> bad_param(std::string_view name, std::string message) {
    return fail(Error{
        .code = ErrorCode::invalid_argument, .message = std::move(message), .field = "params." + std::string(name), .reason = "invalid_parameters"});
}

Deadline call_deadline(const ActionContext& context) { return context.deadline.earlier(context.clock->deadline_in(one_call)); }

std::string id_suffix(const ActionContext& context) {
    const auto hex = to_hex(sha256(context.id.str()));
    return hex.substr(hex.size() - 8);
}

Task<Result<kube::Resource>> resource_for(const ActionContext& context, std::string kind, std::string group) {
    if (const auto* known = kube::find_resource(group.empty() ? kind : kind + "." + group); known != nullptr && known->group == group) {
        co_return *known;
    }
    co_return co_await context.client->discover(std::move(group), std::move(kind), call_deadline(context));
}

Result<ObjectKey> subject_key(const ActionContext& context, const ActionSpec& spec, std::string_view object) {
    ObjectKey key = context.target.key;
    if (!object.empty()) {
        const auto parts = split(object, '/');
        if (parts.size() < 2 || parts.size() > 3 || std::ranges::any_of(parts, &std::string::empty)) {
            return bad_param("object", "must be Kind.group/name or Kind.group/namespace/name");
        }
        auto [kind, group] = kind_and_group(parts.front());
        const auto* known = kube::find_resource(parts.front());
        if (known != nullptr) kind = known->kind, group = known->group;
        const bool namespaced = known == nullptr || known->namespaced;
        if (parts.size() == 3 && !namespaced) return bad_param("object", kind + " has no namespace");
        const std::string ns = !namespaced ? "" : parts.size() == 3 ? parts[1] : context.target.key.ns;
        if (namespaced && ns.empty()) return bad_param("object", "needs a namespace: Kind.group/namespace/name");
        if (namespaced && !context.target.key.ns.empty() && ns != context.target.key.ns) {
            return bad_param("object", "is in another namespace than the target");
        }
        key = {.cluster = context.target.key.cluster, .ns = ns, .kind = kind, .group = group, .name = parts.back()};
    }
    if (!spec.target_kinds.empty() && std::ranges::find(spec.target_kinds, key.kind) == spec.target_kinds.end()) {
        return refuse("wrong_kind", spec.name + " does not act on " + key.kind_group());
    }
    return key;
}

Task<Result<Subject>> read_object(const ActionContext& context, ObjectKey key) {
    KN_CO_TRY(auto resource, co_await resource_for(context, key.kind, key.group));
    KN_CO_TRY(auto live, co_await context.client->get(resource, key.ns, key.name, call_deadline(context)));
    co_return Subject{.resource = std::move(resource), .key = std::move(key), .live = std::move(live)};
}

Task<Result<Subject>> reread(const ActionContext& context, ObjectKey key, std::string uid) {
    auto subject = co_await read_object(context, key);
    if (!subject) {
        if (subject.error().code == ErrorCode::not_found) co_return refuse("target_changed", key.str() + " is gone");
        co_return fail(subject.error().with_context("reading " + key.str()));
    }
    if (!uid.empty() && kube::uid_of(subject->live) != uid) co_return refuse("target_changed", key.str() + " has been made anew since the plan");
    if (kube::is_deleting(subject->live)) co_return refuse("target_changed", key.str() + " is being deleted");
    co_return subject;
}

Task<Result<Subject>> read_subject(const ActionContext& context, const ActionSpec& spec, std::string_view object) {
    KN_CO_TRY(const auto key, subject_key(context, spec, object));
    const bool is_target = key == context.target.key;
    KN_CO_TRY(auto subject, co_await reread(context, key, ""));
    const auto uid = kube::uid_of(subject.live);
    if (is_target && !context.target.uid.empty() && uid != context.target.uid) {
        // An earlier step of this very run may have made it anew: the expected uid follows our own writes.
        const auto maker = kube::label_of(subject.live, "kubernaut.io/execution");
        if (maker.empty() || maker != context.execution.str()) co_return refuse("target_changed", key.str() + " has been made anew since the plan");
    }
    KN_CO_CHECK(co_await check_writable(context, spec, subject));
    co_return subject;
}

Task<Result<>> check_writable(const ActionContext& context, const ActionSpec& spec, const Subject& subject) {
    if (kube::is_deleting(subject.live)) co_return refuse("target_changed", subject.key.str() + " is being deleted");
    if (!spec.mutating || spec.gitops_safe) co_return Result<>{};
    if (const auto tool = gitops_owner(subject.live); !tool.empty()) {
        co_return refuse("gitops_owned", subject.key.str() + " is owned by " + std::string(tool) + ": change it in git");
    }
    KN_CO_TRY(const auto owners, co_await owners_of(context, subject));
    for (const auto& owner : owners) {
        if (const auto tool = gitops_owner(owner.live); !tool.empty()) {
            co_return refuse("gitops_owned", owner.key.str() + " is owned by " + std::string(tool) + ": change it in git");
        }
    }
    co_return Result<>{};
}

std::string_view gitops_owner(const json::Value& object) {
    for (const auto& mark : gitops_marks) {
        if (!kube::label_of(object, mark.key).empty() || !kube::annotation_of(object, mark.key).empty()) return mark.tool;
    }
    const auto source = kube::annotation_of(object, "kubernaut.io/managed-source");
    const auto named = std::ranges::find(gitops_sources, source);
    return named == gitops_sources.end() ? std::string_view{} : *named;
}

Task<Result<std::vector<Subject>>> owners_of(const ActionContext& context, const Subject& subject) {
    std::vector<Subject> owners;
    auto reference = kube::controller_of(subject.live);
    while (reference && owners.size() < max_owners) {
        auto resource = co_await resource_for(context, reference->kind, group_of(reference->api_version));
        if (!resource) {
            if (resource.error().code == ErrorCode::not_found) break;  // the owner's kind is not served any more
            co_return fail(resource.error());
        }
        ObjectKey key{.cluster = subject.key.cluster,
                      .ns = resource->namespaced ? subject.key.ns : "",
                      .kind = resource->kind,
                      .group = resource->group,
                      .name = reference->name};
        auto live = co_await context.client->get(*resource, key.ns, key.name, call_deadline(context));
        // Unknown is never "nobody": only an owner that is provably gone ends the walk.
        if (!live && live.error().code == ErrorCode::not_found) break;
        if (!live) co_return fail(live.error().with_context("reading the owner " + key.str()));
        if (kube::uid_of(*live) != reference->uid) break;
        owners.push_back({.resource = *std::move(resource), .key = std::move(key), .live = *std::move(live)});
        reference = kube::controller_of(owners.back().live);
    }
    co_return owners;
}

Task<Result<Subject>> workload_of(const ActionContext& context, const Subject& subject) {
    KN_CO_TRY(auto owners, co_await owners_of(context, subject));
    if (owners.empty()) co_return subject;
    co_return std::move(owners.back());
}

}  // namespace kn::actions
