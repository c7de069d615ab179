#include "scenario/variables.hpp"

#include <algorithm>

#include "common/text.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/json/yaml.hpp"

namespace kn::sim {
namespace {

/// Lines of the top-level key `vars`, with as many line breaks before them as there are in the file, so that errors name the right line.
std::string vars_block(std::string_view text) {
    std::string out;
    bool inside = false;
    for (const auto& line : split(text, '\n')) {
        if (line.starts_with("vars:"))
            inside = true;
        else if (inside && !line.empty() && line[0] != ' ' && line[0] != '#' && line[0] != '\r')
            inside = false;
        out += inside ? line + "\n" : "\n";
    }
    return out;
}

std::string scalar(const json::Value& value) { return value.is_string() ? std::string(json::view(value.get_string())) : json::dump(value); }

}  // namespace

Result<std::string> substitute(std::string_view text, const std::map<std::string, std::string>& variables) {
    std::string out;
    std::size_t at = 0;
    while (true) {
        const auto open = text.find("${", at);
        out += text.substr(at, open - at);
        if (open == std::string_view::npos) return out;
        const auto close = text.find('}', open);
        const std::string name(text.substr(open + 2, close == std::string_view::npos ? 0 : close - open - 2));
        const auto found = variables.find(name);
        if (found == variables.end()) {
            const auto line = 1 + std::ranges::count(text.substr(0, open), '\n');
            return fail(ErrorCode::invalid_argument, "unknown variable ${" + name + "}", "line " + std::to_string(line));
        }
        out += found->second;
        at = close + 1;
    }
}

Result<std::map<std::string, std::string>> choose_variables(std::string_view text, std::uint64_t seed) {
    SeededRandom random(seed);
    std::map<std::string, std::string> out{{"seed", std::to_string(seed)}};
    std::string tag;
    constexpr std::string_view letters = "bcdfghjkmnpqrstvwxz";
    for (int i = 0; i < 4; ++i) tag += letters[random.next() % letters.size()];
    out["tag"] = tag;
    const std::string block = vars_block(text);
    if (trimmed(block).empty()) return out;
    KN_TRY(auto document, json::parse_yaml(block));
    for (const auto& [key, value] : json::object_at(document.value, "vars")) {
        const std::string name(key), place = document.place("/vars/" + name);
        std::string chosen;
        if (const auto* list = value.if_array()) {
            if (list->empty()) return fail(ErrorCode::invalid_argument, "an empty list gives no choice", place);
            chosen = scalar((*list)[random.next() % list->size()]);
        } else if (value.is_object()) {
            const auto low = json::int_at(value, "between", 0), high = json::int_at(value, "between", 1);
            if (!low || !high || *low > *high) return fail(ErrorCode::invalid_argument, "expected {between: [low, high]}", place);
            chosen = std::to_string(*low + static_cast<std::int64_t>(random.next() % static_cast<std::uint64_t>(*high - *low + 1)));
        } else {
            chosen = scalar(value);
        }
        auto full = substitute(chosen, out);
        if (!full) return fail(ErrorCode::invalid_argument, full.error().message, place);
        out[name] = *std::move(full);
    }
    return out;
}

}  // namespace kn::sim
