#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::net {

using async::Task;

struct HttpRequest {
    std::string method;                                        ///< upper case
    std::string path;                                          ///< percent-decoded
    std::vector<std::pair<std::string, std::string>> query;    ///< decoded, in order
    std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
    std::string body;
    std::string peer;  ///< address of the other side
    bool loopback = false;
    std::string client_name;  ///< CN of a verified client certificate, or ""

    [[nodiscard]] std::string_view header(std::string_view lower_case_name) const;
    [[nodiscard]] std::string_view param(std::string_view name) const;
};

/// A body that comes over time. next() gives the next piece or nullopt at the end; it is cancelled when the reader goes away.
class BodyStream {
public:
    virtual ~BodyStream() = default;
    virtual Task<std::optional<std::string>> next() = 0;
};

struct HttpResponse {
    int status = 200;
    std::string content_type = "application/json";
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::unique_ptr<BodyStream> stream;  ///< instead of body: sent in chunks as it comes
};

using Handler = std::function<Task<HttpResponse>(HttpRequest)>;

struct TlsFiles {
    std::string cert_pem, key_pem, client_ca_pem;  ///< texts; client_ca_pem "" = client certificates are not asked for
    bool require_client_cert = false;
};

struct ServerOptions {
    std::string listen = "127.0.0.1:0";  ///< "host:port"; port 0 = any free one
    std::optional<TlsFiles> tls;
    std::uint64_t body_limit = 10U << 20U;  ///< larger bodies are answered 413
    Duration header_timeout = 10s, body_timeout = 30s, idle_timeout = 75s, write_timeout = 30s;
    std::size_t max_connections = 4'096;  ///< beyond it connections wait in the kernel's queue
};

/// Runs on the loop; sessions are tasks of its own scope.
class HttpServer {
public:
    HttpServer(async::EventLoop& loop, ServerOptions options, Handler handler);
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    /// Binds and accepts. The error says what to do about a port in use or a bad certificate.
    Result<> start();
    [[nodiscard]] std::uint16_t port() const;
    /// New certificates for new connections; the old ones stay when these are bad.
    Result<> reload_tls(const TlsFiles& tls);
    /// No new connections; requests in flight get `drain` to finish. May be called twice.
    Task<> stop(Duration drain);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// "host:port" split; the host may be "[::1]".
Result<std::pair<std::string, std::uint16_t>> split_address(std::string_view text);

}  // namespace kn::net
