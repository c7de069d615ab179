#include "sim/metrics.hpp"

namespace kn::app {
namespace {

struct Selector {
    std::string name;
    sim::Labels labels;
};

Result<Selector> parse_selector(std::string_view text) {
    Selector selector;
    const auto brace = text.find('{');
    selector.name = text.substr(0, brace);
    if (brace == std::string_view::npos) return selector;
    const auto refuse = [&] {
        return fail(ErrorCode::invalid_argument, "the simulator answers plain selectors only, not \"" + std::string(text) + "\"");
    };
    if (text.back() != '}') return refuse();
    std::string_view rest = text.substr(brace + 1, text.size() - brace - 2);
    while (!rest.empty()) {
        const auto equals = rest.find("=\"");
        if (equals == std::string_view::npos || equals == 0) return refuse();
        const auto end = rest.find('"', equals + 2);
        if (end == std::string_view::npos) return refuse();
        selector.labels.emplace(std::string(rest.substr(0, equals)), std::string(rest.substr(equals + 2, end - equals - 2)));
        rest.remove_prefix(end + 1);
        while (!rest.empty() && (rest.front() == ',' || rest.front() == ' ')) rest.remove_prefix(1);
    }
    return selector;
}

}  // namespace

ports::Task<Result<std::vector<ports::Series>>> SimMetricsSource::range(const ClusterId& cluster, std::string promql, Instant from, Instant to,
                                                                        Duration step, Deadline) {
    const auto found = clusters_.find(cluster);
    if (found == clusters_.end()) co_return fail(ErrorCode::not_found, "no metrics for cluster " + cluster.str());
    KN_CO_TRY(auto selector, parse_selector(promql));
    selector.labels.erase("cluster");
    KN_CO_TRY(const auto series, found->second->query(selector.name, selector.labels, from, to, step));
    std::vector<ports::Series> out;
    for (const auto& each : series) {
        ports::Series one;
        for (const auto& [name, value] : each.labels) one.labels.emplace_back(name, value);
        for (const auto& sample : each.samples) one.samples.push_back({sample.at, sample.value});
        out.push_back(std::move(one));
    }
    co_return out;
}

}  // namespace kn::app
