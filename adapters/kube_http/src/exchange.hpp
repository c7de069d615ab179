#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
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

/// One request as libcurl needs it.
struct ExchangeSpec {
    std::string url;
    std::string connect_to;  ///< "host:port:real-host:real-port" when the TLS name is not the host
    std::string proxy;
    bool no_proxy = false;
    bool http2 = true;
    bool fresh_connection = false;
    Method method = Method::get;
    std::vector<std::string> headers;  ///< whole lines
    std::string body;
    std::shared_ptr<const TlsMaterial> tls;
    long connect_timeout_ms = 10'000;
    std::size_t max_body = 0;  ///< answers beyond this are an error
    std::string probe_url;     ///< of streams: what to ask a peer that is silent
    bool streaming = false;
    std::size_t max_backlog = 0;
};

/// One transfer between the loop thread (which waits) and a worker thread (which drives libcurl).
class Exchange : public std::enable_shared_from_this<Exchange> {
public:
    Exchange(ExchangeSpec spec, async::Executor loop) : spec_(std::move(spec)), loop_(std::move(loop)) {}
    /// For the worker's own questions: nobody waits for it.
    explicit Exchange(ExchangeSpec spec) : spec_(std::move(spec)) {}
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    // The loop's side.
    async::Signal& changed() { return changed_; }
    [[nodiscard]] bool head_ready() const {
        const std::lock_guard lock(mutex_);
        return head_ready_;
    }
    [[nodiscard]] bool finished() const {
        const std::lock_guard lock(mutex_);
        return finished_;
    }
    /// Status, headers and, unless streaming, the body. Once: after head_ready() of a stream or finished() of a request.
    [[nodiscard]] Response take_response() {
        const std::lock_guard lock(mutex_);
        return std::move(response_);
    }
    /// Why it ended badly; nullopt: well.
    [[nodiscard]] std::optional<Error> failure() const {
        const std::lock_guard lock(mutex_);
        return failure_;
    }
    /// Bytes of a stream that arrived; "" when there are none. Sets `was_paused` when the worker must be told to go on.
    [[nodiscard]] std::string take_bytes(bool& was_paused) {
        const std::lock_guard lock(mutex_);
        was_paused = std::exchange(paused_, false);
        return std::exchange(queued_, {});
    }
    /// May the server have acted? Only if the request left whole or in part.
    [[nodiscard]] Applied applied() const {
        const bool left = started_.load() && (spec_.body.empty() || body_taken_.load());
        return left && spec_.method != Method::get ? Applied::maybe : Applied::no;
    }
    /// No byte leaves after this, and the answer says whether any left before: the worker marks first and looks at the flag then, so that one of
    /// the two threads always sees the other (both orders are sequentially consistent).
    [[nodiscard]] Applied abandon() {
        abandoned_ = true;
        return applied();
    }
    [[nodiscard]] bool heard_anything() const { return heard_.load(); }

    // The worker's side.
    [[nodiscard]] const ExchangeSpec& spec() const { return spec_; }
    /// False: the loop gave up, do not send.
    [[nodiscard]] bool mark_started() {
        started_ = true;
        return !abandoned_;
    }
    void on_header(std::string_view line, long status);
    /// False: too much, give up. `pause`: keep these bytes and wait.
    enum class Intake { taken, pause, too_much };
    Intake on_data(std::string_view bytes);
    /// nullopt: the loop gave up, do not send.
    std::optional<std::size_t> read_body(char* into, std::size_t size);
    void finish(std::optional<Error> failure);

private:
    void tell_loop();

    const ExchangeSpec spec_;
    const async::Executor loop_;
    async::Signal changed_;  ///< loop thread only
    std::atomic<bool> started_ = false, body_taken_ = false, heard_ = false, told_ = false, abandoned_ = false;
    std::size_t body_offset_ = 0;  ///< worker only

    mutable std::mutex mutex_;
    Response response_;
    bool head_ready_ = false, finished_ = false, paused_ = false;
    std::optional<Error> failure_;
    std::string queued_;
};

}  // namespace kn::kube::http
