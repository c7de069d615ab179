#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/domain/workflow.hpp"
#include "kubernaut/http_api/auth.hpp"
#include "kubernaut/intake/service.hpp"
#include "kubernaut/metrics/registry.hpp"
#include "kubernaut/net/http_server.hpp"
#include "kubernaut/ports/action_runner.hpp"
#include "kubernaut/ports/cluster_gateway.hpp"
#include "kubernaut/ports/gatekeeper.hpp"
#include "kubernaut/ports/registry_store.hpp"
#include "kubernaut/ports/wakeups.hpp"

namespace kn::http_api {

using async::Task;

struct Asset {
    std::string_view bytes;
    std::string_view content_type;
    std::string_view etag;
};

struct ApiDependencies {
    async::EventLoop& loop;
    RandomSource& random;
    ports::Stores stores;
    ports::ClusterGateway& fleet;
    intake::IntakeService& intake;
    ports::Gatekeeper& gatekeeper;
    const ports::ActionRegistry& actions;
    ports::Wakeups& wakeups;
    ports::LiveFeed& feed;
    metrics::Registry& metrics;
    AuthTable auth;
    std::function<std::vector<std::shared_ptr<const WorkflowDefinition>>()> workflows;  ///< newest versions, by id
    std::function<std::optional<Asset>(std::string_view path)> asset;                   ///< the page; may be empty
    std::function<json::Array()> analyzers;  ///< of the pattern discovery, as they did in its last run; may be empty
    std::function<bool()> draining;
    std::string version;
};

/// The whole HTTP face of a hub. One handler; loop thread only.
class Api {
public:
    explicit Api(ApiDependencies dependencies);
    ~Api();
    Task<net::HttpResponse> handle(net::HttpRequest request);
    /// From the next request on.
    void set_auth(AuthTable auth);
    /// OpenAPI 3.1, made from the table of routes.
    [[nodiscard]] json::Value openapi() const;
    /// "GET /api/v1/incidents" for every route of the table.
    [[nodiscard]] std::vector<std::string> routes() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// HTTP status of an error.
int http_status(ErrorCode code);

}  // namespace kn::http_api
