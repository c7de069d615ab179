#include "kubernaut/sim/api/network_faults.hpp"

#include <algorithm>

namespace kn::sim {
namespace {

bool contains(const std::set<std::string, std::less<>>& patterns, std::string_view text) {
    return std::ranges::any_of(patterns, [text](const std::string& pattern) {
        if (pattern.ends_with('*')) return text.starts_with(std::string_view(pattern).substr(0, pattern.size() - 1));
        return text == pattern;
    });
}

}  // namespace

struct NetworkFaults::Rule {
    NetworkRule rule;
    std::size_t hits = 0;    ///< of anything
    std::size_t struck = 0;  ///< counted against at_most
};

NetworkFaults::NetworkFaults(RandomSource& random) : random_(random) {}
NetworkFaults::~NetworkFaults() = default;

bool NetworkFaults::matches(const TrafficFilter& filter, const Traffic& traffic) {
    if (!filter.users.empty() && !contains(filter.users, traffic.user)) return false;
    if (contains(filter.not_users, traffic.user)) return false;
    if (!filter.verbs.empty() && !contains(filter.verbs, traffic.verb)) return false;
    return filter.resources.empty() || contains(filter.resources, traffic.resource);
}

namespace {

void tell(std::vector<std::weak_ptr<NetworkFaults::Listener>>& listeners, const TrafficFilter* cut) {
    std::vector<std::shared_ptr<NetworkFaults::Listener>> alive;
    std::erase_if(listeners, [&alive](const auto& weak) {
        if (auto listener = weak.lock()) {
            alive.push_back(std::move(listener));
            return false;
        }
        return true;
    });
    for (const auto& listener : alive) (*listener)(cut);
}

}  // namespace

void NetworkFaults::set(std::string name, NetworkRule rule) {
    rules_[std::move(name)] = Rule{.rule = std::move(rule)};
    tell(listeners_, nullptr);
}

void NetworkFaults::remove(std::string_view name) {
    const auto found = rules_.find(name);
    if (found == rules_.end()) return;
    rules_.erase(found);
    tell(listeners_, nullptr);
}

void NetworkFaults::clear() {
    rules_.clear();
    tell(listeners_, nullptr);
}

void NetworkFaults::cut_streams(const TrafficFilter& match) { tell(listeners_, &match); }

std::size_t NetworkFaults::hits(std::string_view name) const {
    const auto found = rules_.find(name);
    return found == rules_.end() ? 0 : found->second.hits;
}

NetworkFaults::Decision NetworkFaults::decide(const Traffic& traffic) {
    Decision out;
    for (auto& [name, state] : rules_) {
        const auto& rule = state.rule;
        if (!matches(rule.match, traffic)) continue;
        const auto latency = rule.latency + Duration(static_cast<std::int64_t>(random_.unit() * static_cast<double>(rule.jitter.count())));
        if (latency > Duration::zero()) {
            ++state.hits;
            out.before += latency / 2;
            out.after += latency - latency / 2;
        }
        if (out.fate != Fate::deliver) continue;
        if (rule.refuse)
            out.fate = Fate::refuse;
        else if (rule.black_hole)
            out.fate = Fate::black_hole;
        if (out.fate != Fate::deliver) {
            ++state.hits;
            continue;
        }
        if (rule.at_most && state.struck >= *rule.at_most) continue;
        const double draw = random_.unit();
        double edge = 0;
        const auto falls = [&](double rate) {
            edge += rate;
            return draw < edge;
        };
        if (falls(rule.error_rate)) {
            out.fate = Fate::error;
            out.status = rule.error_status;
            out.retry_after = rule.retry_after;
        } else if (falls(rule.throttle_rate)) {
            out.fate = Fate::throttle;
            out.status = 429;
            out.retry_after = rule.retry_after;
        } else if (falls(rule.lose_request)) {
            out.fate = Fate::lose_request;
        } else if (falls(rule.lose_reply)) {
            out.fate = Fate::lose_reply;
        } else if (falls(rule.hang_reply)) {
            out.fate = Fate::hang_reply;
        }
        if (out.fate == Fate::deliver) continue;
        ++state.hits;
        ++state.struck;
    }
    return out;
}

bool NetworkFaults::frozen(const Traffic& traffic) const {
    return std::ranges::any_of(rules_, [&](const auto& entry) {
        const auto& rule = entry.second.rule;
        // A black hole swallows what comes back on open streams too.
        return (rule.freeze_watches || rule.black_hole) && matches(rule.match, traffic);
    });
}

Duration NetworkFaults::stream_delay(const Traffic& traffic) {
    Duration out{0};
    for (auto& [name, state] : rules_) {
        if (!matches(state.rule.match, traffic)) continue;
        const auto& rule = state.rule;
        out += rule.latency / 2 + Duration(static_cast<std::int64_t>(random_.unit() * static_cast<double>(rule.jitter.count()) / 2));
    }
    return out;
}

std::shared_ptr<void> NetworkFaults::subscribe(Listener listener) {
    auto shared = std::make_shared<Listener>(std::move(listener));
    listeners_.push_back(shared);
    return shared;
}

}  // namespace kn::sim
