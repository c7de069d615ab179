#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/decision/evidence.hpp"
#include "kubernaut/decision/options.hpp"
#include "kubernaut/domain/diagnosis.hpp"

namespace kn::decision {

/// Facts by name, with three-valued look-ups: a fact that was not gathered is unknown.
class FactSet {
public:
    FactSet() = default;
    explicit FactSet(std::vector<Fact> facts);

    void put(Fact fact);
    [[nodiscard]] const Fact* find(std::string_view name) const;
    [[nodiscard]] Truth truth(std::string_view name) const;
    /// The value, or null when unknown.
    [[nodiscard]] const json::Value& value(std::string_view name) const;
    [[nodiscard]] std::string_view text(std::string_view name) const;
    [[nodiscard]] bool yes(std::string_view name) const { return truth(name) == Truth::yes; }
    [[nodiscard]] bool no(std::string_view name) const { return truth(name) == Truth::no; }
    /// In order of name.
    [[nodiscard]] std::vector<Fact> list() const;
    /// {"family": {"name": value}} for expressions; unknown facts are left out, which expressions see as unknown.
    [[nodiscard]] json::Object tree() const;

private:
    std::map<std::string, Fact, std::less<>> facts_;
};

/// Everything that the snapshot shows, as facts. Pure: same snapshot, same facts, whatever the order of the lists in it.
FactSet facts_of(const EvidenceSnapshot& snapshot, const DecisionOptions& options);

}  // namespace kn::decision
