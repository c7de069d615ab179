// Every command of the client, as a person uses it: the real binary against a real hub over simulated clusters, each in a process of its own.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <thread>

#include "kubernaut/json/json.hpp"
#include "kubernaut/json/yaml.hpp"
#include "kubernaut/testing/process.hpp"
#include "kubernaut/testing/temp_dir.hpp"

namespace kn::e2e {
namespace {

using testing::Finished;

class Client : public ::testing::Test {
protected:
    static inline std::unique_ptr<testing::TempDir> folder;
    static inline std::unique_ptr<testing::Process> sim, hub;
    static inline int port = 0;
    static inline std::string binary = testing::kubernaut_binary(KN_BINARY);

    static std::string path(const std::string& name) { return folder->path() + "/" + name; }
    static void start_hub() {
        auto started = testing::Process::start({binary, "serve", "-c", path("kubernaut.yaml")}, {.output = path("hub.log")});
        ASSERT_TRUE(started) << started.error().describe();
        hub = std::make_unique<testing::Process>(*std::move(started));
        ASSERT_TRUE(until(30s, [] { return kubernaut({"get", "clusters"}).out.find("healthy") != std::string::npos; }))
            << testing::read_file(path("hub.log"));
    }
    static void SetUpTestSuite() {
        folder = std::make_unique<testing::TempDir>();
        port = testing::free_port();
        auto started =
            testing::Process::start({binary, "sim", "--hurry", "60", "--scenario", "S01,X07", "--seed", "5", "--kubeconfig", path("kubeconfig")},
                                    {.output = path("sim.log")});
        ASSERT_TRUE(started) << started.error().describe();
        sim = std::make_unique<testing::Process>(*std::move(started));
        ASSERT_TRUE(until(30s, [] { return testing::read_file(path("sim.log")).find("Ctrl-C") != std::string::npos; }));
        testing::write_file(
            path("kubernaut.yaml"),
            "http: {listen: \"127.0.0.1:" + std::to_string(port) + "\"}\nlog: {format: text}\nstore: {url: \"sqlite://" + path("hub.db") + "\"}\n" +
                "auth: {tokens: [{name: ann, token: ann-token}, {name: bob, token: bob-token}], bindings: [{subject: ann, role: admin}, {subject: "
                "bob, role: viewer}]}\n" +
                "decision: {correlate: 500ms, ages: {good_revision: 3s}, waits: {confirm: 500ms, look_every: 1s, evidence_gone: 2s, settle: "
                "3s}}\nactions: {waits: {rollout_quiet: 1s}}\n" +
                "guard: {cooldown: {ok: 1s, bad: 1s, max: 1s}}\nassess: {settle: 1s, final: 1s, give_up: 3s}\n" +
                "clusters: [{id: sim1, kind: simulated, environment: staging, mode: approve, kubeconfig: \"" + path("kubeconfig") + "\"}]\n");
        start_hub();
    }
    static void TearDownTestSuite() {
        hub.reset();
        sim.reset();
        folder.reset();
    }
    static Finished kubernaut(std::vector<std::string> words, const std::string& token = "ann-token") {
        words.insert(words.begin(), binary);
        auto finished = testing::run(
            std::move(words), {{"KUBERNAUT_SERVER", "http://127.0.0.1:" + std::to_string(port)}, {"KUBERNAUT_TOKEN", token}, {"NO_COLOR", "1"}});
        return finished ? *std::move(finished) : Finished{-1, "", finished.error().describe()};
    }
    static json::Value as_json(std::vector<std::string> words) {
        words.insert(words.end(), {"-o", "json"});
        const auto finished = kubernaut(std::move(words));
        auto parsed = json::parse(finished.out);
        return parsed ? *std::move(parsed) : json::Value(nullptr);
    }
    static bool until(Duration limit, const std::function<bool()>& done) {
        const auto end = std::chrono::steady_clock::now() + limit;
        while (!done()) {
            if (std::chrono::steady_clock::now() > end) return false;
            std::this_thread::yield();  // every look starts a program: that is pause enough
        }
        return true;
    }
    static std::string first_pending() {
        std::string id;
        until(90s, [&] {
            const json::Value approvals = as_json({"get", "approvals", "--state", "pending"});
            for (const auto& approval : json::array_at(approvals, "items")) id = json::string_at(approval, "id");
            return !id.empty();
        });
        return id;
    }
};

TEST_F(Client, ListsEveryKindInEveryForm) {
    for (const char* kind :
         {"incidents", "executions", "clusters", "workflows", "actions", "assessments", "approvals", "signals", "history", "pauses"}) {
        for (const char* form : {"table", "wide", "json", "yaml"}) {
            const auto shown = kubernaut({"get", kind, "-o", form});
            EXPECT_EQ(shown.exit_code, 0) << kind << " " << form << ": " << shown.err;
            if (std::string_view(form) == "json") EXPECT_TRUE(json::parse(shown.out)) << kind << ": " << shown.out;
            if (std::string_view(form) == "yaml") EXPECT_TRUE(json::parse_yaml(shown.out)) << kind << ": " << shown.out;
        }
    }
    EXPECT_GE(json::array_at(as_json({"get", "workflows"}), "items").size(), 14U);
    EXPECT_GE(json::array_at(as_json({"get", "actions"}), "items").size(), 16U);
    const auto table = kubernaut({"get", "clusters"}), wide = kubernaut({"get", "clusters", "-o", "wide"}),
               bare = kubernaut({"get", "clusters", "--no-headers"});
    EXPECT_EQ(table.out.find("sim1"), table.out.find('\n') + 1) << table.out;
    EXPECT_GT(wide.out.find('\n'), table.out.find('\n')) << "wide has more columns";
    EXPECT_TRUE(bare.out.starts_with("sim1")) << bare.out;
    EXPECT_EQ(kubernaut({"describe", "cluster", "sim1"}).exit_code, 0);
    EXPECT_NE(kubernaut({"describe", "workflow", "rollback-deployment"}).out.find("rollback_deployment"), std::string::npos);
}

TEST_F(Client, AFaultIsWatchedExplainedApprovedAndCured) {
    auto watch = testing::Process::start(
        {binary, "get", "incidents", "--watch", "--all", "--server", "http://127.0.0.1:" + std::to_string(port), "--token", "ann-token"},
        {.output = path("watch.log")});
    ASSERT_TRUE(watch);
    const std::string approval = first_pending();
    ASSERT_FALSE(approval.empty()) << kubernaut({"get", "incidents", "--all"}).out << testing::read_file(path("hub.log"));
    std::string incident;
    for (const auto& each : json::array_at(as_json({"get", "approvals"}), "items")) {
        if (json::string_at(each, "id") == approval) incident = json::string_at(each, "incident");
    }
    EXPECT_NE(kubernaut({"get", "incidents"}).out.find(incident), std::string::npos);
    EXPECT_NE(kubernaut({"describe", "incident", incident}).out.find("awaiting_approval"), std::string::npos);
    const auto why = kubernaut({"why", incident});
    for (const char* part : {"What happened", "What was it taken for", "The evidence", "What was decided", "rollback-deployment"})
        EXPECT_NE(why.out.find(part), std::string::npos) << part << "\n" << why.out;

    const auto viewer = kubernaut({"approve", approval}, "bob-token");
    EXPECT_EQ(viewer.exit_code, 1);
    EXPECT_NE(viewer.err.find("may not approve"), std::string::npos) << viewer.err;
    const auto approved = kubernaut({"approve", approval, "--comment", "looks right"});
    EXPECT_EQ(approved.exit_code, 0) << approved.err;
    EXPECT_NE(kubernaut({"approve", approval}).exit_code, 0) << "it is settled";
    ASSERT_TRUE(until(90s, [&] { return json::string_at(as_json({"get", "incidents", incident}), "outcome") == "remediated"; }))
        << kubernaut({"why", incident}).out;
    EXPECT_NE(kubernaut({"get", "history", "-o", "json"}).out.find("rollback_deployment"), std::string::npos);
    std::string execution;
    for (const auto& each : json::array_at(as_json({"get", "executions"}), "items")) execution = json::string_at(each, "id");
    EXPECT_NE(kubernaut({"describe", "execution", execution}).out.find("steps:"), std::string::npos);
    ASSERT_TRUE(until(60s, [&] { return testing::read_file(path("watch.log")).find("resolved") != std::string::npos; }))
        << testing::read_file(path("watch.log"));
    EXPECT_NE(testing::read_file(path("watch.log")).find(incident), std::string::npos);

    // The other one is refused: nothing is done, and that is told.
    const std::string other = first_pending();
    ASSERT_FALSE(other.empty()) << kubernaut({"get", "incidents", "--all"}).out;
    EXPECT_EQ(kubernaut({"reject", other, "--comment", "not now"}).exit_code, 0);
    ASSERT_TRUE(until(60s, [&] {
        for (const auto& each : json::array_at(as_json({"get", "approvals"}), "items")) {
            if (json::string_at(each, "id") == other) return json::string_at(each, "state") == "rejected";
        }
        return false;
    }));
}

TEST_F(Client, RunsByHandDryAndRealCancelsPausesAndResumes) {
    // A workload that nothing is wrong with.
    const auto run_on = [](const std::string& target, std::vector<std::string> more = {}) {
        std::vector<std::string> words{"run", "graceful-restart", "--target", target};
        words.insert(words.end(), more.begin(), more.end());
        return kubernaut(std::move(words));
    };
    const std::string sim_log = testing::read_file(path("sim.log"));
    const auto at = sim_log.find("S01: deployed; breaking Deployment.apps/");
    ASSERT_NE(at, std::string::npos) << sim_log;
    const auto slash = sim_log.find('/', at);
    const std::string ns = sim_log.substr(slash + 1, sim_log.find('/', slash + 1) - slash - 1);
    const std::string app = sim_log.substr(sim_log.find('/', slash + 1) + 1, sim_log.find(' ', slash) - sim_log.find('/', slash + 1) - 1);
    const std::string target = "sim1/" + ns + "/Deployment.apps/" + app;

    const auto dry = kubernaut({"run", "graceful-restart", "--target", target, "--dry-run", "-o", "json"});
    ASSERT_EQ(dry.exit_code, 0) << dry.err;
    const auto dry_document = json::parse(dry.out);
    ASSERT_TRUE(dry_document) << dry.out;
    const std::string dry_id(json::string_at(*dry_document, "id"));
    json::Value ended;
    ASSERT_TRUE(until(60s, [&] {
        ended = as_json({"get", "executions", dry_id});
        return json::string_at(ended, "state") == "succeeded" || json::string_at(ended, "state") == "failed";
    }));
    EXPECT_EQ(json::string_at(ended, "state"), "succeeded") << json::dump_pretty(ended);
    EXPECT_EQ(json::bool_at(ended, "dry_run"), true);

    const auto paused = kubernaut({"pause", "namespace", "sim1/" + ns, "--reason", "release", "--for", "2h"});
    EXPECT_EQ(paused.exit_code, 0) << paused.err;
    EXPECT_NE(kubernaut({"get", "pauses"}).out.find(ns), std::string::npos);
    const auto refused = run_on(target);
    EXPECT_EQ(refused.exit_code, 1) << refused.out;
    EXPECT_NE(refused.err.find("pause"), std::string::npos) << refused.err;
    EXPECT_EQ(kubernaut({"resume", "namespace", "sim1/" + ns}).exit_code, 0);
    EXPECT_EQ(kubernaut({"pause", "cluster", "sim1"}).exit_code, 0);
    EXPECT_EQ(kubernaut({"resume", "cluster", "sim1"}).exit_code, 0);
    EXPECT_EQ(kubernaut({"pause", "fleet"}).exit_code, 0);
    EXPECT_EQ(kubernaut({"resume", "fleet"}).exit_code, 0);
    EXPECT_TRUE(json::array_at(as_json({"get", "pauses"}), "items").empty());

    const auto real = kubernaut({"run", "graceful-restart", "--target", target, "--reason", "by hand", "-o", "json"});
    ASSERT_EQ(real.exit_code, 0) << real.err;
    const std::string id(json::string_at(json::parse(real.out).value(), "id"));
    const auto cancelled = kubernaut({"cancel", id});
    EXPECT_EQ(cancelled.exit_code, 0) << cancelled.err;
    json::Value last;
    EXPECT_TRUE(until(90s, [&] {
        last = as_json({"get", "executions", id});
        const auto state = json::string_at(last, "state");
        return state == "cancelled" || state == "compensated" || state == "succeeded";
    })) << json::dump_pretty(last);
    EXPECT_NE(kubernaut({"cancel", id}).exit_code, 0) << "it has ended";
}

TEST_F(Client, MistakesGetAWordAndAnExitCode) {
    EXPECT_EQ(kubernaut({"get", "incidents", "inc_00000000000000000000000000"}).exit_code, 4);
    EXPECT_EQ(kubernaut({"why", "inc_00000000000000000000000000"}).exit_code, 4);
    EXPECT_EQ(kubernaut({"cancel", "exe_00000000000000000000000000"}).exit_code, 4);
    EXPECT_EQ(kubernaut({"approve", "apr_00000000000000000000000000"}).exit_code, 4);
    const auto kind = kubernaut({"get", "dragons"});
    EXPECT_EQ(kind.exit_code, 1);
    EXPECT_NE(kind.err.find("incidents"), std::string::npos) << "it says what there is: " << kind.err;
    EXPECT_EQ(kubernaut({"get", "incidents", "-o", "xml"}).exit_code, 2);
    EXPECT_EQ(kubernaut({"get"}).exit_code, 2);
    const auto stranger = kubernaut({"get", "incidents"}, "wrong");
    EXPECT_EQ(stranger.exit_code, 1);
    EXPECT_NE(stranger.err.find("token"), std::string::npos) << stranger.err;
    const auto nobody = testing::run({binary, "get", "incidents", "--server", "http://127.0.0.1:1", "--token", "x"});
    ASSERT_TRUE(nobody);
    EXPECT_EQ(nobody->exit_code, 1);
    EXPECT_NE(nobody->err.find("is the hub running"), std::string::npos) << nobody->err;
    EXPECT_EQ(kubernaut({"run", "graceful-restart", "--target", "nonsense", "--dry-run"}).exit_code, 1);
    EXPECT_NE(kubernaut({"run", "no-such-workflow", "--target", "sim1/a/Deployment.apps/b"}).err.find("no-such-workflow"), std::string::npos);
    EXPECT_NE(kubernaut({"completion", "bash"}).out.find("kubernaut"), std::string::npos);
}

TEST_F(Client, TheAuditChainTellsThatSomebodyChangedIt) {
    ASSERT_EQ(kubernaut({"pause", "cluster", "sim1", "--reason", "evidence"}).exit_code, 0);
    ASSERT_EQ(kubernaut({"resume", "cluster", "sim1"}).exit_code, 0);
    const auto whole = kubernaut({"audit", "verify"});
    EXPECT_EQ(whole.exit_code, 0) << whole.out << whole.err;
    EXPECT_TRUE(whole.out.starts_with("intact")) << whole.out;
    const std::string sqlite = "/usr/bin/sqlite3";
    if (!std::filesystem::exists(sqlite)) GTEST_SKIP() << "no sqlite3 to tamper with";
    // Whoever owns the file can change it, but not unseen.
    hub->signal(SIGTERM);
    ASSERT_TRUE(hub->wait(30s));
    const auto tampered = testing::run(
        {sqlite, path("hub.db"), "UPDATE audit_log SET doc = replace(doc, 'evidence', 'nothing') WHERE doc LIKE '%evidence%'; SELECT changes();"});
    ASSERT_TRUE(tampered);
    ASSERT_EQ(tampered->exit_code, 0) << tampered->err;
    ASSERT_NE(tampered->out, "0\n");
    start_hub();
    const auto broken = kubernaut({"audit", "verify"});
    EXPECT_EQ(broken.exit_code, 1);
    EXPECT_NE(broken.out.find("BROKEN at sim1"), std::string::npos) << broken.out << broken.err;
    EXPECT_EQ(kubernaut({"audit", "verify"}, "bob-token").exit_code, 1) << "a viewer may not";
}

}  // namespace
}  // namespace kn::e2e
