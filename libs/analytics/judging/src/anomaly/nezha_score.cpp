#include "kubernaut/analytics/judging/anomaly/nezha_score.hpp"

#include <algorithm>
#include <map>

#include "anomaly/nab_time.hpp"
#include "kubernaut/analytics/judging/data_files.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::analytics::judging {
namespace {
constexpr std::size_t leading_columns = 3;  // Time, TimeStamp, PodName

Result<std::map<std::string, std::vector<PodFault>>> read_faults(const std::filesystem::path& path) {
    KN_TRY(const std::string text, read_text(path));
    KN_TRY(const json::Value hours, json::parse(text));
    std::map<std::string, std::vector<PodFault>> faults;
    for (const auto& [hour, list] : json::object_at(hours)) {
        if (!list.is_array()) continue;
        for (const json::Value& fault : list.get_array()) {
            // The text, not `inject_timestamp`: that one is 8 h off on some days.
            KN_TRY(const std::int64_t begin, parse_time(json::string_at(fault, "inject_time")));
            faults[std::string(json::string_at(fault, "inject_pod"))].push_back({std::string(json::string_at(fault, "inject_type")), begin});
        }
    }
    for (auto& [pod, list] : faults) std::ranges::sort(list, {}, &PodFault::begin);
    return faults;
}

Result<PodFile> read_pod(const std::filesystem::path& path) {
    KN_TRY(const std::string text, read_text(path));
    const auto lines = csv_cells(text);
    PodFile pod;
    if (lines.size() < 2 || lines[0].size() <= leading_columns) return pod;
    for (std::size_t c = leading_columns; c < lines[0].size(); ++c) pod.metrics.emplace_back(lines[0][c]);
    pod.values = Matrix(lines.size() - 1, pod.metrics.size());
    for (std::size_t r = 1; r < lines.size(); ++r) {
        pod.times.push_back(static_cast<std::int64_t>(number(lines[r].size() > 1 ? lines[r][1] : "")));
        for (std::size_t c = 0; c < pod.metrics.size(); ++c)
            pod.values.at(r - 1, c) = number(c + leading_columns < lines[r].size() ? lines[r][c + leading_columns] : "");
    }
    return pod;
}
}  // namespace

std::vector<std::uint8_t> PodFile::labels() const {
    std::vector<std::uint8_t> marks(times.size(), 0);
    for (const PodFault& fault : faults)
        for (std::size_t i = 0; i < times.size(); ++i)
            if (times[i] >= fault.begin && times[i] < fault.begin + pod_fault_seconds) marks[i] = 1;
    return marks;
}

Result<std::vector<PodFile>> read_pods(const std::filesystem::path& dir) {
    constexpr std::string_view ending = "_metric.csv.gz";
    std::error_code error;
    std::vector<PodFile> pods;
    for (const auto& day : std::filesystem::directory_iterator(dir, error)) {
        const std::string name = day.path().filename().string();
        const auto labels = dir / "labels" / (name + "-fault_list.json");
        if (!day.is_directory() || !std::filesystem::exists(labels)) continue;
        KN_TRY(const auto faults, read_faults(labels));
        for (const auto& entry : std::filesystem::directory_iterator(day.path() / "metric", error)) {
            const std::string file = entry.path().filename().string();
            if (!file.ends_with(ending)) continue;
            KN_TRY(PodFile pod, read_pod(entry.path()));
            pod.day = name;
            pod.pod = file.substr(0, file.size() - ending.size());
            if (const auto found = faults.find(pod.pod); found != faults.end()) pod.faults = found->second;
            pods.push_back(std::move(pod));
        }
    }
    if (error) return fail(ErrorCode::not_found, "cannot list " + dir.filename().string());
    std::ranges::sort(pods, [](const PodFile& a, const PodFile& b) { return std::tie(a.day, a.pod) < std::tie(b.day, b.pod); });
    return pods;
}

EventScore pod_score(const PodFile& pod, const std::vector<double>& scores, const std::string& kind, double fpr) {
    const auto marks = pod.labels();
    std::vector<double> normal;
    for (std::size_t i = 0; i < scores.size(); ++i)
        if (marks[i] == 0) normal.push_back(scores[i]);
    const double threshold = quantile(normal, 1 - fpr);
    EventScore score{.normal_rows = normal.size(),
                     .false_flags = static_cast<std::size_t>(std::ranges::count_if(normal, [&](double s) { return s > threshold; }))};
    for (const PodFault& fault : pod.faults) {
        if (fault.kind != kind) continue;
        bool seen = false, hit = false;
        for (std::size_t i = 0; i < scores.size(); ++i) {
            if (pod.times[i] < fault.begin || pod.times[i] >= fault.begin + pod_fault_seconds) continue;
            seen = true;
            hit = hit || scores[i] > threshold;
        }
        if (!seen) continue;  // no row was recorded in the event: nothing can be told
        ++score.events;
        score.hit += hit ? 1 : 0;
    }
    return score;
}

}  // namespace kn::analytics::judging
