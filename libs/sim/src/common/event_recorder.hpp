#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "kubernaut/async/scope.hpp"
#include "kubernaut/async/signal.hpp"
#include "kubernaut/kube/client.hpp"

namespace kn::sim {

/// Writes Events in the background, as the real components do: repeats raise the count of the first one, and an object that makes more than 25 of them
/// is held to one in five minutes.
class EventRecorder {
public:
    enum class Form { core, events_v1 };
    EventRecorder(std::shared_ptr<kube::Client> client, std::string component, Form form);

    struct Event {
        const json::Value* object = nullptr;  ///< needs apiVersion, kind and metadata
        bool warning = false;
        std::string reason, message;
        std::string field_path{};  ///< "spec.containers{app}"
        std::string host{};        ///< kubelets only
        std::string action{};      ///< events_v1 only
    };
    void record(const Event& event);
    /// Runs until cancelled.
    async::Task<> run();

private:
    struct Known {
        std::string ns, name;
        int count = 1;
        Instant last;
    };
    struct Bucket {
        double tokens = 25;
        Instant at;
    };
    struct Item {
        std::string key, ns;
        json::Value object;
    };
    async::Task<> write(Item item);
    void forget_old(Instant now);
    std::shared_ptr<kube::Client> client_;
    std::string component_;
    Form form_;
    std::deque<Item> queue_;
    async::Signal signal_;
    std::map<std::string, Known> known_;
    std::map<std::string, Bucket> buckets_;
    std::uint64_t sequence_ = 0;
};

}  // namespace kn::sim
