#include "lexer.hpp"

#include <array>
#include <charconv>
#include <cmath>

#include "kubernaut/expr/expr.hpp"

namespace kn::expr {

namespace {
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

void append_utf8(std::string& out, std::uint32_t code) {
    if (code < 0x80) {
        out += static_cast<char>(code);
    } else if (code < 0x800) {
        out += static_cast<char>(0xC0 | (code >> 6));
        out += static_cast<char>(0x80 | (code & 0x3F));
    } else {
        out += static_cast<char>(0xE0 | (code >> 12));
        out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
        out += static_cast<char>(0x80 | (code & 0x3F));
    }
}
}  // namespace

std::unexpected<Error> error_at(std::size_t byte, std::string message) {
    return fail(ErrorCode::invalid_argument, std::move(message), "byte " + std::to_string(byte));
}

Result<Token> Lexer::next() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) ++at_;
    Token token{.at = at_};
    if (at_ >= text_.size()) return token;
    const char c = text_[at_];
    if (is_letter(c)) {
        const std::size_t begin = at_;
        while (at_ < text_.size() && (is_letter(text_[at_]) || is_digit(text_[at_]))) ++at_;
        token.kind = Token::Kind::name;
        token.source = text_.substr(begin, at_ - begin);
        return token;
    }
    if (is_digit(c)) return number();
    if (c == '"' || c == '\'') return quoted(c);
    constexpr std::array<std::string_view, 22> signs{"&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*",
                                                     "/",  "!",  "(",  ")",  "[",  "]",  "{", "}", ",", ".", "?"};
    for (const auto sign : signs) {
        if (text_.substr(at_, sign.size()) == sign) {
            token.kind = Token::Kind::sign;
            token.source = text_.substr(at_, sign.size());
            at_ += sign.size();
            return token;
        }
    }
    if (c == ':') {
        token.kind = Token::Kind::sign;
        token.source = text_.substr(at_++, 1);
        return token;
    }
    return error_at(at_, "unexpected character");
}

Result<Token> Lexer::quoted(char quote) {
    Token token{.kind = Token::Kind::text, .at = at_};
    const std::size_t begin = at_++;
    while (at_ < text_.size() && text_[at_] != quote) {
        const char c = text_[at_++];
        if (c != '\\') {
            token.text += c;
            continue;
        }
        if (at_ >= text_.size()) break;
        const char escaped = text_[at_++];
        switch (escaped) {
            case 'n': token.text += '\n'; break;
            case 't': token.text += '\t'; break;
            case 'r': token.text += '\r'; break;
            case '\\':
            case '"':
            case '\'':
            case '/': token.text += escaped; break;
            case 'u': {
                std::uint32_t code = 0;
                const char* first = text_.data() + at_;
                const std::size_t left = text_.size() - at_;
                if (left < 4 || std::from_chars(first, first + 4, code, 16).ptr != first + 4) return error_at(at_ - 2, "\\u needs four hex digits");
                if (code >= 0xD800 && code <= 0xDFFF) return error_at(at_ - 2, "\\u of a surrogate; write the character itself");
                append_utf8(token.text, code);
                at_ += 4;
                break;
            }
            default: return error_at(at_ - 2, std::string("unknown escape \\") + escaped);
        }
    }
    if (at_ >= text_.size()) return error_at(begin, "the string has no end");
    ++at_;
    token.source = text_.substr(begin, at_ - begin);
    return token;
}

/// 12, 1.5, 2e3, 10%, 256Mi, 90s, 1h30m: digits, letters and dots that touch are one literal.
Result<Token> Lexer::number() {
    Token token{.kind = Token::Kind::number, .at = at_};
    const std::size_t begin = at_;
    while (at_ < text_.size()) {
        const char c = text_[at_];
        const bool fraction = c == '.' && at_ + 1 < text_.size() && is_digit(text_[at_ + 1]);
        const bool exponent_sign =
            (c == '+' || c == '-') && (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E') && at_ + 1 < text_.size() && is_digit(text_[at_ + 1]);
        if (!is_digit(c) && !is_letter(c) && !fraction && !exponent_sign) break;
        ++at_;
    }
    std::string_view digits = text_.substr(begin, at_ - begin);
    const bool percent = at_ < text_.size() && text_[at_] == '%';
    if (percent) ++at_;
    token.source = text_.substr(begin, at_ - begin);

    const char* last = digits.data() + digits.size();
    std::int64_t whole = 0;
    if (!percent && std::from_chars(digits.data(), last, whole).ptr == last) {
        if (std::from_chars(digits.data(), last, whole).ec != std::errc{}) return error_at(begin, "the number is too large");
        token.number = whole;
        return token;
    }
    double real = 0;
    if (const auto parsed = std::from_chars(digits.data(), last, real); parsed.ec == std::errc{} && parsed.ptr == last) {
        token.number = percent ? real / 100 : real;
        return token;
    }
    if (!percent && (digits.ends_with("Ki") || digits.ends_with("Mi") || digits.ends_with("Gi") || digits.ends_with("Ti"))) {
        if (const auto quantity = parse_quantity(digits)) {
            const double value = *quantity;
            if (std::trunc(value) == value && std::abs(value) < 9e15)
                token.number = static_cast<std::int64_t>(value);
            else
                token.number = value;
            return token;
        }
    }
    if (!percent) {
        if (const auto duration = parse_duration(digits)) {
            token.kind = Token::Kind::duration;
            token.duration = *duration;
            return token;
        }
    }
    return error_at(begin, "not a number: `" + std::string(token.source) + "` (units: ms s m h d, Ki Mi Gi Ti, %)");
}

}  // namespace kn::expr
