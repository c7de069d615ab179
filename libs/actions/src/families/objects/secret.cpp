#include <algorithm>

#include "families/families.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"
#include "pods/pods.hpp"

namespace kn::actions {
namespace {

constexpr std::string_view docker_config = "kubernetes.io/dockerconfigjson";
/// Secrets that another part of the system makes and owns.
constexpr std::string_view service_account_token = "kubernetes.io/service-account-token";
constexpr std::string_view helm_release = "helm.sh/release.v1";
constexpr std::string_view copied_by = "kubernaut.io/copied-by";

/// The host that an image is pulled from, as in a docker configuration.
std::string registry_of(std::string_view image) {
    const auto slash = image.find('/');
    const auto first = image.substr(0, slash);
    const bool host = slash != std::string_view::npos && (first.contains('.') || first.contains(':') || first == "localhost");
    return host ? std::string(first) : "docker.io";
}

std::string host_of_entry(std::string_view entry) {
    for (const std::string_view scheme : {"https://", "http://"}) {
        if (entry.starts_with(scheme)) entry.remove_prefix(scheme.size());
    }
    auto host = std::string(entry.substr(0, entry.find('/')));
    if (host == "index.docker.io" || host == "registry-1.docker.io") host = "docker.io";
    return host;
}

bool covers_registry(const json::Value& secret, std::string_view registry) {
    const auto decoded = base64_decode(json::string_at(secret, "data", ".dockerconfigjson"));
    if (!decoded.ok) return false;
    const auto config = json::parse(decoded.bytes);
    if (!config) return false;
    return std::ranges::any_of(json::object_at(*config, "auths"),
                               [registry](const auto& entry) { return host_of_entry({entry.key().data(), entry.key().size()}) == registry; });
}

/// key → SHA-256 of its value, salted with the object so that equal values of two Secrets do not show as equal in history.
json::Object value_hashes(const json::Object& data, const std::string& salt) {
    json::Object hashes;
    for (const auto& [key, value] : data)
        hashes[key] = to_hex(sha256_parts({salt, value.is_string() ? json::view(value.get_string()) : std::string_view{}}));
    return hashes;
}

bool may_receive(const SecretSource& source, std::string_view ns) {
    return std::ranges::any_of(source.namespaces, [ns](const std::string& pattern) {
        return pattern == "*" || pattern == ns || (pattern.ends_with('*') && ns.starts_with(std::string_view(pattern).substr(0, pattern.size() - 1)));
    });
}

/// An error of a Secret call without the server's sentence, which may quote what was sent.
Error without_message(const Error& error, std::string what) {
    Error safe = error;
    safe.message = std::move(what);
    return safe;
}

/// Values live only in the frame of the call that copies them: images, outputs, errors and logs carry hashes and key names.
class CopySecret final : public BaseAction {
public:
    explicit CopySecret(Shared& shared) : BaseAction("copy_secret", shared) {}

    Task<Result<ActionOutcome>> execute(const ActionContext& context) override {
        KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        KN_CO_TRY(const auto source, co_await read_source(context));
        Calls calls;
        for (int attempt = 0; attempt <= 5; ++attempt) {
            const auto present = co_await context.client->get(kube::resources::secrets, key.ns, key.name, call_deadline(context));
            if (!present && present.error().code != ErrorCode::not_found) co_return fail(without_message(present.error(), "reading " + key.str()));
            if (present && holds(context, *present)) co_return outcome(context, std::move(calls));
            KN_CO_CHECK(check_unchanged(context, key, present ? &*present : nullptr));
            auto answer = present ? co_await patch(context, key, *present, source, calls) : co_await create(context, key, source, calls);
            if (answer) co_return outcome(context, std::move(calls));
            if (answer.error().code != ErrorCode::aborted && answer.error().code != ErrorCode::already_exists) {
                co_return fail(without_message(answer.error(), "writing " + key.str()));
            }
            co_await async::sleep_for(*context.clock, Duration{10LL << attempt});
        }
        co_return refuse("target_changed", key.str() + " keeps changing under us");
    }

    Task<Result<AppliedCheck>> applied_already(const ActionContext& context) override {
        KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        const auto present = co_await context.client->get(kube::resources::secrets, key.ns, key.name, call_deadline(context));
        if (!present) co_return unreadable_or(present.error());
        co_return holds(context, *present) ? AppliedCheck::applied : AppliedCheck::not_applied;
    }

    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        const auto present = co_await context.client->get(kube::resources::secrets, key.ns, key.name, call_deadline(context));
        if (!present) co_return fail(without_message(present.error(), "reading " + key.str()));
        co_return holds(context, *present);
    }

    /// Only what we made is taken away again; overwritten values are nowhere stored, so they cannot come back.
    Task<Result<ActionOutcome>> compensate(const ActionContext& context) override {
        KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        if (!json::string_at(context.pre_image, "uid").empty())
            co_return refuse("irreversible", "the earlier values of " + key.str() + " are not kept");
        auto present = co_await context.client->get(kube::resources::secrets, key.ns, key.name, call_deadline(context));
        if (!present && present.error().code == ErrorCode::not_found) co_return outcome(context, {});
        if (!present) co_return fail(without_message(present.error(), "reading " + key.str()));
        if (!made_by(context, *present) || !holds(context, *present)) co_return refuse("drift", key.str() + " has been changed since we made it");
        Calls calls;
        KN_CO_CHECK(co_await delete_exactly(context, {.resource = kube::resources::secrets, .key = key, .live = *std::move(present)}, {}, calls));
        co_return outcome(context, std::move(calls));
    }

protected:
    Task<Result<Prepared>> plan(const ActionContext& context, const Params& params) override {
        if (context.target.key.ns.empty()) co_return refuse("wrong_kind", "the target is in no namespace");
        KN_CO_TRY(const auto target, co_await reread(context, context.target.key, context.target.uid));
        KN_CO_CHECK(co_await check_writable(context, spec(), target));
        KN_CO_TRY(const auto name, co_await secret_name(context, params, target));
        KN_CO_TRY(const auto from, allowed_source(context, params, name));
        ObjectKey key{.cluster = context.target.key.cluster, .ns = context.target.key.ns, .kind = "Secret", .group = {}, .name = name};

        auto source = co_await context.client->get(kube::resources::secrets, from.ns, from.name, call_deadline(context));
        if (!source && source.error().code == ErrorCode::not_found) co_return refuse("no_source", "there is no Secret " + from.ns + "/" + from.name);
        if (!source) co_return fail(without_message(source.error(), "reading the source Secret"));
        KN_CO_CHECK(check_source(*source, registry(params, target)));
        const auto present = co_await context.client->get(kube::resources::secrets, key.ns, key.name, call_deadline(context));
        if (!present && present.error().code != ErrorCode::not_found) co_return fail(without_message(present.error(), "reading " + key.str()));
        if (present) {
            Subject subject{.resource = kube::resources::secrets, .key = key, .live = *present};
            KN_CO_CHECK(co_await check_writable(context, spec(), subject));
            if (json::string_at(*present, "type") != json::string_at(*source, "type"))
                co_return refuse("other_type", key.str() + " is of another type than its source");
            if (json::bool_at(*present, "immutable").value_or(false)) co_return refuse("immutable", key.str() + " is immutable");
        }
        json::Object image;
        image["object"] = key.str();
        image["source"] = from.ns + "/" + from.name;
        image["type"] = json::string_at(*source, "type");
        image["uid"] = present ? kube::uid_of(*present) : std::string_view{};
        image["resource_version"] = present ? kube::resource_version_of(*present) : std::string_view{};
        image["before"] = present ? value_hashes(json::object_at(*present, "data"), key.str()) : json::Object{};
        image["after"] = value_hashes(json::object_at(*source, "data"), key.str());
        const auto bytes = json::canonical(image["after"]);
        Prepared prepared;
        prepared.request_digest = to_hex(sha256_parts({"copy", key.str(), bytes}));
        prepared.pre_image = json::Value(std::move(image));
        prepared.writes = {key.str()};
        prepared.summary = "copy Secret " + from.ns + "/" + from.name + " to " + place_text(key);
        co_return prepared;
    }

private:
    /// The parameter, or the pull Secret of the target that is missing (else its only one).
    static Task<Result<std::string>> secret_name(const ActionContext& context, const Params& params, const Subject& target) {
        if (params.has("name")) co_return params.text("name");
        if (target.key.kind == "Secret") co_return target.key.name;
        const auto* pod_spec = target.key.kind == "Pod" ? json::at(target.live, "spec") : json::at(target.live, "spec", "template", "spec");
        std::vector<std::string> names;
        if (pod_spec != nullptr) {
            for (const auto& each : json::array_at(*pod_spec, "imagePullSecrets")) names.emplace_back(json::string_at(each, "name"));
        }
        for (const auto& name : names) {
            const auto present = co_await context.client->get(kube::resources::secrets, target.key.ns, name, call_deadline(context));
            if (!present && present.error().code == ErrorCode::not_found) co_return name;
        }
        if (names.size() == 1) co_return names.front();
        co_return bad_param("name", "is needed: the target names " + std::to_string(names.size()) + " pull Secrets");
    }

    Result<SecretSource> allowed_source(const ActionContext& context, const Params& params, const std::string& name) const {
        for (SecretSource each : settings().secret_sources) {
            if (each.name == "*") each.name = name;
            if (!each.cluster.empty() && each.cluster != context.target.key.cluster.str()) continue;
            const auto as = each.as_name.empty() ? each.name : each.as_name;
            if (as != name || !may_receive(each, context.target.key.ns)) continue;
            if (!params.has("source") || params.text("source") == each.ns + "/" + each.name) return each;
        }
        return refuse("source_not_allowed", "no allowed source gives a Secret " + name + " to namespace " + context.target.key.ns);
    }

    /// The registry that the copied Secret must open: the parameter, or that of the target's first image.
    static std::string registry(const Params& params, const Subject& target) {
        if (params.has("registry")) return params.text("registry");
        const auto* pod_spec = target.key.kind == "Pod" ? json::at(target.live, "spec") : json::at(target.live, "spec", "template", "spec");
        if (pod_spec == nullptr) return {};
        // With several registries any one of the images will do; an exact answer needs the parameter.
        const auto image = json::string_at(*pod_spec, "containers", 0, "image");
        return image.empty() ? std::string{} : registry_of(image);
    }

    static Result<> check_source(const json::Value& source, const std::string& registry) {
        const auto type = json::string_at(source, "type");
        if (type == service_account_token || type == helm_release)
            return refuse("owned_type", "Secrets of type " + std::string(type) + " are never copied");
        if (type == docker_config && !registry.empty() && !covers_registry(source, registry)) {
            return refuse("registry_missing", "the source Secret has no entry for registry " + registry);
        }
        if (json::object_at(source, "data").empty()) return refuse("no_source", "the source Secret is empty");
        return {};
    }

    static Task<Result<json::Value>> read_source(const ActionContext& context) {
        KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        const std::string from(json::string_at(context.pre_image, "source"));
        const auto slash = from.find('/');
        if (slash == std::string::npos) co_return fail(ErrorCode::internal, "no pre-image was stored for this action");
        auto source = co_await context.client->get(kube::resources::secrets, from.substr(0, slash), from.substr(slash + 1), call_deadline(context));
        if (!source) co_return fail(without_message(source.error(), "reading the source Secret"));
        if (json::Value(value_hashes(json::object_at(*source, "data"), key.str())) != json::Value(json::object_at(context.pre_image, "after"))) {
            co_return refuse("source_changed", "the source Secret has changed since the plan");
        }
        co_return source;
    }

    /// Every value that we copy is there.
    static bool holds(const ActionContext& context, const json::Value& secret) {
        const auto hashes = value_hashes(json::object_at(secret, "data"), std::string(json::string_at(context.pre_image, "object")));
        return std::ranges::all_of(json::object_at(context.pre_image, "after"), [&hashes](const auto& entry) {
            const auto* have = hashes.if_contains(entry.key());
            return have != nullptr && *have == entry.value();
        });
    }

    static Result<> check_unchanged(const ActionContext& context, const ObjectKey& key, const json::Value* present) {
        const auto uid = json::string_at(context.pre_image, "uid");
        if ((present == nullptr) != uid.empty())
            return refuse("target_changed", key.str() + (present == nullptr ? " is gone" : " has been made by somebody else"));
        if (present == nullptr) return {};
        if (kube::uid_of(*present) != uid) return refuse("target_changed", key.str() + " has been made anew since the plan");
        if (json::Value(value_hashes(json::object_at(*present, "data"), key.str())) != json::Value(json::object_at(context.pre_image, "before"))) {
            return refuse("target_changed", "somebody else has changed " + key.str());
        }
        return {};
    }

    static Task<Result<json::Value>> create(const ActionContext& context, const ObjectKey& key, const json::Value& source, Calls& calls) {
        json::Value object = json::Object{};
        json::make_at(object, "apiVersion") = "v1";
        json::make_at(object, "kind") = "Secret";
        json::make_at(object, "metadata", "name") = key.name;
        json::make_at(object, "metadata", "namespace") = key.ns;
        json::make_at(object, "type") = json::string_at(source, "type");
        json::make_at(object, "data") = json::object_at(source, "data");
        co_return co_await create_ours(context, kube::resources::secrets, key.ns, std::move(object), calls);
    }

    static Task<Result<json::Value>> patch(const ActionContext& context, const ObjectKey& key, const json::Value& present, const json::Value& source,
                                           Calls& calls) {
        json::Value body = json::Object{};
        json::make_at(body, "metadata", "resourceVersion") = kube::resource_version_of(present);
        json::make_at(body, "metadata", "annotations", copied_by) = context.id.str();
        json::make_at(body, "data") = json::object_at(source, "data");
        auto answer = co_await context.client->patch(kube::resources::secrets, key.ns, key.name, kube::PatchType::merge, std::move(body),
                                                     {.write = {.dry_run = context.dry_run}}, call_deadline(context));
        calls.push_back(call_result(context, call_text("PATCH", kube::resources::secrets, "", key.ns, key.name), answer ? nullptr : &answer.error()));
        co_return answer;
    }

    static ActionOutcome outcome(const ActionContext& context, Calls calls) {
        json::Object output;
        output["object"] = json::string_at(context.pre_image, "object");
        output["source"] = json::string_at(context.pre_image, "source");
        json::Array keys;
        for (const auto& [key, hash] : json::object_at(context.pre_image, "after")) keys.emplace_back(key);
        output["keys"] = std::move(keys);
        output["changed"] = !calls.empty();
        return {.output = json::Value(output), .post_image = json::Value(output), .calls = std::move(calls)};
    }
};

}  // namespace

void add_secret_actions(ActionList& list, Shared& shared) { list.push_back(std::make_unique<CopySecret>(shared)); }

}  // namespace kn::actions
