#pragma once

#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/catalog/catalog.hpp"
#include "kubernaut/json/yaml.hpp"

namespace kn::catalog {

constexpr std::size_t max_steps = 200;
constexpr std::size_t max_branches = 20;
constexpr int max_iterations = 100;
constexpr int max_subworkflow_depth = 5;

/// Collects every problem of one document instead of stopping at the first.
class Problems {
public:
    Problems(std::string origin, const json::YamlDocument* document) : origin_(std::move(origin)), document_(document) {}
    void add(const std::string& pointer, std::string message);
    [[nodiscard]] int line(const std::string& pointer) const;
    [[nodiscard]] const std::vector<Problem>& list() const { return list_; }
    std::vector<Problem> take() { return std::move(list_); }

private:
    std::string origin_;
    const json::YamlDocument* document_;
    std::vector<Problem> list_;
};

/// A value with its place. Every reader gives a fallback and notes a problem when the value is missing or of the wrong type.
class Node {
public:
    Node(const json::Value* value, std::string pointer, Problems* problems) : value_(value), pointer_(std::move(pointer)), problems_(problems) {}
    [[nodiscard]] bool present() const { return value_ != nullptr && !value_->is_null(); }
    [[nodiscard]] const json::Value* value() const { return value_; }
    [[nodiscard]] const std::string& pointer() const { return pointer_; }
    [[nodiscard]] Problems& problems() const { return *problems_; }
    void problem(std::string message) const { problems_->add(pointer_, std::move(message)); }

    [[nodiscard]] Node operator[](std::string_view key) const;
    [[nodiscard]] std::vector<Node> items() const;  ///< of a list
    [[nodiscard]] std::vector<std::pair<std::string, Node>> members() const;
    /// Notes every key that is not in the list.
    void only(std::initializer_list<std::string_view> keys) const;

    [[nodiscard]] std::string text(std::string_view fallback = {}) const;
    [[nodiscard]] std::string required_text() const;
    [[nodiscard]] std::int64_t integer(std::int64_t fallback, std::int64_t least, std::int64_t most) const;
    [[nodiscard]] std::optional<double> amount() const;  ///< number, duration in seconds, or quantity
    [[nodiscard]] bool flag(bool fallback) const;
    [[nodiscard]] std::optional<Duration> duration() const;
    [[nodiscard]] std::vector<std::string> texts() const;

private:
    const json::Value* value_;
    std::string pointer_;
    Problems* problems_;
};

/// The definition in one document. Problems are noted there; the result is complete only without any.
WorkflowDefinition read_definition(const Node& root);

/// What needs the rules: actions and their parameters, fault classes, risk and compensation, names in expressions.
void check_definition(const WorkflowDefinition& workflow, const Node& root, const Rules& rules);

}  // namespace kn::catalog
