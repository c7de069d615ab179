#include "kubernaut/intake/parse.hpp"

#include <algorithm>
#include <array>

#include "kubernaut/base/hash.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::intake {
namespace {

/// A cluster named in no known way is "unknown": stored and shown, never acted on, and never the default one.
ClusterId cluster_of(const std::map<std::string, std::string>& labels, const ClusterNaming& naming) {
    const auto known = [&](std::string name) {
        if (const auto alias = naming.aliases.find(name); alias != naming.aliases.end()) name = alias->second;
        return naming.registered.contains(name) ? ClusterId(name) : ClusterId("unknown");
    };
    if (!naming.from_path.empty()) return known(naming.from_path);
    if (!naming.from_header.empty()) return known(naming.from_header);
    for (const auto& label : naming.labels) {
        if (const auto found = labels.find(label); found != labels.end() && !found->second.empty()) return known(found->second);
    }
    return naming.registered.size() == 1 ? ClusterId(*naming.registered.begin()) : ClusterId("unknown");
}

Severity severity_of(const std::map<std::string, std::string>& labels) {
    const auto found = labels.find("severity");
    if (found == labels.end()) return Severity::warning;
    if (found->second == "page") return Severity::critical;
    return parse_enum<Severity>(found->second).value_or(Severity::warning);
}

/// A map of texts; the error names the entry.
Result<std::map<std::string, std::string>> text_map(const json::Value* value, std::string_view what, std::size_t max_entries, std::size_t max_value,
                                                    bool cut) {
    std::map<std::string, std::string> out;
    if (value == nullptr || value->is_null()) return out;
    const auto* object = value->if_object();
    if (object == nullptr) return fail(ErrorCode::invalid_argument, "must be a map", std::string(what));
    if (object->size() > max_entries && !cut)
        return fail(ErrorCode::invalid_argument, "has more than " + std::to_string(max_entries) + " entries", std::string(what));
    for (const auto& [key, member] : *object) {
        if (out.size() >= max_entries) break;
        std::string name(key.data(), key.size());
        const auto* text = member.if_string();
        if (text == nullptr) return fail(ErrorCode::invalid_argument, "must be text", std::string(what) + "." + name.substr(0, max_label_name));
        if (name.empty() || name.size() > max_label_name)
            return fail(ErrorCode::invalid_argument, "has a name that is empty or longer than " + std::to_string(max_label_name) + " bytes",
                        std::string(what));
        std::string content(json::view(*text));
        if (content.size() > max_value) {
            if (!cut)
                return fail(ErrorCode::invalid_argument, "is longer than " + std::to_string(max_value) + " bytes", std::string(what) + "." + name);
            content.resize(max_value);
            content += " [cut]";
        }
        if (content.find('\0') != std::string::npos) return fail(ErrorCode::invalid_argument, "holds a NUL byte", std::string(what) + "." + name);
        out.emplace(std::move(name), std::move(content));
    }
    return out;
}

/// Kubernetes names go into paths: anything else names no object.
bool is_object_name(std::string_view name) {
    if (name.empty() || name.size() > 253) return false;
    return std::all_of(name.begin(), name.end(),
                       [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == ':' || c == '_'; }) &&
           name != "." && name != "..";
}

Result<Signal> normalise_alert(const json::Value& alert, const ClusterNaming& naming, Instant now) {
    Signal signal;
    signal.source = SignalSource::alertmanager;
    signal.received_at = signal.last_seen = now;
    if (!alert.is_object()) return fail(ErrorCode::invalid_argument, "must be a map");
    KN_TRY(signal.labels, text_map(json::at(alert, "labels"), "labels", max_labels, max_label_value, false));
    KN_TRY(signal.annotations, text_map(json::at(alert, "annotations"), "annotations", max_annotations, max_annotation_value, true));
    signal.cluster = cluster_of(signal.labels, naming);
    signal.severity = severity_of(signal.labels);
    const auto name = signal.labels.find("alertname");
    if (name == signal.labels.end() || name->second.empty()) return fail(ErrorCode::invalid_argument, "is missing", "labels.alertname");
    signal.name = name->second;
    const auto status = json::string_at(alert, "status");
    if (status == "firing" || status.empty())
        signal.status = SignalStatus::firing;
    else if (status == "resolved")
        signal.status = SignalStatus::resolved;
    else
        return fail(ErrorCode::invalid_argument, "firing or resolved expected", "status");
    signal.starts_at = now;
    if (const auto* starts = json::at(alert, "startsAt"); starts != nullptr && !starts->is_null()) {
        const auto* text = starts->if_string();
        const auto time = text == nullptr ? Result<Instant>(fail(ErrorCode::invalid_argument, "a time expected")) : parse_rfc3339(json::view(*text));
        if (!time) return fail(ErrorCode::invalid_argument, time.error().message, "startsAt");
        signal.starts_at = *time;
    }
    if (const auto ends = json::string_at(alert, "endsAt"); !ends.empty()) {
        const auto time = parse_rfc3339(ends);
        if (!time) return fail(ErrorCode::invalid_argument, time.error().message, "endsAt");
        if (*time > Instant{}) signal.ends_at = *time;  // 0001-01-01 = none
    }
    signal.clock_suspect = signal.starts_at > now + max_future;
    signal.alert_fp = std::string(json::string_at(alert, "fingerprint"));
    if (signal.alert_fp.empty() || signal.alert_fp.size() > 128) signal.alert_fp = label_fingerprint(signal.labels);
    signal.object = object_of_labels(signal.cluster, signal.labels);
    for (const auto key : {"exported_container", "container"}) {
        if (const auto found = signal.labels.find(key); found != signal.labels.end() && signal.container.empty()) signal.container = found->second;
    }
    signal.key = make_signal_key(signal.cluster, "alertmanager", signal.alert_fp, signal.starts_at, to_string(signal.status));
    return signal;
}

Signal quarantined(const json::Value& raw, const Error& error, SignalSource source, Instant now) {
    Signal signal;
    signal.cluster = ClusterId("unknown");
    signal.source = source;
    signal.state = SignalState::quarantined;
    signal.received_at = signal.starts_at = signal.last_seen = now;
    signal.error = error.field.empty() ? error.message : error.field + " " + error.message;
    signal.name = std::string(json::string_at(raw, "labels", "alertname").substr(0, max_label_name));
    signal.alert_fp = to_hex(sha256(json::dump(raw)));
    signal.key = make_signal_key(signal.cluster, "quarantine", signal.alert_fp, Instant{}, "");
    return signal;
}

}  // namespace

std::string label_fingerprint(const std::map<std::string, std::string>& labels) {
    std::vector<std::string> parts;
    for (const auto& [name, value] : labels) {
        parts.push_back(name);
        parts.push_back(value);
    }
    return to_hex(sha256_parts(parts));
}

std::optional<ObjectKey> object_of_labels(const ClusterId& cluster, const std::map<std::string, std::string>& labels) {
    struct Kind {
        const char *label, *kind, *group;
        bool namespaced;
    };
    static constexpr std::array<Kind, 14> kinds{{{"persistentvolumeclaim", "PersistentVolumeClaim", "", true},
                                                 {"horizontalpodautoscaler", "HorizontalPodAutoscaler", "autoscaling", true},
                                                 {"poddisruptionbudget", "PodDisruptionBudget", "policy", true},
                                                 {"resourcequota", "ResourceQuota", "", true},
                                                 {"job_name", "Job", "batch", true},
                                                 {"cronjob", "CronJob", "batch", true},
                                                 {"statefulset", "StatefulSet", "apps", true},
                                                 {"daemonset", "DaemonSet", "apps", true},
                                                 {"deployment", "Deployment", "apps", true},
                                                 {"replicaset", "ReplicaSet", "apps", true},
                                                 {"pod", "Pod", "", true},
                                                 {"node", "Node", "", false},
                                                 {"persistentvolume", "PersistentVolume", "", false},
                                                 {"ingress", "Ingress", "networking.k8s.io", true}}};
    const auto value_of = [&](const std::string& name) -> std::string {
        if (const auto found = labels.find("exported_" + name); found != labels.end() && !found->second.empty()) return found->second;
        const auto found = labels.find(name);
        return found == labels.end() ? std::string{} : found->second;
    };
    const std::string ns = value_of("namespace");
    for (const Kind& kind : kinds) {
        const std::string name = value_of(kind.label);
        if (!is_object_name(name)) continue;
        if (kind.namespaced && !is_object_name(ns)) continue;
        return ObjectKey{cluster, kind.namespaced ? ns : std::string{}, kind.kind, kind.group, name};
    }
    return std::nullopt;
}

Result<ParsedBatch> parse_alertmanager(std::string_view body, const ClusterNaming& naming, Instant now, RandomSource& random) {
    KN_TRY(const auto document, json::parse(body, {.max_bytes = max_batch_bytes, .max_depth = max_depth}));
    const auto* alerts = json::at(document, "alerts");
    if (alerts == nullptr || !alerts->is_array())
        return fail(ErrorCode::invalid_argument, "an \"alerts\" list is expected (Alertmanager webhook version 4)", "alerts");
    if (const auto* version = json::at(document, "version"); version != nullptr && (!version->is_string() || version->get_string() != "4")) {
        return fail(ErrorCode::invalid_argument, "only webhook version \"4\" is understood", "version");
    }
    if (alerts->get_array().size() > max_alerts)
        return fail(ErrorCode::invalid_argument, "more than " + std::to_string(max_alerts) + " alerts in one batch", "alerts");
    ParsedBatch batch;
    batch.truncated = json::int_at(document, "truncatedAlerts").value_or(0);
    std::size_t index = 0;
    for (const json::Value& alert : alerts->get_array()) {
        auto signal = normalise_alert(alert, naming, now);
        if (!signal) {
            Error error = signal.error();
            error.field = "alerts[" + std::to_string(index) + "]" + (error.field.empty() ? "" : "." + error.field);
            batch.signals.push_back(quarantined(alert, error, SignalSource::alertmanager, now));
        } else {
            batch.signals.push_back(*std::move(signal));
        }
        batch.signals.back().id = SignalId(make_id("sig_", now, random));
        batch.clusters.insert(batch.signals.back().cluster.str());
        ++index;
    }
    return batch;
}

bool is_signal_reason(std::string_view reason) {
    static constexpr std::array<std::string_view, 20> reasons{"BackOff",
                                                              "Failed",
                                                              "FailedMount",
                                                              "FailedAttachVolume",
                                                              "FailedScheduling",
                                                              "FailedCreate",
                                                              "Unhealthy",
                                                              "Evicted",
                                                              "OOMKilling",
                                                              "SystemOOM",
                                                              "NodeNotReady",
                                                              "ProvisioningFailed",
                                                              "VolumeResizeFailed",
                                                              "MissSchedule",
                                                              "TooManyMissedTimes",
                                                              "FailedGetResourceMetric",
                                                              "FailedKillPod",
                                                              "FailedCreatePodSandBox",
                                                              "FailedGetScale",
                                                              "BackoffLimitExceeded"};
    return std::find(reasons.begin(), reasons.end(), reason) != reasons.end();
}

Result<ParsedBatch> parse_events(std::string_view body, const ClusterNaming& naming, Instant now, RandomSource& random) {
    KN_TRY(const auto document, json::parse(body, {.max_bytes = max_batch_bytes, .max_depth = 64}));
    std::vector<const json::Value*> events;
    if (const auto* list = document.if_array()) {
        for (const auto& each : *list) events.push_back(&each);
    } else if (const auto* items = json::at(document, "items"); items != nullptr && items->is_array()) {
        for (const auto& each : items->get_array()) events.push_back(&each);
    } else if (document.is_object() && json::string_at(document, "kind") == "Event") {
        events.push_back(&document);
    } else {
        return fail(ErrorCode::invalid_argument, "an Event, a list of Events or an EventList is expected");
    }
    if (events.size() > max_alerts) return fail(ErrorCode::invalid_argument, "more than " + std::to_string(max_alerts) + " events in one batch");
    ParsedBatch batch;
    for (std::size_t i = 0; i < events.size(); ++i) {
        const json::Value& event = *events[i];
        const auto* regarding = json::at(event, "regarding") != nullptr ? json::at(event, "regarding") : json::at(event, "involvedObject");
        Signal signal;
        const std::string reason(json::string_at(event, "reason"));
        if (regarding == nullptr || reason.empty()) {
            signal = quarantined(
                event, Error{.message = "regarding (or involvedObject) and reason are needed", .field = "events[" + std::to_string(i) + "]"},
                SignalSource::event, now);
        } else {
            signal.source = SignalSource::event;
            signal.name = reason;
            signal.received_at = signal.last_seen = now;
            signal.cluster = cluster_of({}, naming);
            signal.severity = Severity::warning;
            signal.starts_at = now;
            for (const auto key : {"eventTime", "lastTimestamp", "deprecatedLastTimestamp", "firstTimestamp", "deprecatedFirstTimestamp"}) {
                if (const auto time = parse_rfc3339(json::string_at(event, key))) {
                    signal.starts_at = *time;
                    break;
                }
            }
            const std::string api(json::string_at(*regarding, "apiVersion"));
            const auto slash = api.find('/');
            const std::string name(json::string_at(*regarding, "name")), ns(json::string_at(*regarding, "namespace")),
                kind(json::string_at(*regarding, "kind"));
            if (is_object_name(name) && !kind.empty() && (ns.empty() || is_object_name(ns))) {
                signal.object = ObjectKey{signal.cluster, kind == "Node" ? std::string{} : ns, kind,
                                          slash == std::string::npos ? std::string{} : api.substr(0, slash), name};
            }
            signal.labels["uid"] = std::string(json::string_at(*regarding, "uid"));
            signal.alert_fp = to_hex(sha256_parts({signal.cluster.str(), signal.object ? signal.object->str() : "", reason}));
            // One signal per target and reason in 30 s.
            const Instant bucket = from_millis(to_millis(signal.starts_at) / 30'000 * 30'000);
            signal.key = make_signal_key(signal.cluster, "event", signal.alert_fp, bucket, "firing");
            const bool old = signal.starts_at < now - 10min;
            if (json::string_at(event, "type") != "Warning" || !is_signal_reason(reason) || old) {
                signal.state = SignalState::ignored;
                signal.error = old ? "older than 10 minutes at first sight" : "not a Warning of the table of reasons";
            }
        }
        signal.id = SignalId(make_id("sig_", now, random));
        batch.clusters.insert(signal.cluster.str());
        batch.signals.push_back(std::move(signal));
    }
    return batch;
}

}  // namespace kn::intake
