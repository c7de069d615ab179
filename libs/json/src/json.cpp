#include "kubernaut/json/json.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/stream_parser.hpp>
#include <cmath>
#include <limits>

namespace kn::json {
namespace {

std::string place(std::string_view text, std::size_t offset) {
    offset = std::min(offset, text.size());
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n');
    const auto start = offset == 0 ? std::string_view::npos : text.rfind('\n', offset - 1);
    const auto column = start == std::string_view::npos ? offset + 1 : offset - start;
    return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

void write_canonical(std::string& out, const Value& value) {
    if (const auto* object = value.if_object()) {
        std::vector<std::pair<std::string_view, const Value*>> members;
        members.reserve(object->size());
        for (const auto& [key, member] : *object) members.emplace_back(std::string_view{key.data(), key.size()}, &member);
        std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
        out += '{';
        bool first = true;
        for (const auto& [key, member] : members) {
            if (!first) out += ',';
            first = false;
            out += boost::json::serialize(boost::json::string_view(key.data(), key.size()));
            out += ':';
            write_canonical(out, *member);
        }
        out += '}';
    } else if (const auto* array = value.if_array()) {
        out += '[';
        for (std::size_t i = 0; i < array->size(); ++i) {
            if (i > 0) out += ',';
            write_canonical(out, (*array)[i]);
        }
        out += ']';
    } else {
        out += boost::json::serialize(value);
    }
}

void write_pretty(std::string& out, const Value& value, std::size_t indent) {
    const auto newline = [&out](std::size_t depth) {
        out += '\n';
        out.append(depth * 2, ' ');
    };
    if (const auto* object = value.if_object(); object != nullptr && !object->empty()) {
        out += '{';
        bool first = true;
        for (const auto& [key, member] : *object) {
            if (!first) out += ',';
            first = false;
            newline(indent + 1);
            out += boost::json::serialize(key);
            out += ": ";
            write_pretty(out, member, indent + 1);
        }
        newline(indent);
        out += '}';
    } else if (const auto* array = value.if_array(); array != nullptr && !array->empty()) {
        out += '[';
        for (std::size_t i = 0; i < array->size(); ++i) {
            if (i > 0) out += ',';
            newline(indent + 1);
            write_pretty(out, (*array)[i], indent + 1);
        }
        newline(indent);
        out += ']';
    } else {
        out += boost::json::serialize(value);
    }
}

}  // namespace

namespace detail {
const Array& empty_array() {
    static const Array empty;
    return empty;
}
const Object& empty_object() {
    static const Object empty;
    return empty;
}
}  // namespace detail

Result<Value> parse(std::string_view text, ParseLimits limits) {
    if (text.size() > limits.max_bytes) {
        return fail(ErrorCode::invalid_argument,
                    "JSON text of " + std::to_string(text.size()) + " bytes is over the limit of " + std::to_string(limits.max_bytes));
    }
    boost::json::parse_options options;
    options.max_depth = limits.max_depth;
    boost::json::stream_parser parser({}, options);
    boost::system::error_code ec;
    std::size_t used = parser.write_some(text.data(), text.size(), ec);
    if (ec) return fail(ErrorCode::invalid_argument, "not valid JSON: " + ec.message(), place(text, used));
    if (used < text.size()) {
        used = std::min(text.find_first_not_of(" \t\r\n", used), text.size());
        if (used < text.size()) return fail(ErrorCode::invalid_argument, "not valid JSON: text after the end", place(text, used));
    }
    parser.finish(ec);
    if (ec) return fail(ErrorCode::invalid_argument, "not valid JSON: the text ends too early", place(text, text.size()));
    return parser.release();
}

std::string dump(const Value& value) { return boost::json::serialize(value); }

std::string dump_pretty(const Value& value) {
    std::string out;
    write_pretty(out, value, 0);
    return out;
}

std::string canonical(const Value& value) {
    std::string out;
    write_canonical(out, value);
    return out;
}

std::optional<std::int64_t> to_int(const Value* value) {
    if (value == nullptr) return std::nullopt;
    if (const auto* number = value->if_int64()) return *number;
    if (const auto* number = value->if_uint64()) {
        if (*number <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return static_cast<std::int64_t>(*number);
    }
    if (const auto* number = value->if_double()) {
        if (std::abs(*number) < 9e15 && std::floor(*number) == *number) return static_cast<std::int64_t>(*number);
    }
    return std::nullopt;
}

std::optional<double> to_double(const Value* value) {
    if (value == nullptr) return std::nullopt;
    if (const auto* number = value->if_double()) return *number;
    if (const auto* number = value->if_int64()) return static_cast<double>(*number);
    if (const auto* number = value->if_uint64()) return static_cast<double>(*number);
    return std::nullopt;
}

Result<std::vector<std::string>> split_pointer(std::string_view pointer) {
    std::vector<std::string> tokens;
    if (pointer.empty()) return tokens;
    if (pointer.front() != '/') {
        return fail(ErrorCode::invalid_argument, "a JSON pointer begins with \"/\": \"" + std::string(pointer.substr(0, 128)) + "\"");
    }
    for (std::size_t i = 0; i < pointer.size(); ++i) {
        if (pointer[i] == '/') {
            tokens.emplace_back();
        } else if (pointer[i] == '~') {
            const char next = i + 1 < pointer.size() ? pointer[i + 1] : '\0';
            if (next != '0' && next != '1') return fail(ErrorCode::invalid_argument, "\"~\" in a JSON pointer is written ~0");
            tokens.back() += next == '0' ? '~' : '/';
            ++i;
        } else {
            tokens.back() += pointer[i];
        }
    }
    return tokens;
}

std::string escape_pointer_token(std::string_view token) {
    std::string out;
    for (const char c : token) {
        if (c == '~')
            out += "~0";
        else if (c == '/')
            out += "~1";
        else
            out += c;
    }
    return out;
}

const Value* at_pointer(const Value& value, std::string_view pointer) {
    const auto tokens = split_pointer(pointer);
    if (!tokens) return nullptr;
    const Value* found = &value;
    for (const auto& token : *tokens) {
        if (found->is_array()) {
            if (token.empty() || token.size() > 9 || token.find_first_not_of("0123456789") != std::string::npos) return nullptr;
            found = detail::step(found, static_cast<std::size_t>(std::stoul(token)));
        } else {
            found = detail::step(found, std::string_view{token});
        }
        if (found == nullptr) return nullptr;
    }
    return found;
}

}  // namespace kn::json
