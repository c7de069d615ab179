#include "kubelet/node_agent.hpp"

#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::sim {
namespace {

std::string seconds_time(Instant at) { return format_rfc3339(std::chrono::floor<std::chrono::seconds>(at)); }
const kube::WriteOptions as_kubelet{.field_manager = "kubelet", .field_validation = "Warn"};

}  // namespace

NodeAgent::NodeAgent(std::shared_ptr<kube::Client> client, const KubeletOptions& options, NodeSpec spec, int number)
    : pods(client->clock(), 1s, 1min), client_(std::move(client)), options_(options), spec_(std::move(spec)), number_(number) {
    const Instant now = client_->clock().now();
    for (const char* type : {"MemoryPressure", "DiskPressure", "PIDPressure"}) conditions_[type] = {false, now};
    conditions_["Ready"] = {true, now};
}

std::string NodeAgent::host_ip() const { return "10.0." + std::to_string(number_ / 250) + "." + std::to_string(number_ % 250 + 2); }

std::string NodeAgent::next_pod_ip() {
    const int ip = pod_ips_++ % 65000 + 2;
    return "10." + std::to_string(64 + number_ / 128) + "." + std::to_string((number_ % 128) * 2 + ip / 250 % 2) + "." + std::to_string(ip % 250 + 1);
}

void NodeAgent::set_condition(const std::string& type, bool status) {
    auto& condition = conditions_[type];
    if (condition.status != status) condition = {status, client_->clock().now()};
    status_due_ = true;
    wake_.notify();
}

void NodeAgent::switch_on() {
    on_ = true;
    status_due_ = lease_due_ = true;
    wake_.notify();
}

json::Value NodeAgent::status() const {
    const Instant now = client_->clock().now();
    json::Object capacity{{"cpu", kube::format_cores(spec_.cpu)},
                          {"memory", kube::format_bytes(spec_.memory)},
                          {"pods", std::to_string(spec_.pods)},
                          {"ephemeral-storage", "100Gi"}};
    json::Array conditions;
    const auto add = [&](const std::string& type, std::string_view good_reason, std::string_view good, std::string_view bad_reason,
                         std::string_view bad) {
        const auto& state = conditions_.at(type);
        const bool fine = state.status == (type == "Ready");
        conditions.push_back(json::Object{{"type", type},
                                          {"status", state.status ? "True" : "False"},
                                          {"lastHeartbeatTime", seconds_time(now)},
                                          {"lastTransitionTime", seconds_time(state.since)},
                                          {"reason", fine ? good_reason : bad_reason},
                                          {"message", fine ? good : bad}});
    };
    add("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available", "KubeletHasInsufficientMemory",
        "kubelet has insufficient memory available");
    add("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure", "KubeletHasDiskPressure", "kubelet has disk pressure");
    add("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available", "KubeletHasInsufficientPID",
        "kubelet has insufficient PID available");
    add("Ready", "KubeletReady", "kubelet is posting ready status", "KubeletNotReady", "container runtime is down");
    const std::string id = to_hex(sha256(spec_.name)).substr(0, 32);
    return json::Object{{"capacity", capacity},
                        {"allocatable", capacity},
                        {"conditions", std::move(conditions)},
                        {"addresses", json::Array{json::Object{{"type", "InternalIP"}, {"address", host_ip()}},
                                                  json::Object{{"type", "Hostname"}, {"address", spec_.name}}}},
                        {"nodeInfo", json::Object{{"machineID", id},
                                                  {"systemUUID", id},
                                                  {"bootID", id},
                                                  {"kernelVersion", "6.1.0"},
                                                  {"osImage", "Simulated Linux"},
                                                  {"containerRuntimeVersion", "sim://1.0"},
                                                  {"kubeletVersion", options_.kubelet_version},
                                                  {"kubeProxyVersion", options_.kubelet_version},
                                                  {"operatingSystem", "linux"},
                                                  {"architecture", "amd64"}}}};
}

async::Task<Result<>> NodeAgent::register_node() {
    json::Object labels{{"kubernetes.io/hostname", spec_.name},     {"kubernetes.io/os", "linux"},        {"kubernetes.io/arch", "amd64"},
                        {"beta.kubernetes.io/os", "linux"},         {"beta.kubernetes.io/arch", "amd64"}, {"topology.kubernetes.io/region", "sim"},
                        {"topology.kubernetes.io/zone", spec_.zone}};
    for (const auto& [key, value] : spec_.labels) labels[key] = value;
    json::Object node_spec{{"providerID", "sim://" + spec_.name}};
    json::Array taints;
    for (const auto& text : spec_.taints) {
        const auto colon = text.rfind(':'), equals = text.find('=');
        json::Object taint{{"key", text.substr(0, std::min(colon, equals))},
                           {"effect", colon == std::string::npos ? "NoSchedule" : text.substr(colon + 1)}};
        if (equals != std::string::npos) taint["value"] = text.substr(equals + 1, colon - equals - 1);
        taints.push_back(std::move(taint));
    }
    if (!taints.empty()) node_spec["taints"] = std::move(taints);
    json::Object node{{"apiVersion", "v1"},
                      {"kind", "Node"},
                      {"metadata", json::Object{{"name", spec_.name}, {"labels", std::move(labels)}}},
                      {"spec", std::move(node_spec)},
                      {"status", status()}};
    const auto deadline = client_->clock().deadline_in(30s);
    auto made = co_await client_->create(kube::resources::nodes, {}, std::move(node), as_kubelet, deadline);
    if (!made && made.error().code != ErrorCode::already_exists) co_return fail(made.error().with_context("registering node " + spec_.name));
    // The real server drops the status of a created Node for nobody, but servers differ: write it in any case.
    KN_CO_CHECK(co_await write_status());
    KN_CO_CHECK(co_await renew_lease());
    co_return Result<>{};
}

async::Task<Result<>> NodeAgent::write_status() {
    status_due_ = false;
    json::Object patch{{"status", status()}};
    auto done = co_await client_->patch(kube::resources::nodes, {}, spec_.name, kube::PatchType::strategic, std::move(patch),
                                        {.write = as_kubelet, .subresource = "status"}, client_->clock().deadline_in(10s));
    if (!done) {
        status_due_ = true;
        co_return fail(std::move(done).error());
    }
    object_ = *std::move(done);
    co_return Result<>{};
}

async::Task<Result<>> NodeAgent::renew_lease() {
    const auto& clock = client_->clock();
    const std::string time = format_micro_time(clock.now());
    json::Object spec{{"holderIdentity", spec_.name}, {"leaseDurationSeconds", 40}, {"renewTime", time}};
    const auto deadline = clock.deadline_in(10s);
    auto done = co_await client_->patch(kube::resources::leases, "kube-node-lease", spec_.name, kube::PatchType::merge, json::Object{{"spec", spec}},
                                        {.write = as_kubelet}, deadline);
    if (done || done.error().code != ErrorCode::not_found) co_return done ? Result<>{} : fail(std::move(done).error());
    json::Object metadata{{"name", spec_.name}, {"namespace", "kube-node-lease"}};
    if (object_.is_object()) {
        metadata["ownerReferences"] =
            json::Array{json::Object{{"apiVersion", "v1"}, {"kind", "Node"}, {"name", spec_.name}, {"uid", kube::uid_of(object_)}}};
    }
    auto made = co_await client_->create(
        kube::resources::leases, "kube-node-lease",
        json::Object{{"apiVersion", "coordination.k8s.io/v1"}, {"kind", "Lease"}, {"metadata", std::move(metadata)}, {"spec", std::move(spec)}},
        as_kubelet, deadline);
    co_return made ? Result<>{} : fail(std::move(made).error());
}

async::Task<> NodeAgent::run() {
    auto& clock = client_->clock();
    const auto scaled = [&](Duration d) {
        return Duration{static_cast<std::int64_t>(static_cast<double>(d.count()) / std::max(1.0, options_.hurry))};
    };
    const Duration lease_every = std::max<Duration>(scaled(options_.lease_every), 1s);
    SteadyTime next_lease = clock.steady() + lease_every, next_status = clock.steady() + options_.status_every;
    while (true) {
        co_await wake_.wait(clock, Deadline{std::min(next_lease, next_status)});
        const SteadyTime now = clock.steady();
        if (now >= next_lease || std::exchange(lease_due_, false)) {
            next_lease = now + lease_every;
            if (on_) (void)co_await renew_lease();
        }
        if (on_ && (status_due_ || now >= next_status)) {
            next_status = now + options_.status_every;
            auto done = co_await write_status();
            // A node object that was deleted comes back, as with a real kubelet that restarts.
            if (!done && done.error().code == ErrorCode::not_found) (void)co_await register_node();
            if (!done && status_due_) next_status = std::min(next_status, clock.steady() + 10s);
        } else if (now >= next_status) {
            next_status = now + options_.status_every;
        }
    }
}

}  // namespace kn::sim
