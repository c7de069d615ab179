// The status of a pod as the kubelet writes it.
#include <algorithm>

#include "common/text.hpp"
#include "kubelet/pod_runtime.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::sim {
namespace {

std::string seconds_time(Instant at) { return format_rfc3339(std::chrono::floor<std::chrono::seconds>(at)); }

json::Object end_of(const ContainerEnd& end) {
    json::Object out{
        {"exitCode", end.code}, {"reason", end.reason}, {"startedAt", seconds_time(end.started)}, {"finishedAt", seconds_time(end.finished)}};
    if (!end.message.empty()) out["message"] = end.message;
    if (!end.id.empty()) out["containerID"] = end.id;
    return out;
}

}  // namespace

json::Value PodRuntime::container_status(const ContainerRun& run, const json::Value& spec) const {
    json::Object state, last;
    switch (run.state) {
        case ContainerRun::State::waiting: {
            const bool held = !run.init && !initialized_ && !run.ever_started;
            json::Object waiting{{"reason", held && !init_.empty() ? "PodInitializing" : run.reason}};
            if (!run.message.empty()) waiting["message"] = run.message;
            state["waiting"] = std::move(waiting);
            break;
        }
        case ContainerRun::State::running: state["running"] = json::Object{{"startedAt", seconds_time(run.started_at)}}; break;
        case ContainerRun::State::terminated: state["terminated"] = end_of(*run.end); break;
    }
    if (run.last) last["terminated"] = end_of(*run.last);
    const std::string image(json::string_at(spec, "image"));
    const bool ready = run.init && !run.sidecar ? run.state == ContainerRun::State::terminated && run.end->code == 0 : run.ready;
    json::Object out{{"name", run.name},
                     {"state", std::move(state)},
                     {"lastState", std::move(last)},
                     {"ready", ready},
                     {"restartCount", run.restarts},
                     {"image", image},
                     {"imageID", run.ever_started ? image + "@sha256:" + std::string(64, '0') : std::string()},
                     {"started", run.started}};
    if (!run.id.empty()) out["containerID"] = run.id;
    if (const auto* resources = json::at(spec, "resources"); resources != nullptr && run.state == ContainerRun::State::running) {
        out["resources"] = *resources;
        if (const auto* requests = json::at(*resources, "requests")) out["allocatedResources"] = *requests;
    }
    return out;
}

std::string PodRuntime::phase() const {
    std::size_t fresh = 0, running = 0, failed = 0;
    for (const auto& run : init_) {
        if (run.state == ContainerRun::State::terminated && run.end->code != 0 && !restarts_after(run)) return "Failed";
    }
    if (!initialized_) return "Pending";
    for (const auto& run : apps_) {
        if (run.state == ContainerRun::State::terminated && !restarts_after(run)) {
            failed += run.end->code != 0 ? 1 : 0;
        } else if (run.state == ContainerRun::State::waiting && !run.last) {
            ++fresh;
        } else {
            ++running;
        }
    }
    if (fresh > 0) return "Pending";
    if (running > 0 || apps_.empty()) return "Running";
    // A pod that is being deleted keeps running until its object is gone; its containers ended because they were told to.
    if (terminating_ && json::string_at(pod(), "spec", "restartPolicy") == "Always") return "Running";
    return failed > 0 ? "Failed" : "Succeeded";
}

json::Array PodRuntime::conditions(std::string_view phase) const {
    std::vector<std::string> unready, uninitialized;
    for (const auto& run : apps_) {
        if (!run.ready) unready.push_back(run.name);
    }
    for (const auto& run : init_) {
        if (run.sidecar && !run.ready && initialized_) unready.push_back(run.name);
        if (!(run.sidecar ? run.started : run.state == ContainerRun::State::terminated && run.end->code == 0)) uninitialized.push_back(run.name);
    }
    struct Wanted {
        std::string type;
        bool status;
        std::string reason, message;
    };
    std::vector<Wanted> wanted;
    const auto done = phase == "Succeeded", failed = phase == "Failed";
    wanted.push_back({"PodReadyToStartContainers", mounted_ && !done && !failed, "", ""});
    if (initialized_ || done)
        wanted.push_back({"Initialized", true, done ? "PodCompleted" : "", ""});
    else if (init_.empty())
        wanted.push_back({"Initialized", true, "", ""});
    else
        wanted.push_back({"Initialized", false, "ContainersNotInitialized", "containers with incomplete status: [" + join(uninitialized, " ") + "]"});
    Wanted containers{"ContainersReady", unready.empty(), "", ""};
    if (done)
        containers = {"ContainersReady", false, "PodCompleted", ""};
    else if (failed)
        containers = {"ContainersReady", false, "PodFailed", ""};
    else if (!unready.empty())
        containers = {"ContainersReady", false, "ContainersNotReady", "containers with unready status: [" + join(unready, " ") + "]"};
    Wanted ready = containers;
    ready.type = "Ready";
    for (const auto& gate : json::array_at(pod(), "spec", "readinessGates")) {
        const auto condition = kube::condition_of(pod(), json::string_at(gate, "conditionType"));
        if (ready.status && (!condition || condition->status != "True"))
            ready = {"Ready", false, "ReadinessGatesNotReady",
                     "corresponding condition of pod readiness gate \"" + std::string(json::string_at(gate, "conditionType")) + "\" does not exist."};
    }
    wanted.push_back(ready);
    wanted.push_back(containers);

    json::Array out;
    for (const auto& want : wanted) {
        const std::string status = want.status ? "True" : "False";
        const auto before = kube::condition_of(pod(), want.type);
        const bool same = before && before->status == status;
        json::Object condition{{"type", want.type},
                               {"status", status},
                               {"lastProbeTime", nullptr},
                               {"lastTransitionTime", seconds_time(same ? before->last_transition.value_or(now_) : now_)}};
        if (!want.reason.empty()) condition["reason"] = want.reason;
        if (!want.message.empty()) condition["message"] = want.message;
        out.push_back(std::move(condition));
    }
    // Conditions of others (PodScheduled, DisruptionTarget, readiness gates) stay.
    for (const auto& other : json::array_at(pod(), "status", "conditions")) {
        const auto type = json::string_at(other, "type");
        if (std::ranges::none_of(wanted, [&](const Wanted& want) { return want.type == type; })) out.push_back(other);
    }
    return out;
}

json::Value PodRuntime::status() const {
    json::Value out = json::at(pod(), "status") == nullptr ? json::Value(json::Object{}) : *json::at(pod(), "status");
    auto& status = out.is_object() ? out.get_object() : out.emplace_object();
    const std::string now_phase = phase();
    status["phase"] = now_phase;
    status["conditions"] = conditions(now_phase);
    status["hostIP"] = place_.host_ip;
    status["hostIPs"] = json::Array{json::Object{{"ip", place_.host_ip}}};
    if (mounted_) {
        const bool host = json::bool_at(pod(), "spec", "hostNetwork").value_or(false);
        const std::string& ip = host ? place_.host_ip : place_.pod_ip;
        status["podIP"] = ip;
        status["podIPs"] = json::Array{json::Object{{"ip", ip}}};
    }
    status["startTime"] = seconds_time(start_time_);
    const auto list = [&](const std::vector<ContainerRun>& runs, std::string_view key) {
        json::Array statuses;
        const auto& specs = json::array_at(pod(), "spec", key);
        for (std::size_t i = 0; i < runs.size() && i < specs.size(); ++i) statuses.push_back(container_status(runs[i], specs[i]));
        return statuses;
    };
    if (!init_.empty()) status["initContainerStatuses"] = list(init_, "initContainers");
    status["containerStatuses"] = list(apps_, "containers");
    return out;
}

}  // namespace kn::sim
