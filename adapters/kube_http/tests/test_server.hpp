#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace kn::kube::http {

struct SeenRequest {
    std::string method, target, body;
    std::map<std::string, std::string> headers;  ///< names in lower case
    int connection = 0;                          ///< counted from 1
};

/// One accepted connection, for the handler to misbehave on.
class Connection {
public:
    virtual ~Connection() = default;
    virtual void send(std::string_view bytes) = 0;
    /// Closes with a RST.
    virtual void reset() = 0;
    /// True when the client closed; waits until then or `limit_ms`.
    virtual bool wait_for_close(int limit_ms) = 0;
    void answer(int status, std::string_view body, std::string_view extra_headers = {});
};

/// PEM texts of a throw-away authority and certificates that it signed.
struct TestPki {
    std::string ca_cert, server_cert, server_key, client_cert, client_key;
    static const TestPki& instance();
};

/// A real HTTP/1.1 server on the loopback, a thread a connection. The handler returns false to close the connection.
class TestServer {
public:
    using Handler = std::function<bool(Connection&, const SeenRequest&)>;
    enum class Tls { none, server, mutual };
    explicit TestServer(Handler handler, Tls tls = Tls::none);
    ~TestServer();
    TestServer(const TestServer&) = delete;
    TestServer& operator=(const TestServer&) = delete;

    [[nodiscard]] std::string url() const;
    [[nodiscard]] int port() const { return port_; }
    [[nodiscard]] std::vector<SeenRequest> seen() const;
    [[nodiscard]] int connections() const { return connections_; }

private:
    void accept_loop();
    void serve(int fd, int number);
    Handler handler_;
    Tls tls_;
    int listener_ = -1, port_ = 0;
    void* ssl_context_ = nullptr;
    std::atomic<int> connections_ = 0;
    std::atomic<bool> stopping_ = false;
    mutable std::mutex mutex_;
    std::vector<SeenRequest> seen_;
    std::vector<int> open_;
    std::vector<std::thread> threads_;
    std::thread acceptor_;
};

/// A port on which nobody listens.
int unused_port();

}  // namespace kn::kube::http
