#include "kubernaut/base/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdio>
#include <memory>

#include "kubernaut/base/time.hpp"

namespace kn::log {
namespace {

std::atomic<Level> current_level{Level::info};
std::atomic<Format> current_format{Format::text};

spdlog::logger& logger() {
    static const std::shared_ptr<spdlog::logger> instance = [] {
        auto made = std::make_shared<spdlog::logger>("kubernaut", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        made->set_pattern("%v");
        made->set_level(spdlog::level::trace);
        made->flush_on(spdlog::level::trace);
        return made;
    }();
    return *instance;
}

void append_escaped(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : text) {
        switch (c) {
            case '"': out += "\\\""; break;
            case '\\': out += "\\\\"; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\t': out += "\\t"; break;
            default:
                if (static_cast<unsigned char>(c) < 0x20) {
                    char buffer[8];
                    std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(c));
                    out += buffer;
                } else {
                    out += c;
                }
        }
    }
    out += '"';
}

void append_text_value(std::string& out, std::string_view value) {
    const bool plain = !value.empty() && value.find_first_of(" \"\\\n\r\t=") == std::string_view::npos;
    if (plain)
        out += value;
    else
        append_escaped(out, value);
}

void write(Level level, std::string_view name, std::string_view message, Fields fields) {
    if (!enabled(level)) return;
    const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    std::string line;
    line.reserve(160);
    if (current_format.load(std::memory_order_relaxed) == Format::json) {
        line += R"({"time":")" + format_rfc3339(now) + R"(","level":")";
        line += name;
        line += R"(","message":)";
        append_escaped(line, message);
        for (const Field& field : fields) {
            line += ',';
            append_escaped(line, field.name);
            line += ':';
            if (field.quoted)
                append_escaped(line, field.value);
            else
                line += field.value;
        }
        line += '}';
    } else {
        line += format_rfc3339(now) + " ";
        line += name;
        line += ' ';
        line += message;
        for (const Field& field : fields) {
            line += ' ';
            line += field.name;
            line += '=';
            append_text_value(line, field.value);
        }
    }
    logger().log(spdlog::level::info, line);
}

}  // namespace

void configure(Level level, Format format) {
    current_level = level;
    current_format = format;
}

bool enabled(Level level) { return level >= current_level.load(std::memory_order_relaxed); }

void debug(std::string_view message, Fields fields) { write(Level::debug, "debug", message, fields); }
void info(std::string_view message, Fields fields) { write(Level::info, "info", message, fields); }
void warning(std::string_view message, Fields fields) { write(Level::warning, "warning", message, fields); }
void error(std::string_view message, Fields fields) { write(Level::error, "error", message, fields); }

}  // namespace kn::log
