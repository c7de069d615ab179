#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kubernaut/domain/records.hpp"

namespace kn::assess {

/// What is known about one execution's effect.
struct Inputs {
    Truth resolved = Truth::unknown;          ///< R: no firing signal of the incident key, class evidence gone
    std::optional<double> metric;             ///< M in [0, 1]: the class's target metric improved; none = unknown
    Truth came_back = Truth::unknown;         ///< C: after R
    Truth side_effects = Truth::unknown;      ///< E
};

struct Score {
    std::optional<double> value;              ///< none when R is unknown: unassessed, never 0
    double confidence = 0;                    ///< share of the weights that is known
};

/// clamp01((.4 R + .3 M + .2 (1 - C) + .1 (1 - E) - .3 C - .2 E) / sum of the positive weights known). Unknown terms leave both sums; R = no drops the C terms.
Score score_of(const Inputs& inputs);

/// Kaplan–Meier estimate with left truncation: the probability that an episode that is still untreated at `age` heals by itself within `horizon`. None with fewer
/// than five episodes at risk. O(n log n). Source: Kaplan and Meier 1958; left truncation: Tsai, Jewell and Wang 1987.
std::optional<double> heals_by_itself(std::span<const UntreatedSpell> spells, Duration age, Duration horizon);

/// One judged execution's weight in the sums: 2^(-age / half_life) × confidence.
double weight_of(Duration age, Duration half_life, double confidence);

/// Decays the sums to `now` and adds uplift u with weight w.
Posterior updated(Posterior sums, double uplift, double confidence, Instant now, Duration half_life);

}  // namespace kn::assess
