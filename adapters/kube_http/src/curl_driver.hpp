#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <unordered_map>
#include <vector>

#include "exchange.hpp"
#include "kubernaut/async/loop.hpp"
#include "multi_sockets.hpp"

namespace kn::kube::http {

/// The transfers of one libcurl multi handle, on the loop's thread: a thread of its own costs two changes of threads a call, which is more than the call.
/// Handles are used again and again, set up anew only when the connection differs.
class CurlDriver {
public:
    struct Limits {
        int host_connections = 8;
        int idle_connections = 8;
        long buffer_bytes = 16L * 1024L;  ///< of one transfer
        Duration dead_peer_after{0};      ///< streams whose peer is silent for so long end with reason PeerSilent; 0: never
    };
    CurlDriver(async::EventLoop& loop, Limits limits);
    /// Ends all transfers.
    ~CurlDriver();
    CurlDriver(const CurlDriver&) = delete;
    CurlDriver& operator=(const CurlDriver&) = delete;

    void add(std::shared_ptr<Exchange> exchange);
    /// The exchange will not be heard of again, and not one more byte of it leaves; its connection stays if it can.
    void remove(Exchange& exchange);
    /// A paused stream may go on.
    void resume(Exchange& exchange);

private:
    struct Transfer;
    using Transfers = std::unordered_map<Exchange*, std::unique_ptr<Transfer>>;

    std::unique_ptr<Transfer> transfer_for(std::shared_ptr<Exchange> exchange);
    void put_back(std::unique_ptr<Transfer> transfer);
    std::unique_ptr<Transfer> take(Transfers::iterator at);
    void collect_finished();

    void look_at(SteadyTime when);
    void look_for_dead_peers();
    void ask_for_life(const ExchangeSpec& stream);
    void probe_ended(const Transfer& probe, bool answered);

    const Limits limits_;
    CURLM* multi_;
    Transfers transfers_;
    std::vector<std::unique_ptr<Transfer>> idle_;
    std::shared_ptr<Exchange> probe_;
    MultiSockets sockets_;
    std::shared_ptr<CurlDriver*> self_;  ///< for the timer's handler
    boost::asio::steady_timer look_;
    SteadyTime look_due_{};
    bool looking_ = false;
};

}  // namespace kn::kube::http
