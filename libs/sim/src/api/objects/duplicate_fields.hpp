#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kn::sim::api {

/// Keys that a JSON text gives twice in one object, as paths ("data.a", "spec.containers[0].name"), in the order of the text. A parser keeps the last and
/// forgets that there were two, but strict decoding tells. The text must be JSON; each is told once.
std::vector<std::string> duplicate_fields(std::string_view text);

}  // namespace kn::sim::api
