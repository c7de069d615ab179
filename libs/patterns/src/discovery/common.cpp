#include "discovery/common.hpp"

#include <cmath>
#include <tuple>

#include "kubernaut/base/hash.hpp"

namespace kn::patterns {

Result<void> in_time(const Question& question) {
    if (!question.out_of_time || !question.out_of_time()) return {};
    return fail(ErrorCode::deadline_exceeded, "out of time");
}

History History::until(Instant then) const {
    History out;
    for (const auto& one : incidents)
        if (one.opened <= then) out.incidents.push_back(one);
    for (const auto& one : executions)
        if (one.started + Duration(static_cast<std::int64_t>(one.seconds * 1000)) <= then) out.executions.push_back(one);
    const double limit = seconds_of(then);
    for (const auto& one : series) {
        const auto count = std::upper_bound(one.times.begin(), one.times.end(), limit) - one.times.begin();
        if (count == 0) continue;
        out.series.push_back({.name = one.name,
                              .cluster = one.cluster,
                              .environment = one.environment,
                              .times = {one.times.begin(), one.times.begin() + count},
                              .values = {one.values.begin(), one.values.begin() + count},
                              .limit = one.limit,
                              .horizon = one.horizon,
                              .odd = one.odd,
                              .labels = one.labels});
    }
    return out;
}

std::vector<EventList> by_subject(const History& history, std::size_t least) {
    std::map<std::tuple<std::string, std::string, std::string>, std::vector<const IncidentRow*>> lists;
    for (const auto& one : history.incidents) lists[{one.cluster, one.subject, one.fault_class}].push_back(&one);
    std::vector<EventList> out;
    for (auto& [name, rows] : lists) {
        if (rows.size() < least) continue;
        std::sort(rows.begin(), rows.end(), [](const auto* a, const auto* b) { return std::tie(a->opened, a->id) < std::tie(b->opened, b->id); });
        EventList list{.cluster = std::get<0>(name), .subject = std::get<1>(name), .fault_class = std::get<2>(name), .times = {}, .ids = {}};
        for (const auto* row : rows) list.times.push_back(seconds_of(row->opened)), list.ids.push_back(row->id);
        out.push_back(std::move(list));
    }
    return out;
}

Pattern make_pattern(PatternKind kind, const std::string& analyzer, std::string cluster, std::string subject, std::string key, std::string claim) {
    Pattern p;
    p.kind = kind;
    p.scope = cluster.empty() ? "fleet" : "cluster/" + cluster;
    p.subject = std::move(subject);
    p.key = std::move(key);
    p.claim = std::move(claim);
    p.id = pattern_id(kind, p.scope, p.subject, p.key);
    p.provenance.analyzer = analyzer;
    return p;
}

std::vector<std::string> evidence_of(std::span<const std::string> ids) {
    constexpr std::size_t most = 20;
    const auto last = ids.last(std::min(ids.size(), most));
    return {last.begin(), last.end()};
}

std::string pattern_id(PatternKind kind, std::string_view scope, std::string_view subject, std::string_view key) {
    return to_hex(sha256_parts({to_string(kind), scope, subject, key})).substr(0, 16);
}
}  // namespace kn::patterns
