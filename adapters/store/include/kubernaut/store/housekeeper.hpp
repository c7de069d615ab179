#pragma once

#include "kubernaut/async/loop.hpp"
#include "kubernaut/async/scope.hpp"
#include "kubernaut/metrics/registry.hpp"
#include "kubernaut/sql_store/stores.hpp"

namespace kn {

struct HousekeepingOptions {
    sql::SqlStores::Retention retention;
    Duration every = 1h;        ///< between two rounds of deleting
    int batch = 500;            ///< rows a table in one transaction: writers wait for one batch at most
    Duration pause = 200ms;     ///< between two batches of a round
    int batches = 10'000;       ///< of a round
    Duration look_every = 15s;  ///< gauges of what is stored
};

/// Keeps a store small and tells how it is: deletes old rows in small batches and counts the dead letters.
class Housekeeper {
public:
    Housekeeper(async::EventLoop& loop, sql::SqlStores& stores, metrics::Registry& metrics, HousekeepingOptions options);
    void start();
    void stop() { scope_.cancel(); }
    async::Task<> join() { return scope_.join(); }

    /// One round; how many rows went.
    async::Task<Result<std::int64_t>> clean_once();
    async::Task<Result<>> look_once();

private:
    async::Task<> clean();
    async::Task<> look();
    async::Task<> analyze();
    async::EventLoop& loop_;
    sql::SqlStores& stores_;
    metrics::Registry& metrics_;
    HousekeepingOptions options_;
    async::TaskScope scope_;
};

}  // namespace kn
