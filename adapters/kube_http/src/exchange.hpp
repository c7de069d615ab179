#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kubernaut/async/signal.hpp"
#include "kubernaut/base/error.hpp"
#include "kubernaut/base/time.hpp"
#include "kubernaut/kube/request.hpp"

namespace kn::kube::http {

/// What identifies both sides of a TLS connection. Shared by all requests until a file or a credential changes.
struct TlsMaterial {
    std::string ca_pem, cert_pem, key_pem;
    bool verify = true;
};

/// What a connection is made with: transfers that agree in all of it may use the same libcurl handle one after the other.
struct ConnectionSpec {
    std::string connect_to;  ///< "host:port:real-host:real-port" when the TLS name is not the host
    std::string proxy;
    bool no_proxy = false;
    bool http2 = true;
    long connect_timeout_ms = 10'000;
    std::shared_ptr<const TlsMaterial> tls;

    bool operator==(const ConnectionSpec&) const = default;
};

/// One request as libcurl needs it.
struct ExchangeSpec {
    std::string url;
    ConnectionSpec connection;
    bool fresh_connection = false;
    bool compressed = false;  ///< gzip is offered
    Method method = Method::get;
    std::vector<std::string> headers;  ///< whole lines
    std::string body;
    std::shared_ptr<BodySink> sink;
    std::size_t max_body = 0;  ///< answers beyond this are an error
    std::string probe_url;     ///< of streams: what to ask a peer that is silent
    bool streaming = false;
    bool tell_start = false;  ///< the waiting side is told when the connection stands, not only at the end
    std::size_t max_backlog = 0;
};

/// One transfer between the coroutine that waits and libcurl's callbacks. Loop thread only.
class Exchange {
public:
    explicit Exchange(ExchangeSpec spec) : spec_(std::move(spec)) {}
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    // The waiting side.
    async::Signal& changed() { return changed_; }
    /// The connection stands and the request leaves.
    [[nodiscard]] bool started() const { return started_; }
    [[nodiscard]] bool head_ready() const { return head_ready_; }
    [[nodiscard]] bool finished() const { return finished_; }
    /// Status, headers and, unless it went elsewhere, the body. Once: after head_ready() of a stream or finished() of a request.
    [[nodiscard]] Response take_response() { return std::move(response_); }
    /// Why it ended badly; nullopt: well.
    [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }
    /// Bytes of a stream that arrived; "" when there are none. Sets `was_paused` when libcurl must be told to go on.
    [[nodiscard]] std::string take_bytes(bool& was_paused) {
        was_paused = std::exchange(paused_, false);
        return std::exchange(queued_, {});
    }
    /// May the server have acted? Only if the request left whole or in part.
    [[nodiscard]] Applied applied() const {
        const bool left = started_ && (spec_.body.empty() || body_offset_ > 0);
        return left && spec_.method != Method::get ? Applied::maybe : Applied::no;
    }
    [[nodiscard]] bool heard_anything() const { return heard_; }

    // libcurl's side. Nothing here runs a waiting coroutine before libcurl has returned.
    [[nodiscard]] const ExchangeSpec& spec() const { return spec_; }
    void mark_started() {
        started_ = true;
        if (spec_.tell_start) changed_.notify();
    }
    void on_header(std::string_view line, long status);
    enum class Intake { taken, pause, too_much, refused };
    Intake on_data(std::string_view bytes);
    std::size_t read_body(char* into, std::size_t size);
    void finish(std::optional<Error> failure);

private:
    Intake to_sink(std::string_view bytes);

    const ExchangeSpec spec_;
    async::Signal changed_;
    Response response_;
    bool started_ = false, heard_ = false, head_ready_ = false, finished_ = false, paused_ = false;
    std::size_t body_offset_ = 0, sunk_ = 0;
    std::optional<Error> failure_;
    std::string queued_;
};

}  // namespace kn::kube::http
