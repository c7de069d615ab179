#include "kubernaut/analytics/judging/tabular/clustering_generators.hpp"

#include <cmath>
#include <limits>

#include "kubernaut/analytics/numerics/random.hpp"

namespace kn::analytics::judging {

PlantedFamilies planted_families(const PlantedOptions& options) {
    Rng rng(options.seed);
    PlantedFamilies out;
    MixedColumn pool{.name = "pool"}, zone{.name = "zone"}, duration{.name = "duration"}, memory{.name = "memory"};
    std::vector<MixedColumn> noise_columns(options.noise_columns);
    for (std::size_t f = 0; f < options.families; ++f) {
        out.pools.push_back(static_cast<std::int32_t>(f));
        pool.category_names.push_back("pool-" + std::to_string(f));
    }
    zone.category_names = {"zone-a", "zone-b", "zone-c"};
    for (std::size_t i = 0; i < noise_columns.size(); ++i) noise_columns[i].name = "noise-" + std::to_string(i);
    const auto maybe = [&](double value) { return rng.uniform() < options.missing ? std::numeric_limits<double>::quiet_NaN() : value; };
    const std::size_t families = std::max<std::size_t>(options.families, 1);
    for (std::size_t r = 0; r < options.rows; ++r) {
        const bool stray = rng.uniform() < options.strays;
        const std::size_t family = rng.below(families);
        out.truth.push_back(stray ? noise : static_cast<Label>(family));
        const double level = stray ? 12 * rng.uniform() : 1.5 * static_cast<double>(family);
        const double other = stray ? 12 * rng.uniform() : 1.5 * static_cast<double>((family * 7 + 3) % families);
        const bool exception = stray || rng.uniform() < 0.05;
        pool.categories.push_back(rng.uniform() < options.missing ? -1 : static_cast<std::int32_t>(exception ? rng.below(families) : family));
        zone.categories.push_back(static_cast<std::int32_t>(rng.below(3)));
        duration.numbers.push_back(maybe(std::exp(level + 0.25 * rng.normal())));
        memory.numbers.push_back(maybe(std::exp(other + 0.25 * rng.normal())));
        for (auto& column : noise_columns) column.numbers.push_back(maybe(rng.normal()));
        RunTrace run{.steps = {0, 1}, .outcome = static_cast<std::uint32_t>(rng.uniform() < 0.8 ? family % 2 : rng.below(2))};
        for (std::uint32_t s = 0; s < 4; ++s) {
            if (rng.uniform() < 0.05) continue;  // skipped now and then
            run.steps.push_back(stray ? static_cast<std::uint32_t>(2 + rng.below(4 * families)) : static_cast<std::uint32_t>(2 + 4 * family + s));
            if (rng.uniform() < 0.1) run.steps.push_back(run.steps.back());  // tried again
        }
        auto& curve = run.curves.emplace_back();
        const std::size_t length = 20 + rng.below(10);
        for (std::size_t t = 0; t < length; ++t) {
            const double x = static_cast<double>(t) / static_cast<double>(length);
            curve.push_back((family % 2 == 0 ? x : 1 - x) * (1 + static_cast<double>(family)) + 0.05 * rng.normal());
        }
        out.runs.push_back(std::move(run));
    }
    out.table.columns = {pool, zone, duration, memory};
    for (auto& column : noise_columns) out.table.columns.push_back(std::move(column));
    return out;
}

}  // namespace kn::analytics::judging
