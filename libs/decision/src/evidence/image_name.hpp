#pragma once

#include <string>
#include <string_view>

namespace kn::decision {

/// The registry host of an image name as the kubelet reads it; "docker.io" when the name has none.
std::string registry_host(std::string_view image);
/// Does a docker config entry ("https://index.docker.io/v1/", "*.example.org", "host/path") cover this host?
bool registry_entry_covers(std::string_view entry, std::string_view host);

}  // namespace kn::decision
