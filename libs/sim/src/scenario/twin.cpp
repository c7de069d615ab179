#include "kubernaut/sim/scenario/cluster.hpp"

namespace kn::sim {
namespace {

async::Task<Result<TwinResult>> play(SimCluster* cluster, Scenario* scenario, Duration horizon) {
    auto& clock = cluster->client()->clock();
    const auto soon = [&] { return clock.deadline_in(2h); };
    KN_CO_CHECK(co_await cluster->start());
    KN_CO_CHECK(co_await scenario->deploy(cluster->stage(), soon()));
    KN_CO_CHECK(co_await scenario->inject(cluster->stage(), soon()));
    const Instant injected = clock.now();
    TwinResult out;
    std::optional<Instant> since;
    while (clock.now() - injected < horizon) {
        co_await async::sleep_for(clock, 15s);
        KN_CO_TRY(const auto verdict, co_await scenario->check(cluster->stage(), soon()));
        since = verdict.cured_at;
    }
    // Healed means healed for good: cured at the end of the horizon.
    out.healed = since.has_value();
    if (since) out.after = *since - injected;
    co_return out;
}

}  // namespace

Result<TwinResult> run_twin(std::string_view yaml, std::uint64_t seed, Duration horizon) {
    KN_TRY(auto scenario, Scenario::parse(yaml, seed));
    const auto loop = async::EventLoop::simulated(Instant{std::chrono::sys_days{std::chrono::year{2026} / 1 / 5}});
    SeededRandom random(seed);
    SimCluster cluster(*loop, random, {.name = "twin"});
    auto result = loop->block_on(play(&cluster, &scenario, horizon));
    cluster.stop();
    loop->block_on(cluster.join());
    return result;
}

}  // namespace kn::sim
