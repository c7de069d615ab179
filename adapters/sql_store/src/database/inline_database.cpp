#include "database/group.hpp"
#include "kubernaut/sql_store/database.hpp"

namespace kn::sql {
namespace {

class InlineDatabase final : public SqlDatabase {
public:
    explicit InlineDatabase(std::unique_ptr<Session> session) : session_(std::move(session)) {}

    async::Task<Result<>> run(Access access, Closure closure, Deadline) override { co_return run_now(access, closure); }
    Result<> run_now(Access access, const Closure& closure) override {
        if (!session_) return fail(ErrorCode::unavailable, "the store is closed");
        return run_transaction(*session_, access, closure);
    }
    void stop() override { session_.reset(); }

private:
    std::unique_ptr<Session> session_;
};

}  // namespace

std::unique_ptr<SqlDatabase> make_inline_database(std::unique_ptr<Session> session) { return std::make_unique<InlineDatabase>(std::move(session)); }

}  // namespace kn::sql
