#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kubernaut/domain/incident.hpp"
#include "kubernaut/domain/records.hpp"

namespace kn::assess {

/// What is known about one execution's effect.
struct Inputs {
    Truth resolved = Truth::unknown;      ///< R: no firing signal of the incident key, class evidence gone
    std::optional<double> metric;         ///< M in [0, 1]: the class's target metric improved; none = unknown
    Truth came_back = Truth::unknown;     ///< C: after R
    Truth side_effects = Truth::unknown;  ///< E
    Truth drift = Truth::unknown;         ///< D: somebody else changed the target's spec since the action
};

struct Score {
    std::optional<double> value;  ///< none when R is unknown: unassessed, never 0
    double confidence = 0;        ///< share of the weights that is known
};

/// clamp01((.4 R + .3 M + .2 (1 - C) + .1 (1 - E) - .3 C - .2 E) / sum of the positive weights known). Unknown terms leave both sums; R = no drops the C terms.
Score score_of(const Inputs& inputs);

/// Kaplan–Meier estimate with left truncation: the probability that an episode that is still untreated at `age` heals by itself within `horizon`. None with fewer
/// than five episodes that were watched in (age, age + horizon]. A spell is at risk at t when entered < t <= left. O(n log n). Source: Kaplan and Meier 1958;
/// left truncation: Tsai, Jewell and Wang 1987.
std::optional<double> heals_by_itself(std::span<const UntreatedSpell> spells, Duration age, Duration horizon);

/// When the incident's present class was first told, without another class in between: from then on its time counts for this class.
Instant diagnosed_at(const Incident& incident);
/// The untreated time that an ended incident shows, by age since `onset` (when the trouble began, as far as anybody knows): watched from its diagnosis to the
/// first change that we made for it, or to its end. Healed only when it went away with nobody acting. None when no such time was watched.
std::optional<UntreatedSpell> untreated_spell(const Incident& incident, Instant onset, std::optional<Instant> treated_at);

/// One judged execution's weight in the sums: 2^(-age / half_life) × confidence.
double weight_of(Duration age, Duration half_life, double confidence);

/// Decays the sums to `now` and adds uplift u with weight w.
Posterior updated(Posterior sums, double uplift, double confidence, Instant now, Duration half_life);

/// Takes back what an earlier judgement gave: the sums become what they would be, had `uplift` been counted instead of `counted` at `counted_at`.
Posterior corrected(Posterior sums, double counted, double uplift, double confidence, Instant counted_at, Instant now, Duration half_life);

}  // namespace kn::assess
