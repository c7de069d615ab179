#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "kubernaut/net/http_server.hpp"
#include "kubernaut/sim/api/api_server.hpp"

namespace kn::app {

/// `metrics`: the text that Prometheus scrapes from /metrics. For tests: called before a request is carried out, and after it, before the answer leaves.
struct SimTap {
    std::function<void(const kube::Request&, const sim::Identity&)> before, after;
    std::function<std::string()> metrics;
};

/// A simulated API server on a socket, for kubectl and every other client: HTTPS with a bearer token.
class SimFront {
public:
    SimFront(async::EventLoop& loop, sim::ApiServer& server, std::string listen, net::TlsFiles tls, SimTap tap = {});
    Result<> start() { return server_.start(); }
    [[nodiscard]] std::uint16_t port() const { return server_.port(); }
    async::Task<> stop() { return server_.stop(Duration{500}); }

private:
    async::Task<net::HttpResponse> handle(net::HttpRequest request);
    sim::ApiServer& api_;
    async::EventLoop& loop_;
    SimTap tap_;
    net::HttpServer server_;
};

/// A throw-away CA-less certificate for 127.0.0.1 and localhost (ECDSA P-256). One that ends in the past has been valid for a day before that.
Result<net::TlsFiles> self_signed(std::chrono::seconds valid_for = std::chrono::hours{365 * 24});

/// A kubeconfig with one context a cluster.
struct SimContext {
    std::string name, server, token;
};
std::string kubeconfig_of(const std::vector<SimContext>& contexts, const std::string& ca_pem);

}  // namespace kn::app
