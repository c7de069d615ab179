#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "kubernaut/kube/kubeconfig.hpp"
#include "test_server.hpp"

namespace kn::conformance {

/// What happens to one request on its way, or to its answer.
struct Fault {
    enum class Kind {
        answer,       ///< answered with `status`, `headers` and `body`; the server never hears of it
        reset,        ///< the connection is reset; the server never hears of it
        lose_reply,   ///< the server answers, the connection is reset before anybody hears
        hang,         ///< no answer until the client gives up
        cut_after,    ///< `bytes` of the body come, then the connection ends, inside a chunk
        stall_after,  ///< `bytes` of the body come, then nothing more
        duplicate,    ///< every piece of the body comes twice
        delay,        ///< every piece of the body comes `bytes` milliseconds late
    } kind = Kind::answer;
    std::string match{};  ///< in "METHOD target"; "" = any
    int times = 1;
    int status = 503;
    std::string headers{};  ///< whole lines with CRLF
    std::string body{};
    std::int64_t bytes = 0;
};

/// An HTTP/1.1 proxy between a client and a real API server; it holds the credentials of the upstream, so the client needs none.
class FaultProxy {
public:
    explicit FaultProxy(kube::ConnectionConfig upstream);
    /// How a client connects.
    [[nodiscard]] kube::ConnectionConfig config() const;
    /// Faults are used in the order in which they came; each as many times as it says.
    void script(Fault fault);
    /// Asked for every request that no scripted fault meets, from the proxy's threads.
    void on_request(std::function<std::optional<Fault>(const std::string&)> chooser);
    void clear();
    /// Requests that reached the proxy, "METHOD target".
    [[nodiscard]] std::vector<std::string> seen() const;
    [[nodiscard]] int count(std::string_view match) const;

private:
    std::optional<Fault> take(const std::string& what);
    bool serve(kube::http::Connection& connection, const kube::http::SeenRequest& request);

    kube::ConnectionConfig upstream_;
    mutable std::mutex mutex_;
    std::vector<Fault> faults_;
    std::function<std::optional<Fault>(const std::string&)> chooser_;
    std::vector<std::string> seen_;
    std::unique_ptr<kube::http::TestServer> server_;  ///< last: its threads use the rest
};

}  // namespace kn::conformance
