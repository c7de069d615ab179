#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/kube/client.hpp"
#include "kubernaut/sim/faults/alerts.hpp"
#include "kubernaut/sim/faults/truth.hpp"
#include "kubernaut/sim/kubelet/kubelet.hpp"

namespace kn::sim {

/// What a scenario is played on: the in-memory cluster or a real control plane with our kubelets. The client has all rights.
struct Stage {
    std::string cluster;  ///< its name: value of the label `cluster` of alerts
    std::shared_ptr<kube::Client> client;
    Kubelet* kubelet = nullptr;
    std::shared_ptr<BehaviourBook> book;
    std::shared_ptr<Metrics> metrics;
    /// Divides the waits of a scenario (settling before the fault): runs on a real control plane are shortened and say so.
    double hurry = 1;
    /// In place of each alert rule's own `for`; nullopt = as in the rule (15 m for most).
    std::optional<Duration> alert_hold = Duration{60s};
};

struct Expectation {
    std::string fault_class;             ///< domain.md §3
    std::vector<std::string> workflows;  ///< any of these is right; empty = nothing may be done
    std::vector<std::string> must_not;   ///< workflows and actions that are wrong
    std::string outcome;                 ///< "remediated", "escalated", "self_healed", ...
    bool leave_alone = false;            ///< the right thing is to change nothing at all
    bool needs_approval = false;         ///< a person must agree on the way
    Duration cured_within = 30min;
};

/// One fault from a YAML file, with the world around it. The text has ${variables} that the seed chooses, so one file is many variants.
class Scenario {
public:
    static Result<Scenario> parse(std::string_view yaml, std::uint64_t seed);

    [[nodiscard]] const std::string& id() const;
    [[nodiscard]] const std::string& name() const;
    [[nodiscard]] const std::string& title() const;   ///< one sentence: what is broken
    [[nodiscard]] const std::string& target() const;  ///< "Deployment.apps/ns/name", "Node/name" ... where the fault is
    [[nodiscard]] const Expectation& expect() const;
    [[nodiscard]] const std::vector<std::string>& namespaces() const;
    [[nodiscard]] std::span<const std::string> needs()
        const;  ///< "mem" (in-memory only), "metrics", "own-cluster" (nodes are broken or filled: no other scenario beside it)
    [[nodiscard]] const std::map<std::string, std::string>& variables() const;
    [[nodiscard]] const std::vector<NodeSpec>& nodes() const;  ///< nodes that it brings along

    /// Creates namespaces, objects and neighbours, loads behaviour rules and images, and waits until everything is Ready.
    async::Task<Result<>> deploy(Stage stage, Deadline deadline);
    /// Remembers the state as it should be and breaks it. Returns when all steps of the fault are done.
    async::Task<Result<>> inject(Stage stage, Deadline deadline);
    /// Undoes the parts of a fault that the product is not asked to cure (a growing volume, an extra load) and deletes what deploy() created.
    async::Task<Result<>> clean_up(Stage stage, Deadline deadline);

    /// Is it cured, and was anything else touched? Reads the cluster itself. Keep calling: `cured_at` is the first of the unbroken cured looks.
    async::Task<Result<Verdict>> check(Stage stage, Deadline deadline);
    /// The alerts of this scenario, to be asked again and again; by its file's signal list and namespaces.
    std::unique_ptr<AlertFeed> alerts(const Stage& stage) const;

    ~Scenario();
    Scenario(Scenario&&) noexcept;
    Scenario& operator=(Scenario&&) noexcept;
    struct State;  ///< private to the implementation

private:
    explicit Scenario(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

struct BuiltinScenario {
    std::string_view file;  ///< "s01-bad-command.yaml"
    std::string_view text;
};
/// tests/scenarios/*.yaml, embedded.
std::span<const BuiltinScenario> builtin_scenarios();
/// By id ("S01"), name ("bad-command") or file name; nullptr when there is none.
const BuiltinScenario* find_scenario(std::string_view name);

/// The same fault with nobody acting: does it heal alone, and when (after the injection)? Runs to its end at once in a loop of its own, in virtual time.
struct TwinResult {
    bool healed = false;
    Duration after{};
};
Result<TwinResult> run_twin(std::string_view yaml, std::uint64_t seed, Duration horizon);

}  // namespace kn::sim
