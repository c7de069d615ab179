#include "core/created.hpp"

#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::actions {
namespace {

ActionOutcome outcome(const ActionContext& context, std::string_view uid, Calls calls) {
    json::Object output;
    output["object"] = json::string_at(context.pre_image, "object");
    output["uid"] = uid;
    output["changed"] = !calls.empty();
    return {.output = json::Value(output), .post_image = json::Value(output), .calls = std::move(calls)};
}

}  // namespace

std::string own_name(const ActionContext& context, std::string_view base, std::size_t most) {
    auto name = std::string(base.substr(0, most - 9));
    while (!name.empty() && (name.back() == '-' || name.back() == '.')) name.pop_back();
    return name + "-" + id_suffix(context);
}

Prepared CreateAction::prepared_for(ObjectKey key, json::Value make, std::string summary) {
    const auto bytes = json::canonical(make);
    json::Object image;
    image["object"] = key.str();
    image["make"] = std::move(make);
    return {.pre_image = json::Value(std::move(image)),
            .writes = {key.str()},
            .request_digest = to_hex(sha256_parts({"create", key.str(), bytes})),
            .summary = std::move(summary)};
}

Task<Result<Subject>> CreateAction::read_made(const ActionContext& context) {
    KN_CO_TRY(auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
    co_return co_await read_object(context, std::move(key));
}

Task<Result<ActionOutcome>> CreateAction::execute(const ActionContext& context) {
    KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
    const auto* make = json::at(context.pre_image, "make");
    if (make == nullptr) co_return fail(ErrorCode::internal, "no pre-image was stored for this action");
    KN_CO_TRY(const auto resource, co_await resource_for(context, key.kind, key.group));
    Calls calls;
    auto made = co_await create_ours(context, resource, key.ns, *make, calls);
    if (!made && made.error().code == ErrorCode::already_exists) co_return refuse("target_changed", key.str() + " has been made by somebody else");
    if (!made) co_return fail(made.error());
    co_return outcome(context, kube::uid_of(*made), std::move(calls));
}

Task<Result<AppliedCheck>> CreateAction::applied_already(const ActionContext& context) {
    const auto made = co_await read_made(context);
    if (!made) co_return unreadable_or(made.error());
    co_return made_by(context, made->live) ? AppliedCheck::applied : AppliedCheck::not_applied;
}

Task<Result<bool>> CreateAction::verify(const ActionContext& context) {
    KN_CO_TRY(const auto made, co_await read_made(context));
    co_return made_by(context, made.live);
}

Task<Result<ActionOutcome>> CreateAction::compensate(const ActionContext& context) {
    const auto made = co_await read_made(context);
    if (!made && made.error().code == ErrorCode::not_found) co_return outcome(context, "", {});
    if (!made) co_return fail(made.error());
    const auto* make = json::at(context.pre_image, "make");
    if (!made_by(context, made->live) || make == nullptr) co_return refuse("drift", made->key.str() + " is not the object that we made");
    if (const auto why = must_stay(made->live); !why.empty()) co_return refuse("drift", why);
    Calls calls;
    KN_CO_CHECK(co_await delete_exactly(context, *made, {.propagation = "Background"}, calls));
    co_return outcome(context, "", std::move(calls));
}

}  // namespace kn::actions
