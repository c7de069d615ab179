#include "executions/rows.hpp"

#include "kubernaut/base/hash.hpp"

namespace kn::sql {

const std::string execution_columns =
    "frozen, doc, state, owner, epoch, lease_until, wake_at, cancel_requested, cancel_by, kills, updated_at, cluster_id, id";

const std::string steps_query =
    "SELECT doc FROM steps WHERE cluster_id = $1 AND execution_id = $2 ORDER BY CASE WHEN started_at IS NULL THEN 1 ELSE 0 END, started_at, path, attempt";

ExecutionDocs split(const Execution& execution) {
    json::Value rest = to_json(execution);
    json::Object frozen;
    for (const char* name : {"plan", "definition", "context"}) {
        if (auto* found = rest.get_object().if_contains(name)) frozen[name] = std::move(*found);
        rest.get_object().erase(name);
    }
    ExecutionDocs docs;
    docs.frozen = json::dump(frozen);
    docs.frozen_hash = to_hex(sha256(docs.frozen));
    docs.doc = json::dump(rest);
    return docs;
}

Result<Execution> read_execution(const Rows::Row& row) {
    const auto unreadable = [&](const Error& error) {
        return fail(ErrorCode::internal, "execution " + row.string(12) + " is unreadable: " + error.describe());
    };
    auto doc = json::parse(row.text(1));
    if (!doc) return unreadable(doc.error());
    auto frozen = json::parse(row.text(0));
    if (!frozen) return unreadable(frozen.error());
    if (!doc->is_object() || !frozen->is_object()) return unreadable(Error{.code = ErrorCode::internal, .message = "not an object"});
    for (auto& [name, value] : frozen->get_object()) doc->get_object()[name] = std::move(value);
    auto read = from_json<Execution>(*doc);
    if (!read) return unreadable(read.error());
    Execution execution = std::move(*read);
    execution.id = ExecutionId(row.string(12));
    execution.cluster = ClusterId(row.string(11));
    execution.state = parse_enum<ExecutionState>(row.text(2)).value_or(execution.state);
    execution.owner = row.string(3);
    execution.epoch = row.integer(4);
    execution.lease_until = row.time(5);
    execution.wake_at = row.time(6);
    execution.cancel_requested = row.integer(7) != 0;
    execution.cancel_by = row.string(8);
    execution.kills = row.integer(9);
    execution.updated_at = from_millis(row.integer(10));
    return execution;
}

Result<std::vector<Step>> read_steps(const Rows& rows) {
    std::vector<Step> steps;
    steps.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        KN_TRY(Step step, read_document<Step>(rows[i].text(0), "steps"));
        steps.push_back(std::move(step));
    }
    return steps;
}

std::string_view cluster_of_key(std::string_view key) { return key.substr(0, key.find('/')); }

void add_assessment(Batch& batch, const Assessment& assessment) {
    batch.add(
        "INSERT INTO assessments (cluster_id, id, execution_id, workflow, fault_class, action_at, due_at, done_at, claim_until, doc) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9) ON CONFLICT (cluster_id, id) DO NOTHING",
        {assessment.cluster, assessment.id, assessment.execution, assessment.workflow, assessment.fault_class, assessment.action_at,
         assessment.due_at, assessment.done_at, document(assessment)});
}

}  // namespace kn::sql
