#pragma once

#include <optional>
#include <string_view>

#include "kubernaut/http_api/api.hpp"

namespace kn::web {

/// A file of the operations page by its URL path ("/index.html", "/assets/index-1a2b.js"), with its content type and a strong ETag. nullopt: no such
/// file, or the page was not built (npm run build) before the binary.
std::optional<http_api::Asset> asset(std::string_view path);

}  // namespace kn::web
