#include "learning_store.hpp"

#include <algorithm>

#include "audit_chain.hpp"
#include "executions/rows.hpp"
#include "outbox_store.hpp"

namespace kn::sql {
namespace {

/// The sums as they were read, with what was learned: the row moves on by one version, and a write over a version that has moved changes nothing.
std::size_t add_posterior(Batch& batch, const Posterior& posterior) {
    return batch.add(
        "INSERT INTO posteriors (cluster_id, workflow, fault_class, a, b, n, updated_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
        "ON CONFLICT (cluster_id, workflow, fault_class) DO UPDATE SET a = excluded.a, b = excluded.b, n = excluded.n, "
        "updated_at = excluded.updated_at, version = excluded.version WHERE posteriors.version < excluded.version RETURNING 1",
        {posterior.scope, posterior.workflow, posterior.fault_class, posterior.a, posterior.b, posterior.n, posterior.updated_at,
         posterior.version + 1});
}

void add_spell_row(Batch& batch, const UntreatedSpell& spell, const std::string& id) {
    batch.add(
        "INSERT INTO spells (cluster_id, id, fault_class, environment, doc) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (cluster_id, id) DO NOTHING",
        {spell.cluster, id, spell.fault_class, spell.environment, document(spell)});
}

Result<> apply_judgement(SqlConnection& connection, const ports::Judgement& done) {
    const Assessment& assessment = done.assessment;
    Batch first;
    const std::size_t updated = first.add(
        "INSERT INTO assessments (cluster_id, id, execution_id, workflow, fault_class, action_at, due_at, done_at, claim_until, looks, recheck_at, doc) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10, $11) ON CONFLICT (cluster_id, id) DO UPDATE SET due_at = excluded.due_at, "
        "done_at = excluded.done_at, claim_until = 0, looks = excluded.looks, recheck_at = excluded.recheck_at, doc = excluded.doc "
        "WHERE assessments.looks < excluded.looks RETURNING 1",
        {assessment.cluster, assessment.id, assessment.execution, assessment.workflow, assessment.fault_class, assessment.action_at,
         assessment.due_at, assessment.done_at, assessment.looks, assessment.recheck_at, document(assessment)});
    if (done.undo) KN_CHECK(apply_undo(connection, *done.undo));
    std::vector<Posterior> posteriors = done.posteriors;
    std::ranges::sort(posteriors, {}, [](const Posterior& p) { return std::tie(p.scope, p.workflow, p.fault_class); });
    std::vector<std::size_t> rows;
    for (const Posterior& posterior : posteriors) rows.push_back(add_posterior(first, posterior));
    for (std::size_t i = 0; i < done.spells.size(); ++i) {
        add_spell_row(first, done.spells[i], derive_id("spl_", id_time(assessment.id.str()), {assessment.id.str(), std::to_string(i)}));
    }
    add_notices(first, done.notices, done.at);
    AuditAppend audit(done.audit);
    audit.lock_heads(connection, first);
    KN_CHECK(first.run(connection));
    if (first[updated].empty())
        return fail(ErrorCode::aborted, "look " + std::to_string(assessment.looks) + " at assessment " + assessment.id.str() + " is stored already");
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (!first[rows[i]].empty()) continue;
        return fail(ErrorCode::aborted,
                    "the sums of " + posteriors[i].workflow + " in " + posteriors[i].scope.str() + " have moved since they were read");
    }
    Batch second;
    KN_CHECK(audit.append(connection, first, second));
    return second.run(connection);
}

Result<Assessment> read_assessment(const Rows::Row& row) { return read_document<Assessment>(row.text(0), "assessments"); }

}  // namespace

Task<Result<>> SqlLearningStore::schedule(Assessment assessment, Deadline deadline) {
    auto work = [assessment = std::move(assessment)](SqlConnection& connection) -> Result<> {
        Batch batch;
        add_assessment(batch, assessment);
        return batch.run(connection);
    };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<std::vector<Assessment>>> SqlLearningStore::claim_due(Instant now, Instant claim_until, int limit, Deadline deadline) {
    auto work = [=](SqlConnection& connection) -> Result<std::vector<Assessment>> {
        KN_TRY(
            const Rows rows,
            connection.query(
                "UPDATE assessments SET claim_until = $2 WHERE (cluster_id, id) IN (SELECT cluster_id, id FROM assessments WHERE "
                "((done_at IS NULL AND due_at <= $1) OR (recheck_at IS NOT NULL AND recheck_at <= $1)) AND claim_until <= $1 ORDER BY due_at, id LIMIT $3" +
                    std::string(skip_locked(connection)) + ") RETURNING doc",
                {now, claim_until, limit}));
        auto out = read_rows<Assessment>(rows, read_assessment);
        std::ranges::sort(out, {}, [](const Assessment& a) { return std::tie(a.due_at, a.id); });
        return out;
    };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<>> SqlLearningStore::complete(ports::Judgement judgement, Deadline deadline) {
    auto work = [done = std::move(judgement)](SqlConnection& connection) { return apply_judgement(connection, done); };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<ports::PageOf<Assessment>>> SqlLearningStore::assessments(ports::AssessmentFilter filter, ports::Page page, Deadline deadline) {
    auto work = [filter, page](SqlConnection& connection) -> Result<ports::PageOf<Assessment>> {
        Select select("SELECT doc FROM assessments");
        if (!filter.cluster.empty()) select.where("cluster_id = ?", filter.cluster);
        if (!filter.workflow.empty()) select.where("workflow = ?", filter.workflow);
        if (!filter.fault_class.empty()) select.where("fault_class = ?", filter.fault_class);
        if (!filter.execution.empty()) select.where("execution_id = ?", filter.execution);
        if (filter.done_only) select.where("done_at IS NOT NULL");
        KN_CHECK(select.page(page, "action_at", "id"));
        KN_TRY(const Rows rows, select.run(connection));
        return make_page(read_rows<Assessment>(rows, read_assessment), page, [](const Assessment& a) { return std::pair(a.action_at, a.id.str()); });
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<std::vector<Posterior>>> SqlLearningStore::posteriors(std::string fault_class, Deadline deadline) {
    auto work = [fault_class](SqlConnection& connection) -> Result<std::vector<Posterior>> {
        Select select("SELECT cluster_id, workflow, fault_class, a, b, n, updated_at, version FROM posteriors");
        if (!fault_class.empty()) select.where("fault_class = ?", fault_class);
        select.order(" ORDER BY cluster_id, workflow, fault_class");
        KN_TRY(const Rows rows, select.run(connection));
        std::vector<Posterior> out;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto row = rows[i];
            out.push_back({ClusterId(row.string(0)), row.string(1), row.string(2), row.number(3), row.number(4), row.integer(5),
                           from_millis(row.integer(6)), row.integer(7)});
        }
        return out;
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<std::vector<Incident>>> SqlLearningStore::unlearned(Instant closed_before, int limit, Deadline deadline) {
    auto work = [=](SqlConnection& connection) -> Result<std::vector<Incident>> {
        KN_TRY(const Rows rows,
               connection.query("SELECT doc FROM incidents WHERE is_open = 0 AND learned = 0 AND closed_at <= $1 ORDER BY closed_at, id LIMIT $2",
                                {closed_before, limit}));
        return read_rows<Incident>(rows, [](const Rows::Row& row) { return read_document<Incident>(row.text(0), "incidents"); });
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<>> SqlLearningStore::learn(ClusterId cluster, IncidentId incident, std::optional<UntreatedSpell> spell, Deadline deadline) {
    auto work = [=](SqlConnection& connection) -> Result<> {
        KN_TRY(
            const Rows rows,
            connection.query("UPDATE incidents SET learned = 1 WHERE cluster_id = $1 AND id = $2 AND is_open = 0 AND learned = 0 RETURNING closed_at",
                             {cluster, incident}));
        if (rows.empty() || !spell) return {};
        // An incident that was opened again and ended a second time shows a second spell.
        Batch batch;
        add_spell_row(batch, *spell, derive_id("spl_", id_time(incident.str()), {incident.str(), rows[0].string(0)}));
        return batch.run(connection);
    };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<std::vector<UntreatedSpell>>> SqlLearningStore::spells(std::string fault_class, Environment environment, int limit, Deadline deadline) {
    auto work = [=](SqlConnection& connection) -> Result<std::vector<UntreatedSpell>> {
        KN_TRY(const Rows rows, connection.query("SELECT doc FROM spells WHERE fault_class = $1 AND environment = $2 ORDER BY id DESC LIMIT $3",
                                                 {fault_class, environment, limit}));
        return read_rows<UntreatedSpell>(rows, [](const Rows::Row& row) { return read_document<UntreatedSpell>(row.text(0), "spells"); });
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

}  // namespace kn::sql
