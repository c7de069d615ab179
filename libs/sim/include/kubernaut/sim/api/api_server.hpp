#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/request.hpp"
#include "kubernaut/kube/resource.hpp"
#include "kubernaut/kube/transport.hpp"
#include "kubernaut/sim/api/network_faults.hpp"

namespace kn::sim {

/// Who asks. The server adds system:authenticated (or system:unauthenticated for system:anonymous) and, for service accounts, their two groups.
struct Identity {
    std::string user = "system:anonymous";
    std::vector<std::string> groups{};
};

struct ApiServerOptions {
    std::string version = "v1.36.0";
    std::size_t watch_history = 10'000;  ///< events kept for each kind; older watches and continue tokens get 410
    Duration watch_history_age = 5min;
    Duration bookmark_every = 60s;
    Duration event_ttl = 1h;  ///< Events are forgotten after this
    /// Deletes what is in a terminating namespace, as the namespace controller does. Off when a controller outside does it.
    bool namespace_cleaner = true;
    /// Creates the ServiceAccount `default` of every namespace at once (the service account controller is slower).
    bool default_service_accounts = true;
    /// Bearer token → identity, for the socket front; service account tokens of this server are known besides.
    std::map<std::string, Identity> tokens{};
    /// Oldest records beyond this are dropped from writes(), counted by dropped_writes().
    std::size_t write_log_limit = 1'000'000;
    /// Which writes to keep in writes(); empty = all. Hundreds of clusters that live for days leave out leases and events here.
    std::function<bool(std::string_view user, std::string_view resource)> keep_write{};
};

/// One mutating request as the server saw it, successful or not. Truth for "no effect was doubled, nothing else was touched".
struct WriteRecord {
    Instant time;
    std::string user;
    std::string manager;   ///< fieldManager of the request
    std::string verb;      ///< create update patch delete deletecollection
    std::string resource;  ///< "deployments.apps"
    std::string ns, name;
    std::string subresource;  ///< "", "status", "scale", "eviction", "binding", ...
    bool dry_run = false;
    int code = 0;                        ///< HTTP status of the answer, whether or not it reached the caller
    bool changed = false;                ///< stored state is different now
    std::uint64_t resource_version = 0;  ///< of the stored state afterwards
    std::string body;                    ///< of the request, cut at 4 KiB
};

/// A Kubernetes API server of one cluster, in memory. Loop thread only; time is the loop's clock. Everything that a client can see goes through handle()
/// and open(), whichever way the request came, so in-process clients and HTTPS clients meet the same server.
class ApiServer {
public:
    ApiServer(async::EventLoop& loop, RandomSource& random, ApiServerOptions options = {});
    ~ApiServer();
    ApiServer(const ApiServer&) = delete;
    ApiServer& operator=(const ApiServer&) = delete;

    /// In process, under this identity, through network(). Transports may outlive the server: their requests then fail as refused connections.
    std::shared_ptr<kube::Transport> transport(Identity identity);

    /// One exchange, answered at once. Method names other than kube::Method's are given in `raw_method` ("HEAD").
    kube::Response handle(const kube::Request& request, const Identity& identity, std::string_view raw_method = {});
    /// True when the answer arrives over time: open() must be used (watches, followed logs).
    [[nodiscard]] bool is_stream(const kube::Request& request) const;
    /// A stream; a refused one has head().status != 200 and the Status as its body. It may outlive the server (it ends then).
    std::unique_ptr<kube::Stream> open(const kube::Request& request, const Identity& identity);
    /// Another bearer token for the socket front.
    void add_token(std::string token, Identity identity);
    /// The identity behind a bearer token; nullopt: answer 401 (unauthorized()).
    [[nodiscard]] std::optional<Identity> authenticate(std::string_view bearer_token) const;
    static kube::Response unauthorized();

    NetworkFaults& network();

    /// The text of a container's log. Errors: not_found, failed_precondition, invalid_argument with the server's words (→ 404, 400, 400).
    struct LogQuery {
        std::string ns, pod, container;
        bool previous = false;
        int tail_lines = -1;  ///< -1 = all
    };
    void set_log_source(std::function<Result<std::string>(const LogQuery&)> source);
    /// Serves every path below `prefix` ("/apis/metrics.k8s.io/v1beta1") by this function, after RBAC; discovery lists the resources given.
    void add_api(std::string prefix, std::vector<kube::Resource> resources,
                 std::function<kube::Response(const kube::Request&, const Identity&)> handler);

    /// Every watch and continue token of before becomes too old.
    void compact();
    /// Ends all open watches as a restarting server does, and forgets the watch history (a watch from before gets 410).
    void restart();

    // Ground truth, past RBAC and unseen by the write log.
    [[nodiscard]] const json::Value* peek(const kube::Resource& resource, std::string_view ns, std::string_view name) const;
    [[nodiscard]] std::vector<const json::Value*> peek_all(const kube::Resource& resource, std::string_view ns = {}) const;
    [[nodiscard]] std::uint64_t resource_version() const;
    [[nodiscard]] const std::deque<WriteRecord>& writes() const;
    [[nodiscard]] std::size_t dropped_writes() const;
    void clear_writes();

    struct Counters {
        std::uint64_t reads = 0, writes = 0, watches = 0, watch_events = 0, refused = 0;
        std::size_t open_watches = 0, objects = 0;
    };
    [[nodiscard]] Counters counters() const;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace kn::sim
