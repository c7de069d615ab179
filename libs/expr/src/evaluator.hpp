#pragma once

#include <vector>

#include "value.hpp"

namespace kn::expr {

/// Walks the tree once. Holds no state beyond one evaluation.
class Evaluator {
public:
    Evaluator(const Program::Code& code, const Environment& environment, Budget& budget)
        : code_(code), environment_(environment), budget_(budget), slots_(code.slots, Held(Unknown{})) {}
    Result<Held> run(NodeId id);

private:
    [[nodiscard]] const Node& at(NodeId id) const { return code_.nodes[id]; }
    [[nodiscard]] std::unexpected<Error> wrong(NodeId id, std::string message) const;
    Result<Held> member(NodeId id, const Held& base, std::string_view name);
    Result<Held> index(NodeId id);
    Result<Held> logic(NodeId id, bool decides);
    Result<std::optional<bool>> boolean(NodeId id, const Held& held);
    Result<Held> compare(NodeId id);
    Result<std::optional<int>> order(NodeId id, const Held& a, const Held& b);
    Result<Held> equality(NodeId id);
    Result<std::optional<bool>> same(const Held& a, const Held& b);
    Result<Held> contained(NodeId id, const Held& item, const Held& container);
    Result<Held> matches(NodeId id);
    Result<Held> arithmetic(NodeId id);
    Result<Held> add(NodeId id, const Held& a, const Held& b);
    Result<Held> numbers(NodeId id, Op op, const Number& a, const Number& b);
    Result<Held> list(NodeId id);
    Result<Held> map(NodeId id);
    Result<Held> macro(NodeId id);
    Result<Held> call(NodeId id);
    Result<Held> extreme(NodeId id);
    Result<Held> coalesce(NodeId id);
    Result<Held> call_one(NodeId id, Held argument);
    Held from_real(NodeId id, double value) const;

    const Program::Code& code_;
    const Environment& environment_;
    Budget& budget_;
    std::vector<Held> slots_;
};

}  // namespace kn::expr
