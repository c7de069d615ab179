#include "kubelet/pod_runtime.hpp"

#include <algorithm>

#include "common/text.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::sim {
namespace {

constexpr Duration restart_pause = 1s;  // the runtime's event reaches the kubelet with its next relist
constexpr std::size_t max_log_lines = 2000;

double memory_limit_of(const json::Value& spec) { return kube::quantity_at(json::at(spec, "resources", "limits", "memory")).value_or(0); }

}  // namespace

PodRuntime::PodRuntime(PodWorld& world, const KubeletOptions& options, Place place) : world_(world), options_(options), place_(std::move(place)) {}

void PodRuntime::wake_at(Instant at) {
    at = std::max(at, now_ + Duration{1});
    if (!next_ || at < *next_) next_ = at;
}

Labels PodRuntime::metric_labels(const ContainerRun& run) const {
    return {{"namespace", std::string(kube::namespace_of(pod()))},
            {"pod", std::string(kube::name_of(pod()))},
            {"container", run.name},
            {"node", place_.node}};
}

void PodRuntime::begin() {
    begun_ = true;
    start_time_ = kube::time_at(pod(), "status", "startTime").value_or(now_);
    for (const auto& spec : json::array_at(pod(), "spec", "initContainers")) {
        init_.push_back(
            {.name = std::string(json::string_at(spec, "name")), .init = true, .sidecar = json::string_at(spec, "restartPolicy") == "Always"});
    }
    for (const auto& spec : json::array_at(pod(), "spec", "containers")) apps_.push_back({.name = std::string(json::string_at(spec, "name"))});
    restore();
}

/// A kubelet that starts finds pods that ran before: their counts and last ends stand in the status; the containers themselves start anew.
void PodRuntime::restore() {
    const auto restore_list = [&](std::vector<ContainerRun>& runs, std::string_view key) {
        for (const auto& status : json::array_at(pod(), "status", key)) {
            const auto found =
                std::ranges::find(runs, json::string_at(status, "name"), [](const ContainerRun& run) { return std::string_view(run.name); });
            if (found == runs.end()) continue;
            found->restarts = static_cast<int>(json::int_at(status, "restartCount").value_or(0));
            const auto end_at = [&](std::string_view state) -> std::optional<ContainerEnd> {
                const auto* ended = json::at(status, state, "terminated");
                if (ended == nullptr) return std::nullopt;
                return ContainerEnd{.code = static_cast<int>(json::int_at(*ended, "exitCode").value_or(0)),
                                    .reason = std::string(json::string_at(*ended, "reason")),
                                    .message = std::string(json::string_at(*ended, "message")),
                                    .id = std::string(json::string_at(*ended, "containerID")),
                                    .started = kube::time_at(*ended, "startedAt").value_or(now_),
                                    .finished = kube::time_at(*ended, "finishedAt").value_or(now_)};
            };
            found->last = end_at("lastState");
            found->ever_started = found->last.has_value() || json::at(status, "state", "running") != nullptr;
            if (auto end = end_at("state")) {
                found->state = ContainerRun::State::terminated;
                found->end = std::move(end);
                found->ever_started = true;
            } else if (const auto* running = json::at(status, "state", "running")) {
                found->state = ContainerRun::State::terminated;
                found->end = ContainerEnd{255, "Unknown", "", "", kube::time_at(*running, "startedAt").value_or(now_), now_};
            }
        }
    };
    restore_list(init_, "initContainerStatuses");
    restore_list(apps_, "containerStatuses");
}

void PodRuntime::machine_lost() {
    now_ = world_.now();
    for (auto* runs : {&init_, &apps_}) {
        for (auto& run : *runs) {
            if (run.state == ContainerRun::State::running) finish(run, 255, "Unknown");
        }
    }
}

void PodRuntime::forget() {
    now_ = world_.now();
    if (pod_ == nullptr) return;
    std::string account(json::string_at(pod(), "spec", "serviceAccountName"));
    for (const auto& run : apps_) {
        if (run.behaviour.access.empty()) continue;
        world_.metrics().set_gauge("workload_access_denied",
                                   {{"namespace", std::string(kube::namespace_of(pod()))},
                                    {"pod", std::string(kube::name_of(pod()))},
                                    {"serviceaccount", account.empty() ? "default" : account}},
                                   now_, 0);
    }
    for (auto* runs : {&init_, &apps_}) {
        for (auto& run : *runs) world_.metrics().container_removed(metric_labels(run), now_);
    }
}

const ContainerRun* PodRuntime::container(std::string_view name) const {
    for (const auto* runs : {&apps_, &init_}) {
        for (const auto& run : *runs) {
            if (run.name == name || name.empty()) return &run;
        }
    }
    return nullptr;
}

PodRuntime::Look PodRuntime::look(const kube::ObjectPtr& pod) {
    pod_ = pod;
    now_ = world_.now();
    next_.reset();
    references_.clear();
    if (!begun_) begin();
    const auto stored = json::string_at(*pod, "status", "phase");
    const bool finished = stored == "Succeeded" || stored == "Failed";
    Look result;
    if (kube::is_deleting(*pod)) {
        result.remove = terminate();
    } else if (!finished) {
        mounted_ = volumes_ready();
        if (mounted_) {
            initialized_ = run_init_containers();
            if (initialized_) {
                const auto& specs = json::array_at(*pod, "spec", "containers");
                for (std::size_t i = 0; i < apps_.size() && i < specs.size(); ++i) step(apps_[i], specs[i]);
            }
        }
    }
    // A pod that was finished by somebody else (eviction, taint manager) keeps the status it has.
    result.status = finished ? (json::at(*pod, "status") == nullptr ? json::Value(json::Object{}) : *json::at(*pod, "status")) : status();
    result.next = next_;
    return result;
}

bool PodRuntime::volumes_ready() {
    const std::string failure = mount_failure();
    if (failure.empty()) return true;
    if (now_ - mount_event_ > scaled(2min) || mount_event_ == Instant{}) {
        mount_event_ = now_;
        world_.event(pod(), true, "FailedMount", failure, "");
    }
    wake_at(now_ + scaled(30s));
    return mounted_;  // what was mounted stays mounted
}

std::string PodRuntime::mount_failure() {
    const std::string ns(kube::namespace_of(pod()));
    std::string failure;
    const auto need = [&](std::string_view volume, std::string_view kind, const json::Value& source, std::string_view name) {
        references_.insert(std::string(kind) + "/" + ns + "/" + std::string(name));
        if (json::bool_at(source, "optional").value_or(false) || world_.config(kind, ns, name)) return;
        const std::string_view lower = kind == "Secret" ? "secret" : "configmap";
        failure = "MountVolume.SetUp failed for volume \"" + std::string(volume) + "\" : " + std::string(lower) + " \"" + std::string(name) +
                  "\" not found";
    };
    for (const auto& volume : json::array_at(pod(), "spec", "volumes")) {
        const auto name = json::string_at(volume, "name");
        if (const auto* source = json::at(volume, "configMap")) need(name, "ConfigMap", *source, json::string_at(*source, "name"));
        if (const auto* source = json::at(volume, "secret")) need(name, "Secret", *source, json::string_at(*source, "secretName"));
        for (const auto& part : json::array_at(volume, "projected", "sources")) {
            if (const auto* source = json::at(part, "configMap")) need(name, "ConfigMap", *source, json::string_at(*source, "name"));
            if (const auto* source = json::at(part, "secret")) need(name, "Secret", *source, json::string_at(*source, "name"));
        }
        if (const auto claim = json::string_at(volume, "persistentVolumeClaim", "claimName"); !claim.empty()) {
            references_.insert("Claim/" + ns + "/" + std::string(claim));
            if (!world_.claim_bound(ns, claim))
                failure = "MountVolume.SetUp failed for volume \"" + std::string(name) + "\" : persistentvolumeclaim \"" + std::string(claim) +
                          "\" is not bound";
        }
    }
    return failure;
}

bool PodRuntime::run_init_containers() {
    const auto& specs = json::array_at(pod(), "spec", "initContainers");
    for (std::size_t i = 0; i < init_.size() && i < specs.size(); ++i) {
        ContainerRun& run = init_[i];
        if (initialized_ && !run.sidecar) continue;
        step(run, specs[i]);
        const bool done = run.sidecar ? run.started : run.state == ContainerRun::State::terminated && run.end->code == 0;
        if (!done && !initialized_) return false;
    }
    return true;
}

void PodRuntime::step(ContainerRun& run, const json::Value& spec) {
    for (int i = 0; i < 16 && step_once(run, spec); ++i) {
    }
}

bool PodRuntime::step_once(ContainerRun& run, const json::Value& spec) {
    switch (run.state) {
        case ContainerRun::State::waiting: return step_waiting(run, spec);
        case ContainerRun::State::running: return step_running(run, spec);
        case ContainerRun::State::terminated: return step_terminated(run);
    }
    return false;
}

bool PodRuntime::step_waiting(ContainerRun& run, const json::Value& spec) {
    // The references are collected on every look, whatever holds the container up.
    Environment environment = resolve_env(spec);
    const std::string& missing = environment.missing;
    if (now_ < run.start_not_before) {
        wake_at(run.start_not_before);
        return false;
    }
    if (!run.image_ok) return step_image(run, spec);
    if (!missing.empty()) {
        if (run.reason != "CreateContainerConfigError" || run.message != missing) world_.event(pod(), true, "Failed", "Error: " + missing, run.name);
        run.reason = "CreateContainerConfigError";
        run.message = missing;
        wake_at(now_ + scaled(15s));
        return false;
    }
    run.env = std::move(environment.variables);
    run.env_config = std::move(environment.config);
    start(run, spec);
    return true;
}

bool PodRuntime::step_image(ContainerRun& run, const json::Value& spec) {
    const std::string image(json::string_at(spec, "image"));
    const auto name = ImageName::parse(image);
    auto policy = json::string_at(spec, "imagePullPolicy");
    if (policy.empty()) policy = name && name->tag == "latest" ? "Always" : "IfNotPresent";
    if (!run.pulling && policy != "Always" && world_.image_present(place_.node, image)) {
        world_.event(pod(), false, "Pulled", "Container image \"" + image + "\" already present on machine", run.name);
        run.image_ok = true;
        return true;
    }
    if (policy == "Never") {
        if (run.reason != "ErrImageNeverPull")
            world_.event(pod(), true, "ErrImageNeverPull", "Container image \"" + image + "\" is not present with pull policy of Never", run.name);
        run.reason = "ErrImageNeverPull";
        run.message = "Container image \"" + image + "\" is not present with pull policy of Never";
        wake_at(now_ + scaled(30s));
        return false;
    }
    if (run.pulling) {
        if (now_ < run.pull_done) {
            wake_at(run.pull_done);
            return false;
        }
        run.pulling = false;
        const auto verdict = world_.book().pull(image, world_.docker_configs(pod()));
        if (verdict != PullVerdict::ok) {
            pull_failed(run, image, verdict);
            return false;
        }
        const std::string took = std::to_string(scaled(options_.pull_takes).count()) + "ms";
        world_.event(pod(), false, "Pulled",
                     "Successfully pulled image \"" + image + "\" in " + took + " (" + took + " including waiting). Image size: 31457280 bytes.",
                     run.name);
        world_.image_pulled(place_.node, image);
        run.image_ok = true;
        run.pull_backoff = {};
        return true;
    }
    if (now_ < run.pull_next) {
        if (run.reason == "ErrImagePull" && now_ >= run.pull_failed + scaled(restart_pause)) {
            run.reason = "ImagePullBackOff";
            run.message = "Back-off pulling image \"" + image + "\": ErrImagePull: " + run.message;
            world_.event(pod(), false, "BackOff", "Back-off pulling image \"" + image + "\"", run.name);
            world_.event(pod(), true, "Failed", "Error: ImagePullBackOff", run.name);
        }
        wake_at(run.reason == "ErrImagePull" ? run.pull_failed + scaled(restart_pause) : run.pull_next);
        return false;
    }
    if (!name) {
        pull_failed(run, image, PullVerdict::invalid_name);
        return false;
    }
    world_.event(pod(), false, "Pulling", "Pulling image \"" + image + "\"", run.name);
    run.pulling = true;
    run.pull_done = now_ + scaled(options_.pull_takes);
    wake_at(run.pull_done);
    return false;
}

void PodRuntime::pull_failed(ContainerRun& run, const std::string& image, PullVerdict verdict) {
    const std::string unpack = "failed to pull and unpack image \"" + image + "\": failed to resolve reference \"" + image + "\": ";
    const auto name = ImageName::parse(image);
    run.reason = "ErrImagePull";
    switch (verdict) {
        case PullVerdict::not_found: run.message = "rpc error: code = NotFound desc = " + unpack + image + ": not found"; break;
        case PullVerdict::unauthorized:
            run.message =
                unpack +
                "pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials";
            break;
        case PullVerdict::unavailable:
            run.message = unpack + "failed to do request: Head \"https://" + (name ? name->host : "") + "/v2/\": dial tcp: i/o timeout";
            break;
        default:
            run.reason = "InvalidImageName";
            run.message =
                "Failed to apply default image tag \"" + image + "\": couldn't parse image name \"" + image + "\": invalid reference format";
    }
    if (run.reason == "ErrImagePull") world_.event(pod(), true, "Failed", "Failed to pull image \"" + image + "\": " + run.message, run.name);
    world_.event(pod(), true, "Failed", "Error: " + run.reason, run.name);
    run.pull_failed = now_;
    run.pull_backoff = run.pull_backoff == Duration::zero() ? options_.pull_backoff : std::min(options_.pull_backoff_cap, run.pull_backoff * 2);
    run.pull_next = now_ + scaled(run.pull_backoff);
    wake_at(now_ + scaled(restart_pause));
}

void PodRuntime::start(ContainerRun& run, const json::Value& spec) {
    run.id = "sim://" + to_hex(sha256_parts({kube::uid_of(pod()), run.name, std::to_string(++ids_), std::to_string(to_millis(now_))})).substr(0, 64);
    run.message.clear();
    if (run.ever_started) ++run.restarts;
    run.ever_started = true;
    run.end.reset();
    run.previous_log = std::exchange(run.log, {});
    run.behaviour = run.ruled = behaviour_of(run, spec);
    run.behaviour_since = run.memory_since = run.started_at = now_;
    run.memory_limit = memory_limit_of(spec);
    run.started = run.ready = false;
    run.ready_flip.reset(), run.dead_since.reset(), run.down_since.reset(), run.stopping.reset();
    // An image that was once on the node is there for the next start too, unless its policy is Always.
    run.image_ok = json::string_at(spec, "imagePullPolicy") != "Always";
    world_.metrics().set_restarts(metric_labels(run), now_, run.restarts);
    world_.event(pod(), false, "Created", "Created container: " + run.name, run.name);
    run.state = ContainerRun::State::running;
    if (run.behaviour.start_error) {
        const std::string message =
            "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: " +
            *run.behaviour.start_error;
        world_.event(pod(), true, "Failed", "Error: " + message, run.name);
        finish(run, 128, "StartError", message);
        return;
    }
    world_.event(pod(), false, "Started", "Started container " + run.name, run.name);
    run.log = run.behaviour.log;
    if (run.log.empty()) run.log.push_back(run.name + ": started");
    if (run.behaviour.memory)
        world_.metrics().container_started(metric_labels(run), now_, *run.behaviour.memory, run.behaviour.cpu, run.memory_limit);
}

void PodRuntime::finish(ContainerRun& run, int code, std::string_view reason, std::string message) {
    run.end = ContainerEnd{code, std::string(reason), std::move(message), run.id, run.started_at, now_};
    run.state = ContainerRun::State::terminated;
    run.ready = run.started = false;
    run.ready_flip.reset();
    if (code != 0 && code != 137 && code != 255 && run.behaviour.log.empty())
        run.log.push_back(run.name + ": exiting with code " + std::to_string(code));
    if (run.log.size() > max_log_lines) run.log.erase(run.log.begin(), run.log.end() - max_log_lines);
    world_.metrics().container_ended(metric_labels(run), now_);
}

Behaviour PodRuntime::behaviour_of(const ContainerRun& run, const json::Value& spec) {
    Behaviour out = world_.book().behaviour_of(view_of(run, spec));
    if (options_.hurry == 1) return out;
    for (auto* time : {&out.exit_after, &out.stop_takes, &out.startup, &out.dependency_lag}) *time = scaled(*time);
    if (out.memory) {
        out.memory->ramp = scaled(out.memory->ramp);
        out.memory->growth *= options_.hurry;
    }
    return out;
}

void PodRuntime::refresh_behaviour(ContainerRun& run, const json::Value& spec) {
    Behaviour now = behaviour_of(run, spec);
    const double limit = memory_limit_of(spec);
    if (now == run.ruled && limit == run.memory_limit) return;
    const Behaviour ruled = now;
    const auto curve = [](const Behaviour& b) { return b.memory.value_or(MemoryCurve{}); };
    const MemoryCurve before = curve(run.behaviour), after = curve(now), old_rule = curve(run.ruled);
    const bool same_curve =
        old_rule.base == after.base && old_rule.growth == after.growth && old_rule.start == after.start && old_rule.ramp == after.ramp;
    if (now.exit_code != run.behaviour.exit_code || now.exit_after != run.behaviour.exit_after) run.behaviour_since = now_;
    if (!same_curve) {
        // A process does not give memory back by itself: the new curve starts where the old one is.
        MemoryCurve joined = after;
        joined.start = std::min(before.at(now_ - run.memory_since), std::max(after.base, before.at(now_ - run.memory_since)));
        joined.base = std::max(joined.base, joined.start);
        now.memory = joined;
        run.memory_since = now_;
    } else {
        now.memory = run.behaviour.memory;
    }
    for (const auto& line : now.log) {
        if (std::ranges::find(run.behaviour.log, line) == run.behaviour.log.end()) run.log.push_back(line);
    }
    run.behaviour = std::move(now);
    run.ruled = ruled;
    run.memory_limit = limit;
    if (run.behaviour.memory) world_.metrics().container_changed(metric_labels(run), now_, *run.behaviour.memory, run.behaviour.cpu, limit);
}

bool PodRuntime::step_running(ContainerRun& run, const json::Value& spec) {
    (void)resolve_env(spec);  // for the references only: the environment of a process never changes
    refresh_behaviour(run, spec);
    const Behaviour& behaviour = run.behaviour;

    if (behaviour.exit_code) {
        const Instant due = run.behaviour_since + behaviour.exit_after;
        if (due <= now_) {
            finish(run, *behaviour.exit_code, *behaviour.exit_code == 0 ? "Completed" : "Error");
            return true;
        }
        wake_at(due);
    }
    if (behaviour.memory && run.memory_limit > 0) {
        if (const auto age = behaviour.memory->reaches(run.memory_limit)) {
            const Instant due = run.memory_since + *age;
            if (due <= now_) {
                world_.node_event(place_.node, true, "OOMKilling",
                                  "Memory cgroup out of memory: Killed process (" + run.name + ") in pod " + std::string(kube::namespace_of(pod())) +
                                      "/" + std::string(kube::name_of(pod())));
                finish(run, 137, "OOMKilled");
                return true;
            }
            wake_at(due);
        }
    }
    const bool down = behaviour.on_dependency != OnDependencyDown::ignore && dependency_down(run);
    if (!down)
        run.down_since.reset();
    else if (!run.down_since)
        run.down_since = now_;
    if (down && behaviour.on_dependency == OnDependencyDown::crash) {
        const Instant due = *run.down_since + behaviour.dependency_lag;
        if (due <= now_) {
            run.log.push_back(run.name + ": a dependency cannot be reached, giving up");
            finish(run, 1, "Error");
            return true;
        }
        wake_at(due);
    }
    if (watch_liveness(run, spec)) return true;
    watch_readiness(run, spec);
    return false;
}

bool PodRuntime::watch_liveness(ContainerRun& run, const json::Value& spec) {
    const Instant up = run.started_at + run.behaviour.startup;
    const auto kill = [&](std::string_view kind, const std::string& why) {
        std::string title(kind);
        title[0] = static_cast<char>(std::toupper(title[0]));
        world_.event(pod(), true, "Unhealthy", title + " probe failed: " + why, run.name);
        world_.event(pod(), false, "Killing", "Container " + run.name + " failed " + std::string(kind) + " probe, will be restarted", run.name);
        finish(run, 137, "Error");
        return true;
    };
    if (const Probe probe(spec, "startupProbe"); probe && !run.started) {
        const std::string broken = probe.failure(spec, run.behaviour);
        const Instant limit = run.started_at + probe.delay + probe.period * probe.failures;
        const Instant success = broken.empty() && run.behaviour.alive ? probe.first_after(run.started_at, up) : Instant::max();
        if (success <= now_) {
            run.started = true;
        } else if (success >= limit) {
            if (limit <= now_) return kill("startup", broken.empty() ? "dial tcp: connect: connection refused" : broken);
            wake_at(limit);
            return false;
        } else {
            wake_at(success);
            return false;
        }
    }
    run.started = true;
    const Probe probe(spec, "livenessProbe");
    if (!probe) return false;
    const std::string broken = probe.failure(spec, run.behaviour);
    const bool dead = !broken.empty() || !run.behaviour.alive;
    const Instant limit = (dead ? run.dead_since.value_or(now_) : run.started_at) +
                          (run.dead_since && *run.dead_since > run.started_at + probe.delay ? Duration{} : probe.delay) +
                          probe.period * probe.failures;
    if (dead) {
        if (!run.dead_since) {
            run.dead_since = now_ <= up ? run.started_at : now_;
            return watch_liveness(run, spec);
        }
        if (limit <= now_) return kill("liveness", broken.empty() ? "HTTP probe failed with statuscode: 500" : broken);
        wake_at(limit);
    } else {
        run.dead_since.reset();
        if (up > limit) {  // slower to start than the probe allows
            if (limit <= now_) return kill("liveness", "dial tcp: connect: connection refused");
            wake_at(limit);
        }
    }
    return false;
}

void PodRuntime::watch_readiness(ContainerRun& run, const json::Value& spec) {
    const Probe probe(spec, "readinessProbe");
    if (!probe) {
        run.ready = run.started;
        return;
    }
    const Instant up = run.started_at + run.behaviour.startup;
    std::string why = probe.failure(spec, run.behaviour);
    if (access_denied(run) && why.empty()) why = "HTTP probe failed with statuscode: 503";
    if (why.empty() && (!run.behaviour.ready || (run.down_since && run.behaviour.on_dependency == OnDependencyDown::unready)))
        why = "HTTP probe failed with statuscode: 503";
    if (why.empty() && now_ < up) why = "dial tcp: connect: connection refused";
    const bool good = why.empty() && run.started;
    if (!good && !why.empty() && now_ >= run.started_at + probe.delay && now_ - run.last_unhealthy >= 1min) {
        run.last_unhealthy = now_;
        world_.event(pod(), true, "Unhealthy", "Readiness probe failed: " + why, run.name);
    }
    if (good == run.ready) {
        run.ready_flip.reset();
        if (!good && now_ < up)
            wake_at(probe.first_after(run.started_at, up));
        else if (!good)
            wake_at(now_ + 1min);  // the event again
        return;
    }
    if (!run.ready_flip) {
        run.ready_flip = good ? probe.first_after(run.started_at, std::max(now_, up)) : now_ + probe.period * probe.failures;
    }
    if (*run.ready_flip <= now_) {
        run.ready = good;
        run.ready_flip.reset();
    } else {
        wake_at(*run.ready_flip);
    }
}

bool PodRuntime::restarts_after(const ContainerRun& run) const {
    if (run.sidecar) return true;
    const auto policy = json::string_at(pod(), "spec", "restartPolicy");
    if (policy == "Never") return false;
    if (policy == "OnFailure" || run.init) return run.end->code != 0;
    return true;
}

bool PodRuntime::step_terminated(ContainerRun& run) {
    if (!restarts_after(run)) return false;
    const Instant due = run.end->finished + scaled(restart_pause);
    if (now_ < due) {
        wake_at(due);
        return false;
    }
    if (run.end->finished - run.end->started >= scaled(options_.crash_backoff_reset)) run.backoff = {};
    run.last = run.end;
    run.end.reset();
    run.state = ContainerRun::State::waiting;
    if (run.backoff == Duration::zero()) {
        run.backoff = options_.crash_backoff;
        run.start_not_before = now_;
        run.reason = "ContainerCreating";
        run.message.clear();
        return true;
    }
    const std::string name = run.name + " pod=" + std::string(kube::name_of(pod())) + "_" + std::string(kube::namespace_of(pod())) + "(" +
                             std::string(kube::uid_of(pod())) + ")";
    run.reason = "CrashLoopBackOff";
    run.message = "back-off " + format_duration(run.backoff) + " restarting failed container=" + name;
    run.start_not_before = run.last->finished + scaled(run.backoff);
    run.backoff = std::min(options_.crash_backoff_cap, run.backoff * 2);
    world_.event(pod(), true, "BackOff",
                 "Back-off restarting failed container " + run.name + " in pod " + std::string(kube::name_of(pod())) + "_" +
                     std::string(kube::namespace_of(pod())) + "(" + std::string(kube::uid_of(pod())) + ")",
                 run.name);
    return true;
}

bool PodRuntime::terminate() {
    const Duration grace = std::chrono::seconds{json::int_at(pod(), "metadata", "deletionGracePeriodSeconds").value_or(30)};
    bool running = false;
    for (auto* runs : {&apps_, &init_}) {
        for (auto& run : *runs) {
            if (run.state != ContainerRun::State::running) continue;
            const bool obeys = run.behaviour.stop_takes <= grace;
            const Instant due = now_ + (obeys ? run.behaviour.stop_takes : scaled(grace));
            if (!run.stopping) {
                run.stopping = due;
                if (!terminating_) world_.event(pod(), false, "Killing", "Stopping container " + run.name, run.name);
            }
            run.stopping = std::min(*run.stopping, due);  // a second delete may shorten the grace period
            if (*run.stopping <= now_) {
                const int code = obeys ? run.behaviour.stop_code : 137;
                finish(run, code, code == 0 ? "Completed" : "Error");
            } else {
                running = true;
                wake_at(*run.stopping);
            }
        }
    }
    terminating_ = true;
    return !running;
}

}  // namespace kn::sim
