#include "kubernaut/store/housekeeper.hpp"

#include <algorithm>
#include <map>

#include "kubernaut/base/log.hpp"

namespace kn {

Housekeeper::Housekeeper(async::EventLoop& loop, sql::SqlStores& stores, metrics::Registry& metrics, HousekeepingOptions options)
    : loop_(loop), stores_(stores), metrics_(metrics), options_(options), scope_(loop.executor()) {}

void Housekeeper::start() {
    scope_.spawn("retention", clean());
    scope_.spawn("dead letters", look());
    scope_.spawn("statistics", analyze());
}

async::Task<Result<std::int64_t>> Housekeeper::clean_once() {
    async::Clock& clock = loop_.clock();
    std::int64_t all = 0;
    for (int i = 0; i < options_.batches; ++i) {
        KN_CO_TRY(const std::int64_t deleted, co_await stores_.retain(options_.retention, options_.batch, clock.deadline_in(30s)));
        if (deleted == 0) break;
        all += deleted;
        metrics_.counter("kubernaut_store_rows_deleted_total", "old rows that retention has deleted").add(static_cast<double>(deleted));
        co_await async::sleep_for(clock, options_.pause);
    }
    co_return all;
}

async::Task<> Housekeeper::clean() {
    async::Clock& clock = loop_.clock();
    while (true) {
        const auto deleted = co_await clean_once();
        if (!deleted)
            log::warning("old rows could not be deleted", {{"error", deleted.error().describe()}});
        else if (*deleted > 0)
            log::info("old rows deleted", {{"rows", *deleted}});
        co_await async::sleep_for(clock, options_.every);
    }
}

/// Soon after the start, when an empty database has its first rows, and then now and again.
async::Task<> Housekeeper::analyze() {
    async::Clock& clock = loop_.clock();
    for (Duration wait = 10s;; wait = std::min<Duration>(wait * 3, 1h)) {
        co_await async::sleep_for(clock, wait);
        if (const auto done = co_await stores_.analyze(clock.deadline_in(30s)); !done)
            log::warning("the tables could not be analysed", {{"error", done.error().describe()}});
    }
}

async::Task<Result<>> Housekeeper::look_once() {
    KN_CO_TRY(const auto counts, co_await stores_.ports().registry.dead_letter_counts(loop_.clock().deadline_in(5s)));
    std::map<std::string, std::int64_t> queues{{"execution", 0}, {"notification", 0}};
    for (const auto& [scope, n] : counts) queues[scope.kind] += n;
    for (const auto& [queue, n] : queues) {
        metrics_.gauge("kubernaut_dead_letter_items", "work that nobody could carry on: list, replay or purge it", {{"queue", queue}})
            .set(static_cast<double>(n));
    }
    co_return Result<>{};
}

async::Task<> Housekeeper::look() {
    while (true) {
        const auto seen = co_await look_once();
        if (!seen) log::warning("dead letters could not be counted", {{"error", seen.error().describe()}});
        co_await async::sleep_for(loop_.clock(), options_.look_every);
    }
}

}  // namespace kn
