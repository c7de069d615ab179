#include "kubernaut/json/yaml.hpp"

#include <yaml.h>

#include <charconv>
#include <cmath>
#include <optional>

namespace kn::json {
namespace {

std::string mark_text(const yaml_mark_t& mark) { return "line " + std::to_string(mark.line + 1) + ", column " + std::to_string(mark.column + 1); }

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
    for (const auto word : words) {
        if (text == word) return true;
    }
    return false;
}

std::optional<bool> yaml_bool(std::string_view text) {
    if (is_one_of(text, {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"})) return true;
    if (is_one_of(text, {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"})) return false;
    return std::nullopt;
}

std::optional<Value> yaml_number(std::string_view text) {
    if (text.empty()) return std::nullopt;
    std::string_view body = text;
    bool negative = false;
    if (body.front() == '+' || body.front() == '-') {
        negative = body.front() == '-';
        body.remove_prefix(1);
    }
    if (body.empty()) return std::nullopt;
    int base = 10;
    std::string_view digits = body;
    if (body.starts_with("0x"))
        base = 16, digits = body.substr(2);
    else if (body.starts_with("0o"))
        base = 8, digits = body.substr(2);
    else if (body.starts_with("0b"))
        base = 2, digits = body.substr(2);
    else if (body.size() > 1 && body.front() == '0' && body.find_first_not_of("01234567") == std::string_view::npos)
        base = 8, digits = body.substr(1);
    std::uint64_t magnitude = 0;
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, base);
    if (ec == std::errc{} && end == digits.data() + digits.size() && !digits.empty()) {
        if (!negative) {
            if (magnitude <= static_cast<std::uint64_t>(INT64_MAX)) return Value(static_cast<std::int64_t>(magnitude));
            return Value(magnitude);
        }
        if (magnitude <= static_cast<std::uint64_t>(INT64_MAX)) return Value(-static_cast<std::int64_t>(magnitude));
    }
    if (body.find_first_not_of("0123456789.eE+-") != std::string_view::npos) return std::nullopt;
    if (body.find_first_of("0123456789") == std::string_view::npos) return std::nullopt;
    double number = 0;
    const auto [dend, dec] = std::from_chars(body.data(), body.data() + body.size(), number);
    if (dec != std::errc{} || dend != body.data() + body.size() || !std::isfinite(number)) return std::nullopt;
    return Value(negative ? -number : number);
}

Value plain_scalar(std::string_view text) {
    if (text.empty() || is_one_of(text, {"~", "null", "Null", "NULL"})) return nullptr;
    if (const auto flag = yaml_bool(text)) return *flag;
    if (auto number = yaml_number(text)) return *std::move(number);
    return Value(boost::json::string_view(text.data(), text.size()));
}

class Parser {
public:
    Parser(std::string_view text, YamlLimits limits) : limits_(limits) {
        yaml_parser_initialize(&parser_);
        yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    }
    ~Parser() {
        yaml_event_delete(&event_);
        yaml_parser_delete(&parser_);
    }
    Parser(const Parser&) = delete;
    Parser& operator=(const Parser&) = delete;

    Result<std::vector<YamlDocument>> stream() {
        std::vector<YamlDocument> documents;
        KN_CHECK(next());  // stream start
        while (true) {
            KN_CHECK(next());
            if (event_.type == YAML_STREAM_END_EVENT) return documents;
            if (event_.type != YAML_DOCUMENT_START_EVENT) return error_here("a document was expected");
            anchors_.clear();
            KN_CHECK(next());
            YamlDocument document;
            KN_TRY(document.value, node(document, "", 0));
            KN_CHECK(next());  // document end
            documents.push_back(std::move(document));
        }
    }

private:
    std::unexpected<Error> error_here(std::string message) const {
        return fail(ErrorCode::invalid_argument, std::move(message), mark_text(event_.start_mark));
    }

    Result<> next() {
        yaml_event_delete(&event_);
        event_ = {};
        if (yaml_parser_parse(&parser_, &event_) == 1) return {};
        std::string message = "not valid YAML";
        if (parser_.problem != nullptr) message += std::string(": ") + parser_.problem;
        return fail(ErrorCode::invalid_argument, std::move(message), mark_text(parser_.problem_mark));
    }

    Result<> count(std::size_t nodes) {
        nodes_ += nodes;
        if (nodes_ > limits_.max_nodes) return error_here("the document expands to too many values (aliases?)");
        return {};
    }

    static std::size_t size_of(const Value& value) {
        std::size_t n = 1;
        if (const auto* array = value.if_array()) {
            for (const Value& v : *array) n += size_of(v);
        } else if (const auto* object = value.if_object()) {
            for (const auto& [k, v] : *object) n += size_of(v);
        }
        return n;
    }

    static std::string anchor_of(const unsigned char* anchor) {
        return anchor == nullptr ? std::string{} : std::string(reinterpret_cast<const char*>(anchor));
    }

    Result<Value> node(YamlDocument& document, const std::string& pointer, std::size_t depth) {
        if (depth > limits_.max_depth) return error_here("nested deeper than " + std::to_string(limits_.max_depth) + " levels");
        document.lines[pointer] = static_cast<int>(event_.start_mark.line) + 1;
        KN_CHECK(count(1));
        switch (event_.type) {
            case YAML_SCALAR_EVENT: return scalar();
            case YAML_ALIAS_EVENT: {
                const auto found = anchors_.find(anchor_of(event_.data.alias.anchor));
                if (found == anchors_.end()) return error_here("undefined alias");
                KN_CHECK(count(size_of(found->second)));
                return found->second;
            }
            case YAML_SEQUENCE_START_EVENT: {
                const std::string anchor = anchor_of(event_.data.sequence_start.anchor);
                Array array;
                KN_CHECK(next());
                while (event_.type != YAML_SEQUENCE_END_EVENT) {
                    KN_TRY(Value item, node(document, pointer + "/" + std::to_string(array.size()), depth + 1));
                    array.push_back(std::move(item));
                    KN_CHECK(next());
                }
                return remember(anchor, Value(std::move(array)));
            }
            case YAML_MAPPING_START_EVENT: return mapping(document, pointer, depth);
            default: return error_here("a value was expected");
        }
    }

    Result<Value> scalar() {
        const auto& s = event_.data.scalar;
        const std::string_view text(reinterpret_cast<const char*>(s.value), s.length);
        const std::string_view tag = s.tag == nullptr ? std::string_view{} : reinterpret_cast<const char*>(s.tag);
        const bool plain = s.style == YAML_PLAIN_SCALAR_STYLE && tag != YAML_STR_TAG && tag != "!";
        Value value = plain ? plain_scalar(text) : Value(boost::json::string_view(text.data(), text.size()));
        return remember(anchor_of(s.anchor), std::move(value));
    }

    Value remember(const std::string& anchor, Value value) {
        if (!anchor.empty()) anchors_[anchor] = value;
        return value;
    }

    Result<Value> mapping(YamlDocument& document, const std::string& pointer, std::size_t depth) {
        const std::string anchor = anchor_of(event_.data.mapping_start.anchor);
        Object object;
        std::vector<Value> merges;
        KN_CHECK(next());
        while (event_.type != YAML_MAPPING_END_EVENT) {
            if (event_.type != YAML_SCALAR_EVENT) return error_here("a key must be a plain word");
            const auto& s = event_.data.scalar;
            std::string key(reinterpret_cast<const char*>(s.value), s.length);
            const bool merge = key == "<<" && s.style == YAML_PLAIN_SCALAR_STYLE;
            const std::string where = mark_text(event_.start_mark);
            KN_CHECK(next());
            KN_TRY(Value value, node(document, pointer + "/" + escape_pointer_token(key), depth + 1));
            KN_CHECK(next());
            if (merge)
                merges.push_back(std::move(value));
            else if (!object.emplace(key, std::move(value)).second)
                return fail(ErrorCode::invalid_argument, "the key \"" + key + "\" appears twice", where);
        }
        for (const Value& merge : merges) {
            if (const auto* one = merge.if_object())
                merge_into(object, *one);
            else if (const auto* many = merge.if_array()) {
                for (const Value& each : *many) {
                    if (const auto* part = each.if_object()) merge_into(object, *part);
                }
            }
        }
        return remember(anchor, Value(std::move(object)));
    }

    static void merge_into(Object& object, const Object& defaults) {
        for (const auto& [key, value] : defaults) {
            if (!object.contains(key)) object.emplace(key, value);
        }
    }

    YamlLimits limits_;
    yaml_parser_t parser_{};
    yaml_event_t event_{};
    std::map<std::string, Value> anchors_;
    std::size_t nodes_ = 0;
};

bool needs_quotes(std::string_view text) {
    if (text.empty() || text.front() == ' ' || text.back() == ' ') return true;
    if (!plain_scalar(text).is_string()) return true;
    if (std::string_view("-?:,[]{}#&*!|>'\"%@`").find(text.front()) != std::string_view::npos) return true;
    if (text.find(": ") != std::string_view::npos || text.find(" #") != std::string_view::npos || text.back() == ':') return true;
    if (text == "=" || text.starts_with("0") || text.starts_with("...")) return true;
    for (const char c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
    }
    return false;
}

std::string yaml_string(std::string_view text) {
    return needs_quotes(text) ? dump(Value(boost::json::string_view(text.data(), text.size()))) : std::string(text);
}

void write_yaml(std::string& out, const Value& value, std::size_t indent, bool inline_first) {
    const auto pad = [&](bool first) {
        if (!(first && inline_first)) out.append(indent, ' ');
    };
    if (const auto* object = value.if_object(); object != nullptr && !object->empty()) {
        bool first = true;
        for (const auto& [key, member] : *object) {
            pad(first);
            first = false;
            out += yaml_string({key.data(), key.size()}) + ":";
            const bool nested = (member.is_object() && !member.get_object().empty()) || (member.is_array() && !member.get_array().empty());
            if (nested) {
                out += '\n';
                write_yaml(out, member, indent + (member.is_array() ? 0 : 2), false);
            } else {
                out += ' ';
                write_yaml(out, member, 0, true);
            }
        }
    } else if (const auto* array = value.if_array(); array != nullptr && !array->empty()) {
        bool first = true;
        for (const Value& item : *array) {
            pad(first);
            first = false;
            out += "- ";
            write_yaml(out, item, indent + 2, true);
        }
    } else if (const auto* text = value.if_string()) {
        out += yaml_string(view(*text)) + "\n";
    } else {
        out += dump(value) + "\n";
    }
}

}  // namespace

std::string pointer_to_path(std::string_view pointer) {
    const auto tokens = split_pointer(pointer);
    if (!tokens) return std::string(pointer);
    std::string path;
    for (const auto& token : *tokens) {
        if (!token.empty() && token.find_first_not_of("0123456789") == std::string::npos) {
            path += "[" + token + "]";
        } else if (token.find('.') != std::string::npos) {
            path += "[\"" + token + "\"]";
        } else {
            if (!path.empty()) path += '.';
            path += token;
        }
    }
    return path;
}

std::string YamlDocument::place(std::string_view pointer) const {
    std::string_view known = pointer;
    while (true) {
        if (const auto found = lines.find(known); found != lines.end()) {
            std::string text = "line " + std::to_string(found->second);
            const std::string path = pointer_to_path(pointer);
            return path.empty() ? text : text + ", " + path;
        }
        const auto slash = known.rfind('/');
        if (slash == std::string_view::npos) return pointer_to_path(pointer);
        known = known.substr(0, slash);
    }
}

Result<std::vector<YamlDocument>> parse_yaml_stream(std::string_view text, YamlLimits limits) {
    if (text.size() > limits.max_bytes) {
        return fail(ErrorCode::invalid_argument,
                    "YAML text of " + std::to_string(text.size()) + " bytes is over the limit of " + std::to_string(limits.max_bytes));
    }
    KN_TRY(auto documents, Parser(text, limits).stream());
    std::erase_if(documents, [](const YamlDocument& document) { return document.value.is_null(); });
    return documents;
}

Result<YamlDocument> parse_yaml(std::string_view text, YamlLimits limits) {
    KN_TRY(auto documents, parse_yaml_stream(text, limits));
    if (documents.size() > 1) return fail(ErrorCode::invalid_argument, "one YAML document was expected, not " + std::to_string(documents.size()));
    if (documents.empty()) {
        YamlDocument empty;
        empty.lines[""] = 1;
        return empty;
    }
    return std::move(documents.front());
}

std::string dump_yaml(const Value& value) {
    std::string out;
    write_yaml(out, value, 0, false);
    return out;
}

}  // namespace kn::json
