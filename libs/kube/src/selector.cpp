#include "kubernaut/kube/selector.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace kn::kube {
namespace {

bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

/// A label value or the name part of a key: at most 63 of [A-Za-z0-9._-], alphanumeric at both ends.
bool is_label_text(std::string_view text) {
    if (text.empty() || text.size() > 63 || !is_alnum(text.front()) || !is_alnum(text.back())) return false;
    return std::ranges::all_of(text, [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; });
}

/// name or prefix/name, the prefix being a DNS subdomain.
bool is_label_key(std::string_view key) {
    const auto slash = key.find('/');
    if (slash == std::string_view::npos) return is_label_text(key);
    const auto prefix = key.substr(0, slash);
    if (prefix.empty() || prefix.size() > 253) return false;
    const bool prefix_ok = std::ranges::all_of(prefix, [](char c) { return (is_alnum(c) && (c < 'A' || c > 'Z')) || c == '-' || c == '.'; });
    return prefix_ok && is_label_text(key.substr(slash + 1));
}

/// Splits a selector into words and the signs = == != > < ! ( ) ,
class Lexer {
public:
    explicit Lexer(std::string_view text) : text_(text) {}

    [[nodiscard]] std::string_view peek() {
        skip_space();
        if (at_ >= text_.size()) return {};
        const auto rest = text_.substr(at_);
        if (rest.starts_with("==") || rest.starts_with("!=")) return rest.substr(0, 2);
        if (signs.contains(rest.front())) return rest.substr(0, 1);
        const auto end = rest.find_first_of(word_end);
        return rest.substr(0, end);
    }
    std::string_view take() {
        const auto token = peek();
        at_ += token.size();
        return token;
    }
    bool take_if(std::string_view wanted) {
        if (peek() != wanted) return false;
        take();
        return true;
    }
    [[nodiscard]] bool done() { return peek().empty(); }
    /// The next token when it is a word, "" else.
    std::string_view take_word() {
        const auto token = peek();
        if (token.empty() || signs.contains(token.front())) return {};
        return take();
    }
    [[nodiscard]] std::string place() const { return "character " + std::to_string(at_ + 1); }

private:
    static constexpr std::string_view signs = "=!<>(),";
    static constexpr std::string_view word_end = "=!<>(), \t\r\n";
    void skip_space() {
        while (at_ < text_.size() && std::string_view(" \t\r\n").contains(text_[at_])) ++at_;
    }
    std::string_view text_;
    std::size_t at_ = 0;
};

std::optional<std::int64_t> as_integer(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// Values between parentheses; an empty one stands for "".
Result<std::vector<std::string>> take_values(Lexer& lexer) {
    if (!lexer.take_if("(")) return fail(ErrorCode::invalid_argument, "'(' expected after in/notin", lexer.place());
    std::vector<std::string> values;
    if (lexer.take_if(")")) return fail(ErrorCode::invalid_argument, "in/notin needs at least one value", lexer.place());
    while (true) {
        values.emplace_back(lexer.take_word());
        if (lexer.take_if(",")) continue;
        if (lexer.take_if(")")) return values;
        return fail(ErrorCode::invalid_argument, "',' or ')' expected in a list of values", lexer.place());
    }
}

}  // namespace

Result<LabelSelector> LabelSelector::parse(std::string_view text) {
    LabelSelector selector;
    Lexer lexer(text);
    while (!lexer.done()) {
        Requirement requirement{.key = {}, .op = Operator::exists, .values = {}};
        const bool negated = lexer.take_if("!");
        requirement.key = lexer.take_word();
        if (!is_label_key(requirement.key)) {
            return fail(ErrorCode::invalid_argument, "'" + requirement.key + "' is not a label key", lexer.place());
        }
        const auto next = lexer.peek();
        if (negated) {
            requirement.op = Operator::absent;
        } else if (next == "=" || next == "==" || next == "!=") {
            lexer.take();
            requirement.op = next == "!=" ? Operator::not_in : Operator::in;
            requirement.values.emplace_back(lexer.take_word());
        } else if (next == ">" || next == "<") {
            lexer.take();
            requirement.op = next == ">" ? Operator::greater : Operator::less;
            requirement.values.emplace_back(lexer.take_word());
            if (!as_integer(requirement.values.front())) return fail(ErrorCode::invalid_argument, "'>' and '<' need an integer", lexer.place());
        } else if (next == "in" || next == "notin") {
            lexer.take();
            requirement.op = next == "in" ? Operator::in : Operator::not_in;
            KN_TRY(requirement.values, take_values(lexer));
        }
        for (const auto& value : requirement.values) {
            if (!value.empty() && !is_label_text(value) && requirement.op != Operator::greater && requirement.op != Operator::less) {
                return fail(ErrorCode::invalid_argument, "'" + value + "' is not a label value", lexer.place());
            }
        }
        selector.requirements_.push_back(std::move(requirement));
        if (lexer.done()) break;
        if (!lexer.take_if(",")) return fail(ErrorCode::invalid_argument, "',' expected between requirements", lexer.place());
        if (lexer.done()) return fail(ErrorCode::invalid_argument, "a requirement is missing after ','", lexer.place());
    }
    return selector;
}

bool LabelSelector::matches(const json::Object& labels) const {
    return std::ranges::all_of(requirements_, [&labels](const Requirement& requirement) {
        const auto* found = labels.if_contains(requirement.key);
        const bool present = found != nullptr && found->is_string();
        const auto value = present ? json::view(found->get_string()) : std::string_view{};
        const bool listed = present && std::ranges::find(requirement.values, value) != requirement.values.end();
        switch (requirement.op) {
            case Operator::in: return listed;
            case Operator::not_in: return !listed;  // an absent label is not in any set, as the server has it
            case Operator::exists: return present;
            case Operator::absent: return !present;
            case Operator::greater:
            case Operator::less: break;
        }
        const auto number = as_integer(value);
        const auto limit = as_integer(requirement.values.front());
        if (!present || !number || !limit) return false;
        return requirement.op == Operator::greater ? *number > *limit : *number < *limit;
    });
}

std::string to_query(const json::Value& selector) {
    std::string out;
    const auto add = [&out](std::string_view term) {
        if (!out.empty()) out += ',';
        out += term;
    };
    for (const auto& [key, value] : json::object_at(selector, "matchLabels")) {
        add(std::string(key) + "=" + (value.is_string() ? std::string(json::view(value.get_string())) : ""));
    }
    for (const auto& expression : json::array_at(selector, "matchExpressions")) {
        const std::string key(json::string_at(expression, "key"));
        const auto op = json::string_at(expression, "operator");
        std::string values;
        for (const auto& value : json::array_at(expression, "values")) {
            if (!values.empty()) values += ',';
            if (value.is_string()) values += json::view(value.get_string());
        }
        if (op == "In")
            add(key + " in (" + values + ")");
        else if (op == "NotIn")
            add(key + " notin (" + values + ")");
        else if (op == "Exists")
            add(key);
        else if (op == "DoesNotExist")
            add("!" + key);
        // An operator that we do not know must not widen the selection: this asks for a key present and absent.
        else
            add(key + ",!" + key);
    }
    return out;
}

Result<FieldSelector> FieldSelector::parse(std::string_view text) {
    FieldSelector selector;
    std::size_t at = 0;
    while (at < text.size()) {
        Term term;
        std::string* into = &term.path;
        bool has_operator = false;
        for (; at < text.size() && text[at] != ','; ++at) {
            const auto rest = text.substr(at);
            if (rest.starts_with('\\')) {
                // Only , = and \ may be escaped.
                if (rest.size() < 2 || !std::string_view(",=\\").contains(rest[1])) {
                    return fail(ErrorCode::invalid_argument, "a backslash may stand only before , = or \\", "character " + std::to_string(at + 1));
                }
                *into += text[++at];
            } else if (!has_operator && (rest.starts_with("!=") || rest.starts_with("=="))) {
                term.equal = rest.front() == '=';
                has_operator = true;
                into = &term.value;
                ++at;
            } else if (!has_operator && rest.starts_with('=')) {
                has_operator = true;
                into = &term.value;
            } else {
                *into += text[at];
            }
        }
        ++at;  // the comma
        if (term.path.empty() && !has_operator) continue;
        if (!has_operator || term.path.empty()) {
            return fail(ErrorCode::invalid_argument, "a field selector has the form path=value or path!=value", term.path);
        }
        selector.terms_.push_back(std::move(term));
    }
    return selector;
}

namespace {

std::string field_text(const json::Value& object, std::string_view path) {
    const json::Value* found = &object;
    while (!path.empty() && found != nullptr) {
        const auto dot = std::min(path.find('.'), path.size());
        found = json::detail::step(found, path.substr(0, dot));
        path.remove_prefix(std::min(dot + 1, path.size()));
    }
    if (found == nullptr || found->is_null()) return {};
    if (const auto* text = found->if_string()) return std::string(json::view(*text));
    return json::dump(*found);
}

}  // namespace

bool FieldSelector::matches(const json::Value& object) const {
    return std::ranges::all_of(terms_, [&object](const Term& term) { return (field_text(object, term.path) == term.value) == term.equal; });
}

}  // namespace kn::kube
