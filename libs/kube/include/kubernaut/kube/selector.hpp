#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/result.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::kube {

/// A label selector in query form: "app=web,tier in (a,b),!canary".
class LabelSelector {
public:
    static Result<LabelSelector> parse(std::string_view text);
    [[nodiscard]] bool matches(const json::Object& labels) const;
    [[nodiscard]] bool empty() const { return requirements_.empty(); }

private:
    enum class Operator { in, not_in, exists, absent, greater, less };
    struct Requirement {
        std::string key;
        Operator op;
        std::vector<std::string> values;
    };
    std::vector<Requirement> requirements_;
};

/// The query form of an object-form selector {matchLabels, matchExpressions}.
std::string to_query(const json::Value& selector);

/// "metadata.name=x,status.phase!=Running". Whether a field may be selected by is the server's business.
class FieldSelector {
public:
    struct Term {
        std::string path, value;
        bool equal = true;
    };
    static Result<FieldSelector> parse(std::string_view text);
    [[nodiscard]] const std::vector<Term>& terms() const { return terms_; }
    /// Absent fields compare as "".
    [[nodiscard]] bool matches(const json::Value& object) const;

private:
    std::vector<Term> terms_;
};

}  // namespace kn::kube
