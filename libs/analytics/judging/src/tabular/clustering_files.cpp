#include "kubernaut/analytics/judging/tabular/clustering_files.hpp"

#include <algorithm>
#include <cmath>
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

}  // namespace kn::analytics::judging
