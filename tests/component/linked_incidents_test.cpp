#include <gtest/gtest.h>

#include "api_bed.hpp"
#include "kubernaut/sim/kubelet/behaviour.hpp"

// One cause, several targets that suffer: only the cause is treated.
namespace kn::component {
namespace {

json::Value incident_of(ApiBed& bed, std::string_view kind) {
    const auto answer = bed.get("/api/v1/incidents?cluster=eu1");
    for (const auto& incident : json::array_at(answer.body, "items")) {
        if (json::string_at(incident, "target", "key").contains("/" + std::string(kind)))
            return bed.get("/api/v1/incidents/" + std::string(json::string_at(incident, "id"))).body;
    }
    ADD_FAILURE() << "no incident of a " << kind << ": " << answer.text;
    return nullptr;
}

TEST(LinkedIncidents, AServiceWithoutEndpointsWaitsForTheWorkloadThatItSelects) {
    ApiBed bed;
    auto& cluster = *bed.clusters[0];
    const auto client = cluster.client();
    const auto soon = [&] { return bed.loop->clock().deadline_in(30s); };
    const auto patch_cart = [&](json::Value patch) {
        bed.loop->block_on(client->patch(kube::resources::deployments, "shop", "cart", kube::PatchType::strategic, std::move(patch), {}, soon()))
            .value();
    };
    bed.loop
        ->block_on(client->create(kube::resources::services, "shop",
                                  json::parse(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"cart"},
                                                  "spec":{"selector":{"app":"cart"},"ports":[{"port":80}]}})")
                                      .value(),
                                  {}, soon()))
        .value();
    // All old pods end before the new ones come.
    patch_cart(json::parse(R"({"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}})").value());
    bed.loop->run_for(7min);
    cluster.book()->add_image("registry.example/cart:1.0");
    cluster.book()->registry("registry.example").closed = true;
    patch_cart(json::parse(R"({"spec":{"template":{"spec":{"containers":[{"name":"app","image":"registry.example/cart:2.0"}]}}}})").value());
    bed.loop->run_for(3min);

    auto service_alert = ApiBed::alert("eu1", "shop", "", "2026-03-01T09:10:00Z");
    auto& labels = service_alert.as_object()["labels"].as_object();
    labels.erase("deployment");
    labels["alertname"] = "ServiceWithoutEndpoints";
    labels["service"] = "cart";
    ASSERT_EQ(bed.post("/api/v1/alerts", ApiBed::batch({ApiBed::alert("eu1", "shop", "cart", "2026-03-01T09:10:00Z"), service_alert}), "am").status,
              200);
    bed.loop->run_for(60s);

    const auto cause = incident_of(bed, "Deployment"), effect = incident_of(bed, "Service");
    EXPECT_EQ(json::string_at(cause, "state"), "awaiting_approval") << json::dump(cause);
    EXPECT_EQ(json::string_at(effect, "state"), "linked") << json::dump(effect);
    EXPECT_EQ(json::string_at(effect, "cause"), json::string_at(cause, "id"));

    const auto& approvals = json::array_at(cause, "approvals");
    ASSERT_FALSE(approvals.empty());
    ASSERT_EQ(bed.post("/api/v1/approvals/" + std::string(json::string_at(approvals[0], "id")) + "/grant", json::Object{}).status, 200);
    bed.loop->run_for(15min);
    EXPECT_EQ(json::string_at(incident_of(bed, "Deployment"), "state"), "resolved");
    const auto healed = incident_of(bed, "Service");
    EXPECT_EQ(json::string_at(healed, "state"), "resolved") << json::dump(healed);
    EXPECT_TRUE(json::array_at(healed, "executions").empty()) << "the effect is not treated";
}

}  // namespace
}  // namespace kn::component
