#include <algorithm>
#include <cmath>

#include "families/families.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"
#include "pods/capacity.hpp"
#include "pods/pods.hpp"

namespace kn::actions {
namespace {

constexpr std::string_view default_class_mark = "storageclass.kubernetes.io/is-default-class";

std::optional<double> storage_at(const json::Value& claim, std::string_view part) {
    return part == "capacity" ? kube::quantity_at(json::at(claim, "status", "capacity", "storage"))
                              : kube::quantity_at(json::at(claim, "spec", "resources", "requests", "storage"));
}

bool condition_is_true(const json::Value& object, std::string_view type) {
    const auto condition = kube::condition_of(object, type);
    return condition && condition->status == "True";
}

class ExpandPvc final : public PatchAction {
public:
    explicit ExpandPvc(Shared& shared) : PatchAction("expand_pvc", shared) {}

    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto image, Image::from_json(context.pre_image));
        KN_CO_TRY(const auto subject, co_await reread(context, image.object, image.uid));
        const auto asked = storage_at(subject.live, "requests"), has = storage_at(subject.live, "capacity");
        co_return state_of(subject.live, image.fields) == FieldState::after&& asked&& has && *has >= *asked &&
            !condition_is_true(subject.live, "FileSystemResizePending") && !condition_is_true(subject.live, "Resizing");
    }

protected:
    Task<Result<Change>> change(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(auto subject, co_await read_subject(context, spec(), params.text("object")));
        const auto& claim = subject.live;
        if (json::string_at(claim, "status", "phase") != "Bound") co_return refuse("not_bound", "claim " + place_text(subject.key) + " is not bound");
        const auto asked = storage_at(claim, "requests"), has = storage_at(claim, "capacity");
        if (!asked || !has) co_return refuse("not_bound", "claim " + place_text(subject.key) + " has no capacity yet");
        if (*asked > *has || condition_is_true(claim, "Resizing") || condition_is_true(claim, "FileSystemResizePending")) {
            co_return refuse("resize_running", "claim " + place_text(subject.key) + " is being resized");
        }
        KN_CO_CHECK(co_await check_class(context, claim));
        const double wanted = params.quantity("size").value_or(*has * params.number("factor").value_or(1.5));
        if (wanted <= *asked) co_return bad_param("size", "must be more than the present size");
        if (wanted > 2 * *has * (1 + 1e-9)) co_return bad_param("size", "must be at most twice the present size");
        if (wanted > settings().max_volume_bytes)
            co_return refuse("cap", "a volume may not become larger than " + kube::format_bytes(settings().max_volume_bytes));
        const auto text = size_text(wanted);
        const double more = kube::parse_quantity(text).value_or(wanted) - *asked;
        const std::string klass(json::string_at(claim, "spec", "storageClassName"));
        KN_CO_TRY(const auto quota,
                  co_await quota_blocks(context, subject.key.ns,
                                        {{"requests.storage", more}, {klass + ".storageclass.storage.k8s.io/requests.storage", more}}));
        if (quota) co_return refuse("quota", *quota);

        Change made{.summary = "expand claim " + place_text(subject.key) + " from " + kube::format_bytes(*asked) + " to " + text};
        made.fields.push_back({.path = {"spec", "resources", "requests", "storage"}, .after = json::Value(text), .quantity = true});
        made.subject = std::move(subject);
        co_return made;
    }

private:
    static std::string size_text(double bytes) {
        constexpr double mebibyte = 1024.0 * 1024.0;
        return kube::format_bytes(std::ceil(bytes / mebibyte - 1e-6) * mebibyte);
    }
    static Task<Result<>> check_class(const ActionContext& context, const json::Value& claim) {
        const std::string name(json::string_at(claim, "spec", "storageClassName"));
        if (name.empty()) co_return refuse("no_storage_class", "the claim names no storage class");
        const auto klass = co_await context.client->get(kube::resources::storage_classes, "", name, call_deadline(context));
        if (!klass && klass.error().code == ErrorCode::not_found) co_return refuse("no_storage_class", "there is no storage class " + name);
        if (!klass) co_return fail(klass.error());
        if (!json::bool_at(*klass, "allowVolumeExpansion").value_or(false))
            co_return refuse("not_expandable", "storage class " + name + " does not allow expansion");
        co_return Result<>{};
    }
};

/// A claim's spec is immutable, so a wrong class is mended by a new claim of the same name. Only claims that never held data.
class RecreatePvc final : public BaseAction {
public:
    explicit RecreatePvc(Shared& shared) : BaseAction("recreate_pvc", shared) {}

    Task<Result<ActionOutcome>> execute(const ActionContext& context) override {
        co_return co_await bring(context, json::object_at(context.pre_image, "after"), Direction::apply);
    }

    Task<Result<AppliedCheck>> applied_already(const ActionContext& context) override {
        KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        const auto claim = co_await read_object(context, key);
        if (!claim) co_return unreadable_or(claim.error());
        co_return made_by(context, claim->live) ? AppliedCheck::applied : AppliedCheck::not_applied;
    }

    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        KN_CO_TRY(const auto claim, co_await read_object(context, key));
        if (json::string_at(claim.live, "status", "phase") == "Bound") co_return true;
        // With WaitForFirstConsumer the claim binds when its pod is there again: restart_pod, which comes next.
        co_return made_by(context, claim.live) && json::bool_at(context.pre_image, "waits_for_consumer").value_or(false);
    }

    Task<Result<ActionOutcome>> compensate(const ActionContext& context) override {
        KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        const auto claim = co_await read_object(context, key);
        if (!claim && claim.error().code != ErrorCode::not_found) co_return fail(claim.error());
        if (claim && !json::string_at(claim->live, "spec", "volumeName").empty())
            co_return refuse("drift", key.str() + " is bound now and may hold data");
        const auto* before = json::at(context.pre_image, "before");
        if (claim && before != nullptr && same_class(claim->live, *before)) co_return outcome(key, {}, false);
        if (claim && !made_by(context, claim->live)) co_return refuse("drift", key.str() + " is not the claim that we made");
        co_return co_await bring(context, json::object_at(context.pre_image, "before"), Direction::restore);
    }

protected:
    Task<Result<Prepared>> plan(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(auto subject, co_await read_subject(context, spec(), params.text("object")));
        if (subject.key.kind == "StatefulSet") {
            KN_CO_TRY(subject, co_await pending_claim_of(context, subject));
        }
        const auto& claim = subject.live;
        if (json::string_at(claim, "status", "phase") != "Pending" || !json::string_at(claim, "spec", "volumeName").empty()) {
            co_return refuse("condition_cleared", "claim " + place_text(subject.key) + " is not an unbound one");
        }
        if (kube::annotation_of(claim, "pv.kubernetes.io/bind-completed") == "yes")
            co_return refuse("was_bound", "claim " + place_text(subject.key) + " has been bound before");
        KN_CO_TRY(const auto klass, co_await storage_class(context, claim, params.text("storage_class")));

        json::Object after = clean(claim);
        json::Value changed(std::move(after));
        json::make_at(changed, "spec", "storageClassName") = kube::name_of(klass);
        auto image = identity_json(subject);
        image["whole"] = claim;
        image["before"] = clean(claim);
        image["after"] = changed;
        image["waits_for_consumer"] = json::string_at(klass, "volumeBindingMode") == "WaitForFirstConsumer";
        const auto bytes = json::canonical(changed);
        Prepared prepared;
        prepared.pre_image = json::Value(std::move(image));
        prepared.writes = {subject.key.str()};
        prepared.request_digest = to_hex(sha256_parts({"recreate", subject.key.str(), bytes}));
        prepared.summary = "make claim " + place_text(subject.key) + " anew with storage class " + std::string(kube::name_of(klass));
        co_return prepared;
    }

private:
    static bool same_class(const json::Value& a, const json::Value& b) {
        return json::string_at(a, "spec", "storageClassName") == json::string_at(b, "spec", "storageClassName");
    }

    /// The parts that a new claim of that name takes over.
    static json::Object clean(const json::Value& claim) {
        json::Object made;
        made["apiVersion"] = "v1", made["kind"] = "PersistentVolumeClaim";
        json::Object metadata;
        metadata["name"] = kube::name_of(claim), metadata["namespace"] = kube::namespace_of(claim);
        json::Object labels = json::object_at(claim, "metadata", "labels");
        labels.erase(action_label), labels.erase(execution_label);
        if (!labels.empty()) metadata["labels"] = std::move(labels);
        json::Object annotations;
        for (const auto& [key, value] : json::object_at(claim, "metadata", "annotations")) {
            const std::string_view name{key.data(), key.size()};
            // The provisioner's and scheduler's notes belong to the old claim; the old way to name a class must go too.
            if (!name.starts_with("volume.kubernetes.io/") && !name.starts_with("volume.beta.kubernetes.io/") &&
                !name.starts_with("pv.kubernetes.io/"))
                annotations[key] = value;
        }
        if (!annotations.empty()) metadata["annotations"] = std::move(annotations);
        if (const auto* owners = json::at(claim, "metadata", "ownerReferences")) metadata["ownerReferences"] = *owners;
        made["metadata"] = std::move(metadata);
        json::Object spec = json::object_at(claim, "spec");
        spec.erase("volumeName");
        made["spec"] = std::move(spec);
        return made;
    }

    static Task<Result<Subject>> pending_claim_of(const ActionContext& context, const Subject& set) {
        KN_CO_TRY(const auto pods, co_await pods_of(context, set));
        for (const auto& pod : pods) {
            for (const auto& volume : json::array_at(pod, "spec", "volumes")) {
                const std::string name(json::string_at(volume, "persistentVolumeClaim", "claimName"));
                if (name.empty()) continue;
                ObjectKey key{.cluster = set.key.cluster, .ns = set.key.ns, .kind = "PersistentVolumeClaim", .group = {}, .name = name};
                auto claim = co_await read_object(context, std::move(key));
                if (claim && json::string_at(claim->live, "status", "phase") == "Pending") co_return *std::move(claim);
            }
        }
        co_return refuse("condition_cleared", "no claim of " + set.key.str() + " is pending");
    }

    static Task<Result<json::Value>> storage_class(const ActionContext& context, const json::Value& claim, std::string wanted) {
        KN_CO_TRY(auto classes, co_await context.client->list(kube::resources::storage_classes, "", {}, call_deadline(context)));
        const auto present = json::string_at(claim, "spec", "storageClassName");
        const auto named = [&](std::string_view name) {
            return std::ranges::find_if(classes.items, [name](const json::Value& each) { return kube::name_of(each) == name; });
        };
        if (!present.empty() && named(present) != classes.items.end())
            co_return refuse("condition_cleared", "storage class " + std::string(present) + " exists");
        if (!wanted.empty()) {
            const auto found = named(wanted);
            if (found == classes.items.end()) co_return bad_param("storage_class", "there is no storage class " + wanted);
            co_return std::move(*found);
        }
        std::erase_if(classes.items, [](const json::Value& each) { return kube::annotation_of(each, default_class_mark) != "true"; });
        if (classes.items.size() != 1)
            co_return refuse("ambiguous", "there are " + std::to_string(classes.items.size()) + " default storage classes");
        co_return std::move(classes.items.front());
    }

    /// Deletes whatever unbound claim stands under the name and makes ours. The StatefulSet's controller makes the wrong one again as soon as it notices:
    /// a finalizer of ours keeps the old claim until we are ready, so that its end and our create are one round trip apart. Where we may not patch
    /// claims, or somebody is quicker all the same, it is tried again a few times.
    Task<Result<ActionOutcome>> bring(const ActionContext& context, json::Object wanted, Direction direction) {
        const bool apply = direction == Direction::apply;
        const std::string_view otherwise = apply ? "target_changed" : "drift";
        if (wanted.empty()) co_return fail(ErrorCode::internal, "no pre-image was stored for this action");
        KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        const std::string planned_uid(json::string_at(context.pre_image, "uid"));
        Calls calls;
        for (int round = 0; round < 5; ++round) {
            auto present = co_await read_object(context, key);
            if (!present && present.error().code != ErrorCode::not_found) co_return fail(present.error());
            if (present && (!apply || made_by(context, present->live)) && same_class(present->live, json::Value(wanted)))
                co_return outcome(key, std::move(calls), true);
            if (present) {
                if (!json::string_at(present->live, "spec", "volumeName").empty()) co_return refuse(otherwise, key.str() + " is bound now");
                if (round == 0 && apply && kube::uid_of(present->live) != planned_uid) {
                    co_return refuse("target_changed", key.str() + " has been made anew since the plan");
                }
                if (!kube::is_deleting(present->live)) {
                    const auto held = context.dry_run ? Result<>{} : co_await hold(context, *present, calls);
                    if (!held && (held.error().code == ErrorCode::aborted || held.error().code == ErrorCode::not_found))
                        continue;  // it changed meanwhile: look again
                    if (!held) co_return fail(held.error());
                    if (const auto deleted = co_await delete_exactly(context, *present, {}, calls); !deleted) {
                        if (!context.dry_run) co_await let_go(context, *present, calls);
                        co_return deleted.error().code == ErrorCode::not_found ? refuse(otherwise, key.str() + " went away meanwhile")
                                                                               : fail(deleted.error());
                    }
                }
            }
            if (context.dry_run) {
                // The name is still taken, so a dry-run create cannot be tried under it: the content is checked under another one.
                json::Value probe(wanted);
                json::make_at(probe, "metadata", "name") = key.name.substr(0, 200) + "-" + id_suffix(context);
                KN_CO_TRY(const auto made, co_await create_ours(context, kube::resources::persistent_volume_claims, key.ns, std::move(probe), calls));
                co_return outcome(key, std::move(calls), true);
            }
            if (present) KN_CO_CHECK(co_await release(context, *present, calls));
            KN_CO_TRY(const bool gone, co_await wait_gone(context, key, present ? std::string(kube::uid_of(present->live)) : std::string{}));
            if (!gone)
                co_return fail(
                    Error{.code = ErrorCode::deadline_exceeded, .message = key.str() + " is still held by a pod", .applied = Applied::maybe});
            const auto made = apply ? co_await create_ours(context, kube::resources::persistent_volume_claims, key.ns, json::Value(wanted), calls)
                                    : co_await create_as_it_was(context, key, json::Value(wanted), calls);
            if (made) co_return outcome(key, std::move(calls), true);
            if (made.error().code != ErrorCode::already_exists) co_return fail(made.error());
        }
        co_return refuse("contention", "another controller keeps making " + key.str() + " with the old class");
    }

    static constexpr std::string_view held_mark = "kubernaut.io/recreate";

    static std::vector<std::string> finalizers_of(const json::Value& claim) {
        std::vector<std::string> out;
        for (const auto& each : json::array_at(claim, "metadata", "finalizers")) {
            if (each.is_string()) out.emplace_back(json::view(each.get_string()));
        }
        return out;
    }

    static Task<Result<json::Value>> set_finalizers(const ActionContext& context, const Subject& claim, std::vector<std::string> list, Calls& calls) {
        json::Array names;
        for (const auto& name : list) names.emplace_back(name);
        json::Value patch = json::Object{{"metadata", json::Object{{"uid", kube::uid_of(claim.live)},
                                                                   {"resourceVersion", kube::resource_version_of(claim.live)},
                                                                   {"finalizers", std::move(names)}}}};
        auto written = co_await context.client->patch(claim.resource, claim.key.ns, claim.key.name, kube::PatchType::merge, std::move(patch), {},
                                                      call_deadline(context));
        calls.push_back(
            call_result(context, call_text("PATCH", claim.resource, "", claim.key.ns, claim.key.name), written ? nullptr : &written.error()));
        co_return written;
    }

    /// Puts our finalizer on the claim. Without the right to patch claims it goes on without.
    static Task<Result<>> hold(const ActionContext& context, Subject& claim, Calls& calls) {
        auto list = finalizers_of(claim.live);
        if (std::ranges::find(list, held_mark) != list.end()) co_return Result<>{};
        list.emplace_back(held_mark);
        auto written = co_await set_finalizers(context, claim, std::move(list), calls);
        if (written)
            claim.live = *std::move(written);
        else if (written.error().code != ErrorCode::permission_denied)
            co_return fail(written.error());
        co_return Result<>{};
    }

    /// Takes our finalizer back from a claim that stays.
    static Task<> let_go(const ActionContext& context, const Subject& claim, Calls& calls) {
        auto list = finalizers_of(claim.live);
        if (std::erase(list, held_mark) > 0) (void)co_await set_finalizers(context, claim, std::move(list), calls);
    }

    /// Waits until nothing but our finalizer keeps the deleted claim, and takes it away: the claim is gone with the answer.
    Task<Result<>> release(const ActionContext& context, const Subject& claim, Calls& calls) {
        constexpr Duration often = 50ms;
        for (;;) {
            const auto present = co_await read_object(context, claim.key);
            if (!present && present.error().code == ErrorCode::not_found) co_return Result<>{};
            if (!present) co_return fail(present.error());
            const auto list = finalizers_of(present->live);
            const bool ours = std::ranges::find(list, held_mark) != list.end();
            if (!ours || kube::uid_of(present->live) != kube::uid_of(claim.live)) co_return Result<>{};
            if (list.size() == 1) {
                const auto written = co_await set_finalizers(context, *present, {}, calls);
                if (written || written.error().code == ErrorCode::not_found) co_return Result<>{};
                if (written.error().code != ErrorCode::aborted) co_return fail(written.error());
            }
            if (context.deadline.left(context.clock->steady()) <= settings().poll) {
                // A pod still uses it: the claim must not be left with a finalizer that nobody will take away.
                co_await let_go(context, *present, calls);
                co_return Result<>{};
            }
            co_await async::sleep_for(*context.clock, often);
        }
    }

    /// Without our label: the old claim did not have it.
    static Task<Result<json::Value>> create_as_it_was(const ActionContext& context, ObjectKey key, json::Value claim, Calls& calls) {
        auto made = co_await context.client->create(kube::resources::persistent_volume_claims, key.ns, std::move(claim), {.dry_run = context.dry_run},
                                                    call_deadline(context));
        calls.push_back(
            call_result(context, call_text("POST", kube::resources::persistent_volume_claims, "", key.ns, key.name), made ? nullptr : &made.error()));
        co_return made;
    }

    Task<Result<bool>> wait_gone(const ActionContext& context, ObjectKey key, std::string uid) {
        if (uid.empty()) co_return true;
        constexpr Duration often = 50ms;  // quicker than the controller that would make the wrong claim again
        for (;;) {
            const auto present = co_await read_object(context, key);
            if (!present && present.error().code == ErrorCode::not_found) co_return true;
            if (!present) co_return fail(present.error());
            if (kube::uid_of(present->live) != uid) co_return true;
            if (context.deadline.left(context.clock->steady()) <= settings().poll) co_return false;
            co_await async::sleep_for(*context.clock, often);
        }
    }

    static ActionOutcome outcome(const ObjectKey& key, Calls calls, bool made) {
        json::Object output;
        output["object"] = key.str(), output["made"] = made;
        return {.output = json::Value(output), .post_image = json::Value(output), .calls = std::move(calls)};
    }
};

}  // namespace

void add_volume_actions(ActionList& list, Shared& shared) {
    list.push_back(std::make_unique<ExpandPvc>(shared));
    list.push_back(std::make_unique<RecreatePvc>(shared));
}

}  // namespace kn::actions
