#include <algorithm>

#include "kubelet/container_run.hpp"

namespace kn::sim {
namespace {

bool port_open(const json::Value& container, const json::Value* port) {
    const auto& ports = json::array_at(container, "ports");
    if (port == nullptr || ports.empty()) return true;
    const auto number = json::to_int(port);
    return std::ranges::any_of(ports, [&](const json::Value& each) {
        if (number) return json::int_at(each, "containerPort") == *number;
        return port->is_string() && json::string_at(each, "name") == json::view(port->get_string());
    });
}

}  // namespace

Probe::Probe(const json::Value& container, std::string_view kind) : spec(json::at(container, kind)) {
    if (spec == nullptr || !spec->is_object()) {
        spec = nullptr;
        return;
    }
    const auto seconds = [this](std::string_view key, std::int64_t otherwise) {
        return std::chrono::seconds{json::int_at(*spec, key).value_or(otherwise)};
    };
    delay = seconds("initialDelaySeconds", 0);
    period = std::max<Duration>(seconds("periodSeconds", 10), 1s);
    timeout = seconds("timeoutSeconds", 1);
    failures = static_cast<int>(json::int_at(*spec, "failureThreshold").value_or(3));
}

std::string Probe::failure(const json::Value& container, const Behaviour& behaviour) const {
    if (behaviour.probe_latency > timeout) {
        return "Get \"http://pod/\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
    }
    for (const std::string_view kind : {"httpGet", "tcpSocket", "grpc"}) {
        const auto* handler = json::at(*spec, kind);
        if (handler == nullptr) continue;
        if (!port_open(container, json::at(*handler, "port"))) return "dial tcp: connect: connection refused";
        if (kind != "httpGet" || behaviour.probe_paths.empty()) return {};
        auto path = json::string_at(*handler, "path");
        path = path.substr(0, path.find('?'));
        if (path.empty()) path = "/";
        const bool served = std::ranges::find(behaviour.probe_paths, path) != behaviour.probe_paths.end();
        return served ? "" : "HTTP probe failed with statuscode: 404";
    }
    return {};
}

Instant Probe::first_after(Instant start, Instant up) const {
    const Instant first = start + delay;
    if (up <= first) return first;
    return first + period * ((up - first + period - Duration{1}) / period);
}

}  // namespace kn::sim
