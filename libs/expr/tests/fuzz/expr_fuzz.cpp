#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kubernaut/expr/expr.hpp"

/// Any bytes: compile() refuses or evaluate() ends within its limits.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const kn::expr::Environment environment{
        .roots = kn::json::parse(R"({"facts": {"x": 3, "list": [1, "a", null], "map": {"k": 1}, "text": "abc"}, "params": {}})")->as_object(),
        .now = {}};
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto program = kn::expr::compile(text)) (void)kn::expr::evaluate(*program, environment);
    if (const auto compiled = kn::expr::compile_template(text)) (void)kn::expr::evaluate(*compiled, environment);
    return 0;
}
