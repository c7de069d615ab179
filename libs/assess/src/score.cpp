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
        if (spell.entered >= spell.left || spell.left <= age || spell.entered >= age + horizon) continue;
        ++relevant;
        if (spell.healed && spell.left <= age + horizon) healings.push_back(spell.left);
    }
    if (relevant < 5) return std::nullopt;
    std::sort(healings.begin(), healings.end());
    healings.erase(std::unique(healings.begin(), healings.end()), healings.end());
    double survives = 1;
    for (const Duration t : healings) {
        double at_risk = 0, healed = 0;
        for (const UntreatedSpell& spell : spells) {
            if (spell.entered < t && spell.left >= t) ++at_risk;
            if (spell.healed && spell.entered < t && spell.left == t) ++healed;
        }
        if (at_risk > 0) survives *= 1 - healed / at_risk;
    }
    return 1 - survives;
}

double weight_of(Duration age, Duration half_life, double confidence) {
    return std::exp2(-static_cast<double>(age.count()) / static_cast<double>(half_life.count())) * confidence;
}

namespace {

void decay_to(Posterior& sums, Instant now, Duration half_life) {
    if (sums.n > 0 && now > sums.updated_at) {
        const double decay = weight_of(now - sums.updated_at, half_life, 1);
        sums.a *= decay;
        sums.b *= decay;
    }
    sums.updated_at = std::max(sums.updated_at, now);
}

}  // namespace

Posterior updated(Posterior sums, double uplift, double confidence, Instant now, Duration half_life) {
    decay_to(sums, now, half_life);
    sums.a += confidence * uplift;
    sums.b += confidence * (1 - uplift);
    ++sums.n;
    ++sums.version;
    return sums;
}

Posterior corrected(Posterior sums, double counted, double uplift, double confidence, Instant counted_at, Instant now, Duration half_life) {
    decay_to(sums, now, half_life);
    const double moved = weight_of(std::max(Duration{0}, now - counted_at), half_life, confidence) * (uplift - counted);
    sums.a = std::max(0.0, sums.a + moved);
    sums.b = std::max(0.0, sums.b - moved);
    ++sums.version;
    return sums;
}

Instant diagnosed_at(const Incident& incident) {
    std::optional<Instant> since;
    for (const StoryEntry& entry : incident.story) {
        if (entry.kind != "diagnosed") continue;
        if (!entry.text.starts_with(incident.fault_class + ":"))
            since.reset();
        else if (!since)
            since = entry.at;
    }
    if (since) return *since;
    // A long story has lost its beginning: what is left of it was certainly watched.
    constexpr std::size_t full_story = 200;
    return incident.story.size() >= full_story ? incident.story.front().at : incident.opened_at;
}

std::optional<UntreatedSpell> untreated_spell(const Incident& incident, Instant onset, std::optional<Instant> treated_at) {
    if (incident.fault_class.empty() || !incident.closed_at) return std::nullopt;
    if (incident.state == IncidentState::duplicate || incident.state == IncidentState::suppressed) return std::nullopt;
    const bool treated = treated_at && *treated_at < *incident.closed_at;
    // An effect goes away with its cause, and that may have been treated.
    const bool healed = !treated && incident.outcome == Outcome::self_healed && !incident.cause;
    Instant end = *incident.closed_at;
    if (treated)
        end = *treated_at;
    else if (incident.evidence_gone_since)
        end = std::min(end, *incident.evidence_gone_since);
    const Instant begin = std::max(onset, diagnosed_at(incident));
    if (end <= begin) return std::nullopt;
    return UntreatedSpell{.cluster = incident.cluster,
                          .environment = incident.environment,
                          .fault_class = incident.fault_class,
                          .entered = begin - onset,
                          .left = end - onset,
                          .healed = healed};
}

}  // namespace kn::assess
