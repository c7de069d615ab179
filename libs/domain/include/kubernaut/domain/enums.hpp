#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace kn {

/// The names of an enum's values, as in code, YAML, metrics and tests. Specialise with `static constexpr std::array entries`.
template <class E> struct EnumNames;

template <class E>
constexpr std::string_view to_string(E value)
    requires requires { EnumNames<E>::entries; }
{
    for (const auto& [each, name] : EnumNames<E>::entries) {
        if (each == value) return name;
    }
    return "?";
}

template <class E> constexpr std::optional<E> parse_enum(std::string_view text) {
    for (const auto& [each, name] : EnumNames<E>::entries) {
        if (name == text) return each;
    }
    return std::nullopt;
}

enum class Environment : std::uint8_t { dev, staging, prod, unknown };
enum class Risk : std::uint8_t { none, low, medium, high, critical };
/// How far the product may go on a cluster, namespace or object; later values are not stricter: off < observe < shadow < approve < automatic.
enum class Mode : std::uint8_t { off, observe, shadow, approve, automatic };
enum class Severity : std::uint8_t { none, info, warning, critical };
enum class SignalSource : std::uint8_t { alertmanager, event, watch, pattern, manual };
enum class SignalStatus : std::uint8_t { firing, resolved };
enum class SignalState : std::uint8_t { pending, correlated, ignored, quarantined };
enum class Resolution : std::uint8_t { exact, tombstone, weak, unresolved };
enum class Truth : std::uint8_t { no, yes, unknown };
enum class IncidentState : std::uint8_t {
    open,
    diagnosing,
    linked,
    planned,
    held,
    awaiting_approval,
    remediating,
    verifying,
    resolved,
    escalated,
    suppressed,
    duplicate,
};
enum class Outcome : std::uint8_t {
    none,
    remediated,
    self_healed,
    human_fixed,
    no_action_required,
    escalated,
    inconclusive,
    dry_run,
    duplicate,
};
enum class ExecutionState : std::uint8_t {
    planned,
    awaiting_approval,
    queued,
    running,
    paused,
    verifying,
    compensating,
    succeeded,
    failed,
    compensated,
    compensation_failed,
    cancelled,
    expired,
    refused,
};
enum class StepState : std::uint8_t {
    pending,
    ready,
    skipped,
    waiting,
    intent_stored,
    in_flight,
    ambiguous,
    succeeded,
    failed,
    cancelled,
    compensating,
    compensated,
    compensation_failed,
};
enum class ApprovalState : std::uint8_t { pending, granted, rejected, expired };
enum class ClusterVerdict : std::uint8_t { unknown, healthy, suspect, lost, isolated_hub, wrong_cluster };
enum class AdminState : std::uint8_t { pending, active, cordoned, draining, removed };
enum class AssessmentStage : std::uint8_t { quick, final, recurrence };

#define KN_ENUM_NAMES(E, N, ...)                                                               \
    template <> struct EnumNames<E> {                                                          \
        using enum E;                                                                          \
        static constexpr std::array<std::pair<E, std::string_view>, N> entries{{__VA_ARGS__}}; \
    }

KN_ENUM_NAMES(Environment, 4, {dev, "dev"}, {staging, "staging"}, {prod, "prod"}, {unknown, "unknown"});
KN_ENUM_NAMES(Risk, 5, {none, "none"}, {low, "low"}, {medium, "medium"}, {high, "high"}, {critical, "critical"});
KN_ENUM_NAMES(Mode, 5, {off, "off"}, {observe, "observe"}, {shadow, "shadow"}, {approve, "approve"}, {automatic, "auto"});
KN_ENUM_NAMES(Severity, 4, {none, "none"}, {info, "info"}, {warning, "warning"}, {critical, "critical"});
KN_ENUM_NAMES(SignalSource, 5, {alertmanager, "alertmanager"}, {event, "event"}, {watch, "watch"}, {pattern, "pattern"}, {manual, "manual"});
KN_ENUM_NAMES(SignalStatus, 2, {firing, "firing"}, {resolved, "resolved"});
KN_ENUM_NAMES(SignalState, 4, {pending, "pending"}, {correlated, "correlated"}, {ignored, "ignored"}, {quarantined, "quarantined"});
KN_ENUM_NAMES(Resolution, 4, {exact, "exact"}, {tombstone, "tombstone"}, {weak, "weak"}, {unresolved, "unresolved"});
KN_ENUM_NAMES(Truth, 3, {no, "no"}, {yes, "yes"}, {unknown, "unknown"});
KN_ENUM_NAMES(IncidentState, 12, {open, "open"}, {diagnosing, "diagnosing"}, {linked, "linked"}, {planned, "planned"}, {held, "held"},
              {awaiting_approval, "awaiting_approval"}, {remediating, "remediating"}, {verifying, "verifying"}, {resolved, "resolved"},
              {escalated, "escalated"}, {suppressed, "suppressed"}, {duplicate, "duplicate"});
KN_ENUM_NAMES(Outcome, 9, {none, "none"}, {remediated, "remediated"}, {self_healed, "self_healed"}, {human_fixed, "human_fixed"},
              {no_action_required, "no_action_required"}, {escalated, "escalated"}, {inconclusive, "inconclusive"}, {dry_run, "dry_run"},
              {duplicate, "duplicate"});
KN_ENUM_NAMES(ExecutionState, 14, {planned, "planned"}, {awaiting_approval, "awaiting_approval"}, {queued, "queued"}, {running, "running"},
              {paused, "paused"}, {verifying, "verifying"}, {compensating, "compensating"}, {succeeded, "succeeded"}, {failed, "failed"},
              {compensated, "compensated"}, {compensation_failed, "compensation_failed"}, {cancelled, "cancelled"}, {expired, "expired"},
              {refused, "refused"});
KN_ENUM_NAMES(StepState, 13, {pending, "pending"}, {ready, "ready"}, {skipped, "skipped"}, {waiting, "waiting"}, {intent_stored, "intent_stored"},
              {in_flight, "in_flight"}, {ambiguous, "ambiguous"}, {succeeded, "succeeded"}, {failed, "failed"}, {cancelled, "cancelled"},
              {compensating, "compensating"}, {compensated, "compensated"}, {compensation_failed, "compensation_failed"});
KN_ENUM_NAMES(ApprovalState, 4, {pending, "pending"}, {granted, "granted"}, {rejected, "rejected"}, {expired, "expired"});
KN_ENUM_NAMES(ClusterVerdict, 6, {unknown, "unknown"}, {healthy, "healthy"}, {suspect, "suspect"}, {lost, "lost"}, {isolated_hub, "isolated_hub"},
              {wrong_cluster, "wrong_cluster"});
KN_ENUM_NAMES(AdminState, 5, {pending, "pending"}, {active, "active"}, {cordoned, "cordoned"}, {draining, "draining"}, {removed, "removed"});
KN_ENUM_NAMES(AssessmentStage, 3, {quick, "quick"}, {final, "final"}, {recurrence, "recurrence"});

/// Terminal states are not left, with two exceptions: an incident reopens (→ open) while its key may, and a succeeded step may be compensated.
bool is_terminal(IncidentState state);
bool is_terminal(ExecutionState state);
bool is_terminal(StepState state);
/// The legal changes of the state tables in docs/architecture.md; stores refuse any other. A state may always be written over itself.
bool may_change(IncidentState from, IncidentState to);
bool may_change(ExecutionState from, ExecutionState to);
bool may_change(StepState from, StepState to);
/// By any number of legal changes: what one commit may do to a step, since a turn of the driver passes through several states.
bool may_reach(StepState from, StepState to);

Risk raised(Risk risk, int levels);
inline Mode stricter(Mode a, Mode b) { return a < b ? a : b; }

}  // namespace kn
