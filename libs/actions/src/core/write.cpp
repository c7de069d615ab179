#include "core/write.hpp"

#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::actions {
namespace {

constexpr int max_conflicts = 5;
constexpr Duration conflict_wait = 10ms;

/// Jitter without a random source: from the id and the try, the same in every run.
Duration conflict_backoff(const ActionContext& context, int attempt) {
    const auto digest = sha256_parts({context.id.str(), std::to_string(attempt)});
    const double jitter = 0.5 + static_cast<double>(digest[0]) / 256.0;
    return std::chrono::ceil<Duration>(std::chrono::duration<double, std::milli>(static_cast<double>((conflict_wait.count() << attempt)) * jitter));
}

Result<> check_before_write(const Image& image, const json::Value& live, FieldState state, Direction direction) {
    if (direction == Direction::restore) {
        if (state == FieldState::after) return {};
        return refuse("drift", "the fields of " + image.object.str() + " do not hold our value any more: they are left as they are");
    }
    if (state != FieldState::before) return refuse("target_changed", "somebody else has changed the fields of " + image.object.str());
    if (image.generation != 0 && kube::generation_of(live) != image.generation) {
        return refuse("target_changed", image.object.str() + " has been changed since the plan");
    }
    return {};
}

}  // namespace

std::string call_text(std::string_view verb, const kube::Resource& resource, std::string_view subresource, std::string_view ns,
                      std::string_view name) {
    std::string text(verb);
    text.append(" ").append(resource.plural);
    if (!subresource.empty()) text.append("/").append(subresource);
    text.append(" ");
    if (!ns.empty()) text.append(ns).append("/");
    return text.append(name);
}

std::string call_result(const ActionContext& context, std::string call, const Error* error) {
    call +=
        error == nullptr ? std::string(" → ok") : " → " + std::string(to_string(error->code)) + (error->reason.empty() ? "" : " " + error->reason);
    if (context.dry_run) call += " (dry run)";
    return call;
}

Task<Result<json::Value>> write_fields(const ActionContext& context, const Image& image, Direction direction, Calls& calls) {
    for (int attempt = 0;; ++attempt) {
        KN_CO_TRY(auto subject, co_await reread(context, image.object, image.uid));
        const auto state = state_of(subject.live, image.fields);
        if (image.fields.empty() || state == (direction == Direction::apply ? FieldState::after : FieldState::before))
            co_return std::move(subject.live);
        KN_CO_CHECK(check_before_write(image, subject.live, state, direction));
        KN_CO_TRY(auto patch, build_patch(image.type, subject.live, image.fields, direction));

        kube::PatchOptions options{.write = {.dry_run = context.dry_run}, .subresource = image.subresource};
        auto answer = co_await context.client->patch(subject.resource, image.object.ns, image.object.name, image.type, std::move(patch), options,
                                                     call_deadline(context));
        calls.push_back(call_result(context, call_text("PATCH", subject.resource, image.subresource, image.object.ns, image.object.name),
                                    answer ? nullptr : &answer.error()));
        if (answer) co_return answer;

        bool conflict = answer.error().code == ErrorCode::aborted;
        if (!conflict && image.type == kube::PatchType::json && answer.error().code == ErrorCode::invalid_argument) {
            // A failed `test` and an invalid object are the same opaque 422: only the object tells them apart.
            KN_CO_TRY(const auto now, co_await reread(context, image.object, image.uid));
            conflict = kube::resource_version_of(now.live) != kube::resource_version_of(subject.live);
        }
        if (!conflict) co_return fail(answer.error().with_context("writing " + image.object.str()));
        if (attempt >= max_conflicts) {
            co_return refuse(direction == Direction::apply ? "target_changed" : "drift", image.object.str() + " keeps changing under us");
        }
        co_await async::sleep_for(*context.clock, conflict_backoff(context, attempt));
    }
}

bool made_by(const ActionContext& context, const json::Value& object) { return kube::label_of(object, action_label) == context.id.str(); }

Task<Result<json::Value>> create_ours(const ActionContext& context, kube::Resource resource, std::string ns, json::Value object, Calls& calls) {
    json::make_at(object, "metadata", "labels", action_label) = context.id.str();
    if (!context.execution.empty()) json::make_at(object, "metadata", "labels", execution_label) = context.execution.str();
    const std::string name(kube::name_of(object));
    auto made = co_await context.client->create(resource, ns, std::move(object), {.dry_run = context.dry_run}, call_deadline(context));
    calls.push_back(call_result(context, call_text("POST", resource, "", ns, name), made ? nullptr : &made.error()));
    if (made || made.error().code != ErrorCode::already_exists) co_return made;
    KN_CO_TRY(auto present, co_await context.client->get(resource, ns, name, call_deadline(context)));
    if (made_by(context, present)) co_return present;
    co_return made;
}

Task<Result<>> delete_exactly(const ActionContext& context, const Subject& subject, kube::DeleteOptions options, Calls& calls) {
    options.uid = kube::uid_of(subject.live);
    options.dry_run = context.dry_run;
    const auto answer = co_await context.client->remove(subject.resource, subject.key.ns, subject.key.name, options, call_deadline(context));
    calls.push_back(
        call_result(context, call_text("DELETE", subject.resource, "", subject.key.ns, subject.key.name), answer ? nullptr : &answer.error()));
    if (answer || answer.error().code == ErrorCode::not_found) co_return Result<>{};
    if (answer.error().code == ErrorCode::aborted) {
        // 409: another uid under this name (ours is gone), or a change that is none of our business.
        const auto present = co_await context.client->get(subject.resource, subject.key.ns, subject.key.name, call_deadline(context));
        if (!present && present.error().code == ErrorCode::not_found) co_return Result<>{};
        if (present && kube::uid_of(*present) != options.uid) co_return Result<>{};
    }
    co_return fail(answer.error().with_context("deleting " + subject.key.str()));
}

}  // namespace kn::actions
