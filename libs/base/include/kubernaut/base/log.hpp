#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace kn::log {

enum class Level : std::uint8_t { debug, info, warning, error, off };
enum class Format : std::uint8_t { json, text };

/// One named value on a log line. Values are escaped by the log; secrets must not come here at all.
struct Field {
    std::string_view name;
    std::string value;
    bool quoted = true;
    Field(std::string_view n, std::string_view v) : name(n), value(v) {}
    Field(std::string_view n, const char* v) : name(n), value(v) {}
    Field(std::string_view n, const std::string& v) : name(n), value(v) {}
    Field(std::string_view n, std::integral auto v) : name(n), value(std::to_string(v)), quoted(false) {}
};

using Fields = std::initializer_list<Field>;

/// Call once at start; the default is info, text, standard error. Safe from any thread afterwards.
void configure(Level level, Format format);
bool enabled(Level level);

/// One line for one decision, with its ids as fields: info("plan chosen", {{"incident", id}, {"workflow", name}}).
void debug(std::string_view message, Fields fields = {});
void info(std::string_view message, Fields fields = {});
void warning(std::string_view message, Fields fields = {});
void error(std::string_view message, Fields fields = {});

}  // namespace kn::log
