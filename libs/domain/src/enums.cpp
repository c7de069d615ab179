#include "kubernaut/domain/enums.hpp"

#include <algorithm>
#include <initializer_list>

namespace kn {
namespace {

template <class E> bool one_of(E value, std::initializer_list<E> list) { return std::find(list.begin(), list.end(), value) != list.end(); }

}  // namespace

bool is_terminal(IncidentState state) {
    using enum IncidentState;
    return one_of(state, {resolved, escalated, suppressed, duplicate});
}

bool is_terminal(ExecutionState state) {
    using enum ExecutionState;
    return one_of(state, {succeeded, failed, compensated, compensation_failed, cancelled, expired, refused});
}

bool is_terminal(StepState state) {
    using enum StepState;
    return one_of(state, {skipped, succeeded, failed, cancelled, compensated, compensation_failed});
}

bool may_change(IncidentState from, IncidentState to) {
    using enum IncidentState;
    if (from == to) return true;
    // All signals resolved, or their evidence gone: possible from everywhere.
    if (to == resolved) return !is_terminal(from);
    switch (from) {
        case open: return to == diagnosing;
        case diagnosing: return one_of(to, {linked, planned, held, escalated, suppressed, duplicate});
        case linked:
        case held: return one_of(to, {diagnosing, escalated});
        case planned: return one_of(to, {awaiting_approval, remediating, held, escalated});
        case awaiting_approval: return one_of(to, {remediating, planned, escalated});
        case remediating: return one_of(to, {verifying, planned, escalated});
        case verifying: return one_of(to, {planned, escalated});
        case resolved:
        case escalated:
        case suppressed: return to == open;  // the same key again within the reopening window
        case duplicate: return false;
    }
    return false;
}

bool may_change(ExecutionState from, ExecutionState to) {
    using enum ExecutionState;
    if (from == to) return true;
    switch (from) {
        case planned: return one_of(to, {awaiting_approval, queued, refused});
        case awaiting_approval: return one_of(to, {queued, expired, refused, cancelled});
        case queued: return one_of(to, {running, cancelled, refused});
        case running: return one_of(to, {paused, verifying, compensating, failed, cancelled});
        case paused: return one_of(to, {running, compensating, cancelled});
        case verifying: return one_of(to, {succeeded, compensating, failed});
        case compensating: return one_of(to, {compensated, compensation_failed});
        default: return false;
    }
}

bool may_change(StepState from, StepState to) {
    using enum StepState;
    if (from == to) return true;
    switch (from) {
        case pending: return one_of(to, {ready, cancelled});
        case ready: return one_of(to, {skipped, waiting, intent_stored, cancelled});
        case intent_stored: return to == in_flight;
        case in_flight: return one_of(to, {succeeded, failed, ambiguous});
        case ambiguous: return one_of(to, {succeeded, in_flight, failed});
        case waiting: return one_of(to, {succeeded, failed, cancelled});
        case succeeded: return to == compensating;
        case compensating: return one_of(to, {compensated, compensation_failed});
        default: return false;
    }
}

bool may_reach(StepState from, StepState to) {
    // Depth-first over at most thirteen states; `seen` is a bit per state.
    std::uint32_t seen = 0;
    const auto search = [&seen, to](const auto& self, StepState at) -> bool {
        if (at == to) return true;
        seen |= 1U << static_cast<unsigned>(at);
        return std::ranges::any_of(EnumNames<StepState>::entries, [&](const auto& entry) {
            return (seen >> static_cast<unsigned>(entry.first) & 1U) == 0 && may_change(at, entry.first) && self(self, entry.first);
        });
    };
    return search(search, from);
}

Risk raised(Risk risk, int levels) {
    const int level = std::clamp(static_cast<int>(risk) + levels, 0, static_cast<int>(Risk::critical));
    return static_cast<Risk>(level);
}

}  // namespace kn
