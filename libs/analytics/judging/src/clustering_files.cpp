#include "kubernaut/analytics/judging/clustering_files.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "kubernaut/analytics/judging/data_files.hpp"

namespace kn::analytics::judging {
namespace {
// Numbers between blanks, a row a line.
Result<Matrix> parse_matrix(std::string_view text) {
    std::vector<double> values;
    std::size_t rows = 0, cols = 0;
    while (!text.empty()) {
        const auto end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        std::size_t in_line = 0;
        for (;;) {
            const auto begin = line.find_first_not_of(" \t\r,");
            if (begin == std::string_view::npos) break;
            line.remove_prefix(begin);
            const auto stop = std::min(line.find_first_of(" \t\r,"), line.size());
            const double v = number(line.substr(0, stop));
            if (!std::isfinite(v)) return fail(ErrorCode::invalid_argument, "line " + std::to_string(rows + 1) + ": not a number");
            values.push_back(v);
            ++in_line;
            line.remove_prefix(stop);
        }
        if (in_line == 0) continue;
        if (rows > 0 && in_line != cols) return fail(ErrorCode::invalid_argument, "line " + std::to_string(rows + 1) + ": another number of columns");
        cols = in_line;
        ++rows;
    }
    Matrix out(rows, cols);
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < cols; ++c) out.at(r, c) = values[r * cols + c];
    return out;
}

Result<Matrix> read_matrix(const std::filesystem::path& path) {
    KN_TRY(const auto text, read_text(path));
    auto matrix = parse_matrix(text);
    if (!matrix) return fail(matrix.error().with_context(path.filename().string()));
    return matrix;
}
}  // namespace

Result<std::vector<ReferenceSet>> read_reference_sets(const std::filesystem::path& folder) {
    constexpr std::string_view ending = ".data.gz";
    std::set<std::filesystem::path> files;
    std::error_code error;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, error))
        if (entry.path().filename().string().ends_with(ending)) files.insert(entry.path());
    if (files.empty()) return fail(ErrorCode::not_found, "no " + std::string(ending) + " files below the folder");
    std::vector<ReferenceSet> sets;
    for (const auto& file : files) {
        const auto file_name = file.filename().string();
        ReferenceSet set{.name = file_name.substr(0, file_name.size() - ending.size())};
        KN_TRY(set.points, read_matrix(file));
        for (int i = 0;; ++i) {
            const auto labels_file = file.parent_path() / (set.name + ".labels" + std::to_string(i) + ".gz");
            if (!std::filesystem::exists(labels_file, error)) break;
            KN_TRY(const auto labels, read_matrix(labels_file));
            if (labels.rows() != set.points.rows() || labels.cols() != 1)
                return fail(ErrorCode::invalid_argument, labels_file.filename().string() + ": another number of labels than points");
            auto& reference = set.references.emplace_back();
            for (std::size_t r = 0; r < labels.rows(); ++r) reference.push_back(static_cast<std::int32_t>(labels.at(r, 0)));
        }
        if (!set.references.empty()) sets.push_back(std::move(set));
    }
    return sets;
}

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
