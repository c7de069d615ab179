#include "kubernaut/analytics/judging/series/season_scores.hpp"

#include <algorithm>
#include <cmath>

#include "kubernaut/analytics/judging/data_files.hpp"
#include "kubernaut/analytics/series/seasonality.hpp"

namespace kn::analytics::judging {
namespace {
/// Cells between blanks.
std::vector<std::string_view> words(std::string_view text) {
    std::vector<std::string_view> out;
    for (std::size_t at = text.find_first_not_of(" \t"); at != std::string_view::npos;) {
        const std::size_t end = text.find_first_of(" \t", at);
        out.push_back(text.substr(at, end == std::string_view::npos ? end : end - at));
        at = end == std::string_view::npos ? end : text.find_first_not_of(" \t", end);
    }
    return out;
}
}  // namespace

bool season_is_right(double found, std::span<const double> accepted) {
    constexpr double tolerance = 0.05;
    return std::ranges::any_of(accepted, [&](double period) { return std::abs(found - period) <= tolerance * period; });
}

Result<std::vector<SeasonCase>> season_cases(const std::filesystem::path& data) {
    const auto folder = data / "SeasonLength";
    KN_TRY(const std::string listing, read_text(folder / "expected.csv"));
    std::vector<SeasonCase> out;
    for (const auto& cells : csv_cells(listing)) {
        if (cells.size() < 2 || cells[0] == "file") continue;
        SeasonCase one{.name = std::string(cells[0]), .values = {}, .accepted = {}};
        for (const auto period : words(cells[1])) one.accepted.push_back(number(period));
        KN_TRY(const std::string text, read_text(folder / one.name));
        for (const auto& line : csv_cells(text)) {
            const auto columns = words(line[0]);
            if (!columns.empty()) one.values.push_back(number(columns.back()));
        }
        if (const auto seasons = series::find_seasons(one.values); !seasons.empty()) one.found = static_cast<double>(seasons.front().period);
        out.push_back(std::move(one));
    }
    return out;
}

Result<std::vector<Row>> season_rows(const std::filesystem::path& data) {
    KN_TRY(const auto cases, season_cases(data));
    double right = 0;
    for (const auto& one : cases) right += season_is_right(one.found, one.accepted) ? 1 : 0;
    Row row{.set = "SeasonLength", .metric = "share right", .value = right / static_cast<double>(std::max<std::size_t>(cases.size(), 1))};
    row.best_known = 0.63;
    row.goal = 0.82;
    return std::vector{row};
}

}  // namespace kn::analytics::judging
