#include "kubelet/command_line.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "common/text.hpp"

namespace kn::sim {
namespace {

std::string base_name(std::string_view path) { return std::string(path.substr(path.find_last_of('/') + 1)); }

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    char quote = 0;
    bool open = false;
    for (const char c : text) {
        if (quote != 0) {
            if (c == quote)
                quote = 0;
            else
                word += c;
        } else if (c == '"' || c == '\'') {
            quote = c;
            open = true;
        } else if (c == ' ' || c == '\t') {
            if (open || !word.empty()) words.push_back(std::move(word));
            word.clear();
            open = false;
        } else {
            word += c;
        }
    }
    if (open || !word.empty()) words.push_back(std::move(word));
    return words;
}

std::optional<Duration> sleep_time(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || !std::isfinite(value)) return std::nullopt;  // "infinity" parses as a number
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    const double factor = unit == "m" ? 60 : unit == "h" ? 3600 : unit == "d" ? 86400 : 1;
    return Duration{static_cast<std::int64_t>(value * factor * 1000)};
}

bool names_nothing(std::string_view program) {
    static constexpr std::array hints{"nonexist", "non-exist", "does-not-exist", "doesnotexist", "no-such", "nosuch", "missing", "invalid", "nope"};
    return std::ranges::any_of(hints, [&](std::string_view hint) { return program.contains(hint); });
}

/// One simple command: its exit code, or nullopt when it keeps running.
struct Simple {
    std::optional<int> code;
    bool leaves = false;  // exit: the script ends here
};

Simple run_simple(const std::vector<std::string>& words, CommandEffect& effect) {
    const std::string program = base_name(words.front());
    if (program == "true" || program == ":" || program == "set" || program == "cd" || program == "export" || program == "trap") return {0};
    if (program == "false") return {1};
    if (program == "echo" || program == "printf") {
        effect.output.push_back(join({words.begin() + 1, words.end()}, " "));
        return {0};
    }
    if (program == "sleep") {
        const auto time = words.size() > 1 ? sleep_time(words[1]) : std::nullopt;
        if (!time) return {std::nullopt};  // "infinity"
        effect.after += *time;
        return {0};
    }
    if (program == "exit") {
        int code = 0;
        if (words.size() > 1) std::from_chars(words[1].data(), words[1].data() + words[1].size(), code);
        return {code & 0xff, true};
    }
    if (names_nothing(words.front())) return {127};
    return {std::nullopt};
}

void run_script(std::string_view script, CommandEffect& effect) {
    std::string text(script);
    int code = 0;
    char joiner = ';';
    std::size_t at = 0;
    while (at <= text.size()) {
        std::size_t end = at;
        for (char quote = 0; end < text.size(); ++end) {
            const char c = text[end];
            if (quote != 0)
                quote = c == quote ? 0 : quote;
            else if (c == '"' || c == '\'')
                quote = c;
            else if (std::string_view(";&|\n").contains(c))
                break;
        }
        const auto words = words_of(trimmed(std::string_view(text).substr(at, end - at)));
        const bool skip = (joiner == '&' && code != 0) || (joiner == '|' && code == 0);
        if (!words.empty() && !skip) {
            const auto done = run_simple(words, effect);
            if (!done.code) {
                effect.exit_code = std::nullopt;
                return;
            }
            code = *done.code;
            if (done.leaves) break;
        }
        joiner = end < text.size() ? text[end] : ';';
        if (joiner == '\n') joiner = ';';
        at = end + 1;
        if (at < text.size() && (text[at] == '&' || text[at] == '|')) ++at;
    }
    effect.exit_code = code;
}

}  // namespace

CommandEffect read_command(const std::vector<std::string>& command, const std::vector<std::string>& args) {
    CommandEffect effect;
    std::vector<std::string> line = command;
    if (line.empty()) return effect;  // the image's entry point, with or without arguments
    line.insert(line.end(), args.begin(), args.end());
    const std::string program = base_name(line.front());
    if (program == "sh" || program == "bash" || program == "ash" || program == "dash") {
        for (std::size_t i = 1; i + 1 < line.size(); ++i) {
            if (line[i].size() >= 2 && line[i].front() == '-' && line[i].back() == 'c') {
                run_script(line[i + 1], effect);
                return effect;
            }
        }
        return effect;
    }
    if (names_nothing(line.front())) {
        effect.start_error = "exec: \"" + line.front() + "\": stat " + line.front() + ": no such file or directory";
        return effect;
    }
    effect.exit_code = run_simple(line, effect).code;
    return effect;
}

}  // namespace kn::sim
