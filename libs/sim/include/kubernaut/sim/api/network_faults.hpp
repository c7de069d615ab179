#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/ids.hpp"
#include "kubernaut/base/time.hpp"

namespace kn::sim {

/// Which requests a fault hits. Every empty set means "any", so that the product's traffic can be hit and the controllers' spared.
struct TrafficFilter {
    std::set<std::string, std::less<>> users{};      ///< "system:serviceaccount:kubernaut:hub"; an entry that ends in '*' is a prefix
    std::set<std::string, std::less<>> not_users{};  ///< the same form; spared
    std::set<std::string, std::less<>> verbs{};      ///< get list watch create update patch delete deletecollection
    std::set<std::string, std::less<>> resources{};  ///< "deployments.apps", "pods", "pods/eviction"
};

/// What the network and an overloaded server do to the requests that match. Rates are in [0, 1]; several rules add up in the order of their names.
struct NetworkRule {
    TrafficFilter match{};
    Duration latency{0}, jitter{0};  ///< added to the whole exchange: half before the server sees it, half after; watch events too
    double error_rate = 0;           ///< answered error_status without being applied
    int error_status = 503;
    double throttle_rate = 0;  ///< answered 429 (overload, no DisruptionBudget cause) without being applied
    std::optional<Duration> retry_after = Duration{1000};
    double lose_request = 0;               ///< connection reset; never reached the server
    double lose_reply = 0;                 ///< applied; connection reset before the answer
    double hang_reply = 0;                 ///< applied; no answer until the deadline of the caller
    bool refuse = false;                   ///< connection refused: certainly not applied
    bool black_hole = false;               ///< no answer until the deadline; not applied
    bool freeze_watches = false;           ///< open streams stay open and silent; events come when the rule is gone
    std::optional<std::size_t> at_most{};  ///< hits of error_rate, throttle_rate, lose_* and hang_reply after which they stop
};

/// The way between the clients of one ApiServer and the server. Applies to its in-process transports; a socket front asks decide() itself.
class NetworkFaults {
public:
    explicit NetworkFaults(RandomSource& random);
    ~NetworkFaults();
    NetworkFaults(const NetworkFaults&) = delete;
    NetworkFaults& operator=(const NetworkFaults&) = delete;

    /// Adds or replaces the rule of this name.
    void set(std::string name, NetworkRule rule);
    void remove(std::string_view name);
    void clear();
    /// Ends the open streams (watches) that match, in the middle of an event when there is one.
    void cut_streams(const TrafficFilter& match);
    /// How often a rule refused, lost, delayed or falsified something.
    [[nodiscard]] std::size_t hits(std::string_view name) const;

    enum class Fate { deliver, refuse, black_hole, lose_request, lose_reply, hang_reply, error, throttle };
    struct Decision {
        Fate fate = Fate::deliver;
        Duration before{0}, after{0};
        int status = 0;
        std::optional<Duration> retry_after{};
    };
    struct Traffic {
        std::string_view user, verb, resource;  ///< resource as in TrafficFilter; "" for paths that are no resource
    };
    Decision decide(const Traffic& traffic);
    /// For streams: silent now? late by how much? Changes wake streams through the listeners.
    [[nodiscard]] bool frozen(const Traffic& traffic) const;
    [[nodiscard]] Duration stream_delay(const Traffic& traffic);

    /// Called after every change of the rules and for cut_streams (with the filter); lives until the token is dropped.
    using Listener = std::function<void(const TrafficFilter* cut)>;
    [[nodiscard]] std::shared_ptr<void> subscribe(Listener listener);
    static bool matches(const TrafficFilter& filter, const Traffic& traffic);

private:
    struct Rule;
    RandomSource& random_;
    std::map<std::string, Rule, std::less<>> rules_;
    std::vector<std::weak_ptr<Listener>> listeners_;
};

}  // namespace kn::sim
