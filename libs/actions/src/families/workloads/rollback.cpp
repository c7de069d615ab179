#include <algorithm>
#include <optional>

#include "families/families.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/selector.hpp"
#include "pods/pods.hpp"

namespace kn::actions {
namespace {

constexpr std::string_view hash_label = "pod-template-hash";
constexpr std::string_view revision_label = "controller-revision-hash";

/// One earlier (or the present) template of a workload.
struct Revision {
    std::int64_t number = 0;
    std::string name;
    json::Value pod_template;
    std::optional<Instant> created;
    bool has_ready_pods = false, has_crashing_pods = false;
};

json::Value template_of_replica_set(const json::Value& set) {
    const auto* stored = json::at(set, "spec", "template");
    json::Value made = stored == nullptr ? json::Value(json::Object{}) : without_nulls(*stored);
    if (auto* labels = json::make_at(made, "metadata", "labels").if_object()) labels->erase(hash_label);
    return made;
}

json::Value template_of_controller_revision(const json::Value& revision) {
    const auto* stored = json::at(revision, "data", "spec", "template");
    json::Value made = stored == nullptr ? json::Value(json::Object{}) : without_nulls(*stored);
    if (auto* object = made.if_object()) object->erase("$patch");
    return made;
}

/// Is this known to have worked? Either pods of it are Ready now, or it was the newest one for long enough and none of its pods crashes.
bool was_good(const Revision& revision, const std::vector<Revision>& ascending, Duration long_enough) {
    if (revision.has_ready_pods) return true;
    if (revision.has_crashing_pods || !revision.created) return false;
    const auto next = std::ranges::find_if(ascending, [&](const Revision& each) { return each.number > revision.number; });
    // A next one that is older was itself rolled back to: then its age says nothing about how long this one stood.
    return next != ascending.end() && next->created && *next->created > *revision.created && *next->created - *revision.created >= long_enough;
}

Result<const Revision*> choose(const std::vector<Revision>& ascending, const json::Value& present, const std::string& wanted, Duration long_enough) {
    if (wanted != "previous") {
        const auto digits = !wanted.empty() && wanted.size() < 19 && std::ranges::all_of(wanted, [](char c) { return c >= '0' && c <= '9'; });
        if (!digits) return bad_param("to_revision", "must be a revision number or previous");
        const auto number = std::stoll(wanted);
        const auto found = std::ranges::find(ascending, number, &Revision::number);
        if (found == ascending.end()) return refuse("no_such_revision", "there is no revision " + wanted);
        if (same_value(&found->pod_template, &present, false)) return refuse("same_template", "revision " + wanted + " is what runs now");
        return &*found;
    }
    std::int64_t current = ascending.empty() ? 0 : ascending.back().number;
    for (const auto& each : ascending) {
        if (same_value(&each.pod_template, &present, false)) current = each.number;
    }
    for (auto each = ascending.rbegin(); each != ascending.rend(); ++each) {
        if (each->number >= current || same_value(&each->pod_template, &present, false)) continue;
        if (was_good(*each, ascending, long_enough)) return &*each;
    }
    return refuse("no_good_revision", "no earlier revision is known to have worked");
}

Result<> check_may_roll_back(const Subject& subject) {
    const auto said = [&](std::string_view key) {
        return !kube::annotation_of(subject.live, key).empty() ? kube::annotation_of(subject.live, key) : kube::label_of(subject.live, key);
    };
    const auto no = said("kubernaut.io/no-rollback");
    if (!no.empty() && no != "false") return refuse("no_rollback", subject.key.str() + " forbids rollbacks by kubernaut.io/no-rollback");
    if (json::bool_at(subject.live, "spec", "paused").value_or(false)) return refuse("rollout_paused", subject.key.str() + " is paused");
    if (json::string_at(subject.live, "spec", "updateStrategy", "type") == "OnDelete") {
        return refuse("on_delete", subject.key.str() + " updates its pods on delete only");
    }
    return {};
}

class Rollback : public PatchAction {
public:
    using PatchAction::PatchAction;

    Task<Result<Change>> change(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(auto subject, co_await read_subject(context, spec(), params.text("object")));
        KN_CO_CHECK(check_may_roll_back(subject));
        KN_CO_TRY(auto revisions, co_await revisions_of(context, subject));
        std::ranges::sort(revisions, {}, &Revision::number);
        const auto* present = json::at(subject.live, "spec", "template");
        if (present == nullptr) co_return refuse("wrong_kind", subject.key.str() + " has no pod template");
        KN_CO_TRY(const auto* chosen, choose(revisions, *present, params.text("to_revision"), settings().good_revision));

        Change wanted;
        wanted.type = patch_type();
        wanted.fields.push_back({.path = {"spec", "template"}, .after = chosen->pod_template, .replace = true});
        wanted.summary = "roll " + place_text(subject.key) + " back to revision " + std::to_string(chosen->number);
        wanted.extra["to_revision"] = chosen->number;
        wanted.extra["revision_object"] = chosen->name;
        wanted.subject = std::move(subject);
        co_return wanted;
    }

    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto image, Image::from_json(context.pre_image));
        KN_CO_TRY(const auto subject, co_await reread(context, image.object, image.uid));
        if (state_of(subject.live, image.fields) != FieldState::after) {
            co_return refuse("target_changed", image.object.str() + " holds another template than the one we put back");
        }
        if (co_await waits_for_broken_pods(context, subject)) co_return true;
        co_return co_await is_settled(context, shared().quiet, subject, settings().rollout_quiet);
    }

protected:
    virtual Task<Result<std::vector<Revision>>> revisions_of(const ActionContext& context, const Subject& subject) = 0;
    [[nodiscard]] virtual kube::PatchType patch_type() const = 0;
    virtual Task<bool> waits_for_broken_pods(const ActionContext&, const Subject&) { co_return false; }
};

class RollbackDeployment final : public Rollback {
public:
    explicit RollbackDeployment(Shared& shared) : Rollback("rollback_deployment", shared) {}

protected:
    Task<Result<std::vector<Revision>>> revisions_of(const ActionContext& context, const Subject& subject) override {
        KN_CO_TRY(const auto sets, co_await replica_sets_of(context, subject));
        KN_CO_TRY(const auto pods, co_await pods_of(context, subject));
        std::vector<Revision> revisions;
        for (const auto& set : sets) {
            const auto number = kube::parse_quantity(kube::annotation_of(set, "deployment.kubernetes.io/revision"));
            if (!number) continue;
            Revision revision{.number = static_cast<std::int64_t>(*number),
                              .name = std::string(kube::name_of(set)),
                              .pod_template = template_of_replica_set(set),
                              .created = kube::creation_time(set)};
            for (const auto& pod : pods) {
                const auto owner = kube::controller_of(pod);
                if (!owner || owner->uid != kube::uid_of(set)) continue;
                revision.has_ready_pods = revision.has_ready_pods || is_ready(pod);
                revision.has_crashing_pods = revision.has_crashing_pods || is_crashing(pod);
            }
            revisions.push_back(std::move(revision));
        }
        co_return revisions;
    }
    [[nodiscard]] kube::PatchType patch_type() const override { return kube::PatchType::json; }
};

class RollbackByRevision final : public Rollback {
public:
    using Rollback::Rollback;

protected:
    Task<Result<std::vector<Revision>>> revisions_of(const ActionContext& context, const Subject& subject) override {
        kube::ListOptions options;
        if (const auto* selector = json::at(subject.live, "spec", "selector")) options.label_selector = kube::to_query(*selector);
        KN_CO_TRY(const auto listed,
                  co_await context.client->list(kube::resources::controller_revisions, subject.key.ns, options, call_deadline(context)));
        KN_CO_TRY(const auto pods, co_await pods_of(context, subject));
        std::vector<Revision> revisions;
        for (const auto& each : listed.items) {
            const auto owner = kube::controller_of(each);
            const auto number = json::int_at(each, "revision");
            if (!owner || owner->uid != kube::uid_of(subject.live) || !number) continue;
            Revision revision{.number = *number,
                              .name = std::string(kube::name_of(each)),
                              .pod_template = template_of_controller_revision(each),
                              .created = kube::creation_time(each)};
            for (const auto& pod : pods) {
                // A StatefulSet's pods carry the revision's name, a DaemonSet's its hash.
                const auto hash = kube::label_of(pod, revision_label);
                if (hash.empty() || (hash != kube::name_of(each) && hash != kube::label_of(each, revision_label))) continue;
                revision.has_ready_pods = revision.has_ready_pods || is_ready(pod);
                revision.has_crashing_pods = revision.has_crashing_pods || is_crashing(pod);
            }
            revisions.push_back(std::move(revision));
        }
        co_return revisions;
    }
    [[nodiscard]] kube::PatchType patch_type() const override { return kube::PatchType::strategic; }

    /// The StatefulSet controller does not replace a broken pod of the bad revision by itself (a documented limit of ordered updates): what this
    /// action can do is done then, and restart_pod comes next in the workflow.
    Task<bool> waits_for_broken_pods(const ActionContext& context, const Subject& subject) override {
        if (subject.key.kind != "StatefulSet") co_return false;
        if (json::int_at(subject.live, "status", "observedGeneration").value_or(0) < kube::generation_of(subject.live)) co_return false;
        const auto update = json::string_at(subject.live, "status", "updateRevision");
        const auto pods = co_await pods_of(context, subject);
        if (!pods) co_return false;
        co_return std::ranges::any_of(*pods, [update](const json::Value& pod) {
            return !kube::is_deleting(pod) && !is_ready(pod) && kube::label_of(pod, revision_label) != update;
        });
    }
};

}  // namespace

void add_rollback_actions(ActionList& list, Shared& shared) {
    list.push_back(std::make_unique<RollbackDeployment>(shared));
    list.push_back(std::make_unique<RollbackByRevision>("rollback_statefulset", shared));
    list.push_back(std::make_unique<RollbackByRevision>("rollback_daemonset", shared));
}

}  // namespace kn::actions
