#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kubernaut/patterns/discovery/history.hpp"

namespace kn::patterns {

/// How a workflow did in the cases most like the one asked about: sums weighted by likeness, a case in everything alike counts one.
struct NearCases {
    std::string workflow;
    double good = 0, bad = 0;
    std::string shared;  ///< the traits that counted and that they have in common: "node.pool = spot-a"
};

/// Past executions by fault class, made ready for the question "what worked in cases like this one?". Every trait weighs by how much it tells, for each
/// workflow by itself, success from failure beyond what chance would (the drop of squared error within the trait's groups, less its expectation under
/// independence); traits that tell nothing weigh nothing, and when none does there is no answer: then the class as a whole is all there is to go by.
/// Built once a run in O(rows x traits); a question costs O(rows of its class x traits that tell).
class FamilyIndex {
public:
    FamilyIndex() = default;
    explicit FamilyIndex(const std::vector<ExecutionRow>& rows);

    /// Of the row only fault class, traits and numbers are read. By workflow, in order of name.
    [[nodiscard]] std::vector<NearCases> near(const ExecutionRow& one) const;
    [[nodiscard]] std::size_t size() const { return size_; }

    static constexpr std::size_t least_rows = 20;    ///< of a class
    static constexpr std::size_t nearest = 100;      ///< cases that count
    static constexpr std::size_t most_rows = 5'000;  ///< of a class, the latest

private:
    struct Column {
        std::string name;
        double weight = 0;
        bool number = false;
        std::vector<double> cuts;  ///< of a number: its quartiles
    };
    struct Case {
        std::string workflow;
        bool good = false;
        std::vector<std::string> words;  ///< one a column; "" = not known
    };
    struct Class {
        std::vector<Column> columns;  ///< those that tell, the heaviest first
        std::vector<Case> cases;
        double total = 0;
    };
    static std::string word_of(const ExecutionRow& row, const Column& column);
    static Class make_class(std::vector<const ExecutionRow*> rows);
    std::map<std::string, Class> classes_;
    std::size_t size_ = 0;
};

}  // namespace kn::patterns
