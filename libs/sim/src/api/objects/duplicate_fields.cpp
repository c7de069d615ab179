#include "api/objects/duplicate_fields.hpp"

#include <algorithm>
#include <set>

namespace kn::sim::api {
namespace {

/// An object or array that the scan is inside of.
struct Level {
    bool is_object = false;
    std::string path;
    std::set<std::string, std::less<>> keys{};
    std::size_t index = 0;
    std::string key{};
    bool expects_key = false;
};

std::string child_path(const Level& level) {
    if (!level.is_object) return level.path + "[" + std::to_string(level.index) + "]";
    return level.path.empty() ? level.key : level.path + "." + level.key;
}

}  // namespace

std::vector<std::string> duplicate_fields(std::string_view text) {
    std::vector<std::string> out;
    std::vector<Level> levels;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '{' || c == '[') {
            Level inner{.is_object = c == '{', .path = levels.empty() ? std::string{} : child_path(levels.back())};
            inner.expects_key = inner.is_object;
            levels.push_back(std::move(inner));
        } else if (c == '}' || c == ']') {
            if (!levels.empty()) levels.pop_back();
        } else if (c == ',' && !levels.empty()) {
            levels.back().expects_key = levels.back().is_object;
            ++levels.back().index;
        } else if (c == '"') {
            const auto start = ++i;
            while (i < text.size() && text[i] != '"') i += text[i] == '\\' ? 2 : 1;
            if (levels.empty() || !levels.back().expects_key) continue;
            auto& level = levels.back();
            level.expects_key = false;
            level.key = std::string(text.substr(start, std::min(i, text.size()) - start));
            if (level.keys.insert(level.key).second) continue;
            auto path = child_path(level);
            if (std::ranges::find(out, path) == out.end()) out.push_back(std::move(path));
        }
    }
    return out;
}

}  // namespace kn::sim::api
