#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/time.hpp"
#include "kubernaut/expr/expr.hpp"

namespace re2 {
class RE2;
}

namespace kn::expr {

/// What is known of a node's value before it is evaluated.
enum class Type : std::uint8_t { any, null, boolean, number, text, list, map, duration, time };
std::string_view name_of(Type type);

enum class Op : std::uint8_t {
    constant,
    duration_literal,
    list,
    map,
    root,
    variable,
    member,
    index,
    negate,
    minus,
    both,
    either,
    choose,
    equal,
    differs,
    less,
    less_equal,
    greater,
    greater_equal,
    in,
    matches,
    add,
    subtract,
    multiply,
    divide,
    call,
    all,
    exists,
    transform,
    filter,
};

enum class Function : std::uint8_t {
    size,
    contains,
    starts_with,
    ends_with,
    min,
    max,
    abs,
    coalesce,
    known,
    age,
    duration,
    quantity,
    timestamp,
};

using NodeId = std::uint32_t;

struct Node {
    Op op = Op::constant;
    Type type = Type::any;
    std::uint32_t begin = 0, end = 0;  ///< bytes of the text
    std::vector<NodeId> kids;          ///< all/exists/transform/filter: list, body
    json::Value constant;
    Duration duration{0};
    std::string name;         ///< member, root, variable
    std::uint16_t depth = 1;  ///< of the tree below, this node included
    std::uint32_t slot = 0;   ///< variable: its place on the stack of loop variables
    Function function{};
    std::shared_ptr<const re2::RE2> regex;  ///< matches with a constant pattern
};

struct Program::Code {
    std::string text;
    std::vector<Node> nodes;
    NodeId root = 0;
    std::uint32_t slots = 0;
    std::vector<std::string> reads;
};

constexpr std::size_t max_text = 16 * 1024;
constexpr std::size_t max_depth = 64;        ///< of brackets while reading
constexpr std::size_t max_tree_depth = 256;  ///< of the tree, which evaluation walks by recursion
constexpr std::size_t max_pattern = 1024;

std::shared_ptr<const re2::RE2> compile_pattern(std::string_view pattern, std::string& error);

}  // namespace kn::expr
