#include "evidence/model.hpp"

#include <algorithm>

#include "evidence/hints.hpp"
#include "evidence/template_diff.hpp"

namespace kn::decision {
namespace {

using json::at;
using json::string_at;
using json::Value;

std::optional<Ending> ending_at(const Value* terminated) {
    if (terminated == nullptr || !terminated->is_object()) return std::nullopt;
    Ending ending;
    ending.exit_code = static_cast<int>(json::int_at(*terminated, "exitCode").value_or(0));
    ending.reason = string_at(*terminated, "reason");
    ending.started = kube::time_at(*terminated, "startedAt");
    ending.finished = kube::time_at(*terminated, "finishedAt");
    // A kubelet that lost track writes the zero time.
    if (ending.started && to_millis(*ending.started) <= 0) ending.started.reset();
    if (ending.finished && to_millis(*ending.finished) <= 0) ending.finished.reset();
    return ending;
}

const Value* container_spec(const Value& pod, std::string_view list, std::string_view name) {
    for (const Value& container : json::array_at(pod, "spec", list)) {
        if (string_at(container, "name") == name) return &container;
    }
    return nullptr;
}

void add_containers(PodView& view, const Value& pod, std::string_view statuses, std::string_view specs, bool init) {
    for (const Value& status : json::array_at(pod, "status", statuses)) {
        ContainerView c;
        c.name = string_at(status, "name");
        c.init = init;
        c.spec = container_spec(pod, specs, c.name);
        c.sidecar = init && c.spec != nullptr && string_at(*c.spec, "restartPolicy") == "Always";
        c.image = c.spec != nullptr ? string_at(*c.spec, "image") : string_at(status, "image");
        c.waiting = string_at(status, "state", "waiting", "reason");
        c.hint = hint_of(string_at(status, "state", "waiting", "message"));
        c.ready = json::bool_at(status, "ready").value_or(false);
        c.running = at(status, "state", "running") != nullptr;
        c.running_since = kube::time_at(status, "state", "running", "startedAt");
        c.started = json::bool_at(status, "started");
        c.restarts = json::int_at(status, "restartCount").value_or(0);
        c.last = ending_at(at(status, "state", "terminated"));
        c.terminated_now = c.last.has_value();
        if (!c.last) c.last = ending_at(at(status, "lastState", "terminated"));
        view.containers.push_back(std::move(c));
    }
}

void add_revisions(Model& model, const EvidenceSnapshot& snapshot) {
    const bool replica_sets = model.kind == "Deployment" || model.kind == "Rollout";
    for (const auto& item : snapshot.revisions.items) {
        Revision revision;
        revision.name = kube::name_of(*item);
        revision.uid = kube::uid_of(*item);
        revision.created = kube::creation_time(*item);
        if (replica_sets) {
            const auto number = kube::annotation_of(*item, "deployment.kubernetes.io/revision");
            revision.number = std::strtoll(std::string{number}.c_str(), nullptr, 10);
            revision.reused = !kube::annotation_of(*item, "deployment.kubernetes.io/revision-history").empty();
            revision.hash = kube::label_of(*item, "pod-template-hash");
            revision.pod_template = at(*item, "spec", "template");
            revision.replicas = json::int_at(*item, "status", "replicas").value_or(0);
        } else {
            revision.number = json::int_at(*item, "revision").value_or(0);
            revision.hash = kube::label_of(*item, "controller-revision-hash");
            if (revision.hash.empty()) revision.hash = revision.name;
            revision.pod_template = at(*item, "data", "spec", "template");
        }
        model.revisions.push_back(std::move(revision));
    }
    std::ranges::sort(model.revisions, [](const Revision& a, const Revision& b) {
        return std::tie(a.number, a.created, a.name) < std::tie(b.number, b.created, b.name);
    });
}

bool belongs(const PodView& pod, const Revision& revision, bool replica_sets) {
    if (replica_sets) {
        const auto owner = kube::controller_of(*pod.object);
        if (owner) return owner->uid == revision.uid;
        return !revision.hash.empty() && kube::label_of(*pod.object, "pod-template-hash") == revision.hash;
    }
    const auto label = kube::label_of(*pod.object, "controller-revision-hash");
    if (label.empty()) return false;
    return label == revision.name || label == revision.hash || revision.name.ends_with("-" + std::string{label});
}

void choose_newest(Model& model, const EvidenceSnapshot& snapshot) {
    if (model.revisions.empty()) return;
    model.newest = static_cast<int>(model.revisions.size()) - 1;
    const auto update = string_at(snapshot.object.object, "status", "updateRevision");
    for (int i = 0; i < static_cast<int>(model.revisions.size()); ++i) {
        const auto& revision = model.revisions[static_cast<std::size_t>(i)];
        if (!update.empty() && revision.name == update) model.newest = i;
        if (update.empty() && model.pod_template != nullptr && revision.pod_template != nullptr &&
            same_template(*revision.pod_template, *model.pod_template)) {
            model.newest = i;
        }
    }
}

// When a revision became the newest. The object's own creation, except when it was rolled back to: then its oldest pod is the best that is known.
void date_revisions(Model& model) {
    for (std::size_t i = 0; i < model.revisions.size(); ++i) {
        auto& revision = model.revisions[i];
        revision.since = revision.created;
        if (!revision.reused) continue;
        std::optional<Instant> oldest_pod;
        for (const auto& pod : model.pods) {
            if (pod.revision == static_cast<int>(i) && pod.created && (!oldest_pod || *pod.created < *oldest_pod)) oldest_pod = pod.created;
        }
        revision.since = oldest_pod;
    }
}

/// With the strategy Recreate the old pods end before the new revision is made: what became unavailable so shortly before was well until then.
bool ended_by_rollout(const EvidenceSnapshot& snapshot, Duration before_revision) {
    constexpr Duration slack = 30s;  // the controller's own pace
    constexpr std::int64_t usual_grace = 30;
    const auto& object = snapshot.object.object;
    if (string_at(object, "spec", "strategy", "type") != "Recreate") return false;
    const auto grace = json::int_at(object, "spec", "template", "spec", "terminationGracePeriodSeconds").value_or(usual_grace);
    return before_revision <= std::chrono::seconds{grace} + slack;
}

/// Was the target available while `index` was its newest revision?
Truth was_available(const Model& model, const EvidenceSnapshot& snapshot, int index, const RuleAges& ages) {
    const auto& revision = model.revisions[static_cast<std::size_t>(index)];
    bool live_pods = false;
    for (const auto& pod : model.pods) {
        if (pod.revision != index) continue;
        live_pods = true;
        if (pod.ready && pod.ready_changed && snapshot.taken_at - *pod.ready_changed >= ages.good_revision) return Truth::yes;
    }
    const auto& next = model.revisions[static_cast<std::size_t>(index) + 1];
    if (revision.reused || !revision.since || !next.since) {
        // A revision that was rolled back to and left again: nobody knows for how long it served.
        return live_pods ? Truth::no : Truth::unknown;
    }
    if (*next.since - *revision.since < ages.good_revision) return Truth::no;
    const auto available = kube::condition_of(snapshot.object.object, "Available");
    if (available && available->last_transition) {
        const auto newest_since = model.revisions[static_cast<std::size_t>(model.newest)].since.value_or(*next.since);
        const bool changed_before = *available->last_transition <= newest_since;
        if (changed_before && available->status == "True") return Truth::yes;
        if (changed_before && !(ended_by_rollout(snapshot, newest_since - *available->last_transition) &&
                                *available->last_transition - *revision.since >= ages.good_revision)) {
            return Truth::no;
        }
    }
    // It was the newest for long enough and what is known does not speak against it.
    return Truth::yes;
}

void choose_good(Model& model, const EvidenceSnapshot& snapshot, const RuleAges& ages) {
    if (model.newest <= 0) {
        model.good_unknown = !snapshot.revisions.known;
        return;
    }
    // The newest earlier revision that still has pods: those between it and the newest never took over.
    int floor_index = -1;
    for (const auto& pod : model.pods) {
        if (pod.revision >= 0 && pod.revision < model.newest) floor_index = std::max(floor_index, pod.revision);
    }
    const auto* newest = model.revisions[static_cast<std::size_t>(model.newest)].pod_template;
    bool unknown = false;
    for (int i = model.newest - 1; i >= 0; --i) {
        const auto& revision = model.revisions[static_cast<std::size_t>(i)];
        if (revision.pod_template == nullptr || newest == nullptr) continue;
        if (same_template(*revision.pod_template, *newest)) continue;
        if (floor_index >= 0 && i > floor_index) continue;
        const auto verdict = was_available(model, snapshot, i, ages);
        if (verdict == Truth::yes) {
            model.good = i;
            return;
        }
        unknown = unknown || verdict == Truth::unknown;
    }
    model.good_unknown = unknown;
}

}  // namespace

const Value* template_of(const Value& object) {
    const auto kind = kube::kind_of(object);
    if (kind == "Pod") return &object;
    if (kind == "CronJob") return at(object, "spec", "jobTemplate", "spec", "template");
    return at(object, "spec", "template");
}

const Value* Model::pod_spec() const { return pod_template == nullptr ? nullptr : at(*pod_template, "spec"); }

PodView pod_view(const Value& pod) {
    PodView view;
    view.object = &pod;
    view.name = kube::name_of(pod);
    view.ns = kube::namespace_of(pod);
    view.uid = kube::uid_of(pod);
    view.node = string_at(pod, "spec", "nodeName");
    view.phase = string_at(pod, "status", "phase");
    view.reason = string_at(pod, "status", "reason");
    view.restart_policy = string_at(pod, "spec", "restartPolicy");
    view.deleting = kube::is_deleting(pod);
    view.deleted_at = kube::time_at(pod, "metadata", "deletionTimestamp");
    view.created = kube::creation_time(pod);
    view.started = kube::time_at(pod, "status", "startTime");
    view.finished = view.phase == "Succeeded" || view.phase == "Failed";
    if (const auto ready = kube::condition_of(pod, "Ready")) {
        view.ready = ready->status == "True";
        view.ready_known = view.ready;
        view.ready_changed = ready->last_transition;
    }
    const auto scheduled = kube::condition_of(pod, "PodScheduled");
    view.scheduled = !view.node.empty();
    view.unschedulable = view.node.empty() && scheduled && scheduled->status == "False" && scheduled->reason == "Unschedulable";
    add_containers(view, pod, "initContainerStatuses", "initContainers", true);
    add_containers(view, pod, "containerStatuses", "containers", false);
    return view;
}

Model model_of(const EvidenceSnapshot& snapshot, const RuleAges& ages) {
    Model model;
    model.kind = snapshot.target.key.kind;
    if (snapshot.object.seen == Seen::present) {
        model.pod_template = template_of(snapshot.object.object);
        model.pod_is_template = model.kind == "Pod";
    }
    add_revisions(model, snapshot);
    const bool replica_sets = model.kind == "Deployment" || model.kind == "Rollout";
    for (const auto& item : snapshot.pods.items) {
        auto view = pod_view(*item);
        for (std::size_t i = 0; i < model.revisions.size(); ++i) {
            if (belongs(view, model.revisions[i], replica_sets)) view.revision = static_cast<int>(i);
        }
        (view.deleting ? model.terminating : model.pods).push_back(std::move(view));
    }
    const auto by_name = [](const PodView& a, const PodView& b) { return std::tie(a.ns, a.name, a.uid) < std::tie(b.ns, b.name, b.uid); };
    std::ranges::sort(model.pods, by_name);
    std::ranges::sort(model.terminating, by_name);
    choose_newest(model, snapshot);
    date_revisions(model);
    choose_good(model, snapshot, ages);
    return model;
}

bool is_image_waiting(const ContainerView& c) {
    return c.waiting == "ErrImagePull" || c.waiting == "ImagePullBackOff" || c.waiting == "InvalidImageName" || c.waiting == "RegistryUnavailable" ||
           c.waiting == "ErrImageNeverPull" || c.waiting == "ImageInspectError" || c.waiting == "SignatureValidationFailed";
}

bool is_crashing(const PodView& pod, const ContainerView& c, Instant now) {
    if (pod.deleting || pod.finished) return false;
    if (c.waiting == "CrashLoopBackOff" || c.waiting == "RunContainerError" || c.waiting == "CreateContainerError") return true;
    const bool ended_badly = c.last && (c.last->exit_code != 0 || c.last->reason == "OOMKilled");
    if (c.terminated_now) return ended_badly && pod.restart_policy != "Never" && c.restarts >= 1;
    if (c.restarts < 3) return false;
    if (c.last && c.last->exit_code == 0 && c.last->reason != "OOMKilled" && c.init) return false;
    // Between two crashes it runs. Running well beyond its last life means that it has recovered.
    if (c.running && c.running_since) {
        const auto last_life = c.last ? c.last->lived().value_or(Duration{0}) : Duration{0};
        if (now - *c.running_since >= std::max<Duration>(60s, 2 * last_life)) return false;
    }
    const auto recent = c.last && c.last->finished ? *c.last->finished : c.running_since.value_or(pod.created.value_or(now));
    return now - recent <= 10min;
}

std::optional<Instant> first_failure(const PodView& pod, const ContainerView& c, const std::vector<SeenEvent>& events) {
    // Probes fail at every start: Unhealthy says nothing about when it began. BackOff does, unless it is a trouble of long ago.
    std::optional<Instant> told;
    for (const auto& event : events) {
        if (event.reason != "BackOff") continue;
        if (event.uid.empty() ? (event.kind != "Pod" || event.name != pod.name) : event.uid != pod.uid) continue;
        if (to_millis(event.first) > 0 && (!told || event.first < *told)) told = event.first;
    }
    std::optional<Instant> estimate;
    if (c.last && c.last->finished) {
        auto at = *c.last->finished;
        const auto life = c.last->lived().value_or(Duration{0});
        Duration back_off = 10s;
        const auto earlier = std::min<std::int64_t>(c.restarts - (c.running || c.terminated_now ? 0 : 1), 40);
        for (std::int64_t i = 0; i < earlier; ++i) {
            at -= back_off + life;
            back_off = std::min<Duration>(back_off * 2, 5min);
        }
        estimate = at;
    }
    auto first = told;
    if (estimate && (!told || *told < *estimate - 10min)) first = estimate;
    if (c.last && c.last->finished && first && *c.last->finished < *first) first = c.last->finished;
    if (!first && (is_image_waiting(c) || !c.waiting.empty())) first = pod.started ? pod.started : pod.created;
    if (first && pod.created && *first < *pod.created) first = pod.created;
    return first;
}

}  // namespace kn::decision
