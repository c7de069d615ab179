#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "kubernaut/engine/machine.hpp"
#include "kubernaut/json/yaml.hpp"

namespace kn::engine::test {

inline const Instant t0 = from_millis(1'772'000'000'000);

/// act: changes and can be undone. oneway: changes and cannot. look: only reads.
inline const std::map<std::string, ports::ActionSpec, std::less<>>& fake_specs() {
    static const auto specs = [] {
        std::map<std::string, ports::ActionSpec, std::less<>> all;
        const ParamSpec value{.name = "value", .type = "string", .min = {}, .max = {}, .one_of = {}, .fallback = "default", .optional = false};
        for (const char* name : {"act", "oneway", "look"}) {
            ports::ActionSpec spec;
            spec.name = name;
            spec.params = {value};
            spec.risk = Risk::low;
            spec.mutating = std::string_view(name) != "look";
            spec.reversible = std::string_view(name) == "act";
            spec.timeout = std::chrono::minutes{2};
            spec.tries = 3;
            all.emplace(name, std::move(spec));
        }
        return all;
    }();
    return specs;
}

inline const ports::ActionSpec* find_fake_spec(std::string_view name) {
    const auto found = fake_specs().find(name);
    return found == fake_specs().end() ? nullptr : &found->second;
}

inline Execution make_execution(std::string_view steps_yaml, std::string id = {}) {
    Execution execution;
    execution.id = ExecutionId(id.empty() ? derive_id("exe_", t0, {"one"}) : std::move(id));
    execution.cluster = ClusterId("eu1");
    execution.definition = json::parse_yaml("id: w\nrisk: high\nirreversible: accepted\n" + std::string(steps_yaml))->value;
    execution.plan.workflow = "w";
    execution.plan.fault_class = "crashloop.bad_rollout";
    execution.plan.target = {.key = {.cluster = execution.cluster, .ns = "shop", .kind = "Deployment", .group = "apps", .name = "cart"}, .uid = "u1"};
    execution.context =
        json::parse(R"({"facts": {"yes": true, "no": false, "list": ["a", "b", "c"]}, "incident": {"fault_class": "x"}})")->as_object();
    execution.state = ExecutionState::queued;
    execution.created_at = t0;
    return execution;
}

/// Plays a machine against scripted answers in its own time, and keeps a log of the calls.
class Player {
public:
    explicit Player(std::string_view steps_yaml, json::Object params = {}, std::function<void(Execution&)> with = {}) {
        stored_.execution = make_execution(steps_yaml);
        stored_.execution.plan.params = std::move(params);
        if (with) with(stored_.execution);
        make();
    }

    /// The answers by "execute path"; without one everything goes well. A queue is used up call by call, its last entry stays.
    std::map<std::string, std::deque<Error>> failing;
    std::map<std::string, std::deque<ports::AppliedCheck>> read_backs;
    std::map<std::string, std::deque<bool>> verifies;
    std::map<std::string, std::deque<json::Value>> live;
    std::function<void(const Call&)> before_answer;
    std::vector<std::string> log;
    Instant now = t0;

    /// Until it ends, nothing is left to do, or `limit` has passed.
    ExecutionState play(Duration limit = std::chrono::hours{10}) {
        feed(Tick{});
        const Instant end = now + limit;
        while (!is_terminal(state())) {
            if (!calls_.empty()) {
                const Call call = calls_.front();
                calls_.pop_front();
                if (before_answer) before_answer(call);
                feed(answer(call));
                continue;
            }
            if (!wake_ || *wake_ > end) break;
            now = std::max(now, *wake_);
            feed(Tick{});
        }
        return state();
    }
    void feed(const Event& event) {
        Effect effect = machine_->on(event, now);
        wake_ = effect.wake_at;
        for (const Call& call : effect.calls) {
            if (call.durable) store();
            log.push_back(std::string(to_string(call.kind)) + " " + call.path + (call.attempt > 1 ? "#" + std::to_string(call.attempt) : ""));
            calls_.push_back(call);
        }
    }
    /// What a worker stores in its transaction.
    void store() {
        Changes changes = machine_->take_changes();
        for (Step& row : changes.steps) rows_[{row.path, row.attempt}] = std::move(row);
        for (ActionRecord& record : changes.actions) records[record.id.str()] = std::move(record);
        for (AuditRecord& link : changes.audit) audit.push_back(std::move(link));
        stored_.execution = machine_->execution();
    }
    /// The worker dies: what was not stored is gone, and so are the calls under way.
    void crash() {
        calls_.clear();
        wake_.reset();
        make();
    }
    ExecutionState state() const { return machine_->execution().state; }
    WorkflowMachine& machine() { return *machine_; }
    StepState step(std::string_view path) const {
        const Step* row = machine_->step(path);
        return row == nullptr ? StepState::pending : row->state;
    }
    std::string calls_of(std::string_view kind) const {
        std::string out;
        for (const std::string& line : log) {
            if (line.starts_with(kind)) out += (out.empty() ? "" : ", ") + line.substr(kind.size() + 1);
        }
        return out;
    }
    std::map<std::string, ActionRecord> records;
    std::vector<AuditRecord> audit;

private:
    void make() {
        ExecutionWithSteps copy{.execution = stored_.execution, .steps = {}};
        for (const auto& [key, row] : rows_) copy.steps.push_back(row);
        auto made = WorkflowMachine::make(std::move(copy), find_fake_spec, random_);
        if (!made) throw std::runtime_error(made.error().describe());
        machine_.emplace(std::move(*made));
    }
    template <class T> static std::optional<T> next(std::map<std::string, std::deque<T>>& script, const std::string& name) {
        const auto found = script.find(name);
        if (found == script.end() || found->second.empty()) return std::nullopt;
        T value = found->second.front();
        if (found->second.size() > 1)
            found->second.pop_front();
        else if constexpr (std::is_same_v<T, Error>)
            found->second.pop_front();
        return value;
    }
    Event answer(const Call& call) {
        const auto error = next(failing, std::string(to_string(call.kind)) + " " + call.path);
        const auto sent = !error || error->reason != "held";
        switch (call.kind) {
            case CallKind::prepare:
                if (error) return Prepared{call.path, call.attempt, fail(*error)};
                return Prepared{call.path, call.attempt,
                                ports::Prepared{.pre_image = json::Object{{"was", 1}}, .writes = {}, .request_digest = "d", .summary = "s"}};
            case CallKind::execute:
                if (error) return Executed{call.path, call.attempt, fail(*error), sent};
                return Executed{call.path, call.attempt,
                                ports::ActionOutcome{.output = json::Object{{"done", call.path}}, .post_image = 2, .calls = {"PATCH"}}, true};
            case CallKind::read_back:
                if (error) return ReadBack{call.path, call.attempt, fail(*error)};
                return ReadBack{call.path, call.attempt, next(read_backs, call.path).value_or(ports::AppliedCheck::applied)};
            case CallKind::verify:
                if (error) return Verified{call.path, call.attempt, fail(*error)};
                return Verified{call.path, call.attempt, next(verifies, call.path).value_or(true)};
            case CallKind::compensate:
                if (error) return Compensated{call.path, call.attempt, fail(*error), sent};
                return Compensated{call.path, call.attempt, ports::ActionOutcome{}, true};
            case CallKind::notify:
                if (error) return Notified{call.path, call.attempt, fail(*error)};
                return Notified{call.path, call.attempt, Result<>{}};
            case CallKind::read_live: break;
        }
        return LiveRead{call.path, call.attempt, next(live, call.path).value_or(json::Value(json::Object{}))};
    }

    SeededRandom random_{7};
    ExecutionWithSteps stored_;
    std::map<std::pair<std::string, int>, Step> rows_;
    std::optional<WorkflowMachine> machine_;
    std::deque<Call> calls_;
    std::optional<Instant> wake_;
};

inline Error error_of(ErrorCode code, std::string message = "trouble") { return {.code = code, .message = std::move(message)}; }
inline Error lost() { return {.code = ErrorCode::unavailable, .message = "the answer was lost", .applied = Applied::maybe}; }
inline Error held(Duration after) { return {.code = ErrorCode::failed_precondition, .message = "paused", .reason = "held", .retry_after = after}; }

}  // namespace kn::engine::test
