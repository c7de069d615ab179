#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/ids.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/domain/signal.hpp"

namespace kn::intake {

// Limits on what comes from outside. Larger values are mistakes or attacks; each bad alert is quarantined with the reason.
constexpr std::size_t max_batch_bytes = 10U << 20U;
constexpr std::size_t max_alerts = 50'000;
constexpr std::size_t max_labels = 64, max_label_name = 256, max_label_value = 4096;
constexpr std::size_t max_annotations = 64, max_annotation_value = 16 * 1024;  ///< longer ones are cut with a mark: they are for people only
constexpr std::size_t max_depth = 16;
constexpr Duration max_future = 5min;  ///< a later startsAt is the sender's clock

/// How the cluster of an alert is found: path, header, labels, aliases, the only registered one.
struct ClusterNaming {
    std::string from_path, from_header;
    std::vector<std::string> labels{"cluster", "k8s_cluster"};
    std::map<std::string, std::string> aliases;
    std::set<std::string> registered;
};

struct ParsedBatch {
    std::vector<Signal> signals;     ///< good ones pending, bad ones quarantined with `error`
    std::int64_t truncated = 0;      ///< truncatedAlerts: that many were left out by the sender
    std::set<std::string> clusters;  ///< named by the batch
};

/// Alertmanager webhook version "4". invalid_argument when it is no JSON object with an `alerts` array. Ids are drawn from `random`.
Result<ParsedBatch> parse_alertmanager(std::string_view body, const ClusterNaming& naming, Instant now, RandomSource& random);

/// One Event, a list, or an EventList of events.k8s.io/v1 or core/v1. Only Warning events with a reason of the table become signals.
Result<ParsedBatch> parse_events(std::string_view body, const ClusterNaming& naming, Instant now, RandomSource& random);

/// The object that labels name, before owner resolution; exported_* wins, then the most specific kind. `job`, `instance`, `endpoint` and `service`
/// describe the scrape target and never name it.
std::optional<ObjectKey> object_of_labels(const ClusterId& cluster, const std::map<std::string, std::string>& labels);

/// SHA-256 over the sorted label set.
std::string label_fingerprint(const std::map<std::string, std::string>& labels);

/// Event reasons that become signals.
bool is_signal_reason(std::string_view reason);

}  // namespace kn::intake
