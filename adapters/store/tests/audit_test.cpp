#include "contract.hpp"

namespace kn::store_test {
namespace {

class AuditContract : public StoreContract {
protected:
    void append(int from, int to, ClusterId cluster = eu1) {
        std::vector<AuditRecord> records;
        for (int n = from; n <= to; ++n) records.push_back(a_record(n, cluster));
        must(registry().append_audit(records, soon()));
    }
    ports::AuditCheck verify(std::string cluster = "") { return must(registry().verify_audit(std::move(cluster), soon())); }
};

TEST_P(AuditContract, ChainsRecordsPerClusterWithoutGaps) {
    append(1, 3);
    append(1, 2, us1);
    append(4, 4);
    const auto eu = must(registry().audit({.cluster = "eu1"}, {}, soon())).items;
    ASSERT_EQ(eu.size(), 4U);
    EXPECT_EQ(eu[0].seq, 4);
    EXPECT_EQ(eu[0].prev_hash, eu[1].hash);
    EXPECT_EQ(eu[3].prev_hash, "");
    EXPECT_EQ(json::int_at(eu[3].details, "n"), 1);
    const auto check = verify();
    EXPECT_TRUE(check.intact) << check.first_break;
    EXPECT_EQ(check.records, 6);
    EXPECT_EQ(verify("us1").records, 2);
}

TEST_P(AuditContract, PagesThroughRecordsOfOneMillisecond) {
    std::vector<AuditRecord> records(25, a_record(1));
    for (int i = 0; i < 12; ++i) records.push_back(a_record(1, us1));
    must(registry().append_audit(records, soon()));
    std::set<std::pair<std::string, std::int64_t>> seen;
    ports::Page page{.limit = 7};
    do {
        const auto got = must(registry().audit({.actor = "kubernaut"}, page, soon()));
        for (const auto& record : got.items) EXPECT_TRUE(seen.emplace(record.cluster.str(), record.seq).second) << record.seq;
        page.cursor = got.next;
    } while (!page.cursor.empty());
    EXPECT_EQ(seen.size(), 37U);
}

TEST_P(AuditContract, FindsAnEditedRecord) {
    append(1, 5);
    tamper("UPDATE audit_log SET doc = replace(doc, 'cart3', 'cart9') WHERE seq = 3");
    EXPECT_FALSE(verify().intact);
    EXPECT_EQ(verify().first_break, "eu1 seq 3: hash differs");
}

TEST_P(AuditContract, FindsAnEditedColumn) {
    append(1, 5);
    tamper("UPDATE audit_log SET actor = 'mallory' WHERE seq = 2");
    EXPECT_EQ(verify().first_break, "eu1 seq 2: columns differ from the record");
}

TEST_P(AuditContract, FindsAGap) {
    append(1, 5);
    tamper("DELETE FROM audit_log WHERE seq = 3");
    EXPECT_EQ(verify().first_break, "eu1 seq 3: missing");
}

TEST_P(AuditContract, FindsACutEnd) {
    append(1, 5);
    tamper("DELETE FROM audit_log WHERE seq > 3");
    EXPECT_EQ(verify().first_break, "eu1 seq 4: missing at the end");
}

TEST_P(AuditContract, FindsARewrittenEndByTheHead) {
    append(1, 5);
    tamper("UPDATE audit_heads SET hash = 'x' WHERE cluster_id = 'eu1'");
    EXPECT_EQ(verify().first_break, "eu1 seq 5: the head has another hash");
}

TEST_P(AuditContract, TheFleetsChainKnowsAChainThatVanishedWithItsHead) {
    append(1, 1200);
    EXPECT_TRUE(verify().intact) << verify().first_break;
    EXPECT_EQ(must(registry().audit({.cluster = "_fleet"}, {}, soon())).items.size(), 1U) << "an anchor after a thousand records";
    tamper("DELETE FROM audit_log WHERE cluster_id = 'eu1'");
    tamper("DELETE FROM audit_heads WHERE cluster_id = 'eu1'");
    const auto check = verify();
    EXPECT_FALSE(check.intact);
    EXPECT_NE(check.first_break.find("fleet"), std::string::npos) << check.first_break;
}

TEST_P(AuditContract, HoldsForHostileTextAndNumbers) {
    AuditRecord record = a_record(1);
    record.actor = std::string("a\0b", 3) + "\xff";
    record.object = "eu1/x/\"y\"";
    record.reason = "\xc3\x28 ü";
    record.details = {{"third", 1.0 / 3}, {"big", 12345678901234567LL}, {"text", std::string("\0\xfe", 2)}, {"small", 4.9e-324}};
    must(registry().append_audit({record, a_record(2)}, soon()));
    const auto check = verify();
    EXPECT_TRUE(check.intact) << check.first_break;
}

KN_EVERY_STORE(AuditContract);

}  // namespace
}  // namespace kn::store_test
