#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kn::sim::api {

class Core;

/// A group and version that an APIService hands on to a Service. This server has nothing to hand on to: what add_api() does not serve is dead.
struct DeadApi {
    std::string group, version;
};
std::vector<DeadApi> dead_apis(const Core& core);
/// Is this path one of theirs?
bool is_dead_api(const Core& core, std::string_view path);

}  // namespace kn::sim::api
