#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/result.hpp"
#include "kubernaut/json/yaml.hpp"

namespace kn::decision {

/// Collects every error of a table with its place, so that a person sees all at once.
class TableErrors {
public:
    TableErrors(const json::YamlDocument& document, std::string_view origin) : document_(document), origin_(origin) {}
    void add(const std::string& pointer, std::string_view message) {
        errors_.push_back(origin_ + ": " + document_.place(pointer) + ": " + std::string{message});
    }
    [[nodiscard]] Result<> result() const {
        if (errors_.empty()) return {};
        std::string all;
        for (const auto& error : errors_) all += (all.empty() ? "" : "\n") + error;
        return fail(ErrorCode::invalid_argument, std::move(all));
    }

private:
    const json::YamlDocument& document_;
    std::string origin_;
    std::vector<std::string> errors_;
};

/// The text of a built-in table, by file name.
std::string_view builtin_table(std::string_view name);

}  // namespace kn::decision
