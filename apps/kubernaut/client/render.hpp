#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/time.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::client {

/// Colours on a terminal unless NO_COLOR is set.
class Style {
public:
    static Style for_stdout();
    explicit Style(bool colours) : colours_(colours) {}
    [[nodiscard]] std::string good(std::string_view text) const { return wrap("32", text); }
    [[nodiscard]] std::string bad(std::string_view text) const { return wrap("31", text); }
    [[nodiscard]] std::string warn(std::string_view text) const { return wrap("33", text); }
    [[nodiscard]] std::string dim(std::string_view text) const { return wrap("2", text); }
    [[nodiscard]] std::string bold(std::string_view text) const { return wrap("1", text); }
    /// By meaning: healthy, succeeded, resolved are good; lost, failed, escalated bad; the others plain or a warning.
    [[nodiscard]] std::string state(std::string_view word) const;

private:
    [[nodiscard]] std::string wrap(std::string_view code, std::string_view text) const;
    bool colours_;
};

/// kubectl's ages: 42s, 7m, 3h, 5d.
std::string human_age(Duration age);
std::string age_of(std::string_view rfc3339, Instant now);

/// A column of a list: heading and the path of its value; only in -o wide when `wide`.
struct Column {
    std::string heading;
    std::string (*cell)(const json::Value& item, Instant now);
    bool wide = false;
};

/// One kind of thing that `get` and `describe` know.
struct Kind {
    std::string name, path;  ///< "incidents", "/api/v1/incidents"
    std::vector<std::string> aliases;
    std::vector<Column> columns;
    bool single = true;  ///< has a page of its own: path/{id}
    std::string event;   ///< kind in the live stream; "" = none
};
const std::vector<Kind>& kinds();
const Kind* find_kind(std::string_view name);

std::string table(const Kind& kind, const json::Array& items, bool wide, bool headings, Instant now, const Style& style);
/// One object for a person: nested maps indented, long texts as they are.
std::string describe(const json::Value& object);
/// What a pattern claims, what it rests on, how far to trust it, and what came of its warnings.
std::string explain_pattern(const json::Value& pattern, const Style& style, Instant now);
/// The story of an incident.
std::string why(const json::Value& incident, const Style& style, Instant now);

}  // namespace kn::client
