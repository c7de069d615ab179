#include <cmath>

#include "evaluator.hpp"

namespace kn::expr {

Result<Held> Evaluator::coalesce(NodeId id) {
    Held last = Held(Unknown{id});
    for (const NodeId kid : at(id).kids) {
        KN_TRY(Held value, run(kid));
        if (!is_unknown(value) && !is_null(value)) return value;
        last = std::move(value);
    }
    return last;
}

/// min and max of the arguments, or of one list.
Result<Held> Evaluator::extreme(NodeId id) {
    const Node& node = at(id);
    std::vector<Held> values;
    for (const NodeId kid : node.kids) {
        KN_TRY(Held value, run(kid));
        if (is_unknown(value)) return value;
        if (is_null(value)) return Held(Unknown{kid});
        values.push_back(std::move(value));
    }
    Held only = Held(Unknown{id});
    if (values.size() == 1) {
        only = std::move(values.front());
        const auto* list = json_of(only);
        if (list == nullptr || !list->is_array()) return only;
        values.clear();
        for (const auto& item : list->get_array()) {
            KN_CHECK(budget_.spend(1));
            if (item.is_null()) return Held(Unknown{id});
            values.emplace_back(Borrowed{&item});
        }
    }
    if (values.empty()) return Held(Unknown{id});  // the largest of none
    const int wanted = node.function == Function::max ? 1 : -1;
    std::size_t best = 0;
    for (std::size_t i = 1; i < values.size(); ++i) {
        KN_TRY(const auto sign, order(id, values[i], values[best]));
        if (!sign) return Held(Unknown{id});
        if (*sign == wanted) best = i;
    }
    if (const auto* borrowed = std::get_if<Borrowed>(&values[best])) {
        KN_TRY(auto copy, budget_.copy(*borrowed->value));  // the list may be ours and end here
        return Held(std::move(copy));
    }
    return std::move(values[best]);
}

Result<Held> Evaluator::call_one(NodeId id, Held argument) {
    const Type type = type_of(argument);
    switch (at(id).function) {
        case Function::size: {
            const auto* value = json_of(argument);
            if (value != nullptr && value->is_string()) return Held(json::Value(static_cast<std::int64_t>(value->get_string().size())));
            if (value != nullptr && value->is_array()) return Held(json::Value(static_cast<std::int64_t>(value->get_array().size())));
            if (value != nullptr && value->is_object()) return Held(json::Value(static_cast<std::int64_t>(value->get_object().size())));
            return wrong(id, "a " + std::string(name_of(type)) + " has no size");
        }
        case Function::abs: {
            if (const auto* duration = std::get_if<Duration>(&argument)) return Held(duration->count() < 0 ? -*duration : *duration);
            const auto number = number_of(argument);
            if (!number) return wrong(id, "abs() wants a number or a duration");
            if (number->as_real() >= 0) return argument;
            return numbers(id, Op::subtract, Number{}, *number);
        }
        case Function::age: {
            const auto time = time_of(argument);
            if (!time) return wrong(id, "age() wants a time");
            return Held(environment_.now - *time);
        }
        case Function::duration: {
            const auto duration = duration_of(argument);
            if (!duration) return wrong(id, "duration() wants something like \"5m\"");
            return Held(*duration);
        }
        case Function::quantity: {
            if (number_of(argument)) return argument;
            const auto text = text_of(argument);
            const auto value = text ? parse_quantity(*text) : std::nullopt;
            if (!value) return wrong(id, "quantity() wants something like \"256Mi\"");
            if (std::trunc(*value) == *value && std::abs(*value) < 9e15) return Held(json::Value(static_cast<std::int64_t>(*value)));
            return Held(json::Value(*value));
        }
        case Function::timestamp: {
            const auto time = time_of(argument);
            if (!time) return wrong(id, "timestamp() wants a time such as \"2026-01-31T12:00:00Z\"");
            return Held(*time);
        }
        default: return wrong(id, "unknown function");
    }
}

Result<Held> Evaluator::call(NodeId id) {
    const Node& node = at(id);
    switch (node.function) {
        case Function::coalesce: return coalesce(id);
        case Function::min:
        case Function::max: return extreme(id);
        case Function::known: {
            KN_TRY(const Held value, run(node.kids[0]));
            return Held(json::Value(!is_unknown(value) && !is_null(value)));
        }
        default: break;
    }
    KN_TRY(Held first, run(node.kids[0]));
    if (is_unknown(first)) return first;
    if (is_null(first)) return Held(Unknown{node.kids[0]});
    if (node.kids.size() == 1) return call_one(id, std::move(first));

    KN_TRY(const Held second, run(node.kids[1]));
    if (is_unknown(second)) return second;
    if (is_null(second)) return Held(Unknown{node.kids[1]});
    if (node.function == Function::contains) return contained(id, second, first);
    const auto text = text_of(first), part = text_of(second);
    if (!text || !part) return wrong(id, "strings are wanted");
    KN_CHECK(budget_.read(part->size()));
    return Held(json::Value(node.function == Function::starts_with ? text->starts_with(*part) : text->ends_with(*part)));
}

Result<Answer> evaluate(const Program& program, const Environment& environment, const Limits& limits) {
    if (program.code() == nullptr) return fail(ErrorCode::invalid_argument, "an empty program");
    const auto& code = *program.code();
    Budget budget(limits);
    Evaluator evaluator(code, environment, budget);
    KN_TRY(const Held held, evaluator.run(code.root));
    if (const auto* unknown = std::get_if<Unknown>(&held)) {
        const Node& node = code.nodes[unknown->because];
        return Answer{.value = std::nullopt, .unknown = code.text.substr(node.begin, node.end - node.begin)};
    }
    KN_TRY(auto value, to_json(held, budget));
    return Answer{.value = std::move(value), .unknown = {}};
}

Result<std::optional<bool>> test(const Program& program, const Environment& environment, const Limits& limits) {
    KN_TRY(const auto answer, evaluate(program, environment, limits));
    if (!answer.known() || answer.value->is_null()) return std::nullopt;
    if (!answer.value->is_bool()) return fail(ErrorCode::invalid_argument, "`" + program.text() + "` is no condition");
    return answer.value->get_bool();
}

}  // namespace kn::expr
