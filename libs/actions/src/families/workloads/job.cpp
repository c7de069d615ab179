#include <algorithm>
#include <array>

#include "core/created.hpp"
#include "families/families.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"
#include "pods/pods.hpp"

namespace kn::actions {
namespace {

constexpr std::array controller_labels{std::string_view{"controller-uid"}, std::string_view{"job-name"},
                                       std::string_view{"batch.kubernetes.io/controller-uid"}, std::string_view{"batch.kubernetes.io/job-name"}};
constexpr std::size_t max_job_name = 63;

bool has_condition(const json::Value& job, std::string_view type) {
    const auto condition = kube::condition_of(job, type);
    return condition && condition->status == "True";
}
bool is_over(const json::Value& job) { return has_condition(job, "Complete") || has_condition(job, "Failed"); }

void drop_controller_labels(json::Value& object) {
    if (json::at(object, "metadata", "labels") == nullptr) return;
    auto& labels = json::make_at(object, "metadata", "labels").get_object();
    for (const auto label : controller_labels) labels.erase(label);
}

bool says_yes(const json::Value& object, std::string_view key) {
    auto text = kube::annotation_of(object, key);
    if (text.empty()) text = kube::label_of(object, key);
    return text == "true" || text == "yes" || text == "safe";
}

class RerunJob final : public CreateAction {
public:
    explicit RerunJob(Shared& shared) : CreateAction("rerun_job", shared) {}

    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto made, co_await read_made(context));
        if (has_condition(made.live, "Failed")) co_return refuse("failed_again", made.key.str() + " failed as the one before did");
        co_return has_condition(made.live, "Complete");
    }

protected:
    Task<Result<Prepared>> plan(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(const auto subject, co_await read_subject(context, spec(), params.text("object")));
        if (!has_condition(subject.live, "Failed")) co_return refuse("condition_cleared", subject.key.str() + " has not failed");
        KN_CO_TRY(const auto owners, co_await owners_of(context, subject));
        const bool allowed = says_yes(subject.live, "kubernaut.io/rerun") || (!owners.empty() && says_yes(owners.front().live, "kubernaut.io/rerun"));
        if (!allowed) co_return refuse("rerun_not_allowed", subject.key.str() + " does not say that it may run again (kubernaut.io/rerun)");

        ObjectKey key = subject.key;
        key.name = own_name(context, subject.key.name, max_job_name);
        co_return prepared_for(key, copy_of(subject.live, key.name), "run a copy of Job " + place_text(subject.key));
    }
    [[nodiscard]] std::string must_stay(const json::Value& job) const override {
        return is_over(job) ? "the Job has ended: there is nothing to undo" : "";
    }

private:
    static json::Value copy_of(const json::Value& job, const std::string& name) {
        json::Value made = json::Object{};
        json::make_at(made, "apiVersion") = "batch/v1";
        json::make_at(made, "kind") = "Job";
        json::make_at(made, "metadata", "name") = name;
        json::make_at(made, "metadata", "namespace") = kube::namespace_of(job);
        if (const auto* labels = json::at(job, "metadata", "labels")) json::make_at(made, "metadata", "labels") = *labels;
        if (const auto* owners = json::at(job, "metadata", "ownerReferences")) json::make_at(made, "metadata", "ownerReferences") = *owners;
        json::make_at(made, "spec") = json::object_at(job, "spec");
        json::make_at(made, "spec").get_object().erase("selector");
        json::make_at(made, "spec").get_object().erase("manualSelector");
        drop_controller_labels(made);
        drop_controller_labels(json::make_at(made, "spec", "template"));
        return made;
    }
};

class TriggerCronJob final : public CreateAction {
public:
    explicit TriggerCronJob(Shared& shared) : CreateAction("trigger_cronjob", shared) {}

    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto made, co_await read_made(context));
        co_return json::int_at(made.live, "status", "active").value_or(0) > 0 || has_condition(made.live, "Complete");
    }

protected:
    Task<Result<Prepared>> plan(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(const auto subject, co_await read_subject(context, spec(), params.text("object")));
        if (json::bool_at(subject.live, "spec", "suspend").value_or(false)) co_return refuse("suspended", subject.key.str() + " is suspended");
        if (json::string_at(subject.live, "spec", "concurrencyPolicy") == "Forbid" && !json::array_at(subject.live, "status", "active").empty()) {
            co_return refuse("active", subject.key.str() + " has an active Job and allows no second one");
        }
        ObjectKey key{.cluster = subject.key.cluster,
                      .ns = subject.key.ns,
                      .kind = "Job",
                      .group = "batch",
                      .name = own_name(context, subject.key.name, max_job_name)};
        json::Value made = json::Object{};
        json::make_at(made, "apiVersion") = "batch/v1";
        json::make_at(made, "kind") = "Job";
        if (const auto* labels = json::at(subject.live, "spec", "jobTemplate", "metadata", "labels"))
            json::make_at(made, "metadata", "labels") = *labels;
        if (const auto* notes = json::at(subject.live, "spec", "jobTemplate", "metadata", "annotations"))
            json::make_at(made, "metadata", "annotations") = *notes;
        json::make_at(made, "metadata", "name") = key.name;
        json::make_at(made, "metadata", "namespace") = key.ns;
        json::make_at(made, "metadata", "annotations", "cronjob.kubernetes.io/instantiate") = "manual";
        json::Object owner;
        owner["apiVersion"] = "batch/v1", owner["kind"] = "CronJob", owner["name"] = subject.key.name, owner["uid"] = kube::uid_of(subject.live);
        owner["controller"] = true;
        json::make_at(made, "metadata", "ownerReferences") = json::Array(1, json::Value(std::move(owner)));
        json::make_at(made, "spec") = json::object_at(subject.live, "spec", "jobTemplate", "spec");
        co_return prepared_for(key, std::move(made), "run CronJob " + place_text(subject.key) + " now");
    }
    [[nodiscard]] std::string must_stay(const json::Value& job) const override {
        return is_over(job) ? "the Job has ended: there is nothing to undo" : "";
    }
};

class DeleteJob final : public BaseAction {
public:
    explicit DeleteJob(Shared& shared) : BaseAction("delete_job", shared) {}

    Task<Result<ActionOutcome>> execute(const ActionContext& context) override {
        KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        Calls calls;
        const auto live = co_await read_object(context, key);
        if (!live && live.error().code != ErrorCode::not_found) co_return fail(live.error());
        if (live && kube::uid_of(live->live) == json::string_at(context.pre_image, "uid") && !kube::is_deleting(live->live)) {
            KN_CO_CHECK(co_await delete_exactly(context, *live, {.propagation = "Background"}, calls));
        }
        json::Object output;
        output["object"] = key.str(), output["changed"] = !calls.empty();
        co_return ActionOutcome{.output = json::Value(output), .post_image = json::Value(output), .calls = std::move(calls)};
    }
    Task<Result<AppliedCheck>> applied_already(const ActionContext& context) override {
        const auto gone = co_await is_gone(context, true);
        if (!gone) co_return unreadable_or(gone.error());
        co_return *gone ? AppliedCheck::applied : AppliedCheck::not_applied;
    }
    Task<Result<bool>> verify(const ActionContext& context) override { co_return co_await is_gone(context, false); }

protected:
    Task<Result<Prepared>> plan(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(auto subject, co_await read_subject(context, spec(), params.text("object")));
        if (subject.key.kind == "CronJob") {
            KN_CO_TRY(subject, co_await overdue_job_of(context, subject));
        } else if (!is_over(subject.live) && !is_overdue(context, subject.live)) {
            co_return refuse("still_running", subject.key.str() + " has neither ended nor is it an overdue one of a CronJob");
        }
        auto image = identity_json(subject);
        const std::string uid(kube::uid_of(subject.live));
        image["whole"] = subject.live;
        co_return Prepared{.pre_image = json::Value(std::move(image)),
                           .writes = {subject.key.str()},
                           .request_digest = to_hex(sha256_parts({"DELETE", subject.key.str(), uid})),
                           .summary = "delete Job " + place_text(subject.key)};
    }

private:
    [[nodiscard]] bool is_overdue(const ActionContext& context, const json::Value& job) const {
        const auto owner = kube::controller_of(job);
        const auto started = kube::time_at(job, "status", "startTime");
        return owner && owner->kind == "CronJob" && started && !is_over(job) && *started + settings().job_overdue <= context.clock->now();
    }
    Task<Result<Subject>> overdue_job_of(const ActionContext& context, const Subject& cron) {
        KN_CO_TRY(auto listed, co_await context.client->list(kube::resources::jobs, cron.key.ns, {}, call_deadline(context)));
        const json::Value* oldest = nullptr;
        for (const auto& job : listed.items) {
            const auto owner = kube::controller_of(job);
            if (!owner || owner->uid != kube::uid_of(cron.live) || !is_overdue(context, job) || kube::is_deleting(job)) continue;
            if (oldest == nullptr || kube::creation_time(job) < kube::creation_time(*oldest)) oldest = &job;
        }
        if (oldest == nullptr) co_return refuse("condition_cleared", cron.key.str() + " has no overdue Job");
        ObjectKey key{.cluster = cron.key.cluster, .ns = cron.key.ns, .kind = "Job", .group = "batch", .name = std::string(kube::name_of(*oldest))};
        co_return Subject{.resource = kube::resources::jobs, .key = std::move(key), .live = *oldest};
    }
    static Task<Result<bool>> is_gone(const ActionContext& context, bool terminating_counts) {
        KN_CO_TRY(auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        const auto live = co_await read_object(context, std::move(key));
        if (!live && live.error().code == ErrorCode::not_found) co_return true;
        if (!live) co_return fail(live.error());
        co_return kube::uid_of(live->live) != json::string_at(context.pre_image, "uid") || (terminating_counts && kube::is_deleting(live->live));
    }
};

class SuspendCronJob final : public PatchAction {
public:
    explicit SuspendCronJob(Shared& shared) : PatchAction("suspend_cronjob", shared) {}

protected:
    Task<Result<Change>> change(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(auto subject, co_await read_subject(context, spec(), params.text("object")));
        const bool suspend = params.flag("suspend");
        Change wanted{.summary = (suspend ? "suspend CronJob " : "let CronJob go on: ") + place_text(subject.key)};
        if (json::bool_at(subject.live, "spec", "suspend").value_or(false) != suspend) {
            wanted.fields.push_back({.path = {"spec", "suspend"}, .after = json::Value(suspend)});
        }
        wanted.subject = std::move(subject);
        co_return wanted;
    }
};

}  // namespace

void add_job_actions(ActionList& list, Shared& shared) {
    list.push_back(std::make_unique<RerunJob>(shared));
    list.push_back(std::make_unique<DeleteJob>(shared));
    list.push_back(std::make_unique<TriggerCronJob>(shared));
    list.push_back(std::make_unique<SuspendCronJob>(shared));
}

}  // namespace kn::actions
