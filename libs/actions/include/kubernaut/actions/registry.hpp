#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/result.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/ports/action_runner.hpp"
#include "kubernaut/ports/notifier.hpp"

namespace kn::actions {

/// A Secret that copy_secret may read, and where its content may go. Nothing outside this list is ever copied.
struct SecretSource {
    std::string ns, name;                   ///< what is read; name "*" = every Secret of that namespace, under its own name
    std::string as_name{};                  ///< name in the receiving namespace; "" = the same
    std::vector<std::string> namespaces{};  ///< receiving namespaces; "*" = all, a trailing '*' is a prefix; empty = none
    std::string cluster{};                  ///< "" = every cluster
};

/// Times and bounds. Tests and real-control-plane runs shorten the times and say so.
struct ActionSettings {
    Duration rollout_quiet = 60s;       ///< no restart and no replaced pod for so long after a rollout
    Duration oom_quiet = 10min;         ///< the same after a raised limit
    Duration probe_quiet = 5min;        ///< the same after a relaxed probe
    Duration good_revision = 5min;      ///< a revision that was the current one for so long counts as good
    Duration failed_pod_age = 10min;    ///< delete_failed_pods leaves younger ones alone
    Duration terminating_slack = 5min;  ///< beyond the grace period, before force_delete_pod
    Duration job_overdue = 12h;         ///< delete_job: an active Job of a CronJob older than this
    Duration poll = 1s;                 ///< between reads while an action waits inside execute()
    double max_volume_bytes = 10.0 * (1ULL << 40U);
    int max_replicas = 100;
    double min_ready_nodes = 0.51;
    std::vector<SecretSource> secret_sources{};
};

struct ActionDependencies {
    ports::Notifier& notifier;  ///< outlives the registry
    ActionSettings settings{};
};

/// Every action of the product. The instances keep nothing but a memory of since when a rollout has been quiet (a cache: after a restart the
/// wait begins anew). Loop thread only.
std::unique_ptr<ports::ActionRegistry> make_action_registry(ActionDependencies dependencies);

/// The same list without anything to run: for catalogue checks, `get actions` and the API.
const std::vector<ports::ActionSpec>& action_specs();

/// Types, bounds and names against the spec, defaults filled in. invalid_argument with `field` = "params.replicas". Bounds count seconds for a
/// duration, base units (bytes, cores) for a quantity, elements or characters for list and string. Unknown parameters are refused.
Result<json::Object> validate_params(const std::vector<ParamSpec>& specs, const json::Object& params, std::string_view prefix = "params");

/// Lower-case hex SHA-256 of the canonical JSON {"data", "binaryData" if any} of a ConfigMap: what `hash` of restore_configmap is compared with, and
/// what snapshots carry.
std::string content_hash(const json::Object& data, const json::Object& binary_data = {});

}  // namespace kn::actions
