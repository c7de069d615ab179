#include "kubernaut/intake/service.hpp"

#include <algorithm>

#include "kubernaut/base/hash.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::intake {

IntakeService::IntakeService(IntakeOptions options, ports::SignalStore& store, ports::Wakeups& wakeups, async::Clock& clock, RandomSource& random,
                             metrics::Registry& metrics, std::function<std::set<std::string>()> registered_clusters)
    : options_(std::move(options)),
      store_(store),
      wakeups_(wakeups),
      clock_(clock),
      random_(random),
      metrics_(metrics),
      registered_(std::move(registered_clusters)) {}

IntakeAnswer IntakeService::refuse(int status, std::string message, const std::string& source, std::optional<int> retry) {
    metrics_.counter("kubernaut_intake_requests_total", "requests to the intake", {{"source", source}, {"code", std::to_string(status)}}).add();
    json::Object error{{"code", status}, {"message", message}};
    return {.status = status, .body = json::dump(json::Object{{"error", std::move(error)}}), .retry_after_seconds = retry};
}

async::Task<IntakeAnswer> IntakeService::handle(IntakeRequest request) {
    const SteadyTime began = clock_.steady();
    // Who is it? Every token is compared in constant time, all of them, so that neither length nor order shows.
    const Source* source = nullptr;
    for (const Source& each : options_.sources) {
        const bool match = each.auth == "mtls" ? !request.client_name.empty() && each.name == request.client_name
                                               : !request.bearer.empty() && equal_constant_time(each.token, request.bearer);
        if (match && source == nullptr) source = &each;
    }
    const std::string name = source != nullptr ? source->name : options_.sources.empty() && request.loopback ? "loopback" : "";
    if (name.empty()) {
        if (options_.sources.empty()) co_return refuse(403, "no intake.sources are configured: alerts are taken from loopback only", "unknown");
        co_return refuse(401, "a bearer token or client certificate of a configured source is needed", "unknown");
    }
    if (request.method != "POST") co_return refuse(405, "POST expected", name);
    if (!request.content_type.empty() && !request.content_type.starts_with("application/json"))
        co_return refuse(415, "application/json expected", name);
    if (request.body.size() > max_batch_bytes) co_return refuse(413, "the body is larger than 10 MiB", name);
    // Load and trouble of ours are always 503: senders repeat 5xx, and drop on 429 and 408.
    if (draining_) co_return refuse(503, "this instance is stopping", name, 5);

    ClusterNaming naming{.from_path = request.path_cluster,
                         .from_header = request.header_cluster,
                         .labels = options_.cluster_labels,
                         .aliases = options_.aliases,
                         .registered = registered_()};
    const Instant now = clock_.now();
    auto batch = request.kind == "events" ? parse_events(request.body, naming, now, random_) : parse_alertmanager(request.body, naming, now, random_);
    if (!batch) co_return refuse(400, batch.error().field.empty() ? batch.error().message : batch.error().field + ": " + batch.error().message, name);
    if (source != nullptr && !source->clusters.empty()) {
        for (const auto& cluster : batch->clusters) {
            if (cluster != "unknown" && !source->clusters.contains(cluster))
                co_return refuse(403, "source " + name + " may not speak for cluster " + cluster, name);
        }
    }
    Bucket& bucket = rates_[name];
    if (bucket.filled == SteadyTime{})
        bucket.tokens = options_.alerts_per_second * 2;
    else
        bucket.tokens = std::min(options_.alerts_per_second * 2,
                                 bucket.tokens + std::chrono::duration<double>(began - bucket.filled).count() * options_.alerts_per_second);
    bucket.filled = began;
    const auto count = static_cast<double>(batch->signals.size());
    if (bucket.tokens < count && bucket.tokens < options_.alerts_per_second * 2)
        co_return refuse(503, "more alerts a second than one source may send", name, 5);
    bucket.tokens -= count;

    std::map<std::pair<std::string, std::string>, int> results;
    for (const Signal& signal : batch->signals) ++results[{signal.cluster.str(), std::string(to_string(signal.state))}];
    const std::int64_t truncated = batch->truncated;
    ports::RawBatch raw{.source = name, .bytes = std::move(request.body), .received_at = now};
    auto accepted = co_await store_.accept(std::move(raw), std::move(batch->signals), clock_.deadline_in(options_.commit_timeout));
    if (!accepted) {
        log::warning("alerts were not accepted; the sender will repeat", {{"source", name}, {"error", accepted.error().describe()}});
        const bool full = accepted.error().code == ErrorCode::resource_exhausted;
        co_return refuse(503, full ? "the inbox is full" : "the store does not answer", name, 5);
    }
    wakeups_.signals.notify();
    for (const auto& [key, n] : results) {
        metrics_.counter("kubernaut_intake_alerts_total", "alerts by result", {{"source", name}, {"cluster", key.first}, {"result", key.second}})
            .add(n);
    }
    if (truncated > 0)
        metrics_.gauge("kubernaut_intake_truncated_alerts", "alerts that a sender left out of its last batch", {{"source", name}})
            .set(static_cast<double>(truncated));
    metrics_.counter("kubernaut_intake_requests_total", "requests to the intake", {{"source", name}, {"code", "200"}}).add();
    metrics_.histogram("kubernaut_intake_request_duration_seconds", "time to the durable answer")
        .observe(std::chrono::duration<double>(clock_.steady() - began).count());
    json::Object body{{"accepted", accepted->accepted},
                      {"duplicates", accepted->duplicates},
                      {"quarantined", accepted->quarantined},
                      {"receipt", accepted->receipt}};
    co_return IntakeAnswer{.status = 200, .body = json::dump(body)};
}

async::Task<Result<ports::AcceptedBatch>> IntakeService::submit(std::vector<Signal> signals) {
    if (draining_) co_return fail(ErrorCode::unavailable, "this instance is stopping");
    const Instant now = clock_.now();
    const auto registered = registered_();
    std::map<std::pair<std::string, std::string>, int> results;
    for (Signal& signal : signals) {
        if (!registered.contains(signal.cluster.str())) co_return fail(ErrorCode::not_found, "no such cluster: " + signal.cluster.str());
        if (signal.labels.size() > max_labels) co_return fail(ErrorCode::invalid_argument, "too many labels", "labels");
        signal.id = SignalId{make_id("sig_", now, random_)};
        signal.received_at = signal.last_seen = now;
        if (!signal.object) signal.object = object_of_labels(signal.cluster, signal.labels);
        signal.key = make_signal_key(signal.cluster, to_string(signal.source), signal.alert_fp, signal.starts_at, to_string(signal.status));
        ++results[{signal.cluster.str(), std::string(to_string(signal.state))}];
    }
    KN_CO_TRY(const auto accepted, co_await store_.accept({.source = "patterns", .bytes = {}, .received_at = now}, std::move(signals),
                                                          clock_.deadline_in(options_.commit_timeout)));
    wakeups_.signals.notify();
    for (const auto& [key, n] : results)
        metrics_
            .counter("kubernaut_intake_alerts_total", "alerts by result", {{"source", "patterns"}, {"cluster", key.first}, {"result", key.second}})
            .add(n);
    co_return accepted;
}

}  // namespace kn::intake
