#include "kubernaut/store/open_store.hpp"

#include "kubernaut/postgres/postgres.hpp"
#include "kubernaut/sqlite/sqlite.hpp"

namespace kn {
namespace {

Result<std::unique_ptr<sql::SqlDatabase>> open_database(std::string_view url, const sql::StoreOptions& options, async::EventLoop& loop) {
    if (url.starts_with(sqlite::scheme)) return sqlite::open(url, options, loop);
    if (url.starts_with("postgres://") || url.starts_with("postgresql://")) return postgres::open(url, options, loop);
    return fail(ErrorCode::invalid_argument, "the store's URL must begin with sqlite: or postgres://", "store.url");
}

}  // namespace

Result<std::unique_ptr<sql::SqlStores>> open_store(std::string_view url, sql::StoreOptions options, async::EventLoop& loop) {
    if (url == "sqlite::memory:") options.on_loop_thread = true;
    auto database = open_database(url, options, loop);
    if (!database) return fail(database.error().with_context("opening the store"));
    auto stores = sql::SqlStores::open(std::move(*database), options, loop);
    if (!stores) return fail(stores.error().with_context("opening the store"));
    return stores;
}

}  // namespace kn
