#include "kubernaut/notify/notifier.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "kubernaut/base/hash.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/testing/in_memory_outbox.hpp"

namespace kn::notify {
namespace {

const Instant t0 = from_millis(1'790'000'000'000);

/// Takes what it gets, or answers what it is told to.
class FakeCourier final : public Courier {
public:
    async::Task<Result<>> deliver(Envelope envelope, Deadline) override {
        taken.push_back(std::move(envelope));
        if (answers.empty()) co_return Result<>{};
        auto next = std::move(answers.front());
        answers.pop_front();
        co_return next;
    }
    std::vector<Envelope> taken;
    std::deque<Result<>> answers;
};

class NotifierTest : public ::testing::Test {
protected:
    void SetUp() override { log::configure(log::Level::off, log::Format::text); }
    void TearDown() override {
        if (!notifier) return;
        notifier->stop();
        loop->block_on(notifier->join());
    }
    void make(std::vector<Route> routes = {{.channel = "ops"}}) {
        notifier = std::make_unique<ChannelNotifier>(*loop, metrics, &outbox, std::vector<Channel>{{"ops", ops}, {"mail", mail}}, std::move(routes));
    }
    ports::Notification a_message(int n, Severity severity = Severity::warning) const {
        return {.kind = "incident_opened",
                .key = "inc_" + std::to_string(n) + " incident_opened 1",
                .cluster = ClusterId("eu1"),
                .ns = "shop",
                .title = "title " + std::to_string(n),
                .text = "text",
                .severity = severity};
    }
    void send(int n) { ASSERT_TRUE(loop->block_on(notifier->send(a_message(n), loop->clock().deadline_in(1s)))); }
    double counted(const char* result) {
        return metrics.counter("kubernaut_notifications_total", "", {{"channel", "ops"}, {"result", result}}).value();
    }

    std::unique_ptr<async::EventLoop> loop = async::EventLoop::simulated(t0);
    metrics::Registry metrics;
    testing::InMemoryOutbox outbox;
    std::shared_ptr<FakeCourier> ops = std::make_shared<FakeCourier>(), mail = std::make_shared<FakeCourier>();
    std::unique_ptr<ChannelNotifier> notifier;
};

Result<> down() { return fail(ErrorCode::unavailable, "HTTP 503"); }

TEST_F(NotifierTest, DeliversWhatARouteWantsAndNothingElse) {
    make({{.channel = "ops", .kinds = {"incident_opened"}}, {.channel = "mail", .min_severity = Severity::critical}});
    notifier->start();
    send(1);
    loop->run_for(5s);
    ASSERT_EQ(ops->taken.size(), 1U);
    EXPECT_EQ(ops->taken[0].messages.at(0).title, "title 1");
    EXPECT_TRUE(mail->taken.empty());
    EXPECT_EQ(counted("delivered"), 1);
}

TEST_F(NotifierTest, OtherChannelsTakeOverWhatWaitsAndTheOldOnesAreAskedNoMore) {
    make();
    ops->answers = {down()};
    notifier->start();
    send(1);
    loop->run_for(1s);
    ASSERT_EQ(ops->taken.size(), 1U);
    const auto other = std::make_shared<FakeCourier>();
    notifier->replace({{"ops", other}, {"mail", mail}}, {{.channel = "ops"}, {.channel = "mail"}});
    send(2);
    loop->run_for(30s);
    EXPECT_EQ(ops->taken.size(), 1U);
    EXPECT_EQ(other->taken.size(), 2U) << "the one that failed before, and the new one";
    EXPECT_EQ(mail->taken.size(), 1U);
    notifier->replace({}, {});
    send(3);
    loop->run_for(30s);
    EXPECT_EQ(other->taken.size(), 2U);
}

TEST_F(NotifierTest, RoutesByClusterNamespaceKindAndSeverity) {
    const std::vector<Route> routes{{.channel = "a", .clusters = {"eu1"}, .namespaces = {"shop"}},
                                    {.channel = "b", .clusters = {"us1"}},
                                    {.channel = "c", .min_severity = Severity::critical},
                                    {.channel = "a", .kinds = {"storm"}}};
    EXPECT_EQ(channels_for(routes, a_message(1)), (std::vector<std::string>{"a"}));
    EXPECT_EQ(channels_for(routes, a_message(1, Severity::critical)), (std::vector<std::string>{"a", "c"}));
}

TEST_F(NotifierTest, TriesFiveTimesEachTimeWaitingTwiceAsLongAndThenGivesUpLoudly) {
    make({{.channel = "ops", .kinds = {"incident_opened"}}, {.channel = "mail", .kinds = {"dead_letter"}}});
    for (int i = 0; i < 5; ++i) ops->answers.push_back(down());
    notifier->start();
    send(1);
    std::vector<Duration> at;
    for (int second = 0; second < 60; ++second) {
        const auto before = ops->taken.size();
        loop->run_for(1s);
        if (ops->taken.size() > before) at.push_back(ops->taken.back().at - t0);
    }
    ASSERT_EQ(at.size(), 5U);
    for (std::size_t i = 1; i < at.size(); ++i) EXPECT_GE(at[i] - at[i - 1], 2s * (1 << (i - 1)));
    EXPECT_LE(at.back(), 36s);
    EXPECT_EQ(counted("lost"), 1);
    EXPECT_EQ(counted("retried"), 4);
    ASSERT_EQ(mail->taken.size(), 1U) << "the other channel hears of it";
    EXPECT_EQ(mail->taken[0].messages.at(0).kind, "dead_letter");
    const auto rows = loop->block_on(outbox.recent("ops", 10, loop->clock().deadline_in(1s)));
    ASSERT_EQ(rows->size(), 1U);
    EXPECT_EQ((*rows)[0].state, ports::DeliveryState::dead);
    EXPECT_EQ((*rows)[0].last_error, "unavailable: HTTP 503");
}

TEST_F(NotifierTest, TwoBrokenChannelsDoNotTellEachOtherForEver) {
    make({{.channel = "ops"}, {.channel = "mail"}});
    for (int i = 0; i < 100; ++i) ops->answers.push_back(down()), mail->answers.push_back(down());
    notifier->start();
    send(1);
    loop->run_for(1h);
    // The message and the news of its death on both: five tries each.
    EXPECT_EQ(ops->taken.size(), 15U);
    EXPECT_EQ(mail->taken.size(), 15U);
}

TEST_F(NotifierTest, WaitsAsLongAsTheReceiverAsksFor) {
    make();
    Error busy{.code = ErrorCode::resource_exhausted, .message = "HTTP 429"};
    busy.retry_after = 40s;
    ops->answers.push_back(fail(busy));
    notifier->start();
    send(1);
    loop->run_for(39s);
    EXPECT_EQ(ops->taken.size(), 1U);
    loop->run_for(5s);
    EXPECT_EQ(ops->taken.size(), 2U);
}

TEST_F(NotifierTest, MoreThanThirtyAMinuteGoOutAsOneDigest) {
    make();
    notifier->start();
    for (int n = 1; n <= 80; ++n) send(n);
    loop->run_for(20s);
    EXPECT_EQ(ops->taken.size(), 30U);
    loop->run_for(60s);
    ASSERT_EQ(ops->taken.size(), 31U);
    EXPECT_EQ(ops->taken.back().messages.size(), 50U);
    EXPECT_EQ(counted("digest"), 50);
    send(81);
    loop->run_for(5s);
    ASSERT_EQ(ops->taken.size(), 32U) << "then the line is free again";
    EXPECT_EQ(ops->taken.back().messages.size(), 1U);
}

TEST_F(NotifierTest, ANewProcessKnowsWhatTheOldOneHasSentInThisMinute) {
    make();
    notifier->start();
    for (int n = 1; n <= 30; ++n) send(n);
    loop->run_for(20s);
    EXPECT_EQ(ops->taken.size(), 30U);
    notifier->stop();
    loop->block_on(notifier->join());
    make();
    notifier->start();
    send(31), send(32);
    loop->run_for(20s);
    EXPECT_EQ(ops->taken.size(), 30U);
    loop->run_for(60s);
    ASSERT_EQ(ops->taken.size(), 31U);
    EXPECT_EQ(ops->taken.back().messages.size(), 2U);
}

TEST_F(NotifierTest, WhatADeadProcessHadAcceptedOrBegunIsDeliveredByTheNext) {
    make();
    send(1), send(2);  // accepted, and then it dies
    EXPECT_EQ(*loop->block_on(notifier->route_once()), 2U);
    ASSERT_TRUE(loop->block_on(
        outbox.claim("ops", loop->clock().now(), loop->clock().now() + 90s, 1, loop->clock().deadline_in(1s))));  // dies in the middle of a try
    make();
    notifier->start();
    loop->run_for(10s);
    EXPECT_EQ(ops->taken.size(), 1U);
    loop->run_for(100s);
    EXPECT_EQ(ops->taken.size(), 2U);
}

TEST_F(NotifierTest, NothingIsLostWhileTheStoreIsAway) {
    make();
    notifier->start();
    send(1);
    outbox.failures = 20;
    loop->run_for(3min);
    std::set<std::string> keys;
    for (const auto& envelope : ops->taken) keys.insert(envelope.key);
    EXPECT_EQ(keys.size(), 1U);
    outbox.failures = 1;
    EXPECT_FALSE(loop->block_on(notifier->send(a_message(2), loop->clock().deadline_in(1s)))) << "what is not stored is not accepted";
}

TEST(Bodies, AWebhookIsSignedSoThatNobodyElseCanSendItOrSendItAgainLater) {
    const Envelope envelope{
        .messages = {{.kind = "storm", .key = "k", .cluster = ClusterId("eu1"), .ns = "", .title = "t", .text = "x", .severity = Severity::critical}},
        .key = "k",
        .at = t0};
    const std::string body = body_for({.type = "webhook", .path = "/", .secret = "s"}, envelope);
    const auto parsed = json::parse(body);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(json::string_at(*parsed, "kind"), "storm");
    EXPECT_EQ(json::string_at(*parsed, "severity"), "critical");
    const auto headers = signature_headers("s", t0, body);
    ASSERT_EQ(headers.size(), 2U);
    EXPECT_EQ(headers[0].second, "1790000000");
    EXPECT_EQ(headers[1].second, "sha256=" + to_hex(hmac_sha256("s", "1790000000." + body)));
}

TEST(Bodies, SlackTextCannotMentionOrLink) {
    const Envelope envelope{
        .messages =
            {{.kind = "k", .key = "k", .cluster = {}, .ns = "", .title = "<!channel>", .text = "a & <http://x|y>", .severity = Severity::info}},
        .key = "k",
        .at = t0};
    const auto body = json::parse(body_for({.type = "slack"}, envelope));
    EXPECT_EQ(json::string_at(*body, "text"), "*&lt;!channel&gt;*\na &amp; &lt;http://x|y&gt;");
}

TEST(Bodies, PagerdutyKeepsOneAlertAnIncidentAndResolvesIt) {
    const HttpChannel channel{.type = "pagerduty", .path = "/v2/enqueue", .secret = "routing"};
    ports::Notification message{.kind = "incident_opened",
                                .key = "inc_1 incident_opened 1",
                                .cluster = ClusterId("eu1"),
                                .ns = "shop",
                                .title = "t",
                                .text = "",
                                .severity = Severity::critical};
    const auto opened = json::parse(body_for(channel, {.messages = {message}, .key = message.key, .at = t0}));
    message.kind = "incident_resolved";
    message.key = "inc_1 incident_resolved 4";
    const auto resolved = json::parse(body_for(channel, {.messages = {message}, .key = message.key, .at = t0}));
    EXPECT_EQ(json::string_at(*opened, "event_action"), "trigger");
    EXPECT_EQ(json::string_at(*resolved, "event_action"), "resolve");
    EXPECT_EQ(json::string_at(*opened, "dedup_key"), "inc_1");
    EXPECT_EQ(json::string_at(*resolved, "dedup_key"), "inc_1");
    EXPECT_EQ(json::string_at(*opened, "payload", "severity"), "critical");
}

TEST(Bodies, HostileNamesDoNotMakeMailHeaders) {
    const MailChannel channel{
        .url = "smtp://mail", .from = "hub@example.org", .user = {}, .password = {}, .to = {"ops@example.org", "x\r\nBcc: y@example.org"}};
    const Envelope envelope{.messages = {{.kind = "k",
                                          .key = "k",
                                          .cluster = ClusterId("eu1"),
                                          .ns = "",
                                          .title = "t\r\nBcc: evil@example.org\r\n\r\nbody",
                                          .text = "ü",
                                          .severity = Severity::info}},
                            .key = "k",
                            .at = t0};
    const std::string mail = mail_for(channel, envelope);
    const std::string head = mail.substr(0, mail.find("\r\n\r\n"));
    EXPECT_EQ(head.find("\r\nBcc"), std::string::npos) << head;
    EXPECT_NE(head.find("Subject: [kubernaut info] t Bcc: evil@example.org body"), std::string::npos) << head;
    EXPECT_NE(head.find("Date: "), std::string::npos);
    for (std::size_t at = 0; at < mail.size();) {
        const auto end = mail.find("\r\n", at);
        EXPECT_LE(end - at, 998U);
        at = end + 2;
    }
    const auto decoded = base64_decode([&] {
        std::string body = mail.substr(mail.find("\r\n\r\n") + 4);
        std::erase_if(body, [](char c) { return c == '\r' || c == '\n'; });
        return body;
    }());
    EXPECT_TRUE(decoded.ok);
    EXPECT_NE(decoded.bytes.find("ü"), std::string::npos);
}

}  // namespace
}  // namespace kn::notify
