#include "kubernaut/kube/adaptive_rate.hpp"

#include <algorithm>
#include <chrono>

#include "kubernaut/kube/status.hpp"

namespace kn::kube {
namespace {

constexpr Duration window = 1s;
/// Refusals of requests that were on their way together are one refusal.
constexpr Duration cut_pause = 1s;
/// The server is asked at least so often, or it would never be found well again.
constexpr double least_rate = 0.5;
/// Grows by this part of the rate that was too much, each second: back after five seconds, free of limits after fifteen.
constexpr double growth = 0.1, free_at = 2;
constexpr Duration longest_retry_after = 30s;
/// Requests are of a few dozen kinds; a path full of names must not fill the memory.
constexpr std::size_t most_kinds = 512;
constexpr std::string_view level_header = "x-kubernetes-pf-prioritylevel-uid";

/// Method, group and resource: what flow schemas look at, for one user.
std::string kind_of_request(const Request& request) {
    std::string_view rest = request.path;
    const auto take = [&rest] {
        while (rest.starts_with('/')) rest.remove_prefix(1);
        const auto part = rest.substr(0, rest.find('/'));
        rest.remove_prefix(part.size());
        return part;
    };
    const auto root = take();
    std::string kind(to_string(request.method));
    const std::string_view group = root == "apis" ? take() : std::string_view{};
    (void)take();  // the version
    auto resource = take();
    if (resource == "namespaces" && !rest.empty()) {
        const auto name_end = rest.find('/', 1);
        if (name_end != std::string_view::npos && name_end + 1 < rest.size()) {
            (void)take();
            resource = take();
        }
    }
    kind.append(" ").append(root).append("/").append(group).append("/").append(resource);
    return kind;
}

double seconds(SteadyTime from, SteadyTime to) { return std::chrono::duration<double>(to - from).count(); }

SteadyTime after(SteadyTime at, double s) { return at + std::chrono::duration_cast<SteadyTime::duration>(std::chrono::duration<double>(s)); }

}  // namespace

AdaptiveRate::Level& AdaptiveRate::level_of(const Request& request) {
    const auto found = level_names_.find(kind_of_request(request));
    return levels_[found == level_names_.end() ? std::string() : found->second];
}

double AdaptiveRate::limit_of(const Request& request) const {
    const auto name = level_names_.find(kind_of_request(request));
    const auto level = levels_.find(name == level_names_.end() ? std::string_view{} : std::string_view(name->second));
    return level == levels_.end() ? 0 : level->second.rate;
}

/// What the server served in the last second is what it can.
void AdaptiveRate::turn_window(Level& level, SteadyTime now) {
    if (now - level.window >= 2 * window) {
        level.before = level.in_window = 0;
        level.window = now;
    } else if (now - level.window >= window) {
        level.before = std::exchange(level.in_window, 0);
        level.window += window;
    }
}

void AdaptiveRate::grow(Level& level, SteadyTime now) {
    if (level.rate <= 0 || now <= level.grown) return;
    level.rate += growth * level.known_good * seconds(level.grown, now);
    level.grown = now;
    if (level.rate >= free_at * level.known_good) level.rate = 0;
}

SteadyTime AdaptiveRate::reserve(const Request& request, SteadyTime now) {
    Level& level = level_of(request);
    grow(level, now);
    const auto at = std::max(now, level.next);
    if (level.rate > 0) level.next = after(at, 1 / level.rate);
    return at;
}

void AdaptiveRate::heard(const Request& request, const Response& response, SteadyTime now) {
    if (const auto name = response.header(level_header); !name.empty()) {
        auto kind = kind_of_request(request);
        if (level_names_.size() >= most_kinds && !level_names_.contains(kind)) {
            level_names_.clear();
            levels_.clear();
        }
        level_names_.insert_or_assign(std::move(kind), std::string(name));
    }
    if (response.status != 429) {
        Level& level = level_of(request);
        turn_window(level, now);
        ++level.in_window;
        return;
    }
    // A budget's 429 is no overload.
    if (error_from(response, request.method).reason == "DisruptionBudget") return;
    refused(level_of(request), response, now);
}

void AdaptiveRate::refused(Level& level, const Response& response, SteadyTime now) {
    if (const auto wait = error_from(response, Method::get).retry_after)
        level.next = std::max(level.next, now + std::min<Duration>(std::chrono::floor<Duration>(*wait), longest_retry_after));
    turn_window(level, now);
    if (level.cut != SteadyTime{} && now - level.cut < cut_pause) return;
    level.known_good = std::max({static_cast<double>(level.in_window), static_cast<double>(level.before), 1.0});
    level.rate = std::max(least_rate, level.known_good / 2);
    level.known_good = std::max(level.known_good, 2 * least_rate);
    level.cut = level.grown = now;
}

}  // namespace kn::kube
