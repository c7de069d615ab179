#include "kubernaut/assess/score.hpp"

#include <algorithm>
#include <cmath>

namespace kn::assess {

Score score_of(const Inputs& inputs) {
    if (inputs.resolved == Truth::unknown) return {};
    double sum = 0, known = 0;
    const auto add = [&](double weight, double value) {
        sum += weight * value;
        known += weight;
    };
    add(0.4, inputs.resolved == Truth::yes ? 1 : 0);
    if (inputs.metric) add(0.3, std::clamp(*inputs.metric, 0.0, 1.0));
    if (inputs.resolved == Truth::yes && inputs.came_back != Truth::unknown) {
        add(0.2, inputs.came_back == Truth::yes ? 0 : 1);
        if (inputs.came_back == Truth::yes) sum -= 0.3;
    }
    if (inputs.side_effects != Truth::unknown) {
        add(0.1, inputs.side_effects == Truth::yes ? 0 : 1);
        if (inputs.side_effects == Truth::yes) sum -= 0.2;
    }
    // With R = no the C terms say nothing, so their weight is not missing either.
    const double whole = inputs.resolved == Truth::no ? 0.8 : 1.0;
    return {.value = std::clamp(sum / known, 0.0, 1.0), .confidence = known / whole};
}

std::optional<double> heals_by_itself(std::span<const UntreatedSpell> spells, Duration age, Duration horizon) {
    std::vector<Duration> healings;
    int relevant = 0;
    for (const UntreatedSpell& spell : spells) {
        if (spell.left > age) ++relevant;
        if (spell.healed && spell.left > age && spell.left <= age + horizon) healings.push_back(spell.left);
    }
    if (relevant < 5) return std::nullopt;
    std::sort(healings.begin(), healings.end());
    healings.erase(std::unique(healings.begin(), healings.end()), healings.end());
    double survives = 1;
    for (const Duration t : healings) {
        double at_risk = 0, healed = 0;
        for (const UntreatedSpell& spell : spells) {
            if (spell.entered < t && spell.left >= t) ++at_risk;
            if (spell.healed && spell.left == t) ++healed;
        }
        if (at_risk > 0) survives *= 1 - healed / at_risk;
    }
    return 1 - survives;
}

double weight_of(Duration age, Duration half_life, double confidence) {
    return std::exp2(-static_cast<double>(age.count()) / static_cast<double>(half_life.count())) * confidence;
}

Posterior updated(Posterior sums, double uplift, double confidence, Instant now, Duration half_life) {
    if (sums.n > 0 && now > sums.updated_at) {
        const double decay = std::exp2(-static_cast<double>((now - sums.updated_at).count()) / static_cast<double>(half_life.count()));
        sums.a *= decay;
        sums.b *= decay;
    }
    sums.a += confidence * uplift;
    sums.b += confidence * (1 - uplift);
    ++sums.n;
    ++sums.version;
    sums.updated_at = now;
    return sums;
}

}  // namespace kn::assess
