#include "kubernaut/analytics/judging/quality_sets.hpp"

#include <array>

#include "kubernaut/analytics/judging/anomaly/anomaly_rows.hpp"
#include "kubernaut/analytics/judging/series/forecast_scores.hpp"
#include "kubernaut/analytics/judging/series/generated_rows.hpp"
#include "kubernaut/analytics/judging/series/season_scores.hpp"
#include "kubernaut/analytics/judging/series/tcpd_scores.hpp"
#include "kubernaut/analytics/judging/tabular/clustering_rows.hpp"

namespace kn::analytics::judging {

std::span<const QualitySet> quality_sets() {
    using Path = std::filesystem::path;
    constexpr static std::size_t adbench_rows_at_most = 10'000;  // the benchmark's own limit
    constexpr static std::size_t generated_rounds = 200;
    constexpr static std::uint64_t generated_seed = 7;
    static const std::array sets{
        QualitySet{"generated", "",
                   [](const Path&, unsigned) -> Result<std::vector<Row>> { return generated_rows(generated_rounds, generated_seed); }},
        QualitySet{"SeasonLength", "SeasonLength", [](const Path& data, unsigned) { return season_rows(data); }},
        QualitySet{"TCPD", "TCPD", [](const Path& data, unsigned) { return tcpd_rows(data); }},
        QualitySet{"M4", "M4", [](const Path& data, unsigned threads) { return m4_rows(data, threads); }},
        QualitySet{"M3", "M3", [](const Path& data, unsigned threads) { return m3_rows(data, threads); }},
        QualitySet{"NAB", "NAB", [](const Path& data, unsigned) { return nab_rows(data); }},
        QualitySet{"servers", "SMD", [](const Path& data, unsigned) { return server_rows(data); }},
        QualitySet{"Nezha_k8s", "Nezha_k8s", [](const Path& data, unsigned) { return pod_rows(data); }},
        QualitySet{"ADBench", "ADBench_classical",
                   [](const Path& data, unsigned threads) { return adbench_rows(data, adbench_rows_at_most, threads); }},
        QualitySet{"clustering", "clustering", [](const Path& data, unsigned threads) { return clustering_rows(data, threads); }},
        QualitySet{"WfInstances", "WfInstances", [](const Path& data, unsigned threads) { return executions_rows(data, threads); }},
    };
    return sets;
}

}  // namespace kn::analytics::judging
