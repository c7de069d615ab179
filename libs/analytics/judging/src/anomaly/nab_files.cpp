#include "kubernaut/analytics/judging/anomaly/nab_files.hpp"

#include <algorithm>

#include "anomaly/nab_time.hpp"
#include "kubernaut/analytics/judging/data_files.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::analytics::judging {
namespace {
Result<NabFile> read_file(const std::filesystem::path& path, std::string name, const json::Array& windows) {
    KN_TRY(const std::string text, read_text(path));
    NabFile file{.name = std::move(name)};
    const auto lines = csv_cells(text);
    for (std::size_t i = 1; i < lines.size(); ++i) {
        const auto& fields = lines[i];
        if (fields.size() != 2) return fail(ErrorCode::invalid_argument, path.string() + ": two columns expected", "line " + std::to_string(i + 1));
        KN_TRY(const std::int64_t time, parse_time(fields[0]));
        file.times.push_back(time);
        file.values.push_back(number(fields[1]));
    }
    for (const json::Value& window : windows) {
        KN_TRY(const std::int64_t begin, parse_time(json::string_at(window, 0)));
        KN_TRY(const std::int64_t end, parse_time(json::string_at(window, 1)));
        const auto first = std::ranges::lower_bound(file.times, begin), past = std::ranges::upper_bound(file.times, end);
        if (first < past)
            file.windows.push_back({static_cast<std::size_t>(first - file.times.begin()), static_cast<std::size_t>(past - file.times.begin() - 1)});
    }
    return file;
}
}  // namespace

Result<std::vector<NabFile>> read_nab(const std::filesystem::path& dir) {
    KN_TRY(const std::string text, read_text(dir / "labels" / "combined_windows.json"));
    KN_TRY(const json::Value labels, json::parse(text));
    std::vector<NabFile> files;
    for (const auto& [key, windows] : json::object_at(labels)) {
        const auto path = dir / "data" / std::string(key);
        if (!std::filesystem::exists(path) || !windows.is_array()) continue;
        KN_TRY(NabFile file, read_file(path, std::string(key), windows.get_array()));
        files.push_back(std::move(file));
    }
    std::ranges::sort(files, {}, &NabFile::name);
    return files;
}

}  // namespace kn::analytics::judging
