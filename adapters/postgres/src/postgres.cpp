#include "kubernaut/postgres/postgres.hpp"

#include <algorithm>

#include "session.hpp"

namespace kn::postgres {
namespace {

// Reads are short and mostly for the page and the gates; more connections than this only share the same cores.
constexpr std::size_t most_readers = 4;

}  // namespace

Result<std::unique_ptr<sql::SqlDatabase>> open(std::string_view url, const sql::StoreOptions& options, async::EventLoop& loop) {
    if (!url.starts_with("postgres://") && !url.starts_with("postgresql://")) {
        return fail(ErrorCode::invalid_argument, "not a PostgreSQL URL", "store.url");
    }
    auto writer = std::make_unique<PostgresSession>(std::string(url), options);
    KN_CHECK(writer->connect());
    if (options.on_loop_thread) return sql::make_inline_database(std::move(writer));
    const std::size_t count = std::clamp<std::size_t>(options.pool_max > 1 ? options.pool_max - 1 : 1, 1, most_readers);
    std::vector<std::unique_ptr<sql::Session>> readers;
    for (std::size_t i = 0; i < count; ++i) readers.push_back(std::make_unique<PostgresSession>(std::string(url), options));
    return sql::make_threaded_database(loop, options, std::move(writer), std::move(readers));
}

}  // namespace kn::postgres
