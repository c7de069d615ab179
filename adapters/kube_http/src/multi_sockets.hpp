#pragma once

#include <curl/curl.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>

namespace kn::kube::http {

/// Drives a libcurl multi handle from an io_context: its sockets and its one timer. No thread, so that a call costs no change of threads. Loop thread only;
/// libcurl's callbacks run inside kick() and inside handlers of the context.
class MultiSockets {
public:
    /// `after_work` is called whenever libcurl has done something: transfers may have ended. `multi` outlives nothing here: it is cleaned up first.
    MultiSockets(boost::asio::io_context& context, CURLM* multi, std::function<void()> after_work);
    ~MultiSockets();
    MultiSockets(const MultiSockets&) = delete;
    MultiSockets& operator=(const MultiSockets&) = delete;

    /// What every easy handle of this multi handle needs: sockets tell when they open and close.
    void prepare(CURL* easy);
    /// Does what is due now. To be called after every change of the multi handle or of a transfer.
    void kick();

private:
    using Time = std::chrono::steady_clock::time_point;
    struct Socket;
    static int on_socket(CURL* easy, curl_socket_t fd, int what, void* self, void* unused);
    static int on_timer(CURLM* multi, long ms, void* self);
    static int on_open(void* self, curl_socket_t fd, curlsocktype purpose);
    static int on_close(void* self, curl_socket_t fd);

    void want(curl_socket_t fd, int what);
    void forget(curl_socket_t fd);
    void arm(const std::shared_ptr<Socket>& socket);
    void ready(const std::shared_ptr<Socket>& socket, bool read, bool failed);
    void drive(curl_socket_t fd, int events);
    void arm_timer();

    boost::asio::io_context& context_;
    CURLM* const multi_;
    const std::function<void()> after_work_;
    std::unordered_map<curl_socket_t, std::shared_ptr<Socket>> sockets_;
    /// Those whose end on_close tells. They stay registered with the context while no transfer uses them; others (of the resolver) are closed behind our back.
    std::unordered_set<curl_socket_t> connections_;
    std::optional<Time> due_, armed_;
    std::shared_ptr<MultiSockets*> self_;  ///< for the timer's handler: null when this is gone
    boost::asio::steady_timer timer_;
};

}  // namespace kn::kube::http
