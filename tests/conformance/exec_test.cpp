// exec and port-forward through a real API server to a node that streams (facts 21 to 23).
#include "kubernaut/kube/exec.hpp"
#include "conformance.hpp"
#include "test_server.hpp"

namespace kn::conformance {
namespace {

using enum ErrorCode;

class Exec : public Conformance {
protected:
    void SetUp() override {
        Conformance::SetUp();
        if (server == nullptr || IsSkipped() || server->simulated()) return;
        make_pod("p", R"("nodeName":"stream-node")");
        const auto running = merge(
            core("pods/p/status"),
            R"({"status":{"phase":"Running","containerStatuses":[{"name":"c","ready":true,"restartCount":0,"image":"c","imageID":"","state":{"running":{}}}]}})");
        ASSERT_EQ(running.code, 200) << running.raw.body;
    }
    Result<kube::ExecResult> exec(std::vector<std::string> command, std::optional<std::string> input = {}, Duration limit = 60s, Who who = Who::admin,
                                  std::string pod = "p") {
        kube::ExecPolicy policy{.programs = {"sh", "cat", "sleep", "no-such-program"}, .longest = 120s};
        return wait(kube::exec(server->transport(who), loop().clock(), random, std::move(policy),
                               {.ns = ns, .pod = std::move(pod), .container = "c", .command = std::move(command), .input = std::move(input)},
                               soon(limit)));
    }
    SeededRandom random{3};
};

TEST_P(Exec, AProgramsOutputsAndExitCodeComeBack) {
    const auto result = exec({"sh", "-c", "echo out; echo err >&2; exit 3"});
    ASSERT_TRUE(result) << result.error().describe();
    EXPECT_EQ(result->out, "out\n");
    EXPECT_EQ(result->err, "err\n");
    EXPECT_EQ(result->exit_code, 3);
    EXPECT_EQ(exec({"sh", "-c", "true"}).value().exit_code, 0);
}

TEST_P(Exec, WhatIsSentToAProgramEndsSoThatItEndsToo) {
    const std::string input(200'000, 'x');
    const auto result = exec({"cat"}, input);
    ASSERT_TRUE(result) << result.error().describe();
    EXPECT_EQ(result->out, input);
}

TEST_P(Exec, OutputBeyondTheLimitIsCut) {
    kube::ExecPolicy policy{.programs = {"sh"}};
    const auto result =
        wait(kube::exec(server->transport(Who::admin), loop().clock(), random, policy,
                        {.ns = ns, .pod = "p", .container = "c", .command = {"sh", "-c", "head -c 100000 /dev/zero"}, .max_output = 1000}, soon()));
    ASSERT_TRUE(result) << result.error().describe();
    EXPECT_EQ(result->out.size(), 1000U);
    EXPECT_TRUE(result->truncated);
}

TEST_P(Exec, OnlyProgramsOfThePolicyAreRunAndTheOthersAreNotEvenAskedFor) {
    const auto result = exec({"rm", "-rf", "/"});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, permission_denied);
    EXPECT_EQ(result.error().applied, Applied::no);
}

TEST_P(Exec, AProgramThatDoesNotExistIsAnErrorAndNotAnExitCode) {
    const auto result = exec({"no-such-program"});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, unavailable) << result.error().describe();
}

TEST_P(Exec, WithoutRightsOrWithoutThePodItIsRefused) {
    EXPECT_EQ(exec({"sh", "-c", "true"}, {}, 60s, Who::alice).error().code, permission_denied);
    EXPECT_EQ(exec({"sh", "-c", "true"}, {}, 60s, Who::admin, "nope").error().code, not_found);
}

TEST_P(Exec, ANodeThatIsNotThereIsAnErrorWhicheverWayItIsTold) {
    make_pod("q", R"("nodeName":"ghost")");
    const auto result = exec({"sh", "-c", "true"}, {}, 60s, Who::admin, "q");
    ASSERT_FALSE(result);
    EXPECT_TRUE(result.error().code == unavailable || result.error().code == not_found) << result.error().describe();
}

TEST_P(Exec, AProgramThatRunsTooLongIsGivenUpWithItsEndUnknown) {
    const auto result = exec({"sleep", "100"}, {}, 1s);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, deadline_exceeded);
    EXPECT_EQ(result.error().applied, Applied::maybe);
}

TEST_P(Exec, APortIsForwardedInBothDirections) {
    kube::http::TestServer target(
        [](kube::http::Connection& c, const kube::http::SeenRequest& r) { return c.answer(200, "you sent " + r.body), false; });
    const auto forward = wait(kube::PortForward::open(server->transport(Who::admin), random, ns, "p", target.port(), soon()));
    ASSERT_TRUE(forward) << forward.error().describe();
    ASSERT_TRUE(wait((*forward)->send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", soon())));
    std::string seen;
    while (!seen.contains("you sent hello")) {
        const auto bytes = wait((*forward)->next(soon()));
        ASSERT_TRUE(bytes) << bytes.error().describe();
        ASSERT_TRUE(*bytes) << seen;
        seen += **bytes;
    }
    EXPECT_TRUE(seen.starts_with("HTTP/1.1 200")) << "without the port that comes first";
}

TEST_P(Exec, APortThatNobodyListensOnIsAnError) {
    const auto forward = wait(kube::PortForward::open(server->transport(Who::admin), random, ns, "p", kube::http::unused_port(), soon()));
    ASSERT_TRUE(forward) << forward.error().describe();
    const auto bytes = wait((*forward)->next(soon()));
    EXPECT_TRUE(!bytes || !*bytes) << "an error, or the end";
}

TEST_P(Conformance, AWatchOverWebSocketNeedsAnOrigin) {
    auto* upgrader = dynamic_cast<kube::Upgrader*>(server->transport(Who::admin).get());
    if (upgrader == nullptr) GTEST_SKIP() << "an in-process exchange cannot be upgraded";
    make_config_map("c");
    auto request = request_of(kube::Method::get, core("configmaps?watch=1&timeoutSeconds=5"), {}, {});
    const auto with = wait(upgrader->upgrade(request, {"binary.k8s.io"}, soon()));
    // Which subprotocols it knows differs; what matters is that it is not refused for want of an origin, as it is without one.
    if (!with) EXPECT_NE(with.error().code, ErrorCode::permission_denied) << with.error().describe();
    const auto refused = server->raw(
        "GET", core("configmaps?watch=1&timeoutSeconds=5"),
        {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}, {"Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="}});
    EXPECT_EQ(refused.status, 403);
    EXPECT_EQ(refused.body, "");
}

TEST(ExecOnTheSimulator, SaysThatItCannot) {
    const auto found = backend("simulator");
    SeededRandom random(1);
    auto& loop = found.backend->loop();
    const auto result = loop.block_on(kube::exec(found.backend->transport(Who::admin), loop.clock(), random, {.programs = {"sh"}},
                                                 {.ns = "default", .pod = "p", .command = {"sh"}}, loop.clock().deadline_in(5s)));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, unimplemented);
}

INSTANTIATE_TEST_SUITE_P(Backends, Exec, testing::Values("v1_36", "v1_33"), [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace kn::conformance
