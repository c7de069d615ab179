#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kubernaut/async/signal.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::ports {

/// "Look at the store again": how the stages of one process wake each other without knowing each other. A lost wake-up only costs time, since every
/// stage also looks by itself at least once a second.
struct Wakeups {
    async::Signal signals;      ///< intake → correlation
    async::Signal incidents;    ///< correlation, engine, approvals → incident driver
    async::Signal executions;   ///< incident driver, API → engine
    async::Signal assessments;  ///< engine → assess
};

/// Live changes for the API's event stream: kind is "incident", "execution", "cluster", "approval" or "story".
class LiveFeed {
public:
    using Listener = std::function<void(std::string_view kind, const json::Value& document)>;
    std::size_t subscribe(Listener listener) {
        listeners_.emplace_back(++last_, std::move(listener));
        return last_;
    }
    void unsubscribe(std::size_t id) {
        std::erase_if(listeners_, [id](const auto& entry) { return entry.first == id; });
    }
    [[nodiscard]] bool watched() const { return !listeners_.empty(); }
    void publish(std::string_view kind, const json::Value& document) {
        const auto listeners = listeners_;
        for (const auto& [id, listener] : listeners) listener(kind, document);
    }

private:
    std::vector<std::pair<std::size_t, Listener>> listeners_;
    std::size_t last_ = 0;
};

}  // namespace kn::ports
