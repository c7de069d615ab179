#include "dead_letters.hpp"

#include "audit_chain.hpp"
#include "executions/rows.hpp"

namespace kn::sql {
namespace {

using ports::DeadLetter;

constexpr std::string_view letter_columns = "cluster_id, id, kind, title, reason, at";

DeadLetter letter_of(const Rows::Row& row) {
    DeadLetter letter;
    letter.cluster = ClusterId(row.string(0));
    letter.id = row.string(1);
    letter.kind = row.string(2);
    letter.title = row.string(3);
    letter.reason = row.string(4);
    letter.at = from_millis(row.integer(5));
    return letter;
}

std::unexpected<Error> no_letter(const std::string& id) { return fail(ErrorCode::not_found, "no dead letter " + id); }

Result<> replay_execution(SqlConnection& connection, const DeadLetter& letter, const std::string& was, const std::string& doc, Instant now) {
    if (was.empty()) return fail(ErrorCode::failed_precondition, "it is not known in what state " + letter.id + " was: it can only be purged");
    KN_TRY(const Rows rows,
           connection.query("SELECT target FROM executions WHERE cluster_id = $1 AND id = $2 AND is_active = 0" + std::string(for_update(connection)),
                            {letter.cluster, letter.id}));
    if (rows.empty()) return fail(ErrorCode::failed_precondition, "execution " + letter.id + " is not there any more, or at work");
    KN_CHECK(take_lock(connection, rows[0].string(0), letter.cluster, ExecutionId(letter.id), now + 60s, now));
    KN_CHECK(connection.query(
        "UPDATE executions SET state = $3, is_active = 1, owner = '', lease_until = NULL, wake_at = NULL, kills = 0, updated_at = $4, "
        "doc = CASE WHEN $5 = '' THEN doc ELSE $5 END WHERE cluster_id = $1 AND id = $2",
        {letter.cluster, letter.id, was, now, doc}));
    return {};
}

Result<> replay_notification(SqlConnection& connection, const DeadLetter& letter, Instant now) {
    KN_TRY(const Rows rows,
           connection.query(
               "UPDATE notifications SET state = 'waiting', tries = 0, due_at = $3, claim_until = 0, settled_at = NULL WHERE cluster_id = $1 AND "
               "id = $2 AND state = 'dead' RETURNING 1",
               {letter.cluster, letter.id, now}));
    if (rows.empty()) return fail(ErrorCode::failed_precondition, "notification " + letter.id + " is not there any more");
    return {};
}

}  // namespace

Result<ports::PageOf<DeadLetter>> list_dead_letters(SqlConnection& connection, const ports::DeadLetterFilter& filter, const ports::Page& page) {
    Select select("SELECT " + std::string(letter_columns) + " FROM dead_letters");
    if (!filter.cluster.empty()) select.where("cluster_id = ?", filter.cluster);
    if (!filter.kind.empty()) select.where("kind = ?", filter.kind);
    KN_CHECK(select.page(page, "at", "id"));
    KN_TRY(const Rows rows, select.run(connection));
    std::vector<DeadLetter> letters;
    for (std::size_t i = 0; i < rows.size(); ++i) letters.push_back(letter_of(rows[i]));
    return make_page(std::move(letters), page, [](const DeadLetter& letter) { return std::pair(letter.at, letter.id); });
}

Result<DeadLetter> read_dead_letter(SqlConnection& connection, const std::string& id) {
    KN_TRY(const Rows rows, connection.query("SELECT " + std::string(letter_columns) + ", was, doc FROM dead_letters WHERE id = $1", {id}));
    if (rows.empty()) return no_letter(id);
    DeadLetter letter = letter_of(rows[0]);
    // What cannot be read is shown as the text that it is.
    auto doc = json::parse(rows[0].text(7));
    json::Object details{{"state", rows[0].string(6)}};
    details["document"] = doc ? std::move(*doc) : json::Value(rows[0].string(7));
    letter.details = std::move(details);
    return letter;
}

Result<> replay_dead_letter(SqlConnection& connection, const std::string& id, const AuditRecord& audit, Instant now) {
    KN_TRY(const Rows rows, connection.query("DELETE FROM dead_letters WHERE id = $1 RETURNING " + std::string(letter_columns) + ", was, doc", {id}));
    if (rows.empty()) return no_letter(id);
    const DeadLetter letter = letter_of(rows[0]);
    if (letter.kind == "execution")
        KN_CHECK(replay_execution(connection, letter, rows[0].string(6), rows[0].string(7), now));
    else
        KN_CHECK(replay_notification(connection, letter, now));
    return append_audit(connection, {audit});
}

Result<> purge_dead_letter(SqlConnection& connection, const std::string& id, const AuditRecord& audit) {
    KN_TRY(const Rows rows, connection.query("DELETE FROM dead_letters WHERE id = $1 RETURNING 1", {id}));
    if (rows.empty()) return no_letter(id);
    return append_audit(connection, {audit});
}

}  // namespace kn::sql
