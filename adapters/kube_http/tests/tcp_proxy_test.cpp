// The proxy of these tests (named *_test.cpp so that the test program has it).
#include "tcp_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "kubernaut/base/hash.hpp"

namespace kn::kube::http {
namespace {

int dial_loopback(int port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
    ::close(fd);
    return -1;
}

bool send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

bool receive(int fd, std::string& into, std::size_t count) {
    into.resize(count);
    std::size_t have = 0;
    while (have < count) {
        const auto more = ::recv(fd, into.data() + have, count - have, 0);
        if (more <= 0) return false;
        have += static_cast<std::size_t>(more);
    }
    return true;
}

std::string receive_head(int fd) {
    std::string head;
    char c = 0;
    while (!head.ends_with("\r\n\r\n") && head.size() < 16384 && ::recv(fd, &c, 1, 0) == 1) head += c;
    return head;
}

void set_hard(int fd) {
    const linger hard{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

}  // namespace

struct TcpProxy::Pair {
    int client = -1, server = -1;
    std::mutex closing;
    bool closed = false;

    void close_both(bool with_reset) {
        const std::lock_guard lock(closing);
        if (closed) return;
        closed = true;
        for (const int fd : {client, server}) {
            if (fd < 0) continue;
            if (with_reset) set_hard(fd);
            ::shutdown(fd, with_reset ? SHUT_RD : SHUT_RDWR);
        }
    }
    ~Pair() {
        if (client >= 0) ::close(client);
        if (server >= 0) ::close(server);
    }
};

TcpProxy::TcpProxy(int port, Kind kind, std::string login) : upstream_port_(port), kind_(kind), login_(std::move(login)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0) throw std::runtime_error("bind");
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    ::listen(listener_, 64);
    acceptor_ = std::thread([this] { accept_loop(); });
}

TcpProxy::~TcpProxy() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
        const std::lock_guard lock(mutex_);
        for (const auto& pair : pairs_) pair->close_both(false);
        changed_.notify_all();
    }
    for (auto& thread : threads_) thread.join();
    ::close(listener_);
}

std::vector<std::string> TcpProxy::targets() const {
    const std::lock_guard lock(mutex_);
    return targets_;
}

void TcpProxy::stall(bool on) {
    const std::lock_guard lock(mutex_);
    stalled_ = on;
    changed_.notify_all();
}

void TcpProxy::reset_all() {
    const std::lock_guard lock(mutex_);
    for (const auto& pair : pairs_) pair->close_both(true);
    pairs_.clear();
    changed_.notify_all();
}

void TcpProxy::accept_loop() {
    while (!stopping_) {
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) continue;
        ++connections_;
        auto pair = std::make_shared<Pair>();
        pair->client = fd;
        const std::lock_guard lock(mutex_);
        pairs_.push_back(pair);
        threads_.emplace_back([this, pair] { serve(pair); });
    }
}

/// What the client says before its own bytes begin; the connected server, or -1.
int TcpProxy::dial(int client, int& upstream_port) {
    const auto note = [this](std::string target) {
        const std::lock_guard lock(mutex_);
        targets_.push_back(std::move(target));
    };
    if (kind_ == Kind::http_connect) {
        const auto head = receive_head(client);
        const auto target = head.substr(8, head.find(' ', 8) - 8);  // "CONNECT host:port HTTP/1.1"
        note(target);
        if (!login_.empty() && !head.contains("Basic " + base64_encode(login_) + "\r\n")) {
            ++refused_logins_;
            send_all(
                client,
                "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            return -1;
        }
        upstream_port = std::atoi(target.substr(target.rfind(':') + 1).c_str());
        const int server = dial_loopback(upstream_port);
        send_all(client, server < 0 ? "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n" : "HTTP/1.1 200 Connection established\r\n\r\n");
        return server;
    }
    if (kind_ == Kind::socks5) {  // RFC 1928, and 1929 for the login
        std::string bytes;
        if (!receive(client, bytes, 2) || bytes[0] != 5) return -1;
        const auto methods_count = static_cast<unsigned char>(bytes[1]);
        if (!receive(client, bytes, methods_count)) return -1;
        const char method = login_.empty() ? 0 : 2;
        if (!bytes.contains(method)) {
            ++refused_logins_;
            send_all(client, std::string("\x05\xff", 2));
            return -1;
        }
        send_all(client, std::string{5, method});
        if (method == 2) {
            std::string user, password;
            if (!receive(client, bytes, 2) || !receive(client, user, static_cast<unsigned char>(bytes[1])) || !receive(client, bytes, 1) ||
                !receive(client, password, static_cast<unsigned char>(bytes[0]))) {
                return -1;
            }
            const bool good = user + ":" + password == login_;
            send_all(client, std::string{1, static_cast<char>(good ? 0 : 1)});
            if (!good) return ++refused_logins_, -1;
        }
        if (!receive(client, bytes, 4)) return -1;
        std::string host;
        if (bytes[3] == 1) {
            if (!receive(client, bytes, 4)) return -1;
            host = std::to_string(static_cast<unsigned char>(bytes[0])) + ".x.x." + std::to_string(static_cast<unsigned char>(bytes[3]));
        } else if (bytes[3] == 3) {
            if (!receive(client, bytes, 1) || !receive(client, host, static_cast<unsigned char>(bytes[0]))) return -1;
        } else {
            return -1;
        }
        if (!receive(client, bytes, 2)) return -1;
        upstream_port = static_cast<unsigned char>(bytes[0]) * 256 + static_cast<unsigned char>(bytes[1]);
        note(host + ":" + std::to_string(upstream_port));
        const int server = dial_loopback(upstream_port);
        send_all(client, std::string{5, static_cast<char>(server < 0 ? 5 : 0), 0, 1, 0, 0, 0, 0, 0, 0});
        return server;
    }
    return dial_loopback(upstream_port_);
}

void TcpProxy::serve(std::shared_ptr<Pair> pair) {
    int port = upstream_port_;
    const int server = dial(pair->client, port);
    {
        const std::lock_guard lock(pair->closing);
        pair->server = server;
        if (server < 0) {
            ::shutdown(pair->client, SHUT_RDWR);
            pair->closed = true;
            return;
        }
    }
    std::thread back([this, &pair] { pump(*pair, true); });
    pump(*pair, false);
    back.join();
    const std::lock_guard lock(mutex_);
    std::erase(pairs_, pair);
}

void TcpProxy::pump(Pair& pair, bool from_server) {
    const int from = from_server ? pair.server : pair.client, to = from_server ? pair.client : pair.server;
    std::array<char, 16384> buffer;
    while (!stopping_) {
        const auto count = ::recv(from, buffer.data(), buffer.size(), 0);
        if (count <= 0) break;
        std::string_view bytes(buffer.data(), static_cast<std::size_t>(count));
        {
            std::unique_lock lock(mutex_);
            if (from_server && delay_ms_ > 0) changed_.wait_for(lock, std::chrono::milliseconds(delay_ms_), [this] { return stopping_.load(); });
            changed_.wait(lock, [this, &pair] { return !stalled_ || stopping_ || pair.closed; });
        }
        if (stopping_ || pair.closed) break;
        if (from_server && cut_after_ >= 0) {
            const auto left = cut_after_.fetch_sub(count);
            if (left >= 0 && left <= count) {
                cut_after_ = -1;
                send_all(to, bytes.substr(0, static_cast<std::size_t>(left)));
                pair.close_both(cut_with_reset_);
                break;
            }
        }
        if (!send_all(to, bytes)) break;
    }
    pair.close_both(false);
}

}  // namespace kn::kube::http
