#include "kubernaut/sqlite/sqlite.hpp"

#include "session.hpp"

namespace kn::sqlite {
namespace {

constexpr int reader_threads = 2;

Result<std::string> path_of(std::string_view url) {
    if (!url.starts_with(scheme)) return fail(ErrorCode::invalid_argument, "not a SQLite URL: " + std::string(url), "store.url");
    url.remove_prefix(scheme.size());
    if (url.starts_with("//")) url.remove_prefix(2);
    if (url.empty() || url.back() == '/')
        return fail(ErrorCode::invalid_argument, "the SQLite URL names no file (sqlite:///path or sqlite::memory:)", "store.url");
    return std::string(url);
}

}  // namespace

Result<std::unique_ptr<sql::SqlDatabase>> open(std::string_view url, const sql::StoreOptions& options, async::EventLoop& loop) {
    KN_TRY(const std::string path, path_of(url));
    if (path == ":memory:") {
        KN_TRY(auto session, SqliteSession::open(path, Role::memory, options, nullptr));
        return sql::make_inline_database(std::move(session));
    }
    KN_TRY(auto lock, FileLock::take(path));
    KN_TRY(auto writer, SqliteSession::open(path, Role::writer, options, lock));
    if (options.on_loop_thread) return sql::make_inline_database(std::move(writer));
    std::vector<std::unique_ptr<sql::Session>> readers;
    for (int i = 0; i < reader_threads; ++i) {
        KN_TRY(auto reader, SqliteSession::open(path, Role::reader, options, lock));
        readers.push_back(std::move(reader));
    }
    // Two readers of one file are no pool of connections to a server: a read waits for its turn as long as its deadline lets it.
    sql::StoreOptions patient = options;
    patient.pool_wait = std::chrono::seconds{30};
    return sql::make_threaded_database(loop, patient, std::move(writer), std::move(readers));
}

}  // namespace kn::sqlite
