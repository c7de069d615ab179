#pragma once

#include <memory>
#include <optional>
#include <string>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/kube/kubeconfig.hpp"
#include "kubernaut/kube/transport.hpp"

namespace kn::kube {

struct HttpOptions {
    std::string user_agent = "kubernaut";
    Duration connect_timeout = 10s;  ///< name, TCP and TLS together
    int max_connections = 6;         ///< for requests; at least 4, of 40 kB each. Streams have their own
    bool http2 = true;               ///< offered by ALPN for streams, and for requests when many are under way; HTTP/1.1 otherwise
    bool http2_requests = false;     ///< for all requests
    /// gzip for large answers. Not by default for servers on this machine: packing costs both sides more than the bytes.
    std::optional<bool> compression = std::nullopt;
    std::size_t max_response_bytes = 256U << 20U;
    std::size_t max_stream_backlog = 4U << 20U;  ///< unread bytes after which a stream is paused
    Duration dead_peer_after = 15s;              ///< silence after which an open stream's server is given up; asked at half of it. 0: never
    Duration file_reread = 60s;                  ///< token and certificate files
    Duration exec_timeout = 10s;
    std::size_t exec_max_output = 1U << 20U;  ///< of a credential plug-in; more is a flood, and it is killed
    Duration exec_retry_pause = 5s;           ///< after a failed plug-in run, before the next
};

/// A transport to one API server with one identity. No I/O happens here; files and plug-ins are read with the first request.
std::shared_ptr<Transport> make_http_transport(ConnectionConfig config, HttpOptions options, async::EventLoop& loop);

}  // namespace kn::kube
