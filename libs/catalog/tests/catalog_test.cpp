#include "kubernaut/catalog/catalog.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "kubernaut/actions/registry.hpp"

using namespace kn;
using namespace kn::catalog;

namespace {

Rules rules() { return {.actions = actions::action_specs(), .fault_classes = {}}; }

std::string all_problems(const Checked& checked) {
    std::string out;
    for (const auto& problem : checked.problems) out += problem.text() + "\n";
    return out;
}

const std::string good = R"(
id: mine
version: 2
risk: low
target_kinds: [Deployment]
params: {factor: {type: number, min: 1, max: 2, default: 1.5}}
steps:
  - {id: restart, action: restart_workload}
)";

}  // namespace

TEST(Catalog, EveryBuiltInWorkflowIsSound) {
    const auto catalog = Catalog::builtin(rules());
    ASSERT_TRUE(catalog) << catalog.error().message;
    EXPECT_GE(catalog->all().size(), 30U);
    for (const char* id :
         {"diagnose-and-notify", "rollback-deployment", "restore-config", "raise-memory", "clear-taint", "refresh-pull-secret", "relax-pdb-for-drain",
          "link-and-wait", "expand-volume", "fix-unbound-pvc", "restore-rbac", "raise-hpa-max", "drain-node", "relax-probe"}) {
        ASSERT_NE(catalog->find(id), nullptr) << id;
        EXPECT_EQ(catalog->find(id)->origin, "builtin");
        // The snapshot that an execution keeps means the same again.
        const auto again = definition_from(catalog->find(id)->source);
        ASSERT_TRUE(again) << id << again.error().message;
        EXPECT_EQ(again->steps.size(), catalog->find(id)->steps.size());
    }
    EXPECT_TRUE(catalog->find("link-and-wait")->source.at("subworkflows").as_object().contains("cut-backoff"));
}

TEST(Catalog, StepsFollowEachOtherUnlessTheySayOtherwise) {
    const auto checked = validate(R"(
id: x
risk: low
steps:
  - {id: a, action: restart_workload}
  - {id: b, action: restart_workload}
  - {id: c, action: restart_workload, needs: []}
  - {id: d, kind: assert, that: "true", needs: [b, c]}
)",
                                  "x.yaml", rules());
    ASSERT_TRUE(checked.problems.empty()) << all_problems(checked);
    const auto& steps = checked.workflows.at(0).steps;
    EXPECT_EQ(steps[1].needs, std::vector<std::string>{"a"});
    EXPECT_TRUE(steps[2].needs.empty());
    EXPECT_EQ(steps[3].needs, (std::vector<std::string>{"b", "c"}));
}

TEST(Catalog, AllProblemsAreToldAtOnceWithTheirPlaces) {
    const auto checked = validate(R"(id: Bad Name
risk: enormous
colour: blue
fault_classes: [oom.leek]
params:
  factor: {type: float}
steps:
  - {id: a, action: launch_missiles}
  - id: b
    action: scale_workload
    with: {replicas: 500, speed: 3}
  - {id: b, kind: assert, that: "params.fctor > "}
  - {id: c, action: rollback_deployment, needs: [nowhere]}
  - {id: d, kind: loop, while: "true", body: [{id: e, kind: assert, that: "steps.zzz.state == 'x' && galaxy == 3"}]}
  - {id: f, kind: wait, until: "facts.x"}
)",
                                  "bad.yaml", Rules{.actions = actions::action_specs(), .fault_classes = {"oom.leak"}});
    EXPECT_TRUE(checked.workflows.empty());
    const std::string text = all_problems(checked);
    for (const char* wanted :
         {"bad.yaml:1: id: an id has small letters", "bad.yaml:2: risk: unknown word `enormous`", "bad.yaml:3: colour: unknown key",
          "fault_classes[0]: unknown fault class `oom.leek`", "bad.yaml:6: params.factor.type: unknown word `float`",
          "bad.yaml:8: steps[0].action: unknown action `launch_missiles`", "bad.yaml:11: steps[1].with.replicas: must be at most",
          "steps[1].with.speed: the action scale_workload has no parameter", "steps[2].id: the id `b` is used twice",
          "steps[2].that: the expression ends too early", "steps[3].needs: no step `nowhere`", "steps[4].times: is required",
          "steps[4].body[0].that: no step `zzz`", "steps[4].body[0].that: `galaxy` is not known here", "steps[5].timeout: is required"}) {
        EXPECT_NE(text.find(wanted), std::string::npos) << "missing: " << wanted << "\nin:\n" << text;
    }
}

TEST(Catalog, RefusesCirclesAndWhatCannotBeUndone) {
    const auto circle = validate(R"(
id: x
risk: low
steps:
  - {id: a, action: restart_workload, needs: [b]}
  - {id: b, action: restart_workload, needs: [a]}
)",
                                 "x.yaml", rules());
    EXPECT_NE(all_problems(circle).find("in a circle"), std::string::npos) << all_problems(circle);
    const auto risky = validate("id: x\nrisk: high\nsteps:\n  - {id: a, action: force_delete_pod}\n", "x.yaml", rules());
    EXPECT_NE(all_problems(risky).find("irreversible: accepted"), std::string::npos);
    const auto lower = validate("id: x\nrisk: low\nsteps:\n  - {id: a, action: rollback_deployment}\n", "x.yaml", rules());
    EXPECT_NE(all_problems(lower).find("is lower than that of the action"), std::string::npos);
    std::string many = "id: x\nrisk: low\nsteps:\n";
    for (int i = 0; i < 201; ++i) many += "  - {id: s" + std::to_string(i) + ", kind: assert, that: \"true\"}\n";
    EXPECT_NE(all_problems(validate(many, "x.yaml", rules())).find("more than 200 steps"), std::string::npos);
    EXPECT_FALSE(validate("a: [1", "x.yaml", rules()).problems.empty());
    EXPECT_FALSE(validate("", "x.yaml", rules()).problems.empty());
    EXPECT_FALSE(validate("- 1", "x.yaml", rules()).problems.empty());
}

TEST(Catalog, AFolderExtendsAndAHigherVersionReplaces) {
    auto catalog = *Catalog::builtin(rules());
    ASSERT_TRUE(catalog.add(good, "mine.yaml", rules()));
    EXPECT_EQ(catalog.find("mine")->version, 2);
    ASSERT_TRUE(catalog.add(good, "again.yaml", rules())) << "the same content is no conflict";
    std::string changed = good;
    changed.replace(changed.find("risk: low"), 9, "risk: high");
    EXPECT_FALSE(catalog.add(changed, "changed.yaml", rules())) << "the same version with other content";
    EXPECT_EQ(catalog.find("mine")->risk, Risk::low) << "nothing of a refused text stays";
    changed.replace(changed.find("version: 2"), 10, "version: 3");
    ASSERT_TRUE(catalog.add(changed, "changed.yaml", rules()));
    EXPECT_EQ(catalog.find("mine")->risk, Risk::high);
    EXPECT_EQ(catalog.find("mine", 2)->risk, Risk::low);
    const auto folder = std::filesystem::path(testing::TempDir()) / "kn_catalog_test";
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "w.yaml") << "id: other\nrisk: none\nsteps:\n  - {id: a, action: collect_diagnostics}\n";
    ASSERT_TRUE(catalog.load_folder(folder, rules()));
    EXPECT_NE(catalog.find("other"), nullptr);
    EXPECT_FALSE(catalog.load_folder(folder / "missing", rules()));
    std::filesystem::remove_all(folder);
}

TEST(Catalog, SubworkflowsMustExistAndNotLeadBack) {
    auto catalog = *Catalog::builtin(rules());
    EXPECT_FALSE(catalog.add("id: x\nrisk: low\nsteps:\n  - {id: a, workflow: nowhere}\n", "x.yaml", rules()));
    EXPECT_FALSE(catalog.add("id: x\nrisk: low\nsteps:\n  - {id: a, workflow: y}\n---\nid: y\nrisk: low\nsteps:\n  - {id: a, workflow: x}\n",
                             "x.yaml", rules()));
    EXPECT_TRUE(catalog.add("id: x\nrisk: low\nsteps:\n  - {id: a, workflow: graceful-restart}\n", "x.yaml", rules()));
}

TEST(Catalog, LookupLeavesOutWhatCannotRun) {
    const auto catalog = *Catalog::builtin(rules());
    const auto lookup = catalog.lookup([](std::string_view action) { return action != "restart_pod"; });
    EXPECT_NE(lookup("graceful-restart"), nullptr);
    EXPECT_EQ(lookup("restore-secret"), nullptr);
    EXPECT_EQ(lookup("link-and-wait"), nullptr) << "its subworkflow needs restart_pod";
    EXPECT_EQ(lookup("nowhere"), nullptr);
}
