#include "contract.hpp"

namespace kn::store_test {
namespace {

class IncidentStoreContract : public StoreContract {
protected:
    Incident stored(Incident incident) {
        must(incidents().commit({.incidents = {incident}}, soon()));
        return must(incidents().find(incident.id, soon()));
    }
};

TEST_P(IncidentStoreContract, ReadsBackWhatWasWritten) {
    Incident incident = an_incident(1);
    tell(incident, t0, "seen", "\"quoted\" ü");
    incident.plan = Plan{.workflow = "raise-memory"};
    const Incident back = stored(incident);
    EXPECT_EQ(back.version, 1);
    EXPECT_EQ(back.story.size(), 1U);
    EXPECT_EQ(back.plan->workflow, "raise-memory");
    EXPECT_EQ(must(incidents().get(eu1, incident.id, soon())).id, incident.id);
    EXPECT_EQ(error_of(incidents().get(us1, incident.id, soon())).code, ErrorCode::not_found);
}

TEST_P(IncidentStoreContract, RefusesAWriteOverAnotherVersion) {
    Incident incident = stored(an_incident(1));
    EXPECT_EQ(error_of(incidents().commit({.incidents = {an_incident(1)}}, soon())).code, ErrorCode::already_exists);
    incident.state = IncidentState::diagnosing;
    must(incidents().commit({.incidents = {incident}}, soon()));
    EXPECT_EQ(error_of(incidents().commit({.incidents = {incident}}, soon())).code, ErrorCode::aborted);
    EXPECT_EQ(must(incidents().find(incident.id, soon())).version, 2);
    incident.id = IncidentId("inc_none");
    EXPECT_EQ(error_of(incidents().commit({.incidents = {incident}}, soon())).code, ErrorCode::not_found);
}

TEST_P(IncidentStoreContract, RefusesEveryChangeThatTheStateTableDoesNotKnow) {
    int n = 0;
    for (const auto& [from, from_name] : EnumNames<IncidentState>::entries) {
        for (const auto& [to, to_name] : EnumNames<IncidentState>::entries) {
            Incident incident = an_incident(++n);
            incident.state = from;
            must(incidents().commit({.incidents = {incident}}, soon()));
            incident.version = 1;
            incident.state = to;
            const auto done = run(incidents().commit({.incidents = {incident}}, soon()));
            EXPECT_EQ(done.has_value(), may_change(from, to)) << from_name << " → " << to_name;
            if (!done) EXPECT_EQ(done.error().reason, "illegal_transition") << done.error().describe();
        }
    }
}

TEST_P(IncidentStoreContract, ACommitIsAllOrNothing) {
    const Incident incident = stored(an_incident(1));
    Incident stale = incident;
    stale.version = 7;
    EXPECT_FALSE(run(incidents().commit({.incidents = {an_incident(2), stale}, .audit = {a_record(1)}}, soon())));
    EXPECT_EQ(error_of(incidents().find(an_incident(2).id, soon())).code, ErrorCode::not_found);
    EXPECT_TRUE(must(registry().audit({}, {}, soon())).items.empty());
}

TEST_P(IncidentStoreContract, FindsByKeysWhatIsOpenOrClosedLately) {
    Incident open = an_incident(1), late = an_incident(2), old = an_incident(3);
    for (Incident* each : {&open, &late, &old}) {
        each->correlation_key = "same";
        each->incident_key = "key";
    }
    late.state = old.state = IncidentState::resolved;
    late.closed_at = t0 + 10min;
    old.closed_at = t0;
    must(incidents().commit({.incidents = {open, late, old}}, soon()));
    const auto found = must(incidents().by_correlation(eu1, "same", t0 + 5min, soon()));
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].id, late.id) << "newest first";
    EXPECT_EQ(must(incidents().by_key(eu1, "key", t0 + 1h, soon())).size(), 1U);
    EXPECT_TRUE(must(incidents().by_key(us1, "key", t0, soon())).empty());
    EXPECT_EQ(must(incidents().open_of(eu1, "", soon())).size(), 1U);
    EXPECT_EQ(must(incidents().open_of(eu1, open.target.key.str(), soon())).size(), 1U);
    EXPECT_TRUE(must(incidents().open_of(eu1, late.target.key.str(), soon())).empty());
}

TEST_P(IncidentStoreContract, GivesWhatIsDueOldestLookFirst) {
    Incident first = an_incident(1), second = an_incident(2), later = an_incident(3), closed = an_incident(4);
    first.next_look_at = t0 + 2s, second.next_look_at = t0 + 1s, later.next_look_at = t0 + 1h, closed.next_look_at = t0;
    closed.state = IncidentState::suppressed;
    must(incidents().commit({.incidents = {first, second, later, closed}}, soon()));
    const auto due = must(incidents().due(t0 + 1min, 10, soon()));
    ASSERT_EQ(due.size(), 2U);
    EXPECT_EQ(due[0].id, second.id);
    EXPECT_EQ(due[1].id, first.id);
}

TEST_P(IncidentStoreContract, PagesThroughAListWithoutGapsOrRepeats) {
    ports::IncidentCommit commit;
    for (int n = 1; n <= 25; ++n) {
        commit.incidents.push_back(an_incident(n, n % 2 == 0 ? eu1 : us1));
        commit.incidents.back().opened_at = t0 + Duration{n / 5};
    }
    must(incidents().commit(commit, soon()));
    std::vector<std::string> seen;
    ports::Page page{.limit = 4};
    do {
        const auto got = must(incidents().list({.cluster = "eu1"}, page, soon()));
        for (const auto& incident : got.items) seen.push_back(incident.id.str());
        page.cursor = got.next;
    } while (!page.cursor.empty());
    EXPECT_EQ(seen.size(), 12U);
    EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), 12U);
    EXPECT_EQ(error_of(incidents().list({}, {.limit = 5, .cursor = "nonsense"}, soon())).code, ErrorCode::invalid_argument);
    EXPECT_EQ(must(incidents().opened_since("", t0 + 3ms, soon())), 11);
    EXPECT_EQ(must(incidents().list({.ns = "shop", .states = {IncidentState::open, IncidentState::held}}, {.limit = 50}, soon())).items.size(), 25U);
    EXPECT_TRUE(must(incidents().list({.states = {IncidentState::held}}, {.limit = 50}, soon())).items.empty());
}

TEST_P(IncidentStoreContract, AnApprovalIsSettledByEnoughDifferentPeople) {
    Approval approval{.id = ApprovalId("apr_1"), .cluster = eu1, .incident = an_incident(1).id, .needed = 2};
    approval.asked_at = t0;
    approval.expires_at = t0 + 15min;
    must(incidents().commit({.approvals = {approval}}, soon()));
    EXPECT_EQ(must(incidents().vote(approval.id, {.by = "ann", .at = t0}, soon())).state, ApprovalState::pending);
    EXPECT_EQ(error_of(incidents().vote(approval.id, {.by = "ann", .at = t0}, soon())).code, ErrorCode::permission_denied);
    EXPECT_EQ(error_of(incidents().vote(approval.id, {.by = "bob", .at = t0 + 1h}, soon())).code, ErrorCode::failed_precondition) << "expired";
    EXPECT_EQ(must(incidents().vote(approval.id, {.by = "bob", .at = t0}, soon())).state, ApprovalState::granted);
    EXPECT_EQ(error_of(incidents().vote(approval.id, {.by = "cid", .at = t0}, soon())).code, ErrorCode::failed_precondition);
    EXPECT_EQ(must(incidents().approvals("eu1", ApprovalState::granted, soon())).size(), 1U);
    approval.state = ApprovalState::expired;
    EXPECT_EQ(error_of(incidents().commit({.approvals = {approval}}, soon())).code, ErrorCode::aborted) << "a grant is not overwritten";
    Approval other = approval;
    other.id = ApprovalId("apr_2");
    other.state = ApprovalState::pending;
    must(incidents().commit({.approvals = {other}}, soon()));
    EXPECT_EQ(must(incidents().vote(other.id, {.by = "ann", .granted = false, .at = t0}, soon())).state, ApprovalState::rejected);
}

KN_EVERY_STORE(IncidentStoreContract);

}  // namespace
}  // namespace kn::store_test
