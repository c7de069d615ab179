#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/result.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::kube {

enum class WatchEventType : std::uint8_t { added, modified, deleted, bookmark, error };

struct WatchEvent {
    WatchEventType type = WatchEventType::error;
    json::Value object;  ///< a Status for `error`
};

/// Bytes cut anywhere → whole events (one JSON document a line).
class WatchDecoder {
public:
    /// Largest single event; etcd refuses objects over 1.5 MiB, aggregated APIs may be larger.
    static constexpr std::size_t max_event_bytes = 16U << 20U;
    Result<std::vector<WatchEvent>> feed(std::string_view bytes);
    /// Bytes of an unfinished event: not empty at the end of a stream means that it was cut.
    [[nodiscard]] std::size_t pending() const { return buffer_.size(); }

private:
    std::string buffer_;
};

}  // namespace kn::kube
