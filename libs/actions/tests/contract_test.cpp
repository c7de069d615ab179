#include "contract.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "kubernaut/json/yaml.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/resource.hpp"
#include "kubernaut/sim/api/api_server.hpp"

namespace kn::actions::testing {

using ports::ActionContext;

namespace {

constexpr std::string_view base_world = R"(
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: vault}
---
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {kubernetes.io/hostname: n1}}
status: {allocatable: {cpu: "8", memory: 32Gi, pods: "110"}, capacity: {cpu: "8", memory: 32Gi, pods: "110"}, conditions: [{type: Ready, status: "True", reason: KubeletReady, message: ok}]}
---
apiVersion: v1
kind: Node
metadata: {name: n2, labels: {kubernetes.io/hostname: n2}}
status: {allocatable: {cpu: "8", memory: 32Gi, pods: "110"}, capacity: {cpu: "8", memory: 32Gi, pods: "110"}, conditions: [{type: Ready, status: "True", reason: KubeletReady, message: ok}]}
---
apiVersion: v1
kind: Node
metadata: {name: n3, labels: {kubernetes.io/hostname: n3}}
status: {allocatable: {cpu: "8", memory: 32Gi, pods: "110"}, capacity: {cpu: "8", memory: 32Gi, pods: "110"}, conditions: [{type: Ready, status: "True", reason: KubeletReady, message: ok}]}
)";

json::Value parsed(std::string_view text) {
    auto value = json::parse(text);
    if (!value) throw std::runtime_error("test data: " + value.error().describe());
    return *std::move(value);
}

/// "@Kind/name" → uid, in every string of the value.
void resolve_uids(json::Value& value, World& world, std::string_view ns) {
    if (auto* object = value.if_object()) {
        for (auto& each : *object) resolve_uids(each.value(), world, ns);
    } else if (auto* array = value.if_array()) {
        for (auto& each : *array) resolve_uids(each, world, ns);
    } else if (auto* text = value.if_string(); text != nullptr && text->starts_with('@')) {
        const std::string name(json::view(*text).substr(1));
        const auto slash = name.find('/');
        const auto* resource = kube::find_resource(name.substr(0, slash));
        const auto object =
            world.run(world.human->get(*resource, resource->namespaced ? std::string(ns) : "", name.substr(slash + 1), Deadline::never()));
        if (!object) throw std::runtime_error("test data: no " + name);
        value = kube::uid_of(*object);
    }
}

}  // namespace

ActionSettings short_times() {
    ActionSettings settings;
    settings.failed_pod_age = 0s;
    settings.terminating_slack = 0s;
    settings.job_overdue = 0s;
    settings.secret_sources.push_back({.ns = "vault", .name = "pull-source", .as_name = "pull", .namespaces = {"shop"}});
    return settings;
}

ObjectKey key_from(const std::string& object) {
    const auto first = object.find('/'), last = object.rfind('/');
    const auto* resource = kube::find_resource(object.substr(0, first));
    if (resource == nullptr) throw std::runtime_error("test data: no kind in " + object);
    return {.cluster = ClusterId("lab"),
            .ns = first == last ? "" : object.substr(first + 1, last - first - 1),
            .kind = resource->kind,
            .group = resource->group,
            .name = object.substr(last + 1)};
}

std::string essence(const json::Value& object) {
    json::Value kept = object;
    if (!kept.is_object()) return "";
    kept.get_object().erase("status");
    if (json::object_at(kept, "spec").empty()) kept.get_object().erase("spec");  // servers differ in writing an empty one
    auto& metadata = json::make_at(kept, "metadata").get_object();
    for (const auto* key : {"resourceVersion", "generation", "managedFields", "uid", "creationTimestamp"}) metadata.erase(key);
    for (const auto* key : {"annotations", "labels"}) {
        if (metadata.contains(key) && metadata[key].is_object() && metadata[key].get_object().empty()) metadata.erase(key);
    }
    return json::canonical(kept);
}

World::World(async::EventLoop& event_loop, std::shared_ptr<kube::Transport> transport, ActionSettings settings)
    : loop(event_loop),
      tap(std::make_shared<Tap>(transport)),
      client(std::make_shared<kube::Client>(tap, event_loop.clock())),
      human(std::make_shared<kube::Client>(transport, event_loop.clock())),
      registry(make_action_registry({.notifier = notifier, .settings = std::move(settings)})) {
    put(base_world);
}

void World::put(std::string_view yaml) {
    const auto documents = json::parse_yaml_stream(yaml);
    if (!documents) throw std::runtime_error("test data: " + documents.error().describe());
    for (const auto& document : *documents) {
        json::Value object = document.value;
        const auto* resource = kube::resource_of(object);
        const std::string ns(kube::namespace_of(object)), name(kube::name_of(object));
        resolve_uids(object, *this, ns);
        const auto* status = json::at(object, "status");
        const json::Value wanted = status == nullptr ? json::Value(nullptr) : *status;
        const auto made = run(human->create(*resource, ns, object, {.field_manager = "setup", .field_validation = "Strict"}, Deadline::never()));
        if (!made) throw std::runtime_error("test data: " + name + ": " + made.error().describe());
        if (wanted.is_null()) continue;
        json::Object patch;
        patch["status"] = wanted;
        const auto set = run(human->patch(*resource, ns, name, kube::PatchType::merge, json::Value(patch),
                                          {.write = {.field_manager = "setup"}, .subresource = "status"}, Deadline::never()));
        if (!set) throw std::runtime_error("test data: status of " + name + ": " + set.error().describe());
    }
}

json::Value World::get(const std::string& object) {
    const auto key = key_from(object);
    const auto value = run(human->get(*kube::find_resource(key.kind_group()), key.ns, key.name, Deadline::never()));
    if (!value) throw std::runtime_error("reading " + object + ": " + value.error().describe());
    return *value;
}

bool World::exists(const std::string& object) {
    const auto key = key_from(object);
    return run(human->get(*kube::find_resource(key.kind_group()), key.ns, key.name, Deadline::never())).has_value();
}

void World::patch(const std::string& object, std::string_view merge_patch, const std::string& subresource) {
    const auto key = key_from(object);
    const auto done = run(human->patch(*kube::find_resource(key.kind_group()), key.ns, key.name, kube::PatchType::merge, parsed(merge_patch),
                                       {.write = {.field_manager = "somebody"}, .subresource = subresource}, Deadline::never()));
    if (!done) throw std::runtime_error("patching " + object + ": " + done.error().describe());
}

ActionContext World::context(const ActionCase& each) {
    ActionContext made;
    made.client = client;
    made.clock = &loop.clock();
    made.target.key = key_from(each.target);
    if (exists(each.target)) made.target.uid = kube::uid_of(get(each.target));
    made.params = parsed(each.params).get_object();
    made.id = ActionId("act_01J0000000000000000000TEST");
    made.execution = ExecutionId("exe_01J0000000000000000000TEST");
    made.fault_class = "crashloop.bad_rollout";
    made.deadline = loop.clock().deadline_in(std::chrono::minutes{10});
    return made;
}

ports::Action& World::action(const std::string& name) {
    auto* found = registry->find(name);
    if (found == nullptr) throw std::runtime_error("no action " + name);
    return *found;
}

namespace {

const std::string& written(const ActionCase& each) { return each.object.empty() ? each.target : each.object; }

/// prepare() as the engine does it: the pre-image goes back into the context.
ports::Prepared prepare(const ActionCase& each, World& world, ActionContext& context) {
    auto prepared = world.run(world.action(each.action).prepare(context));
    if (!prepared) throw std::runtime_error(each.action + ": prepare: " + prepared.error().describe());
    // What is stored must survive being stored.
    context.pre_image = parsed(json::dump(prepared->pre_image));
    return *std::move(prepared);
}

/// A label: of a Deployment even an annotation raises the generation.
async::Task<> label(std::shared_ptr<kube::Client> human, std::string object) {
    const auto key = key_from(object);
    (void)co_await human->patch(*kube::find_resource(key.kind_group()), key.ns, key.name, kube::PatchType::merge,
                                parsed(R"({"metadata":{"labels":{"somebody":"was-here"}}})"), {.write = {.field_manager = "somebody"}},
                                Deadline::never());
}

void set_up(const ActionCase& each, World& world) {
    world.put(each.objects);
    if (each.after_setup) each.after_setup(world);
    world.tap->writes.clear();
}

std::vector<std::string> snapshots(World& world, const std::vector<std::string>& keys) {
    std::vector<std::string> all;
    for (const auto& text : keys) {
        const auto key = ObjectKey::parse(text).value();
        const auto object = world.run(world.human->get(*kube::find_resource(key.kind_group()), key.ns, key.name, Deadline::never()));
        all.push_back(object ? essence(*object) : "absent");
    }
    return all;
}

}  // namespace

void refuses_bad_parameters(const ActionCase& each, World& world) {
    set_up(each, world);
    auto cases = each.bad;
    cases.emplace_back(R"({"nonsense": 1})", "params.nonsense");
    for (const auto& [params, field] : cases) {
        auto context = world.context(each);
        for (const auto& [key, value] : parsed(params).get_object()) context.params[key] = value;
        const auto refused = world.run(world.action(each.action).prepare(context));
        ASSERT_FALSE(refused) << params;
        EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument) << params << ": " << refused.error().describe();
        EXPECT_EQ(refused.error().field, field) << params;
    }
    EXPECT_TRUE(world.tap->writes.empty());
}

void refuses_a_target_made_anew(const ActionCase& each, World& world) {
    set_up(each, world);
    auto context = world.context(each);
    context.target.uid = "00000000-0000-0000-0000-000000000000";
    const auto refused = world.run(world.action(each.action).prepare(context));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition) << refused.error().describe();
    EXPECT_EQ(refused.error().reason, "target_changed");
}

void refuses_what_gitops_owns(const ActionCase& each, World& world) {
    set_up(each, world);
    world.patch(each.owned.empty() ? written(each) : each.owned, R"({"metadata":{"labels":{"argocd.argoproj.io/instance":"shop"}}})");
    auto context = world.context(each);
    const auto prepared = world.run(world.action(each.action).prepare(context));
    if (world.action(each.action).spec().gitops_safe) {
        EXPECT_TRUE(prepared) << prepared.error().describe();
        return;
    }
    ASSERT_FALSE(prepared);
    EXPECT_EQ(prepared.error().reason, "gitops_owned") << prepared.error().describe();
}

void writes_nothing_in_a_dry_run(const ActionCase& each, World& world) {
    set_up(each, world);
    auto context = world.context(each);
    const auto prepared = prepare(each, world, context);
    EXPECT_TRUE(world.tap->writes.empty()) << "prepare() only reads";
    EXPECT_FALSE(prepared.writes.empty());
    EXPECT_EQ(prepared.request_digest.size(), 64U);
    const auto before = snapshots(world, prepared.writes);
    context.dry_run = true;
    const auto outcome = world.run(world.action(each.action).execute(context));
    ASSERT_TRUE(outcome) << outcome.error().describe();
    EXPECT_FALSE(world.tap->writes.empty()) << "the server is asked";
    for (const auto& write : world.tap->writes) EXPECT_TRUE(write.dry_run) << write.method << " " << write.target;
    EXPECT_EQ(snapshots(world, prepared.writes), before);
}

void does_it_once_though_the_reply_was_lost(const ActionCase& each, World& world, World& undisturbed) {
    set_up(each, undisturbed);
    auto calm = undisturbed.context(each);
    prepare(each, undisturbed, calm);
    const auto first = undisturbed.run(undisturbed.action(each.action).execute(calm));
    ASSERT_TRUE(first) << first.error().describe();
    const auto effects = undisturbed.tap->effects();
    EXPECT_GE(effects, 1U);

    set_up(each, world);
    auto context = world.context(each);
    const auto prepared = prepare(each, world, context);
    world.tap->lose_replies = 1;
    auto lost = world.run(world.action(each.action).execute(context));
    if (!lost) {
        EXPECT_EQ(lost.error().applied, Applied::maybe) << lost.error().describe();
        const auto check = world.run(world.action(each.action).applied_already(context));
        ASSERT_TRUE(check) << check.error().describe();
        EXPECT_NE(*check, ports::AppliedCheck::unreadable);
        // Even when nobody asked: the same intent again must not act again.
        const auto again = world.run(world.action(each.action).execute(context));
        ASSERT_TRUE(again) << again.error().describe();
        const auto done = world.run(world.action(each.action).applied_already(context));
        ASSERT_TRUE(done);
        EXPECT_EQ(*done, ports::AppliedCheck::applied);
    }
    EXPECT_EQ(world.tap->effects(), effects);
    const auto third = world.run(world.action(each.action).execute(context));
    EXPECT_TRUE(third) << third.error().describe();
    EXPECT_EQ(world.tap->effects(), effects);
    EXPECT_EQ(snapshots(world, prepared.writes), snapshots(undisturbed, prepared.writes));
}

void goes_on_after_a_harmless_conflict(const ActionCase& each, World& world) {
    set_up(each, world);
    auto context = world.context(each);
    prepare(each, world, context);
    if (world.exists(written(each))) {
        world.tap->before_next_write = [human = world.human, object = written(each)] { return label(human, object); };
    }
    const auto outcome = world.run(world.action(each.action).execute(context));
    ASSERT_TRUE(outcome) << outcome.error().describe();
    const auto check = world.run(world.action(each.action).applied_already(context));
    ASSERT_TRUE(check);
    EXPECT_EQ(*check, ports::AppliedCheck::applied);
}

void stops_when_somebody_touched_its_field(const ActionCase& each, World& world) {
    set_up(each, world);
    auto context = world.context(each);
    prepare(each, world, context);
    world.patch(written(each), each.meddle);
    const auto before = essence(world.get(written(each)));
    const auto refused = world.run(world.action(each.action).execute(context));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, "target_changed") << refused.error().describe();
    EXPECT_EQ(essence(world.get(written(each))), before);
    EXPECT_EQ(world.tap->effects(), 0U);
}

void restores_exactly(const ActionCase& each, World& world) {
    set_up(each, world);
    auto context = world.context(each);
    const auto prepared = prepare(each, world, context);
    const auto before = snapshots(world, prepared.writes);
    const auto outcome = world.run(world.action(each.action).execute(context));
    ASSERT_TRUE(outcome) << outcome.error().describe();
    EXPECT_NE(snapshots(world, prepared.writes), before) << "nothing was changed";
    const auto undone = world.run(world.action(each.action).compensate(context));
    ASSERT_TRUE(undone) << undone.error().describe();
    EXPECT_EQ(snapshots(world, prepared.writes), before);
    // A second time, after a crash: nothing more to do.
    const auto effects = world.tap->effects();
    const auto again = world.run(world.action(each.action).compensate(context));
    EXPECT_TRUE(again) << again.error().describe();
    EXPECT_EQ(world.tap->effects(), effects);
}

void leaves_what_drifted_alone(const ActionCase& each, World& world) {
    set_up(each, world);
    auto context = world.context(each);
    prepare(each, world, context);
    ASSERT_TRUE(world.run(world.action(each.action).execute(context)));
    world.patch(written(each), each.meddle);
    const auto before = essence(world.get(written(each)));
    const auto effects = world.tap->effects();
    const auto refused = world.run(world.action(each.action).compensate(context));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, "drift") << refused.error().describe();
    EXPECT_EQ(essence(world.get(written(each))), before);
    EXPECT_EQ(world.tap->effects(), effects);
}

// ---- the suite on the simulated API server, without controllers ----

namespace {

struct SimWorld {
    SimWorld() : loop(async::EventLoop::simulated(Instant{Duration{1'764'000'000'000}})), api(*loop, random) {}
    SeededRandom random{7};
    std::unique_ptr<async::EventLoop> loop;
    sim::ApiServer api;
    World world{*loop, api.transport({.user = "system:admin", .groups = {"system:masters"}}), short_times()};
};

class ActionContract : public ::testing::TestWithParam<ActionCase> {
protected:
    SimWorld sim;
};

TEST_P(ActionContract, RefusesBadParametersWithTheirField) { refuses_bad_parameters(GetParam(), sim.world); }
TEST_P(ActionContract, RefusesATargetMadeAnew) { refuses_a_target_made_anew(GetParam(), sim.world); }
TEST_P(ActionContract, RefusesWhatGitopsOwnsUnlessMarked) { refuses_what_gitops_owns(GetParam(), sim.world); }
TEST_P(ActionContract, WritesNothingInADryRun) { writes_nothing_in_a_dry_run(GetParam(), sim.world); }
TEST_P(ActionContract, DoesItOnceThoughTheReplyWasLost) {
    SimWorld other;
    does_it_once_though_the_reply_was_lost(GetParam(), sim.world, other.world);
}
TEST_P(ActionContract, GoesOnAfterAConflictThatTouchesNothingOfOurs) { goes_on_after_a_harmless_conflict(GetParam(), sim.world); }
TEST_P(ActionContract, StopsWhenSomebodyTouchedItsField) {
    if (GetParam().meddle.empty()) GTEST_SKIP() << "the action writes no field";
    stops_when_somebody_touched_its_field(GetParam(), sim.world);
}
TEST_P(ActionContract, RestoresExactly) {
    if (!sim.world.action(GetParam().action).spec().reversible) {
        const auto context = sim.world.context(GetParam());
        EXPECT_FALSE(sim.world.run(sim.world.action(GetParam().action).compensate(context)));
        return;
    }
    if (GetParam().gives_back_only_the_node) GTEST_SKIP() << "evicted pods stay where they went";
    restores_exactly(GetParam(), sim.world);
}
TEST_P(ActionContract, LeavesAloneWhatDrifted) {
    if (GetParam().meddle.empty() || !sim.world.action(GetParam().action).spec().reversible) GTEST_SKIP() << "nothing that could drift";
    leaves_what_drifted_alone(GetParam(), sim.world);
}

INSTANTIATE_TEST_SUITE_P(Actions, ActionContract, ::testing::ValuesIn(action_cases()), [](const auto& each) {
    std::string name = std::to_string(each.index) + "_" + each.param.action;
    return name;
});

TEST(ActionRegistry, HasEveryActionOfTheTableAndEveryCaseIsTried) {
    SimWorld sim;
    EXPECT_EQ(sim.world.registry->all().size(), action_specs().size());
    for (const auto& spec : action_specs()) {
        EXPECT_NE(sim.world.registry->find(spec.name), nullptr) << spec.name;
        const bool tried = std::ranges::any_of(action_cases(), [&](const ActionCase& each) { return each.action == spec.name; });
        EXPECT_TRUE(tried || !spec.mutating) << spec.name << " has no contract case";
    }
    EXPECT_EQ(sim.world.registry->find("no_such_action"), nullptr);
}

}  // namespace
}  // namespace kn::actions::testing
