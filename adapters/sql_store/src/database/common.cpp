#include "database/common.hpp"

#include <charconv>

namespace kn::sql {

std::string make_cursor(Instant at, std::string_view id) { return std::to_string(to_millis(at)) + "." + std::string(id); }

Result<> Select::page(const ports::Page& page, std::string_view time, std::string_view id) {
    if (page.limit < 1 || page.limit > 10'000) return fail(ErrorCode::invalid_argument, "a page has 1 to 10000 items", "limit");
    if (!page.cursor.empty()) {
        const auto dot = page.cursor.find('.');
        std::int64_t at = 0;
        const char* end = page.cursor.data() + std::min(dot, page.cursor.size());
        const auto [stop, ec] = std::from_chars(page.cursor.data(), end, at);
        if (dot == std::string::npos || ec != std::errc{} || stop != end)
            return fail(ErrorCode::invalid_argument, "not a cursor of this list", "cursor");
        params_.emplace_back(at);
        const std::string first = "$" + std::to_string(params_.size());
        params_.emplace_back(std::string_view(page.cursor).substr(dot + 1));
        add("(" + std::string(time) + ", " + std::string(id) + ") < (" + first + ", ?)", "$" + std::to_string(params_.size()));
    }
    sql_ += " ORDER BY " + std::string(time) + " DESC, " + std::string(id) + " DESC";
    limit(page.limit + 1);
    return {};
}

}  // namespace kn::sql
