#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace kn::kube::http {

/// A byte proxy on the loopback between a client and a server, and what a network does to bytes. It knows nothing of what they mean, so TLS passes through.
class TcpProxy {
public:
    enum class Kind { plain, http_connect, socks5 };
    /// `port` of the loopback is where plain connections go; the other kinds are told by the client.
    explicit TcpProxy(int port, Kind kind = Kind::plain, std::string user_and_password = {});
    ~TcpProxy();
    TcpProxy(const TcpProxy&) = delete;
    TcpProxy& operator=(const TcpProxy&) = delete;

    [[nodiscard]] int port() const { return port_; }
    [[nodiscard]] int connections() const { return connections_; }
    /// What clients asked for: "host:port", as they wrote it.
    [[nodiscard]] std::vector<std::string> targets() const;
    [[nodiscard]] int refused_logins() const { return refused_logins_; }

    /// Bytes are taken and go nowhere, in both directions, on old and new connections: a dropped path whose near end still answers.
    void stall(bool on);
    /// Every piece from the server comes this much later.
    void delay_ms(int ms) { delay_ms_ = ms; }
    /// After so many more bytes from the server the connection is cut: reset, or closed as if nothing was wrong. Once.
    void cut_after(std::int64_t bytes, bool with_reset) {
        cut_with_reset_ = with_reset;
        cut_after_ = bytes;
    }
    /// Ends all open connections by a reset.
    void reset_all();

private:
    struct Pair;
    void accept_loop();
    void serve(std::shared_ptr<Pair> pair);
    void pump(Pair& pair, bool from_server);
    int dial(int client, int& upstream_port);

    const int upstream_port_;
    const Kind kind_;
    const std::string login_;
    int listener_ = -1, port_ = 0;
    std::atomic<int> connections_ = 0, refused_logins_ = 0, delay_ms_ = 0;
    std::atomic<std::int64_t> cut_after_ = -1;
    std::atomic<bool> cut_with_reset_ = false, stopping_ = false, stalled_ = false;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::shared_ptr<Pair>> pairs_;
    std::vector<std::string> targets_;
    std::vector<std::thread> threads_;
    std::thread acceptor_;
};

}  // namespace kn::kube::http
