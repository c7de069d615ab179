// Families target, rollout, crash, memory and probe: what the pods of a workload say about it.
#include <algorithm>
#include <cmath>
#include <set>

#include "evidence/facts/sink.hpp"
#include "evidence/template_diff.hpp"
#include "has.hpp"

namespace kn::decision {
namespace {

using json::string_at;
using json::Value;

FactSink object_sink(const FactInput& in) {
    const auto& o = in.snapshot.object;
    return {in.facts, o.source, o.at, std::string{kube::resource_version_of(o.object)}};
}
FactSink pod_sink(const FactInput& in) { return {in.facts, in.snapshot.pods.source, in.snapshot.pods.at}; }

double seconds(Duration d) { return static_cast<double>(d.count()) / 1000.0; }

const Value* revision_template(const Model& model, int index) {
    return index < 0 ? nullptr : model.revisions[static_cast<std::size_t>(index)].pod_template;
}

// Does a rollout of the target stand unfinished, as its own status tells?
std::optional<bool> never_completed(const FactInput& in) {
    const auto& object = in.snapshot.object.object;
    if (in.snapshot.object.seen != Seen::present) return std::nullopt;
    if (in.model.kind == "Deployment") {
        const auto progressing = kube::condition_of(object, "Progressing");
        if (!progressing) return std::nullopt;
        return progressing->reason != "NewReplicaSetAvailable" && progressing->reason != "DeploymentPaused";
    }
    if (in.model.kind == "StatefulSet") {
        const auto current = string_at(object, "status", "currentRevision"), update = string_at(object, "status", "updateRevision");
        if (current.empty() || update.empty()) return std::nullopt;
        return current != update;
    }
    if (in.model.kind == "DaemonSet") {
        const auto desired = json::int_at(object, "status", "desiredNumberScheduled");
        if (!desired) return std::nullopt;
        return json::int_at(object, "status", "updatedNumberScheduled").value_or(0) < *desired;
    }
    return std::nullopt;
}

/// Steady growth without end over these samples: Mann-Kendall trend (one-sided p < .01), a straight line explains them (R2 > .8), it adds up to
/// something, and it does not flatten out as a program does that fills its caches.
bool keeps_growing(const std::vector<ports::Sample>& samples, std::size_t from, std::size_t to) {
    const auto n = to - from;
    double s = 0, sx = 0, sy = 0, sxx = 0, sxy = 0, syy = 0;
    const auto t0 = to_millis(samples[from].at);
    for (std::size_t i = from; i < to; ++i) {
        const double x = static_cast<double>(to_millis(samples[i].at) - t0), y = samples[i].value;
        sx += x, sy += y, sxx += x * x, sxy += x * y, syy += y * y;
        for (std::size_t j = i + 1; j < to; ++j) s += (samples[j].value > y) - (samples[j].value < y);
    }
    const double count = static_cast<double>(n);
    const double z = s > 0 ? (s - 1) / std::sqrt(count * (count - 1) * (2 * count + 5) / 18) : 0;
    const double cov = count * sxy - sx * sy, vx = count * sxx - sx * sx, vy = count * syy - sy * sy;
    const double r2 = vx > 0 && vy > 0 ? cov * cov / (vx * vy) : 0;
    const double rise = samples[to - 1].value - samples[from].value;
    const auto third = n / 3;
    const double early = samples[from + third].value - samples[from].value, late = samples[to - 1].value - samples[to - 1 - third].value;
    return z > 2.33 && r2 > 0.8 && rise > 0.2 * samples[from].value && late > 0.5 * early;
}

bool unhealthy_event(const FactInput& in, const PodView& pod, std::string_view reason) {
    return std::ranges::any_of(in.snapshot.events, [&](const SeenEvent& e) {
        return e.reason == reason && (e.uid.empty() ? e.kind == "Pod" && e.name == pod.name : e.uid == pod.uid);
    });
}

}  // namespace

Troubled crashing(const FactInput& in) {
    Troubled out;
    for (const auto& pod : in.model.pods) {
        for (const auto& c : pod.containers) {
            if (is_crashing(pod, c, in.now())) out.emplace_back(&pod, &c);
        }
    }
    return out;
}

Truth all_newest(const Model& model, const Troubled& troubled) {
    if (troubled.empty()) return Truth::no;
    if (model.newest < 0) return Truth::unknown;
    bool unknown = false;
    for (const auto& [pod, c] : troubled) {
        if (pod->revision < 0)
            unknown = true;
        else if (pod->revision != model.newest)
            return Truth::no;
    }
    return unknown ? Truth::unknown : Truth::yes;
}

Truth some_older(const Model& model, const Troubled& troubled) {
    if (troubled.empty()) return Truth::no;
    if (model.newest < 0) return Truth::unknown;
    bool unknown = false;
    for (const auto& [pod, c] : troubled) {
        if (pod->revision < 0)
            unknown = true;
        else if (pod->revision != model.newest)
            return Truth::yes;
    }
    return unknown ? Truth::unknown : Truth::no;
}

std::optional<Instant> first_failure_of(const FactInput& in, const Troubled& troubled) {
    std::optional<Instant> first;
    for (const auto& [pod, c] : troubled) {
        const auto at = first_failure(*pod, *c, in.snapshot.events);
        if (at && (!first || *at < *first)) first = at;
    }
    return first;
}

void target_facts(const FactInput& in) {
    auto sink = object_sink(in);
    const auto& seen = in.snapshot.object;
    const auto& object = seen.object;
    sink.truth("target.exists", seen.seen == Seen::unreadable ? std::nullopt : std::optional(seen.seen == Seen::present));
    sink.text("target.kind", in.model.kind);
    if (seen.seen != Seen::present) return;
    sink.truth("target.deleting", kube::is_deleting(object));
    sink.truth("target.paused", json::bool_at(object, "spec", "paused").value_or(false));
    sink.truth("target.no_rollback",
               kube::annotation_of(object, "kubernaut.io/no-rollback") == "true" || kube::annotation_of(object, "kubernaut.io/no-rollback") == "yes");
    sink.truth("target.on_delete_strategy", string_at(object, "spec", "updateStrategy", "type") == "OnDelete");
    sink.value("target.partition", json::int_at(object, "spec", "updateStrategy", "rollingUpdate", "partition").value_or(0));
    // A typed value only: "namespace/name". Whether it is allowed is for the action to say.
    const auto source = kube::annotation_of(object, "kubernaut.io/pull-secret-source");
    const auto slash = source.find('/');
    const bool valid = slash != std::string_view::npos && slash > 0 && slash + 1 < source.size() &&
                       source.find('/', slash + 1) == std::string_view::npos && source.size() <= 253 &&
                       source.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-./") == std::string_view::npos;
    sink.truth("target.has_secret_source", valid);
    if (valid) sink.text("target.secret_source", source);
    const auto replicas = json::int_at(object, "spec", "replicas");
    if (replicas) sink.value("target.replicas", *replicas);
    auto pods = pod_sink(in);
    if (!in.snapshot.pods.known) return;
    std::int64_t ready = 0, failed = 0;
    for (const auto& pod : in.model.pods) {
        if (pod.ready && !pod.finished) ++ready;
        if (pod.phase == "Failed") ++failed;
    }
    pods.value("pod.count", static_cast<std::int64_t>(in.model.pods.size()) - failed);
    pods.value("pod.ready_count", ready);
    const auto wanted = replicas.value_or(in.model.kind == "Deployment" || in.model.kind == "StatefulSet" ? 1 : -1);
    pods.truth("pod.all_ready", ready == static_cast<std::int64_t>(in.model.pods.size()) - failed && (wanted < 0 || ready >= wanted));
    bool on_dead_node = false, elsewhere = false;
    for (const auto& pod : in.model.pods) {
        if (pod.ready || pod.finished) continue;
        bool dead = pod.reason == "NodeLost";
        for (const auto& node : in.snapshot.nodes.items) {
            if (kube::name_of(*node) != pod.node) continue;
            const auto condition = kube::condition_of(*node, "Ready");
            dead = dead || (condition && condition->status != "True");
        }
        (dead ? on_dead_node : elsewhere) = true;
    }
    pods.truth("pod.unready_on_dead_node", in.snapshot.nodes.known ? std::optional(on_dead_node && !elsewhere) : std::nullopt);
    std::optional<Instant> stuck_since;
    std::string stuck;
    for (const auto& pod : in.model.terminating) {
        if (!pod.deleted_at) continue;
        // deletionTimestamp already lies one grace period after the request.
        if (in.now() - *pod.deleted_at > in.ages().terminating && (!stuck_since || *pod.deleted_at < *stuck_since)) {
            stuck_since = pod.deleted_at;
            stuck = pod.name;
        }
    }
    pods.truth("pod.stuck_terminating", stuck_since.has_value());
    if (stuck_since) pods.text("pod.stuck_name", stuck);
}

void rollout_facts(const FactInput& in) {
    const auto& model = in.model;
    FactSink sink(in.facts, in.snapshot.revisions.source, in.snapshot.revisions.at);
    const auto* newest = model.newest < 0 ? nullptr : &model.revisions[static_cast<std::size_t>(model.newest)];
    const bool keeps_revisions = model.kind == "Deployment" || model.kind == "StatefulSet" || model.kind == "DaemonSet";
    if (!keeps_revisions) {
        sink.truth("rollout.has_revisions", false);
        return;
    }
    if (!in.snapshot.revisions.known) {
        for (const auto* name : {"rollout.has_revisions", "rollout.first_revision", "rollout.good_revision", "rollout.template_changed"})
            sink.truth(name, std::nullopt);
        return;
    }
    sink.truth("rollout.has_revisions", newest != nullptr);
    sink.truth("rollout.first_revision", model.newest <= 0);
    sink.truth("rollout.never_completed", never_completed(in));
    const auto progressing = kube::condition_of(in.snapshot.object.object, "Progressing");
    sink.truth("rollout.deadline_exceeded", progressing
                                                ? std::optional(progressing->status == "False" && progressing->reason == "ProgressDeadlineExceeded")
                                                : (model.kind == "Deployment" ? std::optional(false) : std::nullopt));
    if (newest == nullptr) return;
    sink.value("rollout.newest_number", newest->number);
    sink.time("rollout.newest_since", newest->since);
    if (newest->since) sink.value("rollout.newest_age_s", seconds(in.now() - *newest->since));
    if (model.good >= 0) {
        sink.truth("rollout.good_revision", true);
        sink.value("rollout.good_number", model.revisions[static_cast<std::size_t>(model.good)].number);
    } else {
        sink.truth("rollout.good_revision", model.good_unknown ? std::nullopt : std::optional(false));
    }
    // Compared with the revision that it would be rolled back to, else with the one right before it.
    const auto* before = revision_template(model, model.good >= 0 ? model.good : model.newest - 1);
    if (newest->pod_template == nullptr || before == nullptr) {
        sink.truth("rollout.template_changed", model.newest <= 0 ? std::optional(false) : std::nullopt);
        return;
    }
    const auto diff = template_diff(*before, *newest->pod_template);
    sink.truth("rollout.template_changed", !diff.empty());
    sink.list("rollout.diff", {diff.begin(), diff.end()});
    const auto only = [&](std::initializer_list<std::string_view> words) {
        return !diff.empty() && std::ranges::all_of(diff, [&](const std::string& d) { return has(words, std::string_view{d}); });
    };
    sink.truth("rollout.only_config_refs", only({"config_refs", "annotations", "labels"}) && diff.contains("config_refs"));
    sink.truth("rollout.image_changed", diff.contains("image") || diff.contains("containers"));
    sink.truth("rollout.probe_changed", diff.contains("probe"));
    sink.truth("rollout.config_refs_changed", diff.contains("config_refs"));
    sink.truth("rollout.scheduling_changed", diff.contains("scheduling"));
    sink.truth("rollout.resources_changed", diff.contains("resources"));
    sink.truth("rollout.pull_secrets_changed", diff.contains("pull_secrets") || diff.contains("account"));
}

void crash_facts(const FactInput& in) {
    auto sink = pod_sink(in);
    if (!in.snapshot.pods.known) {
        for (const auto* name : {"crash.looping", "crash.exit_bad", "crash.all_newest"}) sink.truth(name, std::nullopt);
        return;
    }
    const auto troubled = crashing(in);
    sink.truth("crash.looping", !troubled.empty());
    if (troubled.empty()) return;
    std::set<std::string> pods, nodes;
    bool oom = false, exit_bad = false, app_exits = false, signalled = false, known = false, start_error = false;
    std::string container;
    std::int64_t restarts = 0;
    std::optional<int> exit_code;
    for (const auto& [pod, c] : troubled) {
        pods.insert(pod->name);
        if (!pod->node.empty()) nodes.insert(pod->node);
        restarts = std::max(restarts, c->restarts);
        if (container.empty() || c->name < container) container = c->name;
        if (c->waiting == "RunContainerError" || c->waiting == "CreateContainerError") start_error = known = exit_bad = true;
        if (!c->last) continue;
        known = true;
        oom = oom || c->last->reason == "OOMKilled";
        if (c->last->exit_code != 0 && c->last->reason != "OOMKilled") {
            exit_bad = true;
            const bool by_signal = c->last->exit_code == 137 || c->last->exit_code == 143;
            (by_signal ? signalled : app_exits) = true;
            if (!exit_code || c->last->exit_code < *exit_code) exit_code = c->last->exit_code;
        }
        if (c->last->reason == "StartError" || c->last->reason == "ContainerCannotRun") start_error = true;
    }
    const auto or_unknown = [&](bool value) { return value ? std::optional(true) : (known ? std::optional(false) : std::nullopt); };
    sink.truth("crash.exit_bad", or_unknown(exit_bad));
    sink.truth("crash.oom_killed", or_unknown(oom));
    sink.truth("crash.app_exits", or_unknown(app_exits));
    sink.truth("crash.by_signal", or_unknown(signalled));
    sink.truth("crash.start_error", start_error);
    if (exit_code) sink.value("crash.exit_code", *exit_code);
    sink.value("crash.restarts", restarts);
    sink.text("crash.container", container);
    sink.list("crash.pods", {pods.begin(), pods.end()});
    sink.truth("crash.all_newest", all_newest(in.model, troubled));
    sink.truth("crash.old_revision_crashes", some_older(in.model, troubled));
    const auto first = first_failure_of(in, troubled);
    sink.time("crash.first_at", first);
    const auto* newest = in.model.newest < 0 ? nullptr : &in.model.revisions[static_cast<std::size_t>(in.model.newest)];
    if (newest == nullptr || in.model.newest == 0) {
        sink.truth("crash.began_after_rollout", newest == nullptr ? std::nullopt : std::optional(false));
    } else {
        const bool unfinished = in.facts.yes("rollout.never_completed") && in.facts.yes("crash.all_newest");
        if (unfinished)
            sink.truth("crash.began_after_rollout", true);
        else if (first && newest->since) {
            const auto after = *first - *newest->since;
            sink.truth("crash.began_after_rollout", after >= -60s && after <= in.ages().rollout_to_fault);
        } else
            sink.truth("crash.began_after_rollout", std::nullopt);
    }
    // One node against the others: the same workload healthy elsewhere, and another workload that crashes on this node too.
    bool healthy_elsewhere = false;
    for (const auto& pod : in.model.pods)
        healthy_elsewhere = healthy_elsewhere || (pod.ready && !nodes.contains(pod.node) && !pods.contains(pod.name));
    const bool one_node = nodes.size() == 1 && healthy_elsewhere;
    sink.truth("crash.one_node", one_node);
    if (nodes.size() == 1) sink.text("crash.node", *nodes.begin());
    std::optional<bool> others;
    if (in.snapshot.all_pods.known && one_node) {
        std::map<std::string, std::pair<bool, bool>> by_owner;  // crashes here, crashes elsewhere
        std::map<std::string, bool> healthy_other;
        for (const auto& item : in.snapshot.all_pods.items) {
            const auto pod = pod_view(*item);
            const auto owner = kube::controller_of(*item);
            if (!owner || pod.deleting || has(in.model.pods, pod.uid, &PodView::uid)) continue;
            const bool here = nodes.contains(pod.node);
            const bool crashes = std::ranges::any_of(pod.containers, [&](const ContainerView& c) { return is_crashing(pod, c, in.now()); });
            if (crashes) (here ? by_owner[owner->uid].first : by_owner[owner->uid].second) = true;
            if (!here && pod.ready) healthy_other[owner->uid] = true;
        }
        others = std::ranges::any_of(by_owner, [&](const auto& e) { return e.second.first && !e.second.second && healthy_other[e.first]; });
    }
    sink.truth("crash.others_on_node", others);
}

void memory_facts(const FactInput& in) {
    auto sink = pod_sink(in);
    const PodView* killed_pod = nullptr;
    const ContainerView* killed = nullptr;
    for (const auto& pod : in.model.pods) {
        for (const auto& c : pod.containers) {
            if (!c.last || c.last->reason != "OOMKilled") continue;
            if (c.last->finished && in.now() - *c.last->finished > 1h) continue;
            if (killed == nullptr || c.restarts > killed->restarts) killed_pod = &pod, killed = &c;
        }
    }
    sink.truth("oom.killed", in.snapshot.pods.known ? std::optional(killed != nullptr) : std::nullopt);
    FactSink metric(in.facts, "metric:container_memory_working_set_bytes", in.now());
    const auto growth = [&](std::string_view subject) -> std::optional<bool> {
        for (const auto& series : in.snapshot.series) {
            if (series.name != "memory_working_set" || (!subject.empty() && series.subject != subject)) continue;
            // The longest life: samples between two drops.
            std::vector<std::pair<std::size_t, std::size_t>> lives;
            std::size_t begin = 0;
            for (std::size_t i = 1; i <= series.samples.size(); ++i) {
                if (i == series.samples.size() || series.samples[i].value < 0.7 * series.samples[i - 1].value) {
                    lives.emplace_back(begin, i);
                    begin = i;
                }
            }
            bool judged = false, grows = true;
            for (const auto& [from, to] : lives) {
                const auto n = to - from;
                if (n < 8) continue;
                judged = true;
                // It may have begun to grow in the middle of its life: the end of the life counts.
                bool this_life = false;
                for (const std::size_t length : {n, n * 3 / 4, n / 2, n / 3})
                    this_life = this_life || (length >= 8 && keeps_growing(series.samples, to - length, to));
                grows = grows && this_life;
            }
            if (judged) return grows;
        }
        return std::nullopt;
    };
    if (killed == nullptr) {
        metric.truth("oom.monotone_growth", in.snapshot.metrics_known ? growth({}) : std::nullopt);
        return;
    }
    sink.text("oom.container", killed->name);
    sink.text("oom.pod", killed_pod->name);
    const auto* limit = killed->spec == nullptr ? nullptr : json::at(*killed->spec, "resources", "limits", "memory");
    const auto bytes = kube::quantity_at(limit);
    sink.truth("oom.has_limit", killed->spec == nullptr ? std::nullopt : std::optional(bytes.has_value()));
    if (bytes) sink.value("oom.limit_bytes", *bytes);
    const auto life = killed->last->lived();
    if (life) sink.value("oom.life_s", seconds(*life));
    // The kill itself shows that the limit was reached; an early kill that it was reached soon after the start.
    sink.truth("oom.limit_reached_early", life ? std::optional(*life <= 10min) : std::nullopt);
    metric.truth("oom.monotone_growth", in.snapshot.metrics_known ? growth(killed_pod->name + "/" + killed->name) : std::nullopt);
    const auto newest_since = in.model.newest > 0 ? in.model.revisions[static_cast<std::size_t>(in.model.newest)].since : std::nullopt;
    sink.truth("oom.began_with_revision",
               newest_since ? std::optional(in.facts.yes("crash.began_after_rollout") && in.model.good >= 0) : std::optional(false));
    const auto done = in.snapshot.done_24h.find("raise-memory");
    FactSink history(in.facts, "history", in.now());
    history.value("history.raises_24h", done == in.snapshot.done_24h.end() ? 0 : done->second);
    const auto restarts = in.snapshot.done_24h.find("graceful-restart");
    history.value("history.restarts_24h", restarts == in.snapshot.done_24h.end() ? 0 : restarts->second);
    history.truth("history.enough_raises", done != in.snapshot.done_24h.end() && done->second >= 2);
}

void probe_facts(const FactInput& in) {
    auto sink = pod_sink(in);
    if (!in.snapshot.pods.known) return;
    std::optional<bool> killed_by_probe = in.snapshot.events_known ? std::optional(false) : std::nullopt;
    std::optional<bool> life_matches;
    bool unready_started = false;
    std::string container, probe_kind;
    for (const auto& pod : in.model.pods) {
        for (const auto& c : pod.containers) {
            if (c.init && !c.sidecar) continue;
            const bool by_signal = c.last && (c.last->exit_code == 137 || c.last->exit_code == 143) && c.last->reason != "OOMKilled";
            const bool unhealthy = unhealthy_event(in, pod, "Unhealthy");
            // A program that obeys SIGTERM may well end with 0.
            const bool obeyed = c.last && c.last->exit_code == 0 && unhealthy_event(in, pod, "Killing");
            if ((by_signal || obeyed) && c.restarts >= 1 && unhealthy) {
                killed_by_probe = true;
                if (container.empty()) container = c.name, probe_kind = "liveness";
            }
            for (const auto* name : {"startupProbe", "livenessProbe"}) {
                const auto* probe = c.spec == nullptr ? nullptr : json::at(*c.spec, name);
                if (probe == nullptr || !by_signal) continue;
                const auto field = [&](std::string_view key, double fallback) { return json::double_at(*probe, key).value_or(fallback); };
                const double expected = field("initialDelaySeconds", 0) + field("periodSeconds", 10) * field("failureThreshold", 3);
                const double grace = json::double_at(*pod.object, "spec", "terminationGracePeriodSeconds").value_or(30);
                if (const auto life = c.last->lived()) {
                    const double lived = seconds(*life);
                    // The kill itself may take up to the grace period.
                    const bool fits = lived >= 0.8 * expected - field("periodSeconds", 10) && lived <= 1.2 * expected + grace;
                    life_matches = life_matches.value_or(false) || fits;
                    if (fits && probe_kind == "liveness" && std::string_view{name} == "startupProbe") probe_kind = "startup";
                }
            }
            if (c.running && !c.ready && c.restarts == 0 && c.started.value_or(true) && c.spec != nullptr &&
                json::at(*c.spec, "readinessProbe") != nullptr && !pod.deleting && c.running_since && in.now() - *c.running_since > 60s) {
                unready_started = true;
                if (container.empty()) container = c.name, probe_kind = "readiness";
            }
        }
    }
    sink.truth("probe.killed", killed_by_probe);
    sink.truth("probe.life_matches", life_matches);
    sink.truth("probe.unready_started", unready_started);
    sink.text("probe.container", container);
    sink.text("probe.kind", probe_kind);
}

}  // namespace kn::decision
