#include <algorithm>

#include "kubernaut/expr/expr.hpp"

namespace kn::expr {

namespace {

/// The place of the bracket that closes the one before `from`, with strings and inner brackets skipped.
std::size_t closing_brace(std::string_view text, std::size_t from) {
    int depth = 1;
    char quote = 0;
    for (std::size_t i = from; i < text.size(); ++i) {
        const char c = text[i];
        if (quote != 0) {
            if (c == '\\')
                ++i;
            else if (c == quote)
                quote = 0;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '{') {
            ++depth;
        } else if (c == '}' && --depth == 0) {
            return i;
        }
    }
    return std::string_view::npos;
}

std::string shown(const json::Value& value) {
    if (value.is_string()) return std::string(json::view(value.get_string()));
    return json::dump(value);
}

Error moved(Error error, std::size_t offset) {
    constexpr std::string_view word = "byte ";
    if (error.field.starts_with(word)) error.field = std::string(word) + std::to_string(std::stoul(error.field.substr(word.size())) + offset);
    return error;
}

Result<> check_at(const json::Value& value, const std::string& path) {
    if (const auto* text = value.if_string()) {
        if (const auto compiled = compile_template(json::view(*text)); !compiled) {
            Error error = compiled.error();
            error.field = path.empty() ? error.field : path + ", " + error.field;
            return fail(std::move(error));
        }
    } else if (const auto* array = value.if_array()) {
        for (std::size_t i = 0; i < array->size(); ++i) KN_CHECK(check_at((*array)[i], path + "[" + std::to_string(i) + "]"));
    } else if (const auto* object = value.if_object()) {
        for (const auto& [key, item] : *object) KN_CHECK(check_at(item, path.empty() ? std::string(key) : path + "." + std::string(key)));
    }
    return {};
}

Result<json::Value> expand_at(const json::Value& value, const Environment& environment, const Limits& limits, const std::string& path) {
    if (const auto* text = value.if_string()) {
        const auto source = json::view(*text);
        if (source.find("${") == std::string_view::npos) return value;
        const auto named = [&path](Error error) {
            if (!path.empty()) error.field = path;
            return fail(std::move(error));
        };
        const auto compiled = compile_template(source);
        if (!compiled) return named(compiled.error());
        const auto answer = evaluate(*compiled, environment, limits);
        if (!answer) return named(answer.error());
        if (!answer->known()) {
            return fail(Error{
                .code = ErrorCode::failed_precondition, .message = "`" + answer->unknown + "` is not known", .field = path, .reason = "unknown"});
        }
        return *answer->value;
    }
    if (const auto* array = value.if_array()) {
        json::Array out;
        for (std::size_t i = 0; i < array->size(); ++i) {
            KN_TRY(auto item, expand_at((*array)[i], environment, limits, path + "[" + std::to_string(i) + "]"));
            out.push_back(std::move(item));
        }
        return json::Value(std::move(out));
    }
    if (const auto* object = value.if_object()) {
        json::Object out;
        for (const auto& [key, item] : *object) {
            KN_TRY(auto inner, expand_at(item, environment, limits, path.empty() ? std::string(key) : path + "." + std::string(key)));
            if (!inner.is_null() || item.is_null()) out[key] = std::move(inner);
        }
        return json::Value(std::move(out));
    }
    return value;
}

}  // namespace

bool Template::is_constant() const {
    return std::ranges::none_of(parts_, [](const Part& part) { return part.program.has_value(); });
}

Result<Template> compile_template(std::string_view text) {
    std::vector<Template::Part> parts;
    std::string literal;
    const auto flush = [&parts, &literal] {
        if (!literal.empty()) parts.push_back({.text = std::exchange(literal, {})});
    };
    for (std::size_t i = 0; i < text.size();) {
        if (text.substr(i, 3) == "$${") {
            literal += "${";
            i += 3;
        } else if (text.substr(i, 2) == "${") {
            const std::size_t end = closing_brace(text, i + 2);
            if (end == std::string_view::npos) return fail(ErrorCode::invalid_argument, "`${` has no `}`", "byte " + std::to_string(i));
            const auto program = compile(text.substr(i + 2, end - i - 2));
            if (!program) return fail(moved(program.error(), i + 2));
            flush();
            parts.push_back({.text = {}, .program = *program});
            i = end + 1;
        } else {
            literal += text[i++];
        }
    }
    flush();
    return Template(std::move(parts));
}

Result<Answer> evaluate(const Template& text, const Environment& environment, const Limits& limits) {
    const auto& parts = text.parts();
    if (parts.size() == 1 && parts.front().program) return evaluate(*parts.front().program, environment, limits);
    std::string joined;
    for (const auto& part : parts) {
        if (!part.program) {
            joined += part.text;
        } else {
            KN_TRY(auto answer, evaluate(*part.program, environment, limits));
            if (!answer.known()) return answer;
            joined += shown(*answer.value);
        }
        if (joined.size() > limits.bytes) return fail(ErrorCode::resource_exhausted, "the text grows too long");
    }
    return Answer{.value = json::Value(std::move(joined)), .unknown = {}};
}

Result<> check_templates(const json::Value& value) { return check_at(value, ""); }

Result<json::Value> expand(const json::Value& value, const Environment& environment, const Limits& limits) {
    return expand_at(value, environment, limits, "");
}

}  // namespace kn::expr
