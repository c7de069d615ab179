#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/json/json.hpp"

namespace kn::json {

/// A YAML document as one JSON value, with the line of every value kept by its JSON pointer.
struct YamlDocument {
    Value value;
    std::map<std::string, int, std::less<>> lines;  ///< JSON pointer → line, from 1

    /// "line 12, spec.steps[2].with" for an error message; the nearest known parent where the value itself is missing.
    [[nodiscard]] std::string place(std::string_view pointer) const;
};

struct YamlLimits {
    std::size_t max_bytes = 16U << 20U;
    std::size_t max_depth = 64;
    std::size_t max_nodes = 2'000'000;  ///< counts alias expansions: a small text must not grow without bound
};

/// One document. Core-schema scalars as Kubernetes reads them (YAML 1.1 booleans yes/no/on/off/y/n included; quoted ones stay strings).
/// Duplicate keys, undefined aliases and several documents are errors. `field` of an error is "line N, column M".
Result<YamlDocument> parse_yaml(std::string_view text, YamlLimits limits = {});
/// Documents separated by `---`; empty ones are left out.
Result<std::vector<YamlDocument>> parse_yaml_stream(std::string_view text, YamlLimits limits = {});

/// Block-style YAML that parse_yaml reads back to the same value; strings are quoted whenever they could be taken for something else.
std::string dump_yaml(const Value& value);

/// "/spec/steps/2/with" → "spec.steps[2].with"
std::string pointer_to_path(std::string_view pointer);

}  // namespace kn::json
