#include "kubernaut/guard/oscillation.hpp"

#include <algorithm>

namespace kn::guard {
namespace {

struct Effect {
    double mean = 0;
    int assessed = 0;
};

Effect effect_of(const std::vector<PastAction>& actions) {
    Effect effect;
    for (const auto& action : actions) {
        if (!action.effectiveness) continue;
        effect.mean += *action.effectiveness;
        ++effect.assessed;
    }
    if (effect.assessed > 0) effect.mean /= effect.assessed;
    return effect;
}

std::vector<PastAction> within(const std::vector<PastAction>& all, Instant now, Duration window) {
    std::vector<PastAction> recent;
    for (const auto& action : all) {
        if (action.at > now - window && action.at <= now) recent.push_back(action);
    }
    return recent;
}

/// "below e": by the mean when it is known, else by the counts alone.
bool below(const Effect& effect, double limit) { return effect.assessed < 2 || effect.mean < limit; }

bool is_restart(const std::string& action) { return action == "restart_pod" || action == "restart_workload"; }
bool is_scale(const std::string& action) { return action == "scale_workload" || action == "patch_hpa"; }
bool is_resource(const std::string& action) {
    return action == "raise_memory_limit" || action == "raise_cpu_limit" || action == "resize_pod_in_place";
}
int family(const std::string& action) { return is_restart(action) ? 1 : is_scale(action) ? 2 : is_resource(action) ? 3 : 0; }

OscillationReport report(Finding finding, std::string detector, std::string text) { return {finding, std::move(detector), std::move(text)}; }

OscillationReport scale_flip(const std::vector<PastAction>& all, Instant now, Duration window) {
    std::vector<PastAction> scales;
    for (const auto& action : within(all, now, window * 3 / 2)) {
        if (action.direction != 0) scales.push_back(action);
    }
    const auto flips = [&](Duration back) {
        int count = 0;
        for (std::size_t i = 1; i < scales.size(); ++i) {
            if (scales[i].at <= now - back) continue;
            if (scales[i].direction != scales[i - 1].direction && scales[i].at - scales[i - 1].at < window / 4) ++count;
        }
        return count;
    };
    const Effect effect = effect_of(scales);
    if (flips(window / 2) >= 4 && below(effect, 0.5))
        return report(Finding::critical, "scale_flip", "replicas changed direction 4 times in " + format_duration(window / 2));
    if (flips(window) >= 3 && below(effect, 0.7))
        return report(Finding::high, "scale_flip", "replicas changed direction 3 times in " + format_duration(window));
    if (flips(window * 3 / 2) >= 2)
        return report(Finding::medium, "scale_flip", "replicas changed direction twice in " + format_duration(window * 3 / 2));
    return {};
}

OscillationReport thrash(const std::vector<PastAction>& all, Instant now, Duration window) {
    const auto recent = within(all, now, window);
    int alternations = 0;
    bool quick = false;
    for (std::size_t i = 1; i < recent.size(); ++i) {
        const int a = family(recent[i - 1].action), b = family(recent[i].action);
        const auto gap = recent[i].at - recent[i - 1].at;
        if (a == 0 || b == 0 || a == b || gap >= window * 3 / 8) continue;
        ++alternations;
        quick = quick || gap < window / 8;
    }
    const Effect effect = effect_of(recent);
    const std::string text = "resources, scale and restarts alternated " + std::to_string(alternations) + " times in " + format_duration(window);
    if (alternations >= 3 && below(effect, 0.6)) return report(Finding::critical, "thrash", text);
    if (alternations >= 2 && below(effect, 0.7)) return report(Finding::high, "thrash", text);
    if (alternations >= 1 && quick) return report(Finding::medium, "thrash", text);
    return {};
}

OscillationReport ineffective_loop(const std::vector<PastAction>& all, const std::string& next, Instant now, Duration window) {
    std::vector<PastAction> same;
    for (const auto& action : within(all, now, window)) {
        if (action.action == next) same.push_back(action);
    }
    const Effect effect = effect_of(same);
    const auto count = same.size();
    const std::string text = next + " was done " + std::to_string(count) + " times in " + format_duration(window) + " without lasting effect";
    if (count >= 5 && below(effect, 0.3)) return report(Finding::critical, "ineffective_loop", text);
    if (count >= 4 && below(effect, 0.5)) return report(Finding::high, "ineffective_loop", text);
    if (count >= 3 && below(effect, 0.6)) return report(Finding::medium, "ineffective_loop", text);
    return {};
}

OscillationReport restart_loop(const std::vector<PastAction>& all, const std::string& next, Instant now, Duration window) {
    if (!is_restart(next)) return {};
    const auto recent = within(all, now, window / 2);
    const auto count = std::count_if(recent.begin(), recent.end(), [](const auto& a) { return is_restart(a.action); });
    const std::string text = std::to_string(count) + " restarts in " + format_duration(window / 2);
    if (count >= 5) return report(Finding::critical, "restart_loop", text);
    if (count >= 4) return report(Finding::high, "restart_loop", text);
    if (count >= 3) return report(Finding::medium, "restart_loop", text);
    return {};
}

}  // namespace

OscillationReport detect_oscillation(std::vector<PastAction> history, const std::string& next, Instant now, Duration window) {
    std::sort(history.begin(), history.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
    OscillationReport worst;
    for (auto found : {scale_flip(history, now, window), thrash(history, now, window), ineffective_loop(history, next, now, window),
                       restart_loop(history, next, now, window)}) {
        if (found.finding > worst.finding) worst = std::move(found);
    }
    if (worst.finding == Finding::critical && worst.detector != "restart_loop" && effect_of(history).assessed < 2) worst.finding = Finding::high;
    return worst;
}

}  // namespace kn::guard
