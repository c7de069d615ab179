#include "families/families.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::actions {
namespace {

/// "ns/name" or "name" in `ns`; a ConfigMap of another namespace than the target's is never read.
Result<std::string> source_name(const std::string& text, const std::string& ns) {
    const auto slash = text.find('/');
    if (slash == std::string::npos) return text;
    if (text.substr(0, slash) != ns) return bad_param("source", "is in another namespace than the target");
    return text.substr(slash + 1);
}

class RestoreConfigMap final : public BaseAction {
public:
    explicit RestoreConfigMap(Shared& shared) : BaseAction("restore_configmap", shared) {}

    Task<Result<ActionOutcome>> execute(const ActionContext& context) override {
        Calls calls;
        if (!creates(context)) {
            KN_CO_TRY(const auto image, Image::from_json(context.pre_image));
            KN_CO_TRY(const auto now, co_await write_fields(context, image, Direction::apply, calls));
            co_return outcome(context, now, std::move(calls));
        }
        KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        json::Value object = json::Object{};
        json::make_at(object, "apiVersion") = "v1";
        json::make_at(object, "kind") = "ConfigMap";
        json::make_at(object, "metadata", "name") = key.name;
        json::make_at(object, "metadata", "namespace") = key.ns;
        json::make_at(object, "data") = json::object_at(context.pre_image, "data");
        auto made = co_await create_ours(context, kube::resources::config_maps, key.ns, std::move(object), calls);
        if (!made && made.error().code == ErrorCode::already_exists)
            co_return refuse("target_changed", key.str() + " has been made by somebody else");
        if (!made) co_return fail(made.error());
        co_return outcome(context, *made, std::move(calls));
    }

    Task<Result<AppliedCheck>> applied_already(const ActionContext& context) override {
        KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        const auto live = co_await read_object(context, key);
        if (!live) co_return unreadable_or(live.error());
        if (creates(context) && !made_by(context, live->live)) co_return AppliedCheck::not_applied;
        co_return holds(context, live->live) ? AppliedCheck::applied : AppliedCheck::not_applied;
    }

    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        KN_CO_TRY(const auto live, co_await reread(context, key, ""));
        co_return holds(context, live.live);
    }

    Task<Result<ActionOutcome>> compensate(const ActionContext& context) override {
        Calls calls;
        if (!creates(context)) {
            KN_CO_TRY(const auto image, Image::from_json(context.pre_image));
            KN_CO_TRY(const auto now, co_await write_fields(context, image, Direction::restore, calls));
            co_return outcome(context, now, std::move(calls));
        }
        KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        const auto live = co_await read_object(context, key);
        if (!live && live.error().code == ErrorCode::not_found) co_return outcome(context, json::Value(nullptr), {});
        if (!live) co_return fail(live.error());
        if (!made_by(context, live->live) || !holds(context, live->live)) co_return refuse("drift", key.str() + " has been changed since we made it");
        KN_CO_CHECK(co_await delete_exactly(context, *live, {}, calls));
        co_return outcome(context, json::Value(nullptr), std::move(calls));
    }

protected:
    Task<Result<Prepared>> plan(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(const auto key, config_map_key(context, params));
        KN_CO_TRY(const auto data, co_await wanted_data(context, params, key));
        if (key != context.target.key) {
            const auto target = co_await reread(context, context.target.key, context.target.uid);
            if (!target) co_return fail(target.error());
        }
        auto subject = co_await read_object(context, key);
        if (!subject && subject.error().code != ErrorCode::not_found) co_return fail(subject.error());
        if (params.has("hash") && params.text("hash") != content_hash(data)) {
            // Binary parts are not restored, so a hash over them holds only while they are as they were.
            const bool with_binary = subject && params.text("hash") == content_hash(data, json::object_at(subject->live, "binaryData"));
            if (!with_binary) co_return bad_param("hash", "is not the hash of the data");
        }
        Prepared prepared;
        json::Object stored;
        if (subject) {
            if (key == context.target.key && !context.target.uid.empty() && kube::uid_of(subject->live) != context.target.uid) {
                co_return refuse("target_changed", key.str() + " has been made anew since the plan");
            }
            KN_CO_CHECK(co_await check_writable(context, spec(), *subject));
            if (json::bool_at(subject->live, "immutable").value_or(false)) co_return refuse("immutable", key.str() + " is immutable");
            const auto image = Image::of(*subject, kube::PatchType::merge, {{.path = {"data"}, .after = json::Value(data)}});
            prepared.request_digest = image.digest();
            stored = image.to_json().get_object();
            if (!image.fields.empty()) prepared.writes = {key.str()};
        } else {
            // The object is gone, so its own marks are gone with it: the target's still say whether a GitOps tool owns this place.
            KN_CO_CHECK(co_await check_target(context, key));
            stored["object"] = key.str();
            stored["creates"] = true;
            const auto bytes = json::canonical(json::Value(data));
            prepared.request_digest = to_hex(sha256_parts({"create", key.str(), bytes}));
            prepared.writes = {key.str()};
        }
        stored["data"] = data;
        stored["hash"] = content_hash(data);
        prepared.pre_image = json::Value(std::move(stored));
        prepared.summary = std::string(subject ? "put the earlier content back into" : "make anew") + " ConfigMap " + place_text(key);
        co_return prepared;
    }

private:
    static bool creates(const ActionContext& context) { return json::bool_at(context.pre_image, "creates").value_or(false); }

    static bool holds(const ActionContext& context, const json::Value& object) {
        return content_hash(json::object_at(object, "data")) == json::string_at(context.pre_image, "hash");
    }

    Result<ObjectKey> config_map_key(const ActionContext& context, const Params& params) const {
        if (context.target.key.kind == "ConfigMap" && !params.has("name")) return context.target.key;
        if (!params.has("name")) return bad_param("name", "is needed: the target is not a ConfigMap");
        if (context.target.key.ns.empty()) return refuse("wrong_kind", "the target is in no namespace");
        return ObjectKey{
            .cluster = context.target.key.cluster, .ns = context.target.key.ns, .kind = "ConfigMap", .group = {}, .name = params.text("name")};
    }

    static Task<Result<json::Object>> wanted_data(const ActionContext& context, const Params& params, const ObjectKey& key) {
        json::Object data;
        if (params.has("data") == params.has("source")) co_return bad_param("data", "exactly one of data and source is needed");
        if (params.has("data")) {
            data = params.object("data");
        } else {
            KN_CO_TRY(const auto name, source_name(params.text("source"), key.ns));
            const auto source = co_await context.client->get(kube::resources::config_maps, key.ns, name, call_deadline(context));
            if (!source && source.error().code == ErrorCode::not_found) co_return refuse("no_source", "there is no ConfigMap " + key.ns + "/" + name);
            if (!source) co_return fail(source.error());
            data = json::object_at(*source, "data");
        }
        for (const auto& [name, value] : data) {
            if (!value.is_string()) co_return bad_param("data." + std::string(name), "must be a string");
        }
        if (data.empty()) co_return bad_param("data", "is empty");
        co_return data;
    }

    Task<Result<>> check_target(const ActionContext& context, const ObjectKey& key) {
        if (key == context.target.key) co_return Result<>{};
        KN_CO_TRY(const auto target, co_await reread(context, context.target.key, context.target.uid));
        co_return co_await check_writable(context, spec(), target);
    }

    static ActionOutcome outcome(const ActionContext& context, const json::Value& now, Calls calls) {
        json::Object output;
        output["object"] = json::string_at(context.pre_image, "object");
        output["hash"] = now.is_null() ? std::string{} : content_hash(json::object_at(now, "data"));
        output["changed"] = !calls.empty();
        return {.output = json::Value(output), .post_image = json::Value(output), .calls = std::move(calls)};
    }
};

}  // namespace

void add_config_actions(ActionList& list, Shared& shared) { list.push_back(std::make_unique<RestoreConfigMap>(shared)); }

}  // namespace kn::actions
