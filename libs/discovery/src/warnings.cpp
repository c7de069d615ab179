#include "warnings.hpp"

#include <algorithm>
#include <array>

#include "kubernaut/base/hash.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/patterns/discovery/analyzers.hpp"

namespace kn::discovery {
namespace {

constexpr std::string_view cluster_scope = "cluster/";
constexpr Duration grace = 5min;  // for alerts that come a little late

std::string text_of(const Pattern& pattern, std::string_view name) {
    const auto* value = pattern.detail.if_contains(name);
    const auto* text = value == nullptr ? nullptr : value->if_string();
    return text == nullptr ? std::string{} : std::string(json::view(*text));
}

Instant expected_of(const Pattern& pattern) {
    if (const auto said = parse_rfc3339(text_of(pattern, "expected"))) return *said;
    return pattern.next_expected->from + (pattern.next_expected->to - pattern.next_expected->from) / 2;
}

std::string series_query_of(const Pattern& pattern) { return pattern.subject.substr(0, pattern.subject.find('{')); }

/// An incident of the foretold kind within the window that no forecast opened.
std::optional<Instant> recurred_at(const EarlyWarning& warning, const patterns::History& history) {
    std::optional<Instant> first;
    for (const auto& row : history.incidents) {
        if (row.cluster != warning.cluster.str() || row.fault_class + " at " + row.subject != warning.pattern.subject) continue;
        if (row.opened < warning.raised_at || row.opened > warning.window.to + grace) continue;
        if (!first || row.opened < *first) first = row.opened;
    }
    return first;
}

void settle(EarlyWarning& warning, WarningOutcome outcome, Instant now, std::string note) {
    warning.outcome = outcome;
    warning.judged_at = now;
    warning.note = std::move(note);
}

}  // namespace

std::map<std::string, std::string> labels_of(const Pattern& pattern) {
    std::map<std::string, std::string> labels;
    if (const auto* known = pattern.detail.if_contains("labels"); known != nullptr && known->is_object()) {
        for (const auto& [name, value] : known->get_object())
            if (const auto* text = value.if_string()) labels[std::string(name.data(), name.size())] = std::string(json::view(*text));
        return labels;
    }
    static constexpr std::array<std::pair<std::string_view, const char*>, 12> names{{{"Deployment", "deployment"},
                                                                                     {"StatefulSet", "statefulset"},
                                                                                     {"DaemonSet", "daemonset"},
                                                                                     {"CronJob", "cronjob"},
                                                                                     {"Job", "job_name"},
                                                                                     {"Pod", "pod"},
                                                                                     {"PersistentVolumeClaim", "persistentvolumeclaim"},
                                                                                     {"HorizontalPodAutoscaler", "horizontalpodautoscaler"},
                                                                                     {"PodDisruptionBudget", "poddisruptionbudget"},
                                                                                     {"ResourceQuota", "resourcequota"},
                                                                                     {"Node", "node"},
                                                                                     {"PersistentVolume", "persistentvolume"}}};
    const auto at = pattern.subject.find(" at ");
    if (at == std::string::npos) return labels;
    const std::string object = pattern.subject.substr(at + 4);
    const auto last = object.rfind('/');
    if (last == std::string::npos || last == 0) return labels;
    const auto first = object.rfind('/', last - 1);
    const std::string kind = first == std::string::npos ? object.substr(0, last) : object.substr(first + 1, last - first - 1);
    for (const auto& [name, label] : names) {
        if (name != kind) continue;
        labels[label] = object.substr(last + 1);
        if (first != std::string::npos) labels["namespace"] = object.substr(0, first);
    }
    return labels;
}

std::optional<EarlyWarning> warning_of(const PatternRecord& record, const DiscoveryOptions& options, Instant now) {
    const Pattern& pattern = record.pattern;
    if (record.shadow || pattern.provenance.basic || pattern.confidence < options.least_confidence || !pattern.next_expected) return std::nullopt;
    if (pattern.status == PatternStatus::fading || pattern.status == PatternStatus::retired) return std::nullopt;
    if (!pattern.scope.starts_with(cluster_scope)) return std::nullopt;  // the fleet's are told for each of its clusters
    EarlyWarning warning;
    warning.cluster = ClusterId(pattern.scope.substr(cluster_scope.size()));
    warning.pattern = pattern;
    warning.window = *pattern.next_expected;
    warning.expected_at = expected_of(pattern);
    if (pattern.kind == PatternKind::forecast) {
        const std::string query = series_query_of(pattern);
        const auto found = std::ranges::find(options.series, query, &SeriesQuery::name);
        if (found == options.series.end() || found->warn.empty()) return std::nullopt;
        if (warning.expected_at <= now || warning.expected_at > now + options.horizon) return std::nullopt;
        warning.name = found->warn;
    } else if (pattern.kind == PatternKind::recurrence) {
        if (warning.window.from <= now || warning.window.from > now + options.recurrence_lead) return std::nullopt;
        warning.name = recurrence_signal;
    } else {
        return std::nullopt;
    }
    if (labels_of(pattern).empty()) return std::nullopt;  // nobody could say what to look at
    return warning;
}

Signal signal_of(const EarlyWarning& warning, SignalStatus status, Instant now) {
    Signal signal;
    signal.cluster = warning.cluster;
    signal.source = SignalSource::pattern;
    signal.name = warning.name;
    signal.alert_fp = to_hex(sha256_parts({"pattern", warning.cluster.str(), warning.pattern.id, warning.id}));
    signal.status = status;
    signal.severity = Severity::info;
    signal.starts_at = warning.raised_at;
    if (status == SignalStatus::resolved) signal.ends_at = now;
    signal.labels = labels_of(warning.pattern);
    signal.labels["alertname"] = warning.name;
    signal.labels["kubernaut_forecast"] = "true";
    signal.labels["pattern"] = warning.pattern.id;
    signal.annotations["summary"] = "forecast, not yet a fact: " + warning.pattern.claim;
    signal.annotations["expected"] = format_rfc3339(warning.expected_at);
    signal.annotations["window"] = format_rfc3339(warning.window.from) + " to " + format_rfc3339(warning.window.to);
    return signal;
}

bool judge(EarlyWarning& warning, const WarningEvidence& evidence, const patterns::History& history, Instant now) {
    const bool series = warning.pattern.kind == PatternKind::forecast;
    std::optional<Instant> happened = series ? patterns::reached_at(warning.pattern, warning.raised_at, history) : recurred_at(warning, history);
    if (evidence.alerted_at && (!happened || *evidence.alerted_at < *happened)) happened = evidence.alerted_at;
    if (evidence.acted_at && (!happened || *evidence.acted_at <= *happened)) {
        settle(warning, WarningOutcome::averted, now, "something was done about it before its time came");
        return true;
    }
    if (happened) {
        warning.happened_at = happened;
        // Much too early or too late is no forecast: a wider window would have held it.
        const bool within = *happened <= warning.window.to + grace;
        settle(warning, within ? WarningOutcome::came_true : WarningOutcome::false_alarm, now,
               within ? "it happened at " + format_rfc3339(*happened) : "it happened only at " + format_rfc3339(*happened));
        return true;
    }
    if (now < warning.window.to + grace) return false;
    if (series && !evidence.series_known_through) {
        // The series may only be late; a day later it is gone.
        if (now < warning.window.to + 24h) return false;
        settle(warning, WarningOutcome::unknown, now, "its series was not seen until the end of the window");
    } else {
        settle(warning, WarningOutcome::false_alarm, now, "its window is over and nothing happened");
    }
    return true;
}

}  // namespace kn::discovery
