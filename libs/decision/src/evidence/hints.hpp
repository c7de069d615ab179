#pragma once

#include <string>
#include <string_view>

namespace kn::decision {

/// The closed table of message tokens: "not_found", "unauthorized", "unavailable", "insufficient_cpu", ... or "". A hint supports with a weight of
/// at most 0.2 and is never required; nothing else is taken from a message.
std::string hint_of(std::string_view message);

}  // namespace kn::decision
