#include "codec_io.hpp"
#include "kubernaut/domain/pattern.hpp"

namespace kn {

using codec::Is;

template <class Io, Is<Provenance> T> void members(Io& io, T& provenance) {
    io("analyzer", provenance.analyzer);
    io("version", provenance.version);
    std::string mode = provenance.basic ? "basic" : "full";
    io("mode", mode);
    if constexpr (!std::is_const_v<T>) provenance.basic = mode == "basic";
}

template <class Io, Is<TimeWindow> T> void members(Io& io, T& window) {
    io("from", window.from);
    io("to", window.to);
}

template <class Io, Is<Pattern> T> void members(Io& io, T& pattern) {
    io("id", pattern.id);
    io("kind", pattern.kind);
    io("scope", pattern.scope);
    io("subject", pattern.subject);
    io("key", pattern.key);
    io("claim", pattern.claim);
    io("confidence", pattern.confidence);
    io("calibrated", pattern.calibrated);
    io("raw", pattern.raw);
    auto support = static_cast<std::int64_t>(pattern.support);
    io("support", support);
    if constexpr (!std::is_const_v<T>) pattern.support = static_cast<std::size_t>(std::max<std::int64_t>(0, support));
    io("first_seen", pattern.first_seen);
    io("last_seen", pattern.last_seen);
    io("next_expected", pattern.next_expected);
    io("evidence", pattern.evidence);
    io("status", pattern.status);
    io("provenance", pattern.provenance);
    io("detail", pattern.detail);
}

template <class Io, Is<PatternRecord> T> void members(Io& io, T& record) {
    members(io, record.pattern);
    io("shadow", record.shadow);
    io("missed", record.missed);
    io("confirmed", record.confirmed);
    io("refuted", record.refuted);
    io("runs", record.runs);
    io("failed_in_row", record.failed_in_row);
    io("predicted_at", record.predicted_at);
    io("promised", record.promised);
    io("updated_at", record.updated_at);
}

template <class Io, Is<EarlyWarning> T> void members(Io& io, T& warning) {
    io("id", warning.id);
    io("cluster", warning.cluster);
    io("pattern", warning.pattern);
    io("name", warning.name);
    io("target", warning.target);
    io("signal_key", warning.signal_key);
    io("alert_fp", warning.alert_fp);
    io("incident", warning.incident);
    io("raised_at", warning.raised_at);
    io("expected_at", warning.expected_at);
    io("window", warning.window);
    io("outcome", warning.outcome);
    io("judged_at", warning.judged_at);
    io("happened_at", warning.happened_at);
    io("note", warning.note);
}

KN_DOCUMENT(Pattern, "pattern")
KN_DOCUMENT(PatternRecord, "pattern")
KN_DOCUMENT(EarlyWarning, "early warning")

}  // namespace kn
