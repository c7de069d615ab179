#include "multi_sockets.hpp"

#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "curl_setup.hpp"

namespace kn::kube::http {

namespace asio = boost::asio;

/// A socket as the context knows it. `owner` is null once libcurl has closed it.
struct MultiSockets::Socket {
    asio::posix::stream_descriptor descriptor;
    MultiSockets* owner;
    int wanted = 0;
    bool reading = false, writing = false;
};

MultiSockets::MultiSockets(asio::io_context& context, CURLM* multi, std::function<void()> after_work)
    : context_(context), multi_(multi), after_work_(std::move(after_work)), self_(std::make_shared<MultiSockets*>(this)), timer_(context) {
    (void)curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &on_socket);
    (void)curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    (void)curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &on_timer);
    (void)curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
}

MultiSockets::~MultiSockets() {
    *self_ = nullptr;
    while (!sockets_.empty()) forget(sockets_.begin()->first);
}

void MultiSockets::prepare(CURL* easy) {
    set(easy, CURLOPT_SOCKOPTFUNCTION, &on_open);
    set(easy, CURLOPT_SOCKOPTDATA, this);
    set(easy, CURLOPT_CLOSESOCKETFUNCTION, &on_close);
    set(easy, CURLOPT_CLOSESOCKETDATA, this);
}

int MultiSockets::on_open(void* self, curl_socket_t fd, curlsocktype purpose) {
    static_cast<MultiSockets*>(self)->connections_.insert(fd);
    return set_socket_options(fd, purpose);
}

int MultiSockets::on_close(void* self_, curl_socket_t fd) {
    auto* self = static_cast<MultiSockets*>(self_);
    self->connections_.erase(fd);
    self->forget(fd);
    return ::close(fd);
}

int MultiSockets::on_socket(CURL* /*easy*/, curl_socket_t fd, int what, void* self, void* /*unused*/) {
    static_cast<MultiSockets*>(self)->want(fd, what);
    return 0;
}

int MultiSockets::on_timer(CURLM* /*multi*/, long ms, void* self_) {
    auto* self = static_cast<MultiSockets*>(self_);
    self->due_.reset();
    if (ms >= 0) self->due_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
    return 0;  // kick() follows, whatever called us
}

void MultiSockets::want(curl_socket_t fd, int what) {
    const auto found = sockets_.find(fd);
    if (what == CURL_POLL_REMOVE) {
        if (found == sockets_.end()) return;
        found->second->wanted = 0;
        if (!connections_.contains(fd)) forget(fd);
        return;
    }
    auto& socket = found == sockets_.end() ? sockets_[fd] : found->second;
    if (!socket) socket = std::make_shared<Socket>(asio::posix::stream_descriptor(context_, fd), this);
    socket->wanted = what;
    arm(socket);
}

void MultiSockets::forget(curl_socket_t fd) {
    const auto found = sockets_.find(fd);
    if (found == sockets_.end()) return;
    found->second->owner = nullptr;
    found->second->descriptor.release();
    sockets_.erase(found);
}

void MultiSockets::arm(const std::shared_ptr<Socket>& socket) {
    using Wait = asio::posix::stream_descriptor;
    if ((socket->wanted & CURL_POLL_IN) != 0 && !std::exchange(socket->reading, true)) {
        socket->descriptor.async_wait(Wait::wait_read, [socket](boost::system::error_code ec) {
            socket->reading = false;
            if (socket->owner != nullptr) socket->owner->ready(socket, true, static_cast<bool>(ec));
        });
    }
    if ((socket->wanted & CURL_POLL_OUT) != 0 && !std::exchange(socket->writing, true)) {
        socket->descriptor.async_wait(Wait::wait_write, [socket](boost::system::error_code ec) {
            socket->writing = false;
            if (socket->owner != nullptr) socket->owner->ready(socket, false, static_cast<bool>(ec));
        });
    }
}

void MultiSockets::ready(const std::shared_ptr<Socket>& socket, bool read, bool failed) {
    // Nobody waits for an idle connection: what came there is looked at when it is used again.
    if ((socket->wanted & (read ? CURL_POLL_IN : CURL_POLL_OUT)) == 0) return;
    drive(socket->descriptor.native_handle(), failed ? CURL_CSELECT_ERR : read ? CURL_CSELECT_IN : CURL_CSELECT_OUT);
    if (socket->owner != nullptr) arm(socket);
}

void MultiSockets::drive(curl_socket_t fd, int events) {
    int running = 0;
    (void)curl_multi_socket_action(multi_, fd, events, &running);
    kick();
}

void MultiSockets::kick() {
    // What stays due after some rounds comes by the timer, so that other work gets its turn.
    constexpr int rounds = 16;
    for (int i = 0; i < rounds && due_ && *due_ <= std::chrono::steady_clock::now(); ++i) {
        due_.reset();
        int running = 0;
        (void)curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    after_work_();
    arm_timer();
}

void MultiSockets::arm_timer() {
    // A timer that fires too early is armed again then: libcurl moves its time to and fro several times in each transfer.
    if (!due_ || (armed_ && *armed_ <= *due_)) return;
    armed_ = due_;
    timer_.expires_at(*due_);
    timer_.async_wait([self = self_](boost::system::error_code ec) {
        if (ec || *self == nullptr) return;
        (*self)->armed_.reset();
        (*self)->kick();
    });
}

}  // namespace kn::kube::http
