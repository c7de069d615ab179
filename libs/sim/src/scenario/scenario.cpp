#include "kubernaut/sim/scenario/scenario.hpp"

#include <algorithm>

#include "common/text.hpp"
#include "kubernaut/base/embedded.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/resource.hpp"
#include "scenario/state.hpp"

namespace kn::sim {

namespace r = kube::resources;

Scenario::Scenario(std::unique_ptr<State> state) : state_(std::move(state)) {}
Scenario::~Scenario() = default;
Scenario::Scenario(Scenario&&) noexcept = default;
Scenario& Scenario::operator=(Scenario&&) noexcept = default;

const std::string& Scenario::id() const { return state_->id; }
const std::string& Scenario::name() const { return state_->name; }
const std::string& Scenario::title() const { return state_->title; }
const std::string& Scenario::target() const { return state_->target; }
const Expectation& Scenario::expect() const { return state_->expect; }
const std::vector<std::string>& Scenario::namespaces() const { return state_->namespaces; }
std::span<const std::string> Scenario::needs() const { return state_->needs; }
const std::map<std::string, std::string>& Scenario::variables() const { return state_->variables; }
const std::vector<NodeSpec>& Scenario::nodes() const { return state_->nodes; }

namespace {

/// A namespace may refuse pods and accounts for a moment after it was made, and a server may be busy: tried again until the deadline.
async::Task<Result<>> create_object(Stage stage, json::Value object, Deadline deadline) {
    const auto name = name_of_object(object);
    while (true) {
        auto made =
            co_await stage.client->create(*name.resource, name.ns, object, {.field_manager = "kubectl-create", .field_validation = "Warn"}, deadline);
        if (made || made.error().code == ErrorCode::already_exists) co_return Result<>{};
        const bool again =
            is_retryable(made.error().code) || made.error().code == ErrorCode::permission_denied || made.error().code == ErrorCode::not_found;
        if (!again || deadline.passed(stage.client->clock().steady() + 1s)) co_return fail(made.error().with_context("creating " + name.text()));
        co_await async::sleep_for(stage.client->clock(), 500ms);
    }
}

async::Task<Result<>> wait_ready(Stage stage, std::vector<ObjectName> workloads, Deadline deadline) {
    for (const auto& workload : workloads) {
        while (true) {
            KN_CO_TRY(const std::string trouble, co_await workload_trouble(stage.client, workload, 0s, deadline));
            if (trouble.empty()) break;
            if (deadline.passed(stage.client->clock().steady() + 1s))
                co_return fail(ErrorCode::deadline_exceeded, "the world before the fault did not become ready: " + trouble);
            co_await async::sleep_for(stage.client->clock(), 500ms);
        }
    }
    co_return Result<>{};
}

}  // namespace

async::Task<Result<>> Scenario::deploy(Stage stage, Deadline deadline) {
    State& s = *state_;
    for (const auto& node : s.nodes) {
        if (stage.kubelet == nullptr)
            co_return fail(ErrorCode::failed_precondition, "this scenario brings nodes: it needs our own kubelets on the stage");
        auto added = co_await stage.kubelet->add_node(node);
        if (!added && added.error().code != ErrorCode::already_exists) co_return added;
    }
    KN_CO_CHECK(stage.book->load(s.book));
    for (const auto& wave : s.waves) {
        for (const auto& object : wave) {
            for (const auto& image : images_of(object)) stage.book->add_image(image);
        }
    }
    for (const auto& wave : s.waves) {
        std::vector<ObjectName> workloads;
        for (const auto& object : wave) {
            KN_CO_CHECK(co_await create_object(stage, object, deadline));
            if (is_workload(object)) workloads.push_back(name_of_object(object));
        }
        KN_CO_CHECK(co_await wait_ready(stage, std::move(workloads), deadline));
    }
    co_return Result<>{};
}

async::Task<Result<>> Scenario::inject(Stage stage, Deadline deadline) {
    State& s = *state_;
    std::size_t first = 0;
    // Leading waits let the world settle; what it is like after them is what it should be.
    while (first < s.fault.size() && s.fault[first].kind == "wait")
        KN_CO_CHECK(co_await run_fault_step(state_.get(), stage, s.fault[first++], deadline));
    for (const auto& check : s.cured) {
        for (const auto& text : compared_objects(check)) {
            const auto object = ObjectName::parse(text);
            KN_CO_TRY(s.before[text], co_await stage.client->get(*object->resource, object->ns, object->name, deadline));
        }
    }
    KN_CO_TRY(s.healthy, co_await StateSnapshot::read(stage.client, deadline));
    for (std::size_t i = first; i < s.fault.size(); ++i) {
        auto done = co_await run_fault_step(state_.get(), stage, s.fault[i], deadline);
        if (!done) co_return fail(done.error().with_context("fault step at " + s.fault[i].place));
    }
    KN_CO_TRY(s.faulty, co_await StateSnapshot::read(stage.client, deadline));
    s.cured_since.reset();
    co_return Result<>{};
}

async::Task<Result<>> Scenario::clean_up(Stage stage, Deadline deadline) {
    State& s = *state_;
    for (const auto& step : s.aftercare) KN_CO_CHECK(co_await run_fault_step(state_.get(), stage, step, deadline));
    // First all machines on, so that their pods can end.
    for (const auto& node : s.stopped_nodes) {
        if (stage.kubelet != nullptr) stage.kubelet->start_node(node);
    }
    s.stopped_nodes.clear();
    const auto tolerable = [](const Error& error) {
        return error.code == ErrorCode::not_found || error.code == ErrorCode::aborted || error.code == ErrorCode::failed_precondition;
    };
    for (auto wave = s.waves.rbegin(); wave != s.waves.rend(); ++wave) {
        for (auto object = wave->rbegin(); object != wave->rend(); ++object) {
            const auto name = name_of_object(*object);
            auto gone = co_await stage.client->remove(*name.resource, name.ns, name.name, {.propagation = "Background"}, deadline);
            if (!gone && !tolerable(gone.error())) co_return fail(gone.error().with_context("cleaning up " + name.text()));
        }
    }
    for (const auto& node : s.nodes) {
        if (stage.kubelet != nullptr) stage.kubelet->stop_node(node.name);
        auto gone = co_await stage.client->remove(r::nodes, {}, node.name, {}, deadline);
        if (!gone && !tolerable(gone.error())) co_return fail(gone.error().with_context("cleaning up node " + node.name));
    }
    co_return Result<>{};
}

namespace {

/// Several scenarios may share a cluster, each with namespaces and nodes of its own: what happens in another's is that one's business. Everything else
/// (its own, the cluster's nodes, namespaces that belong to nobody) is looked at by all.
bool in_scope(const Scenario::State& s, const Stage& stage, std::string_view object) {
    const auto parts = split(object, '/');
    if (parts.size() == 3)
        return std::ranges::find(s.namespaces, parts[1]) != s.namespaces.end() || parts[1] == "default" || parts[1].starts_with("kube-");
    if (parts[0] == "Namespace") return std::ranges::find(s.namespaces, parts[1]) != s.namespaces.end();
    if (parts[0] == "Node")
        return parts[1].starts_with(stage.cluster) || std::ranges::any_of(s.nodes, [&](const NodeSpec& node) { return node.name == parts[1]; });
    return true;
}

}  // namespace

async::Task<Result<Verdict>> Scenario::check(Stage stage, Deadline deadline) {
    State& s = *state_;
    if (!s.healthy || !s.faulty) co_return fail(ErrorCode::failed_precondition, "check() before inject()");
    Verdict verdict;
    for (const auto& step : s.cured) {
        KN_CO_TRY(std::string missing, co_await run_check(state_.get(), stage, step, deadline));
        if (!missing.empty()) verdict.missing.push_back(std::move(missing));
    }
    KN_CO_TRY(const auto now, co_await StateSnapshot::read(stage.client, deadline));
    std::set<std::string, std::less<>> allowed = s.may_touch;
    if (!s.expect.leave_alone) {
        allowed.insert(s.target);
        for (const auto& check : s.cured) {
            for (const auto& text : compared_objects(check)) allowed.insert(text);
        }
    }
    // The fault itself is no violation, and neither is its undoing: an object may be as it was before or right after the injection.
    const auto since_fault = untouched(*s.faulty, now, allowed);
    const auto since_health = untouched(*s.healthy, now, allowed);
    for (const auto& violation : since_fault) {
        if (!in_scope(s, stage, violation.object)) continue;
        const bool both = std::ranges::any_of(since_health, [&](const Violation& other) { return other.object == violation.object; });
        const bool is_pod = violation.object.starts_with("Pod/");
        if (both || is_pod) verdict.violations.push_back(violation);
    }
    verdict.cured = verdict.missing.empty() && (!s.expect.leave_alone || verdict.violations.empty());
    if (!verdict.cured)
        s.cured_since.reset();
    else if (!s.cured_since)
        s.cured_since = stage.client->clock().now();
    verdict.cured_at = s.cured_since;
    co_return verdict;
}

std::unique_ptr<AlertFeed> Scenario::alerts(const Stage& stage) const {
    auto feed = std::make_unique<AlertFeed>(stage.client, stage.metrics, stage.cluster, stage.alert_hold);
    feed->limit(state_->signals, {state_->namespaces.begin(), state_->namespaces.end()});
    return feed;
}

namespace embedded {
extern const std::span<const EmbeddedFile> scenarios;
}

std::span<const BuiltinScenario> builtin_scenarios() {
    static const std::vector<BuiltinScenario> all = [] {
        std::vector<BuiltinScenario> out;
        for (const auto& file : embedded::scenarios) {
            const std::string_view path = file.path;
            out.push_back({path.substr(path.find_last_of('/') + 1), file.content});
        }
        return out;
    }();
    return all;
}

const BuiltinScenario* find_scenario(std::string_view name) {
    for (const auto& each : builtin_scenarios()) {
        if (each.file == name) return &each;
        auto scenario = Scenario::parse(each.text, 1);
        if (scenario && (scenario->id() == name || scenario->name() == name)) return &each;
    }
    return nullptr;
}

}  // namespace kn::sim
