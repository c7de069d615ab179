#include "kubernaut/analytics/judging/data_files.hpp"

#include <zlib.h>

#include <charconv>
#include <limits>
#include <memory>

namespace kn::analytics::judging {

Result<std::string> read_text(const std::filesystem::path& path) {
    // gzread passes through what is not compressed.
    const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
    if (file == nullptr) return fail(ErrorCode::not_found, "cannot open " + path.filename().string());
    constexpr std::size_t limit = std::size_t{1} << 30U;
    std::string out;
    std::string block(1U << 18U, '\0');
    for (;;) {
        const int got = gzread(file.get(), block.data(), static_cast<unsigned>(block.size()));
        if (got < 0) return fail(ErrorCode::invalid_argument, path.filename().string() + " is damaged");
        if (got == 0) return out;
        out.append(block, 0, static_cast<std::size_t>(got));
        if (out.size() > limit) return fail(ErrorCode::resource_exhausted, path.filename().string() + " is larger than 1 GiB");
    }
}

std::vector<std::vector<std::string_view>> csv_cells(std::string_view text) {
    std::vector<std::vector<std::string_view>> out;
    while (!text.empty()) {
        const auto end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty()) continue;
        auto& cells = out.emplace_back();
        for (bool more = true; more;) {
            const auto comma = line.find(',', line.starts_with('"') ? line.find('"', 1) : 0);
            std::string_view cell = line.substr(0, comma);
            more = comma != std::string_view::npos;
            if (more) line.remove_prefix(comma + 1);
            if (cell.size() >= 2 && cell.starts_with('"') && cell.ends_with('"')) cell = cell.substr(1, cell.size() - 2);
            cells.push_back(cell);
        }
    }
    return out;
}

double number(std::string_view cell) {
    while (cell.starts_with(' ')) cell.remove_prefix(1);
    while (cell.ends_with(' ')) cell.remove_suffix(1);
    if (cell.starts_with('+')) cell.remove_prefix(1);
    double out = 0;
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), out);
    return error == std::errc{} && end == cell.data() + cell.size() ? out : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace kn::analytics::judging
