#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kubernaut/base/result.hpp"
#include "kubernaut/base/time.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::expr {

struct Token {
    enum class Kind : std::uint8_t { end, name, text, number, duration, sign } kind = Kind::end;
    std::string_view source;  ///< as written
    std::string text;         ///< of a string, escapes resolved
    json::Value number;
    Duration duration{0};
    std::size_t at = 0;
    [[nodiscard]] bool is(std::string_view sign) const { return kind == Kind::sign && source == sign; }
};

class Lexer {
public:
    explicit Lexer(std::string_view text) : text_(text) {}
    Result<Token> next();

private:
    Result<Token> quoted(char quote);
    Result<Token> number();
    std::string_view text_;
    std::size_t at_ = 0;
};

std::unexpected<Error> error_at(std::size_t byte, std::string message);

}  // namespace kn::expr
