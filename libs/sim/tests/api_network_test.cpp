// What stands between a client and the server: latency, loss before and after the effect, overload, frozen watches.
#include "api_fixture.hpp"
#include "kubernaut/async/scope.hpp"
#include "kubernaut/kube/cache.hpp"

namespace kn::sim {
namespace {

class ApiNetwork : public ApiFixture {
protected:
    std::shared_ptr<kube::Client> client_of(std::string user) {
        return std::make_shared<kube::Client>(server.transport({.user = std::move(user), .groups = {"system:masters"}}), loop->clock());
    }
    Result<json::Value> create(const std::shared_ptr<kube::Client>& client, std::string name, Duration within = 10s) {
        auto object = json::parse(config_map(name));
        return loop->block_on(client->create(kube::resources::config_maps, "demo", *object, {}, loop->clock().deadline_in(within)));
    }
    bool exists(std::string_view name) { return server.peek(kube::resources::config_maps, "demo", name) != nullptr; }
};

TEST_F(ApiNetwork, InProcessClientsGoThroughTheSameServer) {
    const auto client = client_of("product");
    ASSERT_TRUE(create(client, "a"));
    const auto list = loop->block_on(client->list(kube::resources::config_maps, "demo", {}, loop->clock().deadline_in(1s)));
    ASSERT_TRUE(list);
    EXPECT_EQ(list->items.size(), 1U);
    const auto denied = std::make_shared<kube::Client>(server.transport({.user = "nobody"}), loop->clock());
    const auto refused = loop->block_on(denied->get(kube::resources::config_maps, "demo", "a", loop->clock().deadline_in(1s)));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
}

TEST_F(ApiNetwork, ALostReplyIsAmbiguousAndTheEffectIsThere) {
    server.network().set("lost", {.lose_reply = 1, .at_most = 1});
    const auto lost = create(client_of("product"), "a");
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().applied, Applied::maybe);
    EXPECT_TRUE(exists("a"));
    EXPECT_EQ(server.network().hits("lost"), 1U);
    EXPECT_TRUE(create(client_of("product"), "b")) << "once only";
}

TEST_F(ApiNetwork, ALostRequestIsAmbiguousAndTheEffectIsNot) {
    server.network().set("lost", {.lose_request = 1});
    const auto lost = create(client_of("product"), "a");
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().applied, Applied::maybe);
    EXPECT_FALSE(exists("a"));
}

TEST_F(ApiNetwork, ARefusedConnectionCertainlyHadNoEffect) {
    server.network().set("down", {.refuse = true});
    const auto refused = create(client_of("product"), "a");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
    EXPECT_EQ(refused.error().applied, Applied::no);
}

TEST_F(ApiNetwork, ABlackHoleTakesTheWholeDeadline) {
    server.network().set("hole", {.black_hole = true});
    const auto before = loop->clock().steady();
    const auto silent = create(client_of("product"), "a", 7s);
    ASSERT_FALSE(silent);
    EXPECT_EQ(silent.error().code, ErrorCode::deadline_exceeded);
    EXPECT_EQ(loop->clock().steady() - before, 7s);
    EXPECT_FALSE(exists("a"));
}

TEST_F(ApiNetwork, ALateRequestStillArrivesAfterTheCallerGaveUp) {
    server.network().set("slow", {.latency = 10s});
    const auto late = create(client_of("product"), "a", 2s);
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, ErrorCode::deadline_exceeded);
    EXPECT_EQ(late.error().applied, Applied::maybe);
    EXPECT_FALSE(exists("a"));
    loop->run_for(10s);
    EXPECT_TRUE(exists("a"));
}

TEST_F(ApiNetwork, OverloadIs429WithoutTheCauseOfABudget) {
    server.network().set("busy", {.throttle_rate = 1, .retry_after = 3s});
    const auto busy = create(client_of("product"), "a");
    ASSERT_FALSE(busy);
    EXPECT_EQ(busy.error().code, ErrorCode::resource_exhausted);
    EXPECT_NE(busy.error().reason, "DisruptionBudget");
    EXPECT_EQ(busy.error().retry_after, 3s);
    EXPECT_FALSE(exists("a"));
}

TEST_F(ApiNetwork, RatesHitTheirShare) {
    server.network().set("flaky", {.match = {.verbs = {"create"}}, .error_rate = 0.3, .error_status = 500});
    const auto client = client_of("product");
    int failed = 0;
    for (int i = 0; i < 300; ++i) failed += create(client, "c" + std::to_string(i)) ? 0 : 1;
    EXPECT_NEAR(failed, 90, 30) << "seed 7";
    EXPECT_EQ(json::array_at(get(config_maps).body, "items").size(), static_cast<std::size_t>(300 - failed));
}

TEST_F(ApiNetwork, FaultsHitWhomTheyAreMeantFor) {
    server.network().set("cut", {.match = {.users = {"product*"}, .verbs = {"create"}, .resources = {"configmaps"}}, .refuse = true});
    EXPECT_FALSE(create(client_of("product-1"), "a"));
    EXPECT_TRUE(create(client_of("controller"), "a"));
    EXPECT_TRUE(loop->block_on(client_of("product-1")->get(kube::resources::config_maps, "demo", "a", loop->clock().deadline_in(1s))));
    server.network().remove("cut");
    EXPECT_TRUE(create(client_of("product-1"), "b"));
}

TEST_F(ApiNetwork, AFrozenWatchIsSilentAndThenCatchesUp) {
    auto stream = watch(std::string(config_maps) + "?watch=1&resourceVersion=" + std::to_string(server.resource_version()));
    server.network().set("frozen", {.match = {.verbs = {"watch"}}, .freeze_watches = true});
    post(config_maps, config_map("a"));
    const auto silent = drain(*stream, 30s);
    EXPECT_TRUE(silent.events.empty());
    EXPECT_FALSE(silent.ended);
    server.network().remove("frozen");
    EXPECT_EQ(drain(*stream).events.size(), 1U);
}

TEST_F(ApiNetwork, StreamsCanBeCut) {
    auto stream = watch(std::string(config_maps) + "?watch=1");
    server.network().cut_streams({.users = {"somebody else"}});
    EXPECT_FALSE(drain(*stream).ended);
    server.network().cut_streams({.users = {"admin"}});
    EXPECT_TRUE(drain(*stream).ended);
}

TEST_F(ApiNetwork, ATransportOutlivesItsServer) {
    auto loop2 = async::EventLoop::simulated(Instant{});
    auto other = std::make_unique<ApiServer>(*loop2, random);
    const auto transport = other->transport(admin);
    auto stream = other->open(make_request(kube::Method::get, "/api/v1/pods?watch=1"), admin);
    other.reset();
    const auto gone = loop2->block_on(transport->send(make_request(kube::Method::get, "/version"), loop2->clock().deadline_in(1s)));
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code, ErrorCode::unavailable);
    const auto ended = loop2->block_on(stream->next(loop2->clock().deadline_in(1s)));
    ASSERT_TRUE(ended);
    EXPECT_FALSE(*ended);
}

TEST_F(ApiNetwork, AReflectorStaysTrueThroughCutsCompactionsAndErrors) {
    const auto client = client_of("product");
    auto cache = std::make_shared<kube::ObjectCache>(kube::resources::config_maps);
    kube::Reflector reflector(client, cache, {.ns = "demo"}, random);
    async::TaskScope scope(loop->executor());
    scope.spawn("reflector", reflector.run());
    loop->run_for(1s);
    for (int round = 0; round < 30; ++round) {
        post(config_maps, config_map("c" + std::to_string(round)));
        if (round % 3 == 0) del(std::string(config_maps) + "/c" + std::to_string(round / 2));
        if (round % 5 == 1) server.network().cut_streams({});
        if (round % 7 == 2) server.compact();
        if (round % 10 == 4) server.network().set("flaky", {.error_rate = 0.5});
        if (round % 10 == 7) server.network().clear();
        loop->run_for(5s);
    }
    server.network().clear();
    loop->run_for(200s);
    const auto truth = server.peek_all(kube::resources::config_maps, "demo");
    EXPECT_EQ(cache->size(), truth.size());
    for (const auto* object : truth) {
        const auto seen = cache->find("demo", kube::name_of(*object));
        ASSERT_TRUE(seen) << kube::name_of(*object);
        EXPECT_EQ(kube::resource_version_of(*seen), kube::resource_version_of(*object));
    }
    scope.cancel();
    loop->block_on(scope.join());
}

}  // namespace
}  // namespace kn::sim
