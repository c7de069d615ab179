#include "evaluator.hpp"

#include <re2/re2.h>

#include <cmath>
#include <limits>

namespace kn::expr {

std::unexpected<Error> Evaluator::wrong(NodeId id, std::string message) const {
    const Node& node = at(id);
    message += " in `" + code_.text.substr(node.begin, node.end - node.begin) + "`";
    return fail(ErrorCode::invalid_argument, std::move(message), "byte " + std::to_string(node.begin));
}

Result<Held> Evaluator::run(NodeId id) {
    KN_CHECK(budget_.spend(1));
    const Node& node = at(id);
    switch (node.op) {
        case Op::constant: return Held(Borrowed{&node.constant});
        case Op::duration_literal: return Held(node.duration);
        case Op::list: return list(id);
        case Op::map: return map(id);
        case Op::root: {
            if (node.name == "now") return Held(environment_.now);
            const auto* found = environment_.roots.if_contains(node.name);
            return found == nullptr ? Held(Unknown{id}) : Held(Borrowed{found});
        }
        case Op::variable: return slots_[node.slot];
        case Op::member: {
            KN_TRY(const Held base, run(node.kids[0]));
            return member(id, base, node.name);
        }
        case Op::index: return index(id);
        case Op::negate: {
            KN_TRY(const Held inner, run(node.kids[0]));
            KN_TRY(const auto value, boolean(node.kids[0], inner));
            return value ? Held(json::Value(!*value)) : (is_unknown(inner) ? inner : Held(Unknown{node.kids[0]}));
        }
        case Op::minus: {
            KN_TRY(const Held inner, run(node.kids[0]));
            if (is_unknown(inner)) return inner;
            if (is_null(inner)) return Held(Unknown{node.kids[0]});
            if (const auto* duration = std::get_if<Duration>(&inner)) return Held(-*duration);
            const auto number = number_of(inner);
            if (!number) return wrong(id, "cannot negate a " + std::string(name_of(type_of(inner))));
            return numbers(id, Op::subtract, Number{}, *number);
        }
        case Op::both: return logic(id, false);
        case Op::either: return logic(id, true);
        case Op::choose: {
            KN_TRY(const Held condition, run(node.kids[0]));
            KN_TRY(const auto value, boolean(node.kids[0], condition));
            if (!value) return is_unknown(condition) ? condition : Held(Unknown{node.kids[0]});
            return run(*value ? node.kids[1] : node.kids[2]);
        }
        case Op::equal:
        case Op::differs: return equality(id);
        case Op::less:
        case Op::less_equal:
        case Op::greater:
        case Op::greater_equal: return compare(id);
        case Op::in: {
            KN_TRY(const Held item, run(node.kids[0]));
            KN_TRY(const Held container, run(node.kids[1]));
            return contained(id, item, container);
        }
        case Op::matches: return matches(id);
        case Op::add:
        case Op::subtract:
        case Op::multiply:
        case Op::divide: return arithmetic(id);
        case Op::all:
        case Op::exists:
        case Op::transform:
        case Op::filter: return macro(id);
        case Op::call: return call(id);
    }
    return wrong(id, "unknown operation");
}

Result<std::optional<bool>> Evaluator::boolean(NodeId id, const Held& held) {
    if (is_unknown(held) || is_null(held)) return std::nullopt;
    const auto* value = json_of(held);
    if (value == nullptr || !value->is_bool()) return wrong(id, "a boolean is wanted, not a " + std::string(name_of(type_of(held))));
    return value->get_bool();
}

/// A missing member, a member of nothing and null are all unknown.
Result<Held> Evaluator::member(NodeId id, const Held& base, std::string_view name) {
    if (is_unknown(base)) {
        // The longest path that was asked for tells a person more than the root that was missing.
        return Held(Unknown{std::get<Unknown>(base).because == at(id).kids[0] ? id : std::get<Unknown>(base).because});
    }
    const auto* value = json_of(base);
    const auto* object = value == nullptr ? nullptr : value->if_object();
    const auto* found = object == nullptr ? nullptr : object->if_contains(name);
    if (found == nullptr) return Held(Unknown{id});
    if (std::holds_alternative<Borrowed>(base)) return Held(Borrowed{found});
    KN_TRY(auto copy, budget_.copy(*found));
    return Held(std::move(copy));
}

Result<Held> Evaluator::index(NodeId id) {
    KN_TRY(const Held base, run(at(id).kids[0]));
    KN_TRY(const Held key, run(at(id).kids[1]));
    if (is_unknown(key)) return key;
    if (const auto name = text_of(key)) return member(id, base, *name);
    const auto number = number_of(key);
    if (!number) return is_null(key) ? Result<Held>(Held(Unknown{at(id).kids[1]})) : wrong(at(id).kids[1], "an index is a number or a string");
    if (is_unknown(base)) return base;
    const auto* value = json_of(base);
    const auto* array = value == nullptr ? nullptr : value->if_array();
    if (array == nullptr || !number->whole) return Held(Unknown{id});
    const auto size = static_cast<std::int64_t>(array->size());
    const std::int64_t place = number->integer < 0 ? size + number->integer : number->integer;
    if (place < 0 || place >= size) return Held(Unknown{id});
    const auto& found = (*array)[static_cast<std::size_t>(place)];
    if (std::holds_alternative<Borrowed>(base)) return Held(Borrowed{&found});
    KN_TRY(auto copy, budget_.copy(found));
    return Held(std::move(copy));
}

/// Kleene: `decides` on either side decides, otherwise one unknown makes the whole unknown.
Result<Held> Evaluator::logic(NodeId id, bool decides) {
    std::optional<Held> unknown;
    for (const NodeId kid : at(id).kids) {
        KN_TRY(const Held side, run(kid));
        KN_TRY(const auto value, boolean(kid, side));
        if (!value) {
            if (!unknown) unknown = is_unknown(side) ? side : Held(Unknown{kid});
        } else if (*value == decides) {
            return Held(json::Value(decides));
        }
    }
    return unknown ? *unknown : Held(json::Value(!decides));
}

/// Numbers with numbers, strings with strings, durations with durations (a string is read, a number counts seconds), times with times.
Result<std::optional<int>> Evaluator::order(NodeId id, const Held& a, const Held& b) {
    const auto sign = [](auto x, auto y) { return x < y ? -1 : (y < x ? 1 : 0); };
    if (std::holds_alternative<Duration>(a) || std::holds_alternative<Duration>(b)) {
        const auto x = duration_of(a), y = duration_of(b);
        if (!x || !y) return wrong(id, "a duration is wanted on both sides");
        return sign(*x, *y);
    }
    if (std::holds_alternative<Instant>(a) || std::holds_alternative<Instant>(b)) {
        const auto x = time_of(a), y = time_of(b);
        if (!x || !y) return wrong(id, "a time is wanted on both sides");
        return sign(*x, *y);
    }
    if (const auto x = number_of(a), y = number_of(b); x && y) {
        if (x->whole && y->whole) return sign(x->integer, y->integer);
        if (std::isnan(x->as_real()) || std::isnan(y->as_real())) return std::nullopt;
        return sign(x->as_real(), y->as_real());
    }
    if (const auto x = text_of(a), y = text_of(b); x && y) {
        KN_CHECK(budget_.read(std::min(x->size(), y->size())));
        return sign(*x, *y);
    }
    return wrong(id, "a " + std::string(name_of(type_of(a))) + " and a " + std::string(name_of(type_of(b))) + " have no order");
}

Result<Held> Evaluator::compare(NodeId id) {
    const Node& node = at(id);
    KN_TRY(const Held a, run(node.kids[0]));
    KN_TRY(const Held b, run(node.kids[1]));
    if (is_unknown(a)) return a;
    if (is_unknown(b)) return b;
    if (is_null(a)) return Held(Unknown{node.kids[0]});
    if (is_null(b)) return Held(Unknown{node.kids[1]});
    KN_TRY(const auto sign, order(id, a, b));
    if (!sign) return Held(Unknown{id});
    switch (node.op) {
        case Op::less: return Held(json::Value(*sign < 0));
        case Op::less_equal: return Held(json::Value(*sign <= 0));
        case Op::greater: return Held(json::Value(*sign > 0));
        default: return Held(json::Value(*sign >= 0));
    }
}

/// Values of different types are different; nullopt = a NaN is involved.
Result<std::optional<bool>> Evaluator::same(const Held& a, const Held& b) {
    if (std::holds_alternative<Duration>(a) || std::holds_alternative<Duration>(b)) {
        const auto x = duration_of(a), y = duration_of(b);
        return x && y && *x == *y;
    }
    if (std::holds_alternative<Instant>(a) || std::holds_alternative<Instant>(b)) {
        const auto x = time_of(a), y = time_of(b);
        return x && y && *x == *y;
    }
    KN_TRY(const bool equal, budget_.equal(*json_of(a), *json_of(b)));
    return equal;
}

Result<Held> Evaluator::equality(NodeId id) {
    const Node& node = at(id);
    KN_TRY(const Held a, run(node.kids[0]));
    KN_TRY(const Held b, run(node.kids[1]));
    if (is_unknown(a)) return a;
    if (is_unknown(b)) return b;
    KN_TRY(const auto equal, same(a, b));
    if (!equal) return Held(Unknown{id});
    return Held(json::Value(node.op == Op::equal ? *equal : !*equal));
}

Result<Held> Evaluator::contained(NodeId id, const Held& item, const Held& container) {
    if (is_unknown(item)) return item;
    if (is_unknown(container)) return container;
    if (is_null(container)) return Held(Unknown{id});
    const auto* value = json_of(container);
    if (value != nullptr && value->is_array()) {
        for (const auto& each : value->get_array()) {
            KN_CHECK(budget_.spend(1));
            KN_TRY(const auto equal, same(item, Held(Borrowed{&each})));
            if (equal && *equal) return Held(json::Value(true));
        }
        return Held(json::Value(false));
    }
    const auto name = text_of(item);
    if (value != nullptr && value->is_object()) return Held(json::Value(name && value->get_object().contains(*name)));
    if (const auto text = text_of(container); text && name) {
        KN_CHECK(budget_.read(text->size()));
        return Held(json::Value(text->find(*name) != std::string_view::npos));
    }
    return wrong(id, "a " + std::string(name_of(type_of(container))) + " contains nothing");
}

Result<Held> Evaluator::matches(NodeId id) {
    const Node& node = at(id);
    KN_TRY(const Held subject, run(node.kids[0]));
    if (is_unknown(subject)) return subject;
    if (is_null(subject)) return Held(Unknown{node.kids[0]});
    const auto text = text_of(subject);
    if (!text) return wrong(id, "matches wants a string");
    auto regex = node.regex;
    if (!regex) {
        KN_TRY(const Held pattern, run(node.kids[1]));
        if (is_unknown(pattern)) return pattern;
        const auto source = text_of(pattern);
        if (!source) return wrong(id, "matches wants a pattern");
        KN_CHECK(budget_.spend(50 + source->size()));  // compiling costs far more than a step
        std::string error;
        regex = compile_pattern(*source, error);
        if (!regex) return wrong(id, "not a regular expression: " + error);
    }
    KN_CHECK(budget_.spend(1 + text->size() / 64));
    return Held(json::Value(re2::RE2::PartialMatch(re2::StringPiece(text->data(), text->size()), *regex)));
}

Held Evaluator::from_real(NodeId id, double value) const {
    if (!std::isfinite(value)) return Held(Unknown{id});
    return Held(json::Value(value));
}

Result<Held> Evaluator::numbers(NodeId id, Op op, const Number& a, const Number& b) {
    if (a.whole && b.whole) {
        std::int64_t result = 0;
        const bool overflow = op == Op::add        ? __builtin_add_overflow(a.integer, b.integer, &result)
                              : op == Op::subtract ? __builtin_sub_overflow(a.integer, b.integer, &result)
                              : op == Op::multiply ? __builtin_mul_overflow(a.integer, b.integer, &result)
                                                   : true;
        if (op != Op::divide && !overflow) return Held(json::Value(result));
        const bool divides = op == Op::divide && b.integer != 0 && b.integer != -1 && a.integer % b.integer == 0;
        if (divides) return Held(json::Value(a.integer / b.integer));
    }
    const double x = a.as_real(), y = b.as_real();
    if (op == Op::divide && y == 0) return Held(Unknown{id});  // a share of nothing is not known
    return from_real(id, op == Op::add ? x + y : op == Op::subtract ? x - y : op == Op::multiply ? x * y : x / y);
}

Result<Held> Evaluator::add(NodeId id, const Held& a, const Held& b) {
    if (const auto x = text_of(a), y = text_of(b); x && y) {
        KN_CHECK(budget_.hold(x->size() + y->size()));
        KN_CHECK(budget_.read(x->size() + y->size()));
        std::string joined(*x);
        joined += *y;
        return Held(json::Value(std::move(joined)));
    }
    const auto *left = json_of(a), *right = json_of(b);
    if (left != nullptr && right != nullptr && left->is_array() && right->is_array()) {
        KN_TRY(auto joined, budget_.copy(*left));
        KN_TRY(auto tail, budget_.copy(*right));
        for (auto& item : tail.get_array()) joined.get_array().push_back(std::move(item));
        return Held(std::move(joined));
    }
    return wrong(id, "cannot add a " + std::string(name_of(type_of(b))) + " to a " + std::string(name_of(type_of(a))));
}

namespace {
std::optional<Duration> checked_add(Duration a, Duration b) {
    std::int64_t sum = 0;
    if (__builtin_add_overflow(a.count(), b.count(), &sum)) return std::nullopt;
    return Duration{sum};
}
std::optional<Duration> checked_scale(Duration a, double factor) {
    const double ms = static_cast<double>(a.count()) * factor;
    if (!std::isfinite(ms) || std::abs(ms) > 9e15) return std::nullopt;
    return Duration{std::llround(ms)};
}
}  // namespace

Result<Held> Evaluator::arithmetic(NodeId id) {
    const Node& node = at(id);
    KN_TRY(const Held a, run(node.kids[0]));
    KN_TRY(const Held b, run(node.kids[1]));
    if (is_unknown(a)) return a;
    if (is_unknown(b)) return b;
    if (is_null(a)) return Held(Unknown{node.kids[0]});
    if (is_null(b)) return Held(Unknown{node.kids[1]});
    const auto or_unknown = [id](std::optional<Duration> duration) { return duration ? Held(*duration) : Held(Unknown{id}); };

    const auto x = number_of(a), y = number_of(b);
    if (x && y) return numbers(id, node.op, *x, *y);
    const auto *da = std::get_if<Duration>(&a), *db = std::get_if<Duration>(&b);
    const auto *ta = std::get_if<Instant>(&a), *tb = std::get_if<Instant>(&b);
    if (node.op == Op::multiply) {
        if (da != nullptr && y) return or_unknown(checked_scale(*da, y->as_real()));
        if (db != nullptr && x) return or_unknown(checked_scale(*db, x->as_real()));
    } else if (node.op == Op::divide) {
        if (da != nullptr && y) return y->as_real() == 0 ? Held(Unknown{id}) : or_unknown(checked_scale(*da, 1 / y->as_real()));
        if (da != nullptr && db != nullptr) {
            if (db->count() == 0) return Held(Unknown{id});
            return from_real(id, static_cast<double>(da->count()) / static_cast<double>(db->count()));
        }
    } else {
        const bool plus = node.op == Op::add;
        if (ta != nullptr || tb != nullptr) {
            if (ta != nullptr && !plus) {
                if (const auto other = tb != nullptr ? std::optional(*tb) : (db == nullptr ? time_of(b) : std::nullopt)) {
                    return or_unknown(checked_add(ta->time_since_epoch(), -other->time_since_epoch()));
                }
            }
            const auto shift = ta != nullptr ? (db != nullptr ? std::optional(*db) : duration_of(b)) : (plus ? duration_of(a) : std::nullopt);
            if (shift) {
                const auto moved = checked_add((ta != nullptr ? ta : tb)->time_since_epoch(), plus ? *shift : -*shift);
                return moved ? Held(Instant{*moved}) : Held(Unknown{id});
            }
            if (tb != nullptr && !plus) {
                if (const auto from = time_of(a)) return or_unknown(checked_add(from->time_since_epoch(), -tb->time_since_epoch()));
            }
        } else if (da != nullptr || db != nullptr) {
            if (const auto left = duration_of(a), right = duration_of(b); left && right)
                return or_unknown(checked_add(*left, plus ? *right : -*right));
        } else if (plus) {
            return add(id, a, b);
        }
    }
    return wrong(id, "cannot calculate with a " + std::string(name_of(type_of(a))) + " and a " + std::string(name_of(type_of(b))));
}

Result<Held> Evaluator::list(NodeId id) {
    json::Array items;
    items.reserve(at(id).kids.size());
    for (const NodeId kid : at(id).kids) {
        KN_TRY(const Held item, run(kid));
        if (is_unknown(item)) return item;
        KN_TRY(auto value, to_json(item, budget_));
        items.push_back(std::move(value));
    }
    return Held(json::Value(std::move(items)));
}

Result<Held> Evaluator::map(NodeId id) {
    json::Object members;
    const auto& kids = at(id).kids;
    for (std::size_t i = 0; i + 1 < kids.size(); i += 2) {
        KN_TRY(const Held item, run(kids[i + 1]));
        if (is_unknown(item)) return item;
        KN_TRY(auto value, to_json(item, budget_));
        members[at(kids[i]).constant.get_string()] = std::move(value);
    }
    return Held(json::Value(std::move(members)));
}

/// all, exists, map, filter over a list, or over the keys of a map.
Result<Held> Evaluator::macro(NodeId id) {
    const Node& node = at(id);
    KN_TRY(const Held over, run(node.kids[0]));
    if (is_unknown(over)) return over;
    if (is_null(over)) return Held(Unknown{node.kids[0]});
    json::Value keys;
    const auto* items = json_of(over);
    if (items != nullptr && items->is_object()) {
        json::Array names;
        for (const auto& [key, value] : items->get_object()) {
            KN_CHECK(budget_.spend(1));
            KN_CHECK(budget_.hold(key.size() + 32));
            names.emplace_back(key);
        }
        keys = std::move(names);
        items = &keys;
    }
    if (items == nullptr || !items->is_array()) return wrong(id, "a list or a map is wanted");

    json::Array kept;
    std::optional<Held> unknown;
    for (const auto& item : items->get_array()) {
        slots_[node.slot] = Held(Borrowed{&item});
        KN_TRY(const Held value, run(node.kids[1]));
        if (node.op == Op::transform) {
            if (is_unknown(value)) return value;
            KN_TRY(auto copy, to_json(value, budget_));
            kept.push_back(std::move(copy));
            continue;
        }
        KN_TRY(const auto truth, boolean(node.kids[1], value));
        if (!truth) {
            if (!unknown) unknown = is_unknown(value) ? value : Held(Unknown{node.kids[1]});
            continue;
        }
        if (node.op == Op::all && !*truth) return Held(json::Value(false));
        if (node.op == Op::exists && *truth) return Held(json::Value(true));
        if (node.op == Op::filter && *truth) {
            KN_TRY(auto copy, budget_.copy(item));
            kept.push_back(std::move(copy));
        }
    }
    if (unknown) return *unknown;
    if (node.op == Op::all || node.op == Op::exists) return Held(json::Value(node.op == Op::all));
    return Held(json::Value(std::move(kept)));
}

}  // namespace kn::expr
