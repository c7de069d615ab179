#include "kubernaut/engine/machine.hpp"

#include <algorithm>
#include <cmath>

#include "kubernaut/catalog/catalog.hpp"
#include "state.hpp"

namespace kn::engine {

std::string_view to_string(CallKind kind) {
    constexpr std::array<std::string_view, 7> names{"prepare", "execute", "read_back", "verify", "compensate", "notify", "read_live"};
    return names[static_cast<std::size_t>(kind)];
}

ActionId action_id(const ExecutionId& execution, std::string_view path, int attempt) {
    return ActionId(derive_id("act_", id_time(execution.str()), {execution.str(), path, std::to_string(attempt)}));
}

Result<> WorkflowMachine::State::load(ExecutionWithSteps stored) {
    execution = std::move(stored.execution);
    KN_TRY(definition, catalog::definition_from(execution.definition));
    for (const auto& [name, source] : json::object_at(execution.definition, "subworkflows")) {
        KN_TRY(auto inner, catalog::definition_from(source));
        subworkflows.emplace(std::string(name), std::move(inner));
    }
    for (Step& row : stored.steps) {
        Volatile& known = memory[row.path];
        known.stored = true;
        if (row.started_at) {
            if (known.first_start == Instant{} || *row.started_at < known.first_start) known.first_start = *row.started_at;
            last_start = std::max(last_start, *row.started_at);
        }
        if (row.state == StepState::failed) ++known.failures;
        const auto at = rows.find(row.path);
        if (at == rows.end())
            rows.emplace(row.path, std::move(row));
        else if (at->second.attempt < row.attempt)
            at->second = std::move(row);
    }
    for (const auto& [path, row] : rows) {
        if (row.state == StepState::ready && row.due_at) memory[path].not_before = *row.due_at;
    }
    return {};
}

Effect WorkflowMachine::State::turn(const Event& event, Instant at) {
    now = std::max(now, at);
    effect = {};
    waits_for_signal = false;
    if (is_terminal(execution.state)) {
        effect.finished = true;
        return std::move(effect);
    }
    std::visit(
        [this](const auto& what) {
            using What = std::decay_t<decltype(what)>;
            if constexpr (std::is_same_v<What, Prepared>)
                on_prepared(what);
            else if constexpr (std::is_same_v<What, Executed>)
                on_executed(what);
            else if constexpr (std::is_same_v<What, ReadBack>)
                on_read_back(what);
            else if constexpr (std::is_same_v<What, Verified>)
                on_verified(what);
            else if constexpr (std::is_same_v<What, Compensated>)
                on_compensated(what);
            else if constexpr (std::is_same_v<What, Signals>)
                signals = what.all;
            else if constexpr (std::is_same_v<What, CancelRequested>) {
                if (!execution.cancel_requested) {
                    audit("cancel", execution.id.str(), what.by);
                    dirty_execution = true;
                }
                execution.cancel_requested = true;
                execution.cancel_by = what.by;
            } else if constexpr (std::is_same_v<What, LiveRead>) {
                if (!answered(what.path, what.attempt, CallKind::read_live)) return;
                memory[what.path].live = what.result ? *what.result : json::Value(nullptr);
            } else if constexpr (std::is_same_v<What, Notified>) {
                if (!answered(what.path, what.attempt, CallKind::notify)) return;
                Step* row = find(what.path);
                if (row == nullptr || row->kind != "notify" || row->state != StepState::waiting) return;  // an approval's notice is best effort
                if (what.result)
                    complete(*row, nullptr);
                else
                    fail_attempt(*row, what.result.error(), "");
            }
        },
        event);
    advance();
    effect.finished = is_terminal(execution.state);
    return std::move(effect);
}

// -- rows

Step* WorkflowMachine::State::find(std::string_view path) {
    const auto found = rows.find(path);
    return found == rows.end() ? nullptr : &found->second;
}

Instant WorkflowMachine::State::next_start() {
    last_start = std::max(now, last_start + Duration{1});
    return last_start;
}

Step& WorkflowMachine::State::open(const StepSpec& spec, const std::string& path) {
    if (Step* row = find(path)) return *row;
    Step row;
    row.execution = execution.id, row.path = path, row.id = spec.id, row.kind = spec.kind, row.action = spec.action;
    row.attempt = 1;
    Step& made = rows.emplace(path, std::move(row)).first->second;
    memory[path] = Volatile{};
    touch(made);
    return made;
}

void WorkflowMachine::State::change(Step& row, StepState state) {
    row.state = state;
    using enum StepState;
    if (state == ready && !row.started_at) {
        row.started_at = next_start();
        Volatile& known = memory[row.path];
        if (known.first_start == Instant{}) known.first_start = *row.started_at;
    }
    if (state == succeeded || state == failed || state == skipped || state == cancelled) row.finished_at = now;
    touch(row);
}

void WorkflowMachine::State::call(const Step& row, CallKind kind) {
    memory[row.path].calling = kind;
    const bool durable = kind == CallKind::compensate || (kind == CallKind::execute && row.mutating);
    effect.calls.push_back({.kind = kind, .path = row.path, .attempt = row.attempt, .durable = durable});
}

/// Is this the answer to the call under way? Answers of attempts that are over count for nothing.
bool WorkflowMachine::State::answered(const std::string& path, int attempt, CallKind kind) {
    const Step* row = find(path);
    const auto known = memory.find(path);
    if (row == nullptr || row->attempt != attempt || known == memory.end() || known->second.calling != kind) return false;
    known->second.calling.reset();
    return true;
}

void WorkflowMachine::State::wake(Instant at) {
    if (!effect.wake_at || at < *effect.wake_at) effect.wake_at = at;
}

Duration WorkflowMachine::State::poll_delay(int polls) const {
    Duration delay = options.verify_first;
    for (int i = 1; i < polls && delay < options.verify_most; ++i) delay *= 2;
    return std::min(delay, options.verify_most);
}

/// Full jitter (Brooker, "Exponential Backoff and Jitter", 2015): uniform between 0 and the exponential bound.
Duration WorkflowMachine::State::jitter(const RetryPolicy& policy, int failures) const {
    double bound = static_cast<double>(policy.base.count());
    for (int i = 1; i < failures; ++i) bound = std::min(bound * policy.factor, static_cast<double>(policy.cap.count()));
    bound = std::min(bound, static_cast<double>(policy.cap.count()));
    return Duration{static_cast<std::int64_t>(std::floor(random->unit() * bound)) + 1};
}

std::string WorkflowMachine::State::home_of(const std::string& path) const {
    for (std::size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0; slash = path.rfind('/', slash - 1)) {
        const auto found = rows.find(std::string_view(path).substr(0, slash));
        if (found != rows.end() && found->second.kind == "subworkflow") return path.substr(0, slash + 1);
    }
    return "";
}

const WorkflowDefinition* WorkflowMachine::State::workflow_at(const std::string& home) const {
    if (home.empty()) return &definition;
    const auto row = rows.find(std::string_view(home).substr(0, home.size() - 1));
    const StepSpec* spec = row == rows.end() ? nullptr : spec_of(row->second);
    const auto found = spec == nullptr ? subworkflows.end() : subworkflows.find(spec->workflow);
    return found == subworkflows.end() ? nullptr : &found->second;
}

namespace {
const StepSpec* find_in(const std::vector<StepSpec>& list, const std::string& id) {
    for (const StepSpec& spec : list) {
        if (spec.id == id) return &spec;
        for (const auto* inner : {&spec.then_steps, &spec.else_steps, &spec.body}) {
            if (const auto* found = find_in(*inner, id)) return found;
        }
        for (const auto& branch : spec.branches) {
            if (const auto* found = find_in(branch, id)) return found;
        }
    }
    return nullptr;
}
}  // namespace

const StepSpec* WorkflowMachine::State::spec_of(const Step& row) const {
    if (row.kind == "verify") return nullptr;
    const WorkflowDefinition* workflow = workflow_at(home_of(row.path));
    if (workflow == nullptr) return nullptr;
    const auto [at, fresh] = specs_by_id.try_emplace({workflow, row.id}, nullptr);
    if (fresh) {
        for (const auto* list : {&workflow->steps, &workflow->verify, &workflow->finally}) {
            if (at->second == nullptr) at->second = find_in(*list, row.id);
        }
    }
    return at->second;
}

RetryPolicy WorkflowMachine::State::retry_of(const Step& row) const {
    const StepSpec* spec = spec_of(row);
    if (spec != nullptr && spec->retry) return *spec->retry;
    RetryPolicy policy = options.retry;
    if (const auto* action = specs(row.action)) policy.tries = std::max(1, action->tries);
    return policy;
}

Duration WorkflowMachine::State::timeout_of(const Step& row) const {
    const StepSpec* spec = spec_of(row);
    if (spec != nullptr && spec->timeout) return *spec->timeout;
    const auto* action = specs(row.action);
    return action != nullptr ? action->timeout : Duration{30s};
}

Instant WorkflowMachine::State::deadline_of(const Step& row) const {
    if (row.state == StepState::compensating) return row.due_at.value_or(now + options.compensation_limit);
    return row.started_at.value_or(now) + timeout_of(row);
}

/// Over all attempts.
Instant WorkflowMachine::State::total_limit(const Step& row) const {
    const auto known = memory.find(row.path);
    const Instant first = known == memory.end() || known->second.first_start == Instant{} ? row.started_at.value_or(now) : known->second.first_start;
    return first + timeout_of(row) * 3;
}

bool WorkflowMachine::State::calls_under_way() const {
    return std::ranges::any_of(memory, [](const auto& entry) { return entry.second.calling.has_value(); });
}

// -- the public face

WorkflowMachine::WorkflowMachine(std::unique_ptr<State> state) : state_(std::move(state)) {}
WorkflowMachine::WorkflowMachine(WorkflowMachine&&) noexcept = default;
WorkflowMachine& WorkflowMachine::operator=(WorkflowMachine&&) noexcept = default;
WorkflowMachine::~WorkflowMachine() = default;

Result<WorkflowMachine> WorkflowMachine::make(ExecutionWithSteps stored, SpecLookup specs, RandomSource& random, MachineOptions options) {
    auto state = std::make_unique<State>(std::move(specs), random, std::move(options));
    KN_CHECK(state->load(std::move(stored)));
    return WorkflowMachine(std::move(state));
}

Effect WorkflowMachine::on(const Event& event, Instant now) { return state_->turn(event, now); }

Changes WorkflowMachine::take_changes() {
    Changes changes;
    for (auto& [key, row] : state_->dirty) {
        state_->memory[row.path].stored = true;
        changes.steps.push_back(std::move(row));
    }
    std::ranges::sort(changes.steps, {}, [](const Step& step) { return std::pair(step.started_at.value_or(Instant::max()), step.path); });
    for (auto& [id, record] : state_->dirty_actions) changes.actions.push_back(std::move(record));
    changes.audit = std::move(state_->dirty_audit);
    changes.execution = state_->dirty_execution;
    state_->dirty.clear();
    state_->dirty_actions.clear();
    state_->dirty_audit.clear();
    state_->dirty_execution = false;
    return changes;
}

bool WorkflowMachine::has_changes() const {
    return state_->dirty_execution || !state_->dirty.empty() || !state_->dirty_actions.empty() || !state_->dirty_audit.empty();
}

const Execution& WorkflowMachine::execution() const { return state_->execution; }
Execution& WorkflowMachine::mutable_execution() { return state_->execution; }
const Step* WorkflowMachine::step(std::string_view path) const { return state_->find(path); }
std::vector<Step> WorkflowMachine::steps() const {
    std::vector<Step> out;
    for (const auto& [path, row] : state_->rows) out.push_back(row);
    return out;
}
const WorkflowDefinition& WorkflowMachine::definition() const { return state_->definition; }
Instant WorkflowMachine::deadline_of(const Step& step) const { return state_->deadline_of(step); }

ClusterId WorkflowMachine::cluster_of(const Step& step) const {
    const StepSpec* spec = state_->spec_of(step);
    if (spec == nullptr || spec->cluster.empty() || spec->cluster == "incident.cluster") return state_->execution.cluster;
    const std::string home = state_->home_of(step.path);
    const Scope scope{.prefix = home, .home = home, .workflow = state_->workflow_at(home), .params = state_->top("").params, .vars = {}};
    const auto value = state_->expand(json::Value(spec->cluster), scope, step.path);
    return value && value->is_string() ? ClusterId(std::string(json::view(value->get_string()))) : state_->execution.cluster;
}

std::string WorkflowMachine::message_of(const Step& step) const { return std::string(json::string_at(json::Value(step.params), "message")); }
bool WorkflowMachine::wants_signals() const { return state_->waits_for_signal; }
bool WorkflowMachine::calls_under_way() const { return state_->calls_under_way(); }

}  // namespace kn::engine
