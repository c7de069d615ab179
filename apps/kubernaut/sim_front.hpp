#pragma once

#include <memory>
#include <string>

#include "kubernaut/net/http_server.hpp"
#include "kubernaut/sim/api/api_server.hpp"

namespace kn::app {

/// A simulated API server on a socket, for kubectl and every other client: HTTPS with a bearer token.
class SimFront {
public:
    SimFront(async::EventLoop& loop, sim::ApiServer& server, std::string listen, net::TlsFiles tls);
    Result<> start() { return server_.start(); }
    [[nodiscard]] std::uint16_t port() const { return server_.port(); }
    async::Task<> stop() { return server_.stop(Duration{500}); }

private:
    async::Task<net::HttpResponse> handle(net::HttpRequest request);
    sim::ApiServer& api_;
    async::EventLoop& loop_;
    net::HttpServer server_;
};

/// A throw-away CA-less certificate for 127.0.0.1 and localhost (ECDSA P-256, a year).
Result<net::TlsFiles> self_signed();

/// A kubeconfig with one context a cluster.
struct SimContext {
    std::string name, server, token;
};
std::string kubeconfig_of(const std::vector<SimContext>& contexts, const std::string& ca_pem);

}  // namespace kn::app
