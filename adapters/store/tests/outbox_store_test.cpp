#include "contract.hpp"
#include "kubernaut/testing/in_memory_outbox.hpp"

namespace kn::store_test {
namespace {

using ports::Delivery;
using ports::DeliveryResult;
using ports::DeliveryState;
using ports::Notification;

class OutboxContract : public StoreContract {
protected:
    void SetUp() override {
        if (is_fake())
            log::configure(log::Level::off, log::Format::text);
        else
            StoreContract::SetUp();
    }
    static bool is_fake() { return std::string_view(GetParam()) == "fake"; }
    ports::NotificationOutbox& outbox() { return is_fake() ? fake_ : stores_->outbox(); }

    static Notification a_message(int n, ClusterId cluster = eu1) {
        return {.kind = "incident_opened",
                .key = "inc_" + std::to_string(n) + " incident_opened 1",
                .cluster = std::move(cluster),
                .ns = "shop",
                .title = "title " + std::to_string(n),
                .text = "text",
                .severity = Severity::warning};
    }
    std::vector<Delivery> claim(const std::string& channel, Instant now, int limit = 10) {
        return must(outbox().claim(channel, now, now + 30s, limit, soon()));
    }
    static DeliveryResult result(const Delivery& delivery, DeliveryState state, Instant due = {}, std::string sent_as = {}) {
        return {.cluster = delivery.message.cluster,
                .key = delivery.message.key,
                .channel = delivery.channel,
                .state = state,
                .due_at = due,
                .error = state == DeliveryState::delivered ? "" : "HTTP 500",
                .sent_as = sent_as.empty() ? delivery.message.key : std::move(sent_as)};
    }
    testing::InMemoryOutbox fake_;
};

TEST_P(OutboxContract, AMessageIsPutOnceHoweverOftenItComes) {
    must(outbox().put({a_message(1), a_message(2), a_message(1)}, t0, soon()));
    must(outbox().put({a_message(1)}, t0 + 1s, soon()));
    must(outbox().put({a_message(1, us1)}, t0 + 1s, soon()));
    auto fresh = claim("", t0 + 2s);
    ASSERT_EQ(fresh.size(), 3U) << "the same key in another cluster is another message";
    EXPECT_EQ(fresh[0].message.title, "title 1");
    EXPECT_EQ(fresh[0].message.severity, Severity::warning);
    EXPECT_EQ(fresh[0].message.ns, "shop");
    EXPECT_EQ(fresh[2].message.cluster, us1);
    must(outbox().route(eu1, fresh[0].message.key, {"ops"}, t0 + 2s, soon()));
    must(outbox().put({a_message(1)}, t0 + 3s, soon()));
    EXPECT_TRUE(claim("", t0 + 3s).empty()) << "it was routed already, and the others are claimed";
}

TEST_P(OutboxContract, AClaimKeepsOthersAwayUntilItRunsOut) {
    must(outbox().put({a_message(1), a_message(2), a_message(3)}, t0, soon()));
    EXPECT_EQ(claim("", t0, 2).size(), 2U);
    EXPECT_EQ(claim("", t0 + 1s).size(), 1U);
    EXPECT_TRUE(claim("", t0 + 2s).empty());
    EXPECT_EQ(claim("", t0 + 32s).size(), 3U) << "whoever claimed them has died";
}

TEST_P(OutboxContract, GoesToEachOfItsChannelsByItself) {
    must(outbox().put({a_message(1)}, t0, soon()));
    const auto fresh = claim("", t0);
    ASSERT_EQ(fresh.size(), 1U);
    must(outbox().route(eu1, fresh[0].message.key, {"ops", "mail", "ops"}, t0, soon()));
    must(outbox().route(eu1, fresh[0].message.key, {"other"}, t0, soon()));
    EXPECT_TRUE(claim("other", t0).empty()) << "it is routed once";
    const auto ops = claim("ops", t0), mail = claim("mail", t0);
    ASSERT_EQ(ops.size(), 1U);
    ASSERT_EQ(mail.size(), 1U);
    must(outbox().settle({result(ops[0], DeliveryState::delivered)}, t0 + 1s, soon()));
    must(outbox().settle({result(mail[0], DeliveryState::waiting, t0 + 5s)}, t0 + 1s, soon()));
    EXPECT_TRUE(claim("ops", t0 + 1h).empty());
    EXPECT_TRUE(claim("mail", t0 + 4s).empty());
    const auto again = claim("mail", t0 + 5s);
    ASSERT_EQ(again.size(), 1U);
    EXPECT_EQ(again[0].tries, 1);
    EXPECT_EQ(again[0].last_error, "HTTP 500");
    EXPECT_EQ(must(outbox().recent("", 10, soon())).size(), 2U);
    EXPECT_EQ(must(outbox().recent("mail", 10, soon())).size(), 1U);
}

TEST_P(OutboxContract, WhatNobodyWantsIsDropped) {
    must(outbox().put({a_message(1)}, t0, soon()));
    must(outbox().route(eu1, a_message(1).key, {}, t0, soon()));
    EXPECT_TRUE(claim("", t0 + 1h).empty());
    const auto all = must(outbox().recent("", 10, soon()));
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].state, DeliveryState::dropped);
}

TEST_P(OutboxContract, SettlesOnceAndCountsADigestAsOne) {
    must(outbox().put({a_message(1), a_message(2), a_message(3)}, t0, soon()));
    for (int n = 1; n <= 3; ++n) must(outbox().route(eu1, a_message(n).key, {"ops"}, t0, soon()));
    const auto all = claim("ops", t0);
    ASSERT_EQ(all.size(), 3U);
    must(outbox().settle({result(all[0], DeliveryState::delivered)}, t0 + 1s, soon()));
    must(outbox().settle({result(all[1], DeliveryState::delivered, {}, "digest"), result(all[2], DeliveryState::delivered, {}, "digest")}, t0 + 3s,
                         soon()));
    must(outbox().settle({result(all[0], DeliveryState::waiting, t0 + 4s)}, t0 + 3s, soon()));
    EXPECT_TRUE(claim("ops", t0 + 1h).empty()) << "a late answer of another worker does not bring it back";
    EXPECT_EQ(must(outbox().sent_since("ops", t0, soon())), 2);
    EXPECT_EQ(must(outbox().sent_since("ops", t0 + 1s, soon())), 1);
    EXPECT_EQ(must(outbox().sent_since("mail", t0, soon())), 0);
}

TEST_P(OutboxContract, SurvivesARestart) {
    if (is_fake() || !database_.durable()) GTEST_SKIP() << "memory ends with its owner";
    must(outbox().put({a_message(1), a_message(2)}, t0, soon()));
    must(outbox().route(eu1, a_message(1).key, {"ops"}, t0, soon()));
    EXPECT_EQ(claim("ops", t0).size(), 1U);
    reopen();
    EXPECT_EQ(claim("", t0 + 31s).size(), 1U);
    EXPECT_EQ(claim("ops", t0 + 31s).size(), 1U) << "claimed by a process that ended before it was delivered";
}

TEST_P(OutboxContract, TheLastFailureMakesADeadLetterThatCanBeReplayedOrPurged) {
    if (is_fake()) GTEST_SKIP() << "dead letters belong to the registry";
    must(outbox().put({a_message(1), a_message(2)}, t0, soon()));
    for (int n = 1; n <= 2; ++n) must(outbox().route(eu1, a_message(n).key, {"ops"}, t0, soon()));
    const auto all = claim("ops", t0);
    ASSERT_EQ(all.size(), 2U);
    must(outbox().settle({result(all[0], DeliveryState::dead), result(all[1], DeliveryState::dead)}, t0 + 1s, soon()));
    EXPECT_TRUE(claim("ops", t0 + 1h).empty());
    const auto letters = must(registry().dead_letters({.kind = "notification"}, {}, soon()));
    ASSERT_EQ(letters.items.size(), 2U);
    const auto letter = must(registry().dead_letter(letters.items[0].id, soon()));
    EXPECT_EQ(letter.reason, "HTTP 500");
    EXPECT_NE(letter.title.find("ops: title"), std::string::npos) << letter.title;
    must(registry().replay_dead_letter(letter.id, a_record(1), t0 + 2min, soon()));
    const auto again = claim("ops", t0 + 2min);
    ASSERT_EQ(again.size(), 1U);
    EXPECT_EQ(again[0].tries, 0);
    must(registry().purge_dead_letter(letters.items[1].id, a_record(2), soon()));
    EXPECT_EQ(error_of(registry().purge_dead_letter(letters.items[1].id, a_record(3), soon())).code, ErrorCode::not_found);
    EXPECT_EQ(error_of(registry().replay_dead_letter(letter.id, a_record(4), t0, soon())).code, ErrorCode::not_found);
    EXPECT_TRUE(must(registry().dead_letters({}, {}, soon())).items.empty());
    EXPECT_EQ(must(registry().audit({}, {}, soon())).items.size(), 2U) << "who did it is recorded, and only what was done";
}

INSTANTIATE_TEST_SUITE_P(On, OutboxContract, ::testing::Values("fake", "memory", "sqlite", "postgres"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace kn::store_test
