#pragma once

#include <memory>
#include <string>

#include "kubernaut/base/result.hpp"

namespace kn::testing {

/// A PostgreSQL server of the test's own: initdb in a temporary folder, a Unix socket there and a free port on 127.0.0.1, ended by its own process id.
class PostgresServer {
public:
    enum class Disk { flushed, unflushed };  ///< unflushed: fsync off, quicker; what the process wrote still survives its end, but not a power cut
    /// not_found when PostgreSQL is not installed: the test then skips with that word.
    static Result<std::unique_ptr<PostgresServer>> start(Disk disk = Disk::unflushed);
    ~PostgresServer();
    PostgresServer(const PostgresServer&) = delete;
    PostgresServer& operator=(const PostgresServer&) = delete;

    /// postgres:// over the Unix socket.
    [[nodiscard]] std::string url(const std::string& database = "postgres") const;
    /// postgres:// over TCP.
    [[nodiscard]] std::string tcp_url(const std::string& database = "postgres") const;
    /// Makes an empty database and gives its url.
    Result<std::string> create_database(const std::string& name);
    /// Statements through psql.
    Result<std::string> psql(const std::string& database, const std::string& sql);

    /// As a power cut would end it: no checkpoint, no goodbye.
    void kill();
    /// Immediate stop and a new start on the same data.
    Result<> restart();

private:
    PostgresServer();
    Result<> run();
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace kn::testing
