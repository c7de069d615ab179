#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/result.hpp"

namespace kn::kube {

/// Frames of RFC 6455 as a client sends and reads them; the handshake is the transport's.
enum class WsOpcode : std::uint8_t { text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

struct WsMessage {
    WsOpcode opcode = WsOpcode::binary;
    std::string payload;
    bool operator==(const WsMessage&) const = default;
};

/// One final frame, masked with `mask` as a client must.
std::string ws_encode(WsOpcode opcode, std::string_view payload, std::uint32_t mask);

/// Bytes cut anywhere → whole messages; fragments are put together, control frames come through between them.
class WsDecoder {
public:
    static constexpr std::size_t max_message_bytes = 4U << 20U;
    /// invalid_argument for what a server may not send (masked or reserved bits, a lone continuation, an oversized control frame).
    Result<std::vector<WsMessage>> feed(std::string_view bytes);

private:
    Result<bool> take_frame(std::vector<WsMessage>& out);
    std::string buffer_, fragments_;
    WsOpcode fragmented_ = WsOpcode::binary;
    bool in_fragments_ = false;
};

}  // namespace kn::kube
