#include "kubernaut/analytics/judging/tabular/executions_files.hpp"

#include <algorithm>
#include <iterator>
#include <map>

#include "kubernaut/analytics/judging/data_files.hpp"

namespace kn::analytics::judging {

Result<std::vector<TaskFamily>> read_task_families(const std::filesystem::path& file) {
    KN_TRY(const auto text, read_text(file));
    const auto cells = csv_cells(text);
    if (cells.empty()) return fail(ErrorCode::invalid_argument, file.filename().string() + " is empty");
    const auto& header = cells.front();
    const auto place = [&](std::string_view name) { return static_cast<std::size_t>(std::ranges::find(header, name) - header.begin()); };
    const std::size_t family_at = place("family"), program_at = place("program");
    constexpr std::string_view names[] = {"instance", "family", "task_id", "program"};  // who it is, not how it ran
    constexpr std::string_view categories[] = {"machine"};
    if (family_at == header.size() || program_at == header.size()) return fail(ErrorCode::invalid_argument, "the header names no family or program");
    std::map<std::string_view, std::vector<std::size_t>> lines;
    for (std::size_t i = 1; i < cells.size(); ++i) {
        if (cells[i].size() != header.size()) return fail(ErrorCode::invalid_argument, "line " + std::to_string(i + 1) + ": another number of cells");
        lines[cells[i][family_at]].push_back(i);
    }
    std::vector<TaskFamily> families;
    for (const auto& [name, members] : lines) {
        TaskFamily family{.name = std::string(name)};
        std::map<std::string_view, std::int32_t> programs;
        for (const std::size_t i : members)
            family.programs.push_back(programs.try_emplace(cells[i][program_at], static_cast<std::int32_t>(programs.size())).first->second);
        family.program_count = programs.size();
        for (std::size_t c = 0; c < header.size(); ++c) {
            if (std::ranges::find(names, header[c]) != std::end(names)) continue;
            MixedColumn column{.name = std::string(header[c])};
            std::map<std::string_view, std::int32_t> codes;
            for (const std::size_t i : members) {
                const auto cell = cells[i][c];
                if (std::ranges::find(categories, header[c]) == std::end(categories)) {
                    column.numbers.push_back(number(cell));
                    continue;
                }
                if (cell.empty()) {
                    column.categories.push_back(-1);
                    continue;
                }
                const auto [at, fresh] = codes.try_emplace(cell, static_cast<std::int32_t>(codes.size()));
                if (fresh) column.category_names.emplace_back(cell);
                column.categories.push_back(at->second);
            }
            family.tasks.columns.push_back(std::move(column));
        }
        families.push_back(std::move(family));
    }
    return families;
}

}  // namespace kn::analytics::judging
