#include "core/base.hpp"

#include "kubernaut/kube/object.hpp"

namespace kn::actions {

std::string Params::text(std::string_view name) const {
    const auto* value = values_.if_contains(name);
    if (value == nullptr) return {};
    if (const auto* text = value->if_string()) return std::string(json::view(*text));
    const auto whole = json::to_int(value);
    return whole ? std::to_string(*whole) : std::string{};
}

std::optional<std::int64_t> Params::integer(std::string_view name) const { return json::to_int(values_.if_contains(name)); }
std::optional<double> Params::number(std::string_view name) const { return json::to_double(values_.if_contains(name)); }
std::optional<double> Params::quantity(std::string_view name) const { return kube::quantity_at(values_.if_contains(name)); }

bool Params::flag(std::string_view name) const {
    const auto* value = values_.if_contains(name);
    return value != nullptr && value->is_bool() && value->get_bool();
}

Duration Params::duration(std::string_view name) const { return parse_duration(text(name)).value_or(Duration::zero()); }

const json::Object& Params::object(std::string_view name) const {
    const auto* value = values_.if_contains(name);
    return value == nullptr || !value->is_object() ? json::detail::empty_object() : value->get_object();
}

std::vector<std::string> Params::list(std::string_view name) const {
    std::vector<std::string> texts;
    const auto* value = values_.if_contains(name);
    if (value == nullptr || !value->is_array()) return texts;
    for (const auto& each : value->get_array()) {
        if (const auto* text = each.if_string()) texts.emplace_back(json::view(*text));
    }
    return texts;
}

Task<Result<Prepared>> BaseAction::prepare(const ActionContext& context) {
    KN_CO_TRY(auto values, validate_params(spec().params, context.params));
    const Params params(std::move(values));
    co_return co_await plan(context, params);
}

Task<Result<ActionOutcome>> BaseAction::compensate(const ActionContext&) { co_return refuse("irreversible", spec().name + " cannot be undone"); }

Task<Result<Prepared>> PatchAction::plan(const ActionContext& context, const Params& params) {
    KN_CO_TRY(auto wanted, co_await change(context, params));
    auto image = Image::of(wanted.subject, wanted.type, std::move(wanted.fields));
    image.subresource = std::move(wanted.subresource);
    image.extra = std::move(wanted.extra);
    Prepared prepared;
    prepared.pre_image = image.to_json();
    if (!image.fields.empty()) prepared.writes.push_back(image.object.str());
    prepared.request_digest = image.digest();
    prepared.summary = image.fields.empty() ? wanted.summary + " (it already is so)" : std::move(wanted.summary);
    co_return prepared;
}

Task<Result<ActionOutcome>> PatchAction::execute(const ActionContext& context) {
    KN_CO_TRY(const auto image, Image::from_json(context.pre_image));
    Calls calls;
    KN_CO_TRY(const auto now, co_await write_fields(context, image, Direction::apply, calls));
    co_return patch_outcome(image, now, std::move(calls), false);
}

Task<Result<AppliedCheck>> PatchAction::applied_already(const ActionContext& context) {
    KN_CO_TRY(const auto image, Image::from_json(context.pre_image));
    const auto subject = co_await reread(context, image.object, image.uid);
    if (!subject) co_return unreadable_or(subject.error());
    co_return state_of(subject->live, image.fields) == FieldState::after ? AppliedCheck::applied : AppliedCheck::not_applied;
}

Task<Result<bool>> PatchAction::verify(const ActionContext& context) {
    KN_CO_TRY(const auto image, Image::from_json(context.pre_image));
    KN_CO_TRY(const auto subject, co_await reread(context, image.object, image.uid));
    co_return image.fields.empty() || state_of(subject.live, image.fields) == FieldState::after;
}

Task<Result<ActionOutcome>> PatchAction::compensate(const ActionContext& context) {
    if (!spec().reversible) co_return co_await BaseAction::compensate(context);
    KN_CO_TRY(const auto image, Image::from_json(context.pre_image));
    Calls calls;
    KN_CO_TRY(const auto now, co_await write_fields(context, image, Direction::restore, calls));
    co_return patch_outcome(image, now, std::move(calls), true);
}

std::string place_text(const ObjectKey& key) { return key.ns.empty() ? key.name : key.ns + "/" + key.name; }

ActionOutcome patch_outcome(const Image& image, const json::Value& now, Calls calls, bool restored) {
    json::Object output;
    output["object"] = image.object.str();
    output["changed"] = !calls.empty();
    if (restored) output["restored"] = true;
    json::Object fields, after;
    for (const auto& change : image.fields) {
        const auto* present = field_at(now, change.path);
        after[path_text(change.path)] = present == nullptr ? json::Value(nullptr) : *present;
        // Whole pod templates are in the pre-image; people need only the small values.
        if (change.after.is_object()) continue;
        json::Object both;
        both["from"] = restored ? change.after : change.before;
        both["to"] = restored ? change.before : change.after;
        fields[path_text(change.path)] = std::move(both);
    }
    output["fields"] = std::move(fields);
    if (!image.extra.empty()) output["details"] = image.extra;
    json::Object post;
    post["resource_version"] = kube::resource_version_of(now);
    post["generation"] = kube::generation_of(now);
    post["fields"] = std::move(after);
    return {.output = json::Value(std::move(output)), .post_image = json::Value(std::move(post)), .calls = std::move(calls)};
}

Result<AppliedCheck> unreadable_or(const Error& error) {
    if (error.reason == "target_changed" || error.code == ErrorCode::not_found) return AppliedCheck::not_applied;
    return AppliedCheck::unreadable;
}

}  // namespace kn::actions
