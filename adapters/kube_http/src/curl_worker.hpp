#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "exchange.hpp"

namespace kn::kube::http {

/// One thread with one libcurl multi handle. add, remove and resume come from the loop thread and return at once.
class CurlWorker {
public:
    struct Limits {
        int host_connections = 8;
        int idle_connections = 8;
        Duration dead_peer_after{0};  ///< streams whose peer is silent for so long end with reason PeerSilent; 0: never
    };
    CurlWorker(std::string name, Limits limits);
    /// Ends all transfers and joins the thread.
    ~CurlWorker();
    CurlWorker(const CurlWorker&) = delete;
    CurlWorker& operator=(const CurlWorker&) = delete;

    void add(std::shared_ptr<Exchange> exchange);
    /// The exchange will not be heard of again; its connection stays if it can.
    void remove(std::shared_ptr<Exchange> exchange);
    /// A paused stream may go on.
    void resume(std::shared_ptr<Exchange> exchange);

private:
    struct Transfer;
    struct Command {
        enum class Kind { add, remove, resume } kind;
        std::shared_ptr<Exchange> exchange;
    };
    void post(Command command);
    void run();
    bool take_commands(std::vector<Command>& into);
    void start(const std::shared_ptr<Exchange>& exchange);
    void collect_finished();
    void look_for_dead_peers();
    void probe_ended(const Transfer& probe, bool answered);

    const Limits limits_;
    std::shared_ptr<Exchange> probe_;  ///< worker thread only
    void* multi_ = nullptr;
    std::mutex mutex_;
    std::vector<Command> commands_;
    bool stopping_ = false;
    std::unordered_map<Exchange*, std::unique_ptr<Transfer>> transfers_;  ///< worker thread only
    std::thread thread_;
};

}  // namespace kn::kube::http
