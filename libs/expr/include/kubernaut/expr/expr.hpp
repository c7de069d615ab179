#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/result.hpp"
#include "kubernaut/base/time.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::expr {

/// What an expression may look at: roots such as incident, target, facts, cluster, env, params, steps, vars, history; and the time that `now`,
/// `age()` mean. A root that is not there is unknown, and so is every member that is missing or null.
struct Environment {
    json::Object roots;
    Instant now{};
};

/// An expression never runs longer, never holds more. Regular expressions are RE2's: linear in the text.
struct Limits {
    std::size_t steps = 10'000;
    std::size_t bytes = 2U << 20U;  ///< of values made on the way and of the result
};

/// A value, or unknown with the part of the text that was not known.
struct Answer {
    std::optional<json::Value> value;  ///< durations come out as "5m", times as RFC 3339
    std::string unknown;               ///< "facts.volume.used_ratio"
    [[nodiscard]] bool known() const { return value.has_value(); }
};

/// A compiled expression: immutable, cheap to copy, usable from any thread.
class Program {
public:
    struct Code;
    Program() = default;
    explicit Program(std::shared_ptr<const Code> code) : code_(std::move(code)) {}
    [[nodiscard]] const std::string& text() const;
    /// Paths of members that it reads, as far as they are spelled out: "facts.volume.used_ratio", "params.factor". Sorted, no repeats.
    [[nodiscard]] const std::vector<std::string>& reads() const;
    [[nodiscard]] const Code* code() const { return code_.get(); }

private:
    std::shared_ptr<const Code> code_;
};

/// Errors: invalid_argument, `field` = "byte N".
/// What can be told to be nonsense without values (`1 + true`, a wrong number of arguments, an unknown function, a bad regular expression) is refused here.
Result<Program> compile(std::string_view text);

/// Never throws. invalid_argument for values of the wrong type, resource_exhausted beyond the limits.
Result<Answer> evaluate(const Program& program, const Environment& environment, const Limits& limits = {});
/// As a condition: nullopt = unknown; a value that is no boolean is an error.
Result<std::optional<bool>> test(const Program& program, const Environment& environment, const Limits& limits = {});

/// Text with "${ expression }" parts; "$${" stands for "${". One part alone gives the expression's own value, several or embedded ones give text.
class Template {
public:
    struct Part {
        std::string text;  ///< literal text when there is no program
        std::optional<Program> program;
    };
    explicit Template(std::vector<Part> parts) : parts_(std::move(parts)) {}
    [[nodiscard]] const std::vector<Part>& parts() const { return parts_; }
    [[nodiscard]] bool is_constant() const;

private:
    std::vector<Part> parts_;
};

Result<Template> compile_template(std::string_view text);
Result<Answer> evaluate(const Template& text, const Environment& environment, const Limits& limits = {});

/// Checks every string in `value`, at any depth; `field` of the error is the path of the string and the byte in it ("factor, byte 3").
Result<> check_templates(const json::Value& value);
/// `value` with every string in it evaluated; members whose value comes out null are left out. An unknown part is failed_precondition with reason
/// `unknown` and the member's path in `field`.
Result<json::Value> expand(const json::Value& value, const Environment& environment, const Limits& limits = {});

/// "128Mi" → 134217728, "500m" → 0.5, "2" → 2, "1e3" → 1000: the quantities of Kubernetes.
std::optional<double> parse_quantity(std::string_view text);

}  // namespace kn::expr
