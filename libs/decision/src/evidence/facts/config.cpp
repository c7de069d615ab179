// Families image, config, ref, dep, gitops/helm and access: what the target gets from elsewhere.
#include <algorithm>
#include <array>
#include <set>

#include "evidence/facts/sink.hpp"
#include "evidence/image_name.hpp"
#include "evidence/template_diff.hpp"
#include "has.hpp"

namespace kn::decision {
namespace {

using json::string_at;
using json::Value;

std::set<std::string> images_of(const Value* pod_template) {
    std::set<std::string> images;
    if (pod_template == nullptr) return images;
    for (const auto* list : {"initContainers", "containers"}) {
        for (const Value& c : json::array_at(*pod_template, "spec", list)) images.emplace(string_at(c, "image"));
    }
    return images;
}

/// One change of a reference's content.
struct ContentChange {
    Instant at{};
    const ObjectSnapshot* before = nullptr;  ///< the content that it replaced, when it was kept
};

std::optional<ContentChange> last_change(const SeenReference& ref) {
    // Leading snapshots that equal what is there now belong to the present; the one behind them is what was replaced.
    std::size_t i = 0;
    std::optional<Instant> since;
    while (i < ref.history.size() && ref.history[i].hash == ref.hash && !ref.history[i].deleted_at) since = ref.history[i++].taken_at;
    std::size_t good = i;
    while (good < ref.history.size() && (ref.history[good].deleted_at || ref.history[good].hash == "deleted")) ++good;
    if (good < ref.history.size()) {
        auto at = since ? *since : ref.written_at.value_or(ref.history[good].taken_at);
        if (i < good) at = std::max(at, ref.history[i].taken_at);
        return ContentChange{at, &ref.history[good]};
    }
    // No earlier content is known; the server's own record of a later write still shows that there was one.
    if (ref.written_at && ref.created_at && *ref.written_at - *ref.created_at > 5s) return ContentChange{*ref.written_at, nullptr};
    return std::nullopt;
}

}  // namespace

Troubled image_waiting(const FactInput& in) {
    Troubled out;
    for (const auto& pod : in.model.pods) {
        if (pod.finished) continue;
        for (const auto& c : pod.containers) {
            if (is_image_waiting(c)) out.emplace_back(&pod, &c);
        }
    }
    return out;
}

void image_facts(const FactInput& in) {
    FactSink sink(in.facts, in.snapshot.pods.source, in.snapshot.pods.at);
    if (!in.snapshot.pods.known) {
        sink.truth("image.waiting", std::nullopt);
        return;
    }
    const auto troubled = image_waiting(in);
    sink.truth("image.waiting", !troubled.empty());
    if (troubled.empty()) return;
    const auto* first = &troubled.front();
    for (const auto& each : troubled) {
        if (each.second->image < first->second->image) first = &each;
    }
    const std::string image = first->second->image;
    const auto host = registry_host(image);
    sink.text("image.image", image);
    sink.text("image.host", host);
    sink.text("image.container", first->second->name);
    sink.truth("image.invalid_name", first->second->waiting == "InvalidImageName");
    sink.truth("image.all_newest", all_newest(in.model, troubled));
    std::string hint = first->second->hint;
    for (const auto& event : in.snapshot.events) {
        if (hint.empty() && event.reason == "Failed" && event.kind == "Pod") hint = event.hint;
    }
    FactSink hints(in.facts, "hint", in.now());
    hints.truth("image.hint_not_found", hint == "not_found");
    hints.truth("image.hint_unauthorized", hint == "unauthorized");
    hints.truth("image.hint_unavailable", hint == "unavailable");

    if (in.model.newest < 0) {
        sink.truth("image.new_in_revision", std::nullopt);
    } else {
        bool seen_before = false;
        for (int i = 0; i < in.model.newest; ++i) {
            seen_before = seen_before || images_of(in.model.revisions[static_cast<std::size_t>(i)].pod_template).contains(image);
        }
        sink.truth("image.new_in_revision", in.model.newest > 0 && !seen_before);
        sink.truth("image.ran_before", seen_before);
    }
    // The rest of the cluster: does it run there, does this registry answer others?
    FactSink others(in.facts, in.snapshot.all_pods.source, in.snapshot.all_pods.at);
    if (!in.snapshot.all_pods.known) {
        for (const auto* name : {"image.runs_elsewhere", "image.registry_known", "image.registry_wide", "image.pulled_lately"})
            others.truth(name, std::nullopt);
    } else {
        bool runs = false, known = false, lately = false, some_ran_before = false;
        std::set<std::string> waiting_owners, waiting_nodes;
        for (const auto& item : in.snapshot.all_pods.items) {
            const auto pod = pod_view(*item);
            for (const auto& c : pod.containers) {
                if (registry_host(c.image) != host) continue;
                if (is_image_waiting(c)) {
                    const auto owner = kube::controller_of(*item);
                    waiting_owners.insert(owner ? owner->uid : pod.uid);
                    waiting_nodes.insert(pod.node);
                } else if (c.running) {
                    known = true;
                    runs = runs || c.image == image;
                    // A container that never restarted began right after its pull.
                    lately = lately || (c.restarts == 0 && c.running_since && in.now() - *c.running_since <= 30min);
                }
            }
        }
        for (const auto& [pod, c] : troubled) some_ran_before = some_ran_before || c->restarts > 0;
        others.truth("image.runs_elsewhere", runs);
        others.truth("image.registry_known", known);
        others.truth("image.pulled_lately", lately);
        others.truth("image.registry_wide", waiting_owners.size() >= 3 && waiting_nodes.size() >= 2 && !lately);
        others.value("image.waiting_workloads", static_cast<std::int64_t>(waiting_owners.size()));
        (void)some_ran_before;
    }
    // Pull Secrets: absent, of the wrong kind, or without an entry for the host although the image is not new or the registry refused us.
    std::optional<bool> problem = false;
    std::string name, what;
    bool any = false;
    for (const auto& ref : in.snapshot.references) {
        if (!ref.image_pull) continue;
        any = true;
        FactSink secret(in.facts, "live:secrets", in.now());
        if (ref.seen == Seen::unreadable) {
            if (!*problem) problem = std::nullopt;
            if (!problem) break;
            continue;
        }
        const bool right_type = ref.type == "kubernetes.io/dockerconfigjson" || ref.type == "kubernetes.io/dockercfg";
        const bool covers = std::ranges::any_of(ref.registry_hosts, [&](const std::string& h) { return registry_entry_covers(h, host); });
        const bool host_should_be_there = in.facts.yes("image.hint_unauthorized") || in.facts.yes("image.ran_before");
        std::string found;
        if (ref.seen == Seen::absent)
            found = "absent";
        else if (!right_type)
            found = "wrong_type";
        else if (!ref.registry_config_readable)
            found = "unreadable";
        else if (!covers && host_should_be_there)
            found = "host_missing";
        if (!found.empty() && (name.empty() || ref.name < name)) {
            problem = true;
            name = ref.name;
            what = found;
        }
    }
    FactSink secret(in.facts, "live:secrets", in.now());
    secret.truth("image.pull_secret_problem", problem);
    secret.truth("image.pull_secrets_ok", problem ? std::optional(!*problem) : std::nullopt);
    secret.truth("image.has_pull_secret", any);
    secret.text("image.pull_secret", name);
    secret.text("image.pull_secret_is", what);
}

void config_facts(const FactInput& in) {
    FactSink sink(in.facts, "change", in.now());
    // What must be there for a container to start and is not.
    std::vector<std::string> missing_maps, missing_secrets;
    bool newly = false, unreadable = false, map_restorable = false;
    const SeenReference* missing_map = nullptr;
    for (const auto& ref : in.snapshot.references) {
        if (ref.optional || ref.image_pull) continue;
        if (ref.seen == Seen::unreadable) unreadable = true;
        bool missing = ref.seen == Seen::absent;
        bool key_is_new = false;
        if (ref.seen == Seen::present) {
            for (const auto& key : ref.keys_used) {
                if (has(ref.keys, key)) continue;
                missing = true;
                key_is_new = key_is_new || has(ref.keys_new, key);
            }
        }
        if (!missing) continue;
        newly = newly || ref.newly_referenced || key_is_new;
        (ref.kind == "Secret" ? missing_secrets : missing_maps).push_back(ref.name);
        if (ref.kind == "ConfigMap" && missing_map == nullptr) missing_map = &ref;
    }
    if (missing_map != nullptr) {
        for (const auto& old : missing_map->history) {
            if (old.deleted_at || old.hash == "deleted" || old.hash == missing_map->hash || old.spec.is_null()) continue;
            map_restorable = true;
            sink.value("ref.missing_config_data", old.spec);
            sink.text("ref.missing_config_hash", old.hash);
            break;
        }
    }
    const auto known = [&](bool yes) { return yes ? std::optional(true) : (unreadable ? std::nullopt : std::optional(false)); };
    FactSink refs(in.facts, "live:references", in.now());
    refs.truth("ref.config_missing", known(!missing_maps.empty()));
    refs.truth("ref.secret_missing", known(!missing_secrets.empty()));
    refs.truth("ref.config_restorable", map_restorable);
    if (!missing_maps.empty()) refs.text("ref.missing_config", missing_maps.front());
    if (!missing_secrets.empty()) refs.text("ref.missing_secret", missing_secrets.front());
    refs.truth("ref.newly_referenced", newly);
    bool start_error = false;
    for (const auto& pod : in.model.pods) {
        for (const auto& c : pod.containers) start_error = start_error || c.waiting == "CreateContainerConfigError";
    }
    for (const auto& event : in.snapshot.events) {
        start_error = start_error || (event.reason == "FailedMount" && event.kind == "Pod" && in.now() - event.last <= 10min);
    }
    FactSink(in.facts, in.snapshot.pods.source, in.snapshot.pods.at)
        .truth("ref.start_error", in.snapshot.pods.known ? std::optional(start_error) : std::nullopt);

    // Which content changed last before the trouble began?
    auto troubled = crashing(in);
    if (troubled.empty()) {
        for (const auto& pod : in.model.pods) {
            for (const auto& c : pod.containers) {
                if (!c.ready && !pod.finished && (c.running || c.waiting == "CreateContainerConfigError")) troubled.emplace_back(&pod, &c);
            }
        }
    }
    auto first = first_failure_of(in, troubled);
    if (!first) {
        for (const auto& [pod, c] : troubled) {
            if (pod->ready_changed && (!first || *pod->ready_changed < *first)) first = pod->ready_changed;
        }
    }
    const SeenReference* changed = nullptr;
    std::optional<ContentChange> change;
    bool crashed_before = false;
    for (const auto& ref : in.snapshot.references) {
        if (ref.seen != Seen::present || ref.image_pull || ref.kind == "Secret") continue;
        const auto found = last_change(ref);
        if (!found || !first) continue;
        // The kubelet brings new content to a running pod within about 90 s, and clocks differ: a change up to 90 s after the estimated first failure counts.
        const auto lead = *first - found->at;
        if (lead > in.ages().config_to_fault) continue;
        if (lead < -90s) {
            crashed_before = true;
            continue;
        }
        if (changed == nullptr || found->at > change->at || (found->at == change->at && ref.name < changed->name)) changed = &ref, change = found;
    }
    std::optional<bool> secret_changed = false;
    for (const auto& ref : in.snapshot.references) {
        if (ref.kind != "Secret" || ref.image_pull || ref.seen != Seen::present) continue;
        if (ref.written_at && ref.created_at && first && *ref.written_at - *ref.created_at > 5s &&
            *first - *ref.written_at <= in.ages().config_to_fault && *first - *ref.written_at >= -90s) {
            secret_changed = true;
            if (changed == nullptr) changed = &ref, change = ContentChange{*ref.written_at, nullptr};
        }
    }
    const bool any_unread =
        std::ranges::any_of(in.snapshot.references, [](const SeenReference& r) { return r.kind == "ConfigMap" && r.seen == Seen::unreadable; });
    sink.truth("config.changed", changed != nullptr ? std::optional(true) : (any_unread ? std::nullopt : std::optional(false)));
    sink.truth("config.secret_changed", secret_changed);
    sink.truth("config.crashed_before_change", changed == nullptr ? crashed_before : false);
    if (changed == nullptr) {
        sink.truth("config.changed_after_rollout", any_unread ? std::nullopt : std::optional(false));
        return;
    }
    sink.text("config.kind", changed->kind);
    sink.text("config.name", changed->name);
    sink.time("config.changed_at", change->at);
    sink.truth("config.is_secret", changed->kind == "Secret");
    sink.truth("config.immutable", changed->immutable);
    const auto* newest = in.model.newest < 0 ? nullptr : &in.model.revisions[static_cast<std::size_t>(in.model.newest)];
    // A restart to load the new content is a rollout too: it does not count as one that changed the template.
    const bool template_changed = in.facts.yes("rollout.template_changed");
    sink.truth("config.changed_after_rollout",
               newest == nullptr || !newest->since ? std::nullopt : std::optional(!template_changed || change->at >= *newest->since - 5s));
    const bool has_good = change->before != nullptr && !change->before->spec.is_null();
    sink.truth("config.restorable", has_good && changed->kind == "ConfigMap" && !changed->immutable);
    if (has_good) {
        sink.text("config.good_hash", change->before->hash);
        sink.value("config.good_data", change->before->spec);
    }
    sink.text("config.changed_by", changed->manager);
}

void dependency_facts(const FactInput& in) {
    FactSink sink(in.facts, "graph", in.now());
    if (!in.snapshot.upstreams_known) {
        sink.truth("dep.down", std::nullopt);
        return;
    }
    sink.value("dep.count", static_cast<std::int64_t>(in.snapshot.upstreams.size()));
    auto first = first_failure_of(in, crashing(in));
    if (!first) {
        for (const auto& pod : in.model.pods) {
            if (!pod.ready && pod.ready_changed && (!first || *pod.ready_changed < *first)) first = pod.ready_changed;
        }
    }
    const SeenUpstream* down = nullptr;
    bool unknown = false;
    for (const auto& up : in.snapshot.upstreams) {
        const bool gone = up.deleted || (up.seen == Seen::absent && up.why == "annotation");
        const bool silent =
            up.seen == Seen::present && up.has_selector && (up.ready_endpoints == 0 || (!up.stable && up.ready_endpoints.has_value()));
        if (up.seen == Seen::present && up.has_selector && !up.ready_endpoints) unknown = true;
        if (!gone && !silent) continue;
        // Its trouble must not have begun after ours.
        if (up.down_since && first && *up.down_since > *first + 60s) continue;
        if (down == nullptr || std::tie(up.ns, up.service) < std::tie(down->ns, down->service)) down = &up;
    }
    sink.truth("dep.down", down != nullptr ? std::optional(true) : (unknown ? std::nullopt : std::optional(false)));
    if (down != nullptr) {
        sink.text("dep.service", down->ns + "/" + down->service);
        sink.text("dep.why", down->why);
        sink.time("dep.down_since", down->down_since);
        if (down->workload) sink.text("dep.workload", down->workload->str());
        if (down->incident) sink.text("dep.incident", down->incident->str());
        const auto* rollout = in.model.newest <= 0 ? nullptr : &in.model.revisions[static_cast<std::size_t>(in.model.newest)];
        sink.truth("dep.down_first", rollout == nullptr                     ? std::optional(false)
                                     : !down->down_since || !rollout->since ? std::nullopt
                                                                            : std::optional(*down->down_since < *rollout->since));
    }
    // Own template and content unchanged: then the fault is not ours.
    const auto* newest = in.model.newest < 0 ? nullptr : &in.model.revisions[static_cast<std::size_t>(in.model.newest)];
    std::optional<bool> unchanged = in.snapshot.revisions.known || in.model.pod_is_template ? std::optional(true) : std::nullopt;
    if (newest != nullptr && in.model.newest > 0 && in.facts.yes("rollout.template_changed") && newest->since && first) {
        const auto lead = *first - *newest->since;
        if (lead >= -60s && lead <= in.ages().steady) unchanged = false;
    }
    if (in.facts.yes("config.changed")) unchanged = false;
    sink.truth("self.unchanged", unchanged);
}

void ownership_facts(const FactInput& in) {
    const auto& object = in.snapshot.object.object;
    if (in.snapshot.object.seen != Seen::present) return;
    FactSink sink(in.facts, in.snapshot.object.source, in.snapshot.object.at);
    static constexpr std::array marks{"argocd.argoproj.io/instance", "argocd.argoproj.io/tracking-id", "kustomize.toolkit.fluxcd.io/name",
                                      "helm.toolkit.fluxcd.io/name"};
    const auto owned = [&](const Value& each) {
        return std::ranges::any_of(marks,
                                   [&](const char* mark) { return !kube::label_of(each, mark).empty() || !kube::annotation_of(each, mark).empty(); });
    };
    bool gitops = owned(object);
    for (const auto& owner : in.snapshot.owners) gitops = gitops || (owner.seen == Seen::present && owned(owner.object));
    sink.truth("gitops.owned", gitops);
    const auto release = kube::annotation_of(object, "meta.helm.sh/release-name");
    const bool helm = kube::label_of(object, "app.kubernetes.io/managed-by") == "Helm" || !release.empty();
    sink.truth("helm.owned", helm);
    const auto newest = in.model.newest < 0 ? std::nullopt : in.model.revisions[static_cast<std::size_t>(in.model.newest)].since;
    // A release Secret made just before the rollout: the chart brought the change.
    std::optional<bool> released = false;
    std::int64_t best = 0;
    if (helm) {
        released = in.snapshot.release_secrets.known ? std::optional(false) : std::nullopt;
        for (const auto& secret : in.snapshot.release_secrets.items) {
            if (!release.empty() && kube::label_of(*secret, "name") != release) continue;
            const auto created = kube::creation_time(*secret);
            const auto version = std::strtoll(std::string{kube::label_of(*secret, "version")}.c_str(), nullptr, 10);
            if (!created || !newest || version < 2) continue;
            const auto lead = *newest - *created;
            if (lead >= -2min && lead <= in.ages().release_to_fault && version > best) released = true, best = version;
        }
    }
    sink.truth("helm.new_release", released);
    if (best > 1) sink.value("helm.good_release", best - 1);
    if (!release.empty()) sink.text("helm.release", release);
}

void access_facts(const FactInput& in) {
    FactSink sink(in.facts, "access", in.now());
    if (!in.snapshot.access_known) {
        sink.truth("access.lost", std::nullopt);
        return;
    }
    const SeenAccess* lost = nullptr;
    bool unknown = false;
    for (const auto& access : in.snapshot.access) {
        if (in.now() - access.changed_at > in.ages().change_to_fault) continue;
        if (!access.allowed_now)
            unknown = true;
        else if (!*access.allowed_now && (lost == nullptr || std::tie(access.kind, access.name) < std::tie(lost->kind, lost->name)))
            lost = &access;
    }
    sink.truth("access.lost", lost != nullptr ? std::optional(true) : (unknown ? std::nullopt : std::optional(false)));
    if (lost == nullptr) return;
    sink.text("access.kind", lost->kind);
    sink.text("access.name", lost->name);
    sink.text("access.right", lost->verb + " " + lost->resource);
    sink.truth("access.binding_deleted", lost->deleted);
    sink.truth("access.wildcard", lost->wildcard);
    sink.truth("access.role_exists", lost->role_exists);
    if (!lost->before.is_null()) sink.value("access.binding", lost->before);
    // Did the workload suffer after it? Crashing or unready since.
    const auto first = first_failure_of(in, crashing(in));
    std::optional<Instant> unready;
    for (const auto& pod : in.model.pods) {
        if (!pod.ready && !pod.finished && pod.ready_changed && (!unready || *pod.ready_changed > *unready)) unready = pod.ready_changed;
    }
    const auto since = first ? first : unready;
    sink.truth("access.suffered_after", since ? std::optional(*since >= lost->changed_at - 90s) : std::optional(false));
}

}  // namespace kn::decision
