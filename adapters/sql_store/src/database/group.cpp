#include "database/group.hpp"

namespace kn::sql {
namespace {

constexpr int max_tries = 5;

bool wants_retry(const Error& error) { return error.reason == retry_transaction; }

/// One try. `again` is set when the same closure may be run once more from the start.
Result<> try_once(Session& session, Access access, const Closure& closure, bool& again) {
    again = false;
    KN_CHECK(session.begin(access));
    if (auto done = closure(session); !done) {
        again = wants_retry(done.error()) || !session.usable();
        session.rollback();
        return done;
    }
    auto committed = session.commit();
    if (!committed) {
        again = wants_retry(committed.error()) && committed.error().applied == Applied::no;
        session.rollback();
    }
    return committed;
}

/// Runs the closures in one open transaction; false when the transaction as a whole is lost and nothing of it may be committed.
bool run_in_savepoints(Session& session, std::span<const Closure* const> closures, std::vector<Result<>>& results) {
    for (const Closure* closure : closures) {
        if (!session.savepoint()) return false;
        auto done = (*closure)(session);
        if (done) {
            if (!session.release_savepoint()) return false;
        } else if (wants_retry(done.error()) || !session.usable() || !session.rollback_to_savepoint()) {
            return false;
        }
        results.push_back(std::move(done));
    }
    return true;
}

}  // namespace

Result<> run_transaction(Session& session, Access access, const Closure& closure) {
    Result<> result;
    bool again = true;
    for (int tried = 0; again && tried < max_tries; ++tried) result = try_once(session, access, closure, again);
    return result;
}

std::vector<Result<>> run_group(Session& session, std::span<const Closure* const> closures) {
    std::vector<Result<>> results;
    results.reserve(closures.size());
    if (closures.size() > 1) {
        if (auto begun = session.begin(Access::write); !begun) {
            results.assign(closures.size(), begun);
            return results;
        }
        if (run_in_savepoints(session, closures, results)) {
            if (auto committed = session.commit(); !committed) {
                session.rollback();
                if (!wants_retry(committed.error()) || committed.error().applied == Applied::maybe) {
                    // Closures that failed by themselves keep their own answer: they have changed nothing either way.
                    for (auto& result : results) {
                        if (result) result = committed;
                    }
                    return results;
                }
            } else {
                return results;
            }
        } else {
            session.rollback();
        }
        results.clear();
    }
    // Alone, or the group could not stand as a whole: each by itself.
    for (const Closure* closure : closures) results.push_back(run_transaction(session, Access::write, *closure));
    return results;
}

}  // namespace kn::sql
