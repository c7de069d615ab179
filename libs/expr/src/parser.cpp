#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <set>

#include "code.hpp"
#include "lexer.hpp"

namespace kn::expr {

std::string_view name_of(Type type) {
    constexpr std::array<std::string_view, 9> names{"any value", "null", "boolean", "number", "string", "list", "map", "duration", "time"};
    return names[static_cast<std::size_t>(type)];
}

std::shared_ptr<const re2::RE2> compile_pattern(std::string_view pattern, std::string& error) {
    if (pattern.size() > max_pattern) {
        error = "the pattern is too long";
        return nullptr;
    }
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(1 << 20);
    auto compiled = std::make_shared<const re2::RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
    if (compiled->ok()) return compiled;
    error = compiled->error();
    return nullptr;
}

namespace {

struct Signature {
    std::string_view name;
    Function function;
    std::size_t least, most;
    std::array<Type, 2> wants;  ///< of the first two arguments; any = not told before evaluation
    Type gives;
};
constexpr std::array<Signature, 18> signatures{{
    {"size", Function::size, 1, 1, {Type::any, Type::any}, Type::number},
    {"len", Function::size, 1, 1, {Type::any, Type::any}, Type::number},
    {"contains", Function::contains, 2, 2, {Type::any, Type::any}, Type::boolean},
    {"startsWith", Function::starts_with, 2, 2, {Type::text, Type::text}, Type::boolean},
    {"starts_with", Function::starts_with, 2, 2, {Type::text, Type::text}, Type::boolean},
    {"endsWith", Function::ends_with, 2, 2, {Type::text, Type::text}, Type::boolean},
    {"ends_with", Function::ends_with, 2, 2, {Type::text, Type::text}, Type::boolean},
    {"min", Function::min, 1, 16, {Type::any, Type::any}, Type::any},
    {"max", Function::max, 1, 16, {Type::any, Type::any}, Type::any},
    {"abs", Function::abs, 1, 1, {Type::any, Type::any}, Type::any},
    {"coalesce", Function::coalesce, 1, 16, {Type::any, Type::any}, Type::any},
    {"known", Function::known, 1, 1, {Type::any, Type::any}, Type::boolean},
    {"has", Function::known, 1, 1, {Type::any, Type::any}, Type::boolean},
    {"age", Function::age, 1, 1, {Type::any, Type::any}, Type::duration},
    {"duration", Function::duration, 1, 1, {Type::any, Type::any}, Type::duration},
    {"quantity", Function::quantity, 1, 1, {Type::any, Type::any}, Type::number},
    {"timestamp", Function::timestamp, 1, 1, {Type::any, Type::any}, Type::time},
    {"time", Function::timestamp, 1, 1, {Type::any, Type::any}, Type::time},
}};

bool fits(Type have, Type want) { return have == Type::any || want == Type::any || have == Type::null || have == want; }
bool is_amount(Type type) { return type == Type::any || type == Type::null || type == Type::number || type == Type::duration; }

class Parser {
public:
    explicit Parser(std::string_view text) : lexer_(text) { code_.text = std::string(text); }

    Result<std::shared_ptr<const Program::Code>> run() {
        KN_CHECK(advance());
        KN_TRY(code_.root, choice());
        if (token_.kind != Token::Kind::end) return error_at(token_.at, "unexpected `" + std::string(token_.source) + "`");
        collect_reads();
        return std::make_shared<const Program::Code>(std::move(code_));
    }

private:
    // -- tokens
    Result<> advance() {
        last_end_ = token_.at + token_.source.size();
        KN_TRY(token_, lexer_.next());
        return {};
    }
    Result<bool> take(std::string_view sign) {
        if (!token_.is(sign)) return false;
        KN_CHECK(advance());
        return true;
    }
    Result<> expect(std::string_view sign) {
        KN_TRY(const bool taken, take(sign));
        if (!taken) {
            return error_at(token_.at,
                            "expected `" + std::string(sign) + "`" +
                                (token_.kind == Token::Kind::end ? " before the end" : " instead of `" + std::string(token_.source) + "`"));
        }
        return {};
    }
    [[nodiscard]] bool is_word(std::string_view word) const { return token_.kind == Token::Kind::name && token_.source == word; }

    // -- nodes
    Node& at(NodeId id) { return code_.nodes[id]; }
    Result<NodeId> make(Op op, Type type, std::size_t begin, std::vector<NodeId> kids = {}) {
        if (code_.nodes.size() >= 4'000) return error_at(begin, "the expression is too large");
        Node node;
        node.op = op, node.type = type, node.begin = static_cast<std::uint32_t>(begin), node.end = static_cast<std::uint32_t>(last_end_);
        for (const NodeId kid : kids) node.depth = std::max(node.depth, static_cast<std::uint16_t>(at(kid).depth + 1));
        if (node.depth > max_tree_depth) return error_at(begin, "nested too deeply");
        node.kids = std::move(kids);
        code_.nodes.push_back(std::move(node));
        return static_cast<NodeId>(code_.nodes.size() - 1);
    }
    Result<> want(NodeId id, Type type, std::string_view who) {
        if (fits(at(id).type, type)) return {};
        return error_at(at(id).begin, std::string(who) + " wants a " + std::string(name_of(type)) + ", not a " + std::string(name_of(at(id).type)));
    }

    /// Guards recursion: every rule that can nest goes through choice() or unary().
    struct Depth {
        explicit Depth(std::size_t& depth) : value(depth) { ++value; }
        ~Depth() { --value; }
        std::size_t& value;
    };

    Result<NodeId> choice() {
        const Depth depth(depth_);
        if (depth_ > max_depth) return error_at(token_.at, "nested too deeply");
        const std::size_t begin = token_.at;
        KN_TRY(const NodeId condition, either());
        KN_TRY(const bool asks, take("?"));
        if (!asks) return condition;
        KN_CHECK(want(condition, Type::boolean, "?:"));
        KN_TRY(const NodeId yes, choice());
        KN_CHECK(expect(":"));
        KN_TRY(const NodeId no, choice());
        const Type type = at(yes).type == at(no).type ? at(yes).type : Type::any;
        return make(Op::choose, type, begin, {condition, yes, no});
    }

    Result<NodeId> either() {
        const std::size_t begin = token_.at;
        KN_TRY(NodeId left, both());
        while (true) {
            KN_TRY(const bool taken, take("||"));
            if (!taken) return left;
            KN_TRY(const NodeId right, both());
            KN_TRY(left, logic(Op::either, "||", begin, left, right));
        }
    }
    Result<NodeId> both() {
        const std::size_t begin = token_.at;
        KN_TRY(NodeId left, relation());
        while (true) {
            KN_TRY(const bool taken, take("&&"));
            if (!taken) return left;
            KN_TRY(const NodeId right, relation());
            KN_TRY(left, logic(Op::both, "&&", begin, left, right));
        }
    }
    Result<NodeId> logic(Op op, std::string_view sign, std::size_t begin, NodeId left, NodeId right) {
        KN_CHECK(want(left, Type::boolean, sign));
        KN_CHECK(want(right, Type::boolean, sign));
        return make(op, Type::boolean, begin, {left, right});
    }

    Result<NodeId> relation() {
        const std::size_t begin = token_.at;
        KN_TRY(const NodeId left, sum());
        struct Row {
            std::string_view sign;
            Op op;
        };
        constexpr std::array<Row, 6> rows{
            {{"==", Op::equal}, {"!=", Op::differs}, {"<=", Op::less_equal}, {">=", Op::greater_equal}, {"<", Op::less}, {">", Op::greater}}};
        for (const Row& row : rows) {
            KN_TRY(const bool taken, take(row.sign));
            if (!taken) continue;
            KN_TRY(const NodeId right, sum());
            if (row.op != Op::equal && row.op != Op::differs) KN_CHECK(ordered(left, right, row.sign));
            return make(row.op, Type::boolean, begin, {left, right});
        }
        if (is_word("in")) {
            KN_CHECK(advance());
            KN_TRY(const NodeId right, sum());
            const Type type = at(right).type;
            if (type != Type::any && type != Type::null && type != Type::list && type != Type::map) {
                return error_at(at(right).begin, "`in` wants a list or a map on its right");
            }
            return make(Op::in, Type::boolean, begin, {left, right});
        }
        if (is_word("matches")) {
            KN_CHECK(advance());
            KN_TRY(const NodeId right, sum());
            return match(begin, left, right);
        }
        return left;
    }
    Result<> ordered(NodeId left, NodeId right, std::string_view sign) {
        for (const NodeId side : {left, right}) {
            const Type type = at(side).type;
            if (type == Type::boolean || type == Type::list || type == Type::map) {
                return error_at(at(side).begin, "`" + std::string(sign) + "` cannot order a " + std::string(name_of(type)));
            }
        }
        const Type a = at(left).type, b = at(right).type;
        if ((a == Type::number && b == Type::text) || (a == Type::text && b == Type::number)) {
            return error_at(at(right).begin, "a number and a string have no order; quantity() and duration() read strings");
        }
        return {};
    }
    Result<NodeId> match(std::size_t begin, NodeId left, NodeId right) {
        KN_CHECK(want(left, Type::text, "matches"));
        KN_CHECK(want(right, Type::text, "matches"));
        KN_TRY(const NodeId id, make(Op::matches, Type::boolean, begin, {left, right}));
        if (at(right).op == Op::constant) {
            if (!at(right).constant.is_string()) return error_at(at(right).begin, "matches wants a pattern");
            std::string error;
            at(id).regex = compile_pattern(json::view(at(right).constant.get_string()), error);
            if (!at(id).regex) return error_at(at(right).begin, "not a regular expression: " + error);
        }
        return id;
    }

    Result<NodeId> sum() {
        const std::size_t begin = token_.at;
        KN_TRY(NodeId left, product());
        while (token_.is("+") || token_.is("-")) {
            const bool plus = token_.is("+");
            KN_CHECK(advance());
            KN_TRY(const NodeId right, product());
            KN_TRY(left, plus ? add(begin, left, right) : subtract(begin, left, right));
        }
        return left;
    }
    Result<NodeId> add(std::size_t begin, NodeId left, NodeId right) {
        const Type a = at(left).type, b = at(right).type;
        for (const NodeId side : {left, right}) {
            if (at(side).type == Type::boolean || at(side).type == Type::map) {
                return error_at(at(side).begin, "cannot add a " + std::string(name_of(at(side).type)));
            }
        }
        const bool open = a == Type::any || b == Type::any || a == Type::null || b == Type::null;
        const bool times = (a == Type::time && b == Type::duration) || (a == Type::duration && b == Type::time);
        if (!open && !times && (a != b || a == Type::time)) {
            return error_at(at(right).begin, "cannot add a " + std::string(name_of(b)) + " to a " + std::string(name_of(a)));
        }
        return make(Op::add, times ? Type::time : (a == b ? a : Type::any), begin, {left, right});
    }
    Result<NodeId> subtract(std::size_t begin, NodeId left, NodeId right) {
        const Type a = at(left).type, b = at(right).type;
        const auto fine = [](Type type) { return is_amount(type) || type == Type::time || type == Type::text; };
        if (!fine(a) || !fine(b) || (a == Type::number && b != Type::number && b != Type::any && b != Type::null)) {
            return error_at(at(right).begin, "cannot subtract a " + std::string(name_of(b)) + " from a " + std::string(name_of(a)));
        }
        Type type = Type::any;
        if (a == Type::number && b == Type::number) type = Type::number;
        if (a == Type::time && b == Type::time) type = Type::duration;
        if (a == Type::duration && b == Type::duration) type = Type::duration;
        if (a == Type::time && b == Type::duration) type = Type::time;
        return make(Op::subtract, type, begin, {left, right});
    }

    Result<NodeId> product() {
        const std::size_t begin = token_.at;
        KN_TRY(NodeId left, unary());
        while (token_.is("*") || token_.is("/")) {
            const Op op = token_.is("*") ? Op::multiply : Op::divide;
            KN_CHECK(advance());
            KN_TRY(const NodeId right, unary());
            const Type a = at(left).type, b = at(right).type;
            for (const NodeId side : {left, right}) {
                if (!is_amount(at(side).type)) return error_at(at(side).begin, "cannot calculate with a " + std::string(name_of(at(side).type)));
            }
            if (op == Op::multiply && a == Type::duration && b == Type::duration) return error_at(at(right).begin, "cannot multiply durations");
            if (op == Op::divide && a == Type::number && b == Type::duration)
                return error_at(at(right).begin, "cannot divide a number by a duration");
            KN_TRY(left, make(op, a == Type::number && b == Type::number ? Type::number : Type::any, begin, {left, right}));
        }
        return left;
    }

    Result<NodeId> unary() {
        const Depth depth(depth_);
        if (depth_ > max_depth) return error_at(token_.at, "nested too deeply");
        const std::size_t begin = token_.at;
        if (token_.is("!")) {
            KN_CHECK(advance());
            KN_TRY(const NodeId inner, unary());
            KN_CHECK(want(inner, Type::boolean, "!"));
            return make(Op::negate, Type::boolean, begin, {inner});
        }
        if (token_.is("-")) {
            KN_CHECK(advance());
            KN_TRY(const NodeId inner, unary());
            if (!is_amount(at(inner).type)) return error_at(at(inner).begin, "cannot negate a " + std::string(name_of(at(inner).type)));
            return make(Op::minus, at(inner).type, begin, {inner});
        }
        return postfix();
    }

    Result<NodeId> postfix() {
        const std::size_t begin = token_.at;
        KN_TRY(NodeId left, primary());
        std::size_t links = 0;
        while (true) {
            if (!token_.is(".") && !token_.is("[")) return left;
            if (++links > max_depth) return error_at(token_.at, "nested too deeply");
            const bool dot = token_.is(".");
            KN_CHECK(advance());
            if (!dot) {
                KN_TRY(const NodeId key, choice());
                KN_CHECK(expect("]"));
                const Type type = at(key).type;
                if (type != Type::any && type != Type::null && type != Type::number && type != Type::text) {
                    return error_at(at(key).begin, "an index is a number or a string");
                }
                KN_CHECK(holds_members(left));
                KN_TRY(left, make(Op::index, Type::any, begin, {left, key}));
                continue;
            }
            if (token_.kind != Token::Kind::name) return error_at(token_.at, "expected a name after `.`");
            const std::string name(token_.source);
            const std::size_t name_at = token_.at;
            KN_CHECK(advance());
            if (token_.is("(")) {
                KN_CHECK(advance());
                KN_TRY(left, method(begin, name_at, name, left));
                continue;
            }
            KN_CHECK(holds_members(left));
            KN_TRY(left, make(Op::member, Type::any, begin, {left}));
            at(left).name = name;
        }
    }
    Result<> holds_members(NodeId id) {
        const Type type = at(id).type;
        if (type == Type::any || type == Type::null || type == Type::list || type == Type::map) return {};
        return error_at(at(id).begin, "a " + std::string(name_of(type)) + " has no members");
    }

    Result<NodeId> method(std::size_t begin, std::size_t name_at, const std::string& name, NodeId self) {
        struct Row {
            std::string_view name;
            Op op;
            Type gives;
        };
        constexpr std::array<Row, 4> macros{{{"all", Op::all, Type::boolean},
                                             {"exists", Op::exists, Type::boolean},
                                             {"map", Op::transform, Type::list},
                                             {"filter", Op::filter, Type::list}}};
        for (const Row& row : macros) {
            if (row.name != name) continue;
            const Type over = at(self).type;
            if (over != Type::any && over != Type::null && over != Type::list && over != Type::map) {
                return error_at(at(self).begin, name + "() works on lists and maps");
            }
            if (token_.kind != Token::Kind::name) return error_at(token_.at, name + "() wants a variable first");
            variables_.emplace_back(token_.source);
            code_.slots = std::max(code_.slots, static_cast<std::uint32_t>(variables_.size()));
            KN_CHECK(advance());
            KN_CHECK(expect(","));
            KN_TRY(const NodeId body, choice());
            KN_CHECK(expect(")"));
            if (row.op != Op::transform) KN_CHECK(want(body, Type::boolean, name + "()"));
            const auto slot = static_cast<std::uint32_t>(variables_.size() - 1);
            variables_.pop_back();
            KN_TRY(const NodeId id, make(row.op, row.gives, begin, {self, body}));
            at(id).slot = slot;
            return id;
        }
        KN_TRY(auto arguments, list_of(")"));
        arguments.insert(arguments.begin(), self);
        if (name == "matches") {
            if (arguments.size() != 2) return error_at(name_at, "matches() wants 1 argument");
            return match(begin, arguments[0], arguments[1]);
        }
        return call(begin, name_at, name, std::move(arguments), true);
    }

    Result<NodeId> call(std::size_t begin, std::size_t name_at, std::string_view name, std::vector<NodeId> arguments, bool as_method) {
        for (const Signature& row : signatures) {
            if (row.name != name) continue;
            const std::size_t self = as_method ? 1 : 0;
            if (arguments.size() < row.least || arguments.size() > row.most) {
                const std::string count = row.least == row.most ? std::to_string(row.least - self)
                                                                : std::to_string(row.least - self) + " to " + std::to_string(row.most - self);
                return error_at(name_at, std::string(name) + "() wants " + count + " argument" + (count == "1" ? "" : "s"));
            }
            for (std::size_t i = 0; i < arguments.size() && i < row.wants.size(); ++i)
                KN_CHECK(want(arguments[i], row.wants[i], std::string(name) + "()"));
            Type gives = row.gives;
            if (row.function == Function::abs) gives = at(arguments[0]).type;
            KN_TRY(const NodeId id, make(Op::call, gives, begin, std::move(arguments)));
            at(id).function = row.function;
            return id;
        }
        return error_at(name_at, "unknown function `" + std::string(name) + "`");
    }

    Result<std::vector<NodeId>> list_of(std::string_view closing) {
        std::vector<NodeId> items;
        KN_TRY(bool done, take(closing));
        while (!done) {
            KN_TRY(const NodeId item, choice());
            items.push_back(item);
            KN_TRY(done, take(closing));
            if (done) break;
            KN_CHECK(expect(","));
            KN_TRY(done, take(closing));  // a trailing comma is fine
        }
        return items;
    }

    Result<NodeId> primary() {
        const std::size_t begin = token_.at;
        if (token_.kind == Token::Kind::number || token_.kind == Token::Kind::text) {
            const bool number = token_.kind == Token::Kind::number;
            json::Value value = number ? token_.number : json::Value(token_.text);
            KN_CHECK(advance());
            KN_TRY(const NodeId id, make(Op::constant, number ? Type::number : Type::text, begin));
            at(id).constant = std::move(value);
            return id;
        }
        if (token_.kind == Token::Kind::duration) {
            const Duration duration = token_.duration;
            KN_CHECK(advance());
            KN_TRY(const NodeId id, make(Op::duration_literal, Type::duration, begin));
            at(id).duration = duration;
            return id;
        }
        if (token_.kind == Token::Kind::name) return name();
        if (token_.is("(")) {
            KN_CHECK(advance());
            KN_TRY(const NodeId inner, choice());
            KN_CHECK(expect(")"));
            return inner;
        }
        if (token_.is("[")) {
            KN_CHECK(advance());
            KN_TRY(auto items, list_of("]"));
            return make(Op::list, Type::list, begin, std::move(items));
        }
        if (token_.is("{")) return map();
        if (token_.kind == Token::Kind::end) return error_at(begin, begin == 0 ? "the expression is empty" : "the expression ends too early");
        return error_at(begin, "unexpected `" + std::string(token_.source) + "`");
    }

    Result<NodeId> map() {
        const std::size_t begin = token_.at;
        KN_CHECK(advance());
        std::vector<NodeId> kids;
        KN_TRY(bool done, take("}"));
        while (!done) {
            if (token_.kind != Token::Kind::text && token_.kind != Token::Kind::name) return error_at(token_.at, "a map's key is a string");
            const std::size_t key_at = token_.at;
            json::Value key(token_.kind == Token::Kind::text ? token_.text : std::string(token_.source));
            KN_CHECK(advance());
            KN_TRY(const NodeId key_id, make(Op::constant, Type::text, key_at));
            at(key_id).constant = std::move(key);
            KN_CHECK(expect(":"));
            KN_TRY(const NodeId value, choice());
            kids.push_back(key_id);
            kids.push_back(value);
            KN_TRY(done, take("}"));
            if (done) break;
            KN_CHECK(expect(","));
            KN_TRY(done, take("}"));
        }
        return make(Op::map, Type::map, begin, std::move(kids));
    }

    Result<NodeId> name() {
        const std::size_t begin = token_.at;
        const std::string word(token_.source);
        KN_CHECK(advance());
        if (word == "in" || (word == "matches" && !token_.is("("))) return error_at(begin, "unexpected `" + word + "`");
        if (word == "true" || word == "false" || word == "null") {
            KN_TRY(const NodeId id, make(Op::constant, word == "null" ? Type::null : Type::boolean, begin));
            if (word != "null") at(id).constant = word == "true";
            return id;
        }
        if (token_.is("(")) {
            KN_CHECK(advance());
            KN_TRY(auto arguments, list_of(")"));
            if (word == "matches" && arguments.size() == 2) return match(begin, arguments[0], arguments[1]);
            return call(begin, begin, word, std::move(arguments), false);
        }
        for (std::size_t i = variables_.size(); i-- > 0;) {
            if (variables_[i] != word) continue;
            KN_TRY(const NodeId id, make(Op::variable, Type::any, begin));
            at(id).name = word, at(id).slot = static_cast<std::uint32_t>(i);
            return id;
        }
        KN_TRY(const NodeId id, make(Op::root, word == "now" ? Type::time : Type::any, begin));
        at(id).name = word;
        return id;
    }

    // -- what is read
    std::string path_of(NodeId id) {
        const Node& node = at(id);
        if (node.op == Op::root) return node.name;
        if (node.op != Op::member && node.op != Op::index) return "";
        const std::string base = path_of(node.kids[0]);
        if (base.empty()) return "";
        if (node.op == Op::member) return base + "." + node.name;
        const Node& key = at(node.kids[1]);
        if (key.op == Op::constant && key.constant.is_string()) return base + "." + std::string(json::view(key.constant.get_string()));
        return base;  // the key is only known later: the container as a whole is read
    }
    void collect_reads() {
        std::set<std::string> reads;
        std::set<NodeId> inner;
        for (NodeId id = 0; id < code_.nodes.size(); ++id) {
            if (at(id).op == Op::member || at(id).op == Op::index) inner.insert(at(id).kids[0]);
        }
        for (NodeId id = 0; id < code_.nodes.size(); ++id) {
            const Op op = at(id).op;
            if (inner.contains(id) || (op != Op::root && op != Op::member && op != Op::index)) continue;
            if (const std::string path = path_of(id); !path.empty() && path != "now") reads.insert(path);
        }
        code_.reads.assign(reads.begin(), reads.end());
    }

    Lexer lexer_;
    Token token_;
    std::size_t last_end_ = 0, depth_ = 0;
    std::vector<std::string> variables_;
    Program::Code code_;
};

}  // namespace

const std::string& Program::text() const {
    static const std::string none;
    return code_ ? code_->text : none;
}
const std::vector<std::string>& Program::reads() const {
    static const std::vector<std::string> none;
    return code_ ? code_->reads : none;
}

Result<Program> compile(std::string_view text) {
    if (text.size() > max_text) return error_at(max_text, "the expression is too long");
    Parser parser(text);
    KN_TRY(auto code, parser.run());
    return Program(std::move(code));
}

}  // namespace kn::expr
