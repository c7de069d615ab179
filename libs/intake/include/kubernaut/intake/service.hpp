#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kubernaut/async/clock.hpp"
#include "kubernaut/intake/parse.hpp"
#include "kubernaut/metrics/registry.hpp"
#include "kubernaut/ports/signal_store.hpp"
#include "kubernaut/ports/wakeups.hpp"

namespace kn::intake {

/// Somebody who may send.
struct Source {
    std::string name, auth = "bearer", token;  ///< bearer: token; mtls: name is the certificate's CN
    std::set<std::string> clusters;            ///< it may speak for; empty = all
};

struct IntakeOptions {
    std::vector<Source> sources;  ///< empty: loopback only
    std::vector<std::string> cluster_labels{"cluster", "k8s_cluster"};
    std::map<std::string, std::string> aliases;
    std::int64_t inbox_rows = 100'000;
    Duration commit_timeout = 8s;
    double alerts_per_second = 20'000;  ///< of one source; beyond it 503
};

/// A request without HTTP around it.
struct IntakeRequest {
    std::string kind;  ///< "alerts" or "events"
    std::string method, content_type, body, path_cluster, header_cluster, bearer, client_name, peer;
    bool loopback = false;
};

struct IntakeAnswer {
    int status = 200;
    std::string body;  ///< JSON
    std::optional<int> retry_after_seconds;
};

class IntakeService {
public:
    IntakeService(IntakeOptions options, ports::SignalStore& store, ports::Wakeups& wakeups, async::Clock& clock, RandomSource& random,
                  metrics::Registry& metrics, std::function<std::set<std::string>()> registered_clusters);
    async::Task<IntakeAnswer> handle(IntakeRequest request);
    /// Signals that the hub makes itself (early warnings) come in by the same door: object from the labels, key, dedup, inbox limit. Of a registered cluster
    /// only. `starts_at` and `alert_fp` are the maker's, so that a repeat is a duplicate.
    async::Task<Result<ports::AcceptedBatch>> submit(std::vector<Signal> signals);
    /// Sources, labels and aliases; limits stay.
    void set_options(IntakeOptions options) { options_ = std::move(options); }
    /// After this every request is answered 503: the senders repeat.
    void drain() { draining_ = true; }

private:
    struct Bucket {
        double tokens = 0;
        SteadyTime filled{};
    };
    IntakeAnswer refuse(int status, std::string message, const std::string& source, std::optional<int> retry = {});
    IntakeOptions options_;
    ports::SignalStore& store_;
    ports::Wakeups& wakeups_;
    async::Clock& clock_;
    RandomSource& random_;
    metrics::Registry& metrics_;
    std::function<std::set<std::string>()> registered_;
    std::map<std::string, Bucket> rates_;
    bool draining_ = false;
};

}  // namespace kn::intake
