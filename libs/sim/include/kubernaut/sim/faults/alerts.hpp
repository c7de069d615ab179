#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/base/time.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/client.hpp"
#include "kubernaut/sim/kubelet/metrics.hpp"

namespace kn::sim {

struct Alert {
    std::string name;
    std::map<std::string, std::string> labels, annotations;
    Instant starts_at{};
    std::optional<Instant> ends_at;  ///< set = resolved
    /// As in Alertmanager's webhook: {status, labels, annotations, startsAt, endsAt, generatorURL, fingerprint}.
    [[nodiscard]] json::Value to_json() const;
};

/// The alerting rules of a cluster, evaluated on its real state: what Prometheus and Alertmanager would have sent.
class AlertFeed {
public:
    /// `cluster`: the label of every alert. `hold`: how long a condition must last, in place of each rule's own `for` (which is 15 m for most).
    AlertFeed(std::shared_ptr<kube::Client> client, std::shared_ptr<const Metrics> metrics, std::string cluster, std::optional<Duration> hold);
    ~AlertFeed();
    /// Limits the feed to these alert names and namespaces; empty = all.
    void limit(std::set<std::string> names, std::set<std::string> namespaces);

    /// Looks at the cluster; gives the alerts that are new or resolved since the last look.
    async::Task<Result<std::vector<Alert>>> evaluate(Deadline deadline);
    /// All that fire now.
    [[nodiscard]] std::vector<Alert> firing() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// One webhook body (version "4") for these alerts.
json::Value webhook_body(const std::vector<Alert>& alerts, std::string_view receiver);

/// Names that AlertFeed can raise.
std::vector<std::string> known_alerts();

}  // namespace kn::sim
