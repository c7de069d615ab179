#include <array>

#include "kubernaut/analytics/anomaly/stream/stream_detector.hpp"
#include "kubernaut/analytics/judging/anomaly/anomaly_rows.hpp"
#include "kubernaut/analytics/judging/anomaly/nab_files.hpp"
#include "kubernaut/analytics/judging/anomaly/nab_score.hpp"

namespace kn::analytics::judging {
namespace {
struct Known {
    double best, goal;
};
constexpr std::array<Known, 3> known{{{80.424, 82}, {71.609, 75}, {85.457, 87}}};

std::string hits(const NabScore& score) {
    return std::to_string(score.windows_hit) + " of " + std::to_string(score.windows) + " windows, " + std::to_string(score.false_flags) +
           " rows flagged outside";
}
}  // namespace

Result<std::vector<Row>> nab_rows(const std::filesystem::path& dir) {
    KN_TRY(const auto files, read_nab(dir / "NAB"));
    std::vector<NabSeries> corpus;
    const StreamOptions options;
    for (const NabFile& file : files) {
        StreamDetector detector(options);
        NabSeries series{.name = file.name, .windows = file.windows, .scores = {}};
        for (std::size_t i = 0; i < file.values.size(); ++i) series.scores.push_back(detector.add(file.times[i], file.values[i]).score);
        corpus.push_back(std::move(series));
    }
    std::vector<Row> rows;
    for (std::size_t p = 0; p < known.size(); ++p) {
        const NabProfile& profile = nab_profiles()[p];
        const auto best = best_nab_score(corpus, profile);
        rows.push_back(
            {.set = "NAB", .metric = profile.name, .value = best.value, .best_known = known[p].best, .goal = known[p].goal, .note = hits(best)});
        const auto fixed = nab_score_at(corpus, profile, stream_score_of(options.repeat_notice));
        rows.push_back({.set = "NAB", .metric = profile.name + ", threshold fixed beforehand", .value = fixed.value, .note = hits(fixed)});
    }
    return rows;
}

}  // namespace kn::analytics::judging
