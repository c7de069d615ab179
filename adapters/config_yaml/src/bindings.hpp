#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "kubernaut/config/config.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::config {

/// A JSON pointer's value, read into the configuration; an error's field is the pointer of the wrong value.
struct Binding {
    std::string path;  ///< "http.listen"
    std::string type;
    std::string help;
    std::function<void(Config&, const json::Value&, const std::string& pointer, Problems&)> read;
    std::function<json::Value(const Config&)> write;
};

const std::vector<Binding>& bindings();

}  // namespace kn::config
