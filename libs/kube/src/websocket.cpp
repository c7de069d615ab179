#include "kubernaut/kube/websocket.hpp"

#include <array>

namespace kn::kube {
namespace {

constexpr unsigned fin_bit = 0x80, reserved_bits = 0x70, mask_bit = 0x80;
constexpr std::size_t max_control_bytes = 125;

bool is_control(unsigned opcode) { return opcode >= 8; }

}  // namespace

std::string ws_encode(WsOpcode opcode, std::string_view payload, std::uint32_t mask) {
    std::string out;
    out.reserve(payload.size() + 14);
    out += static_cast<char>(fin_bit | static_cast<unsigned>(opcode));
    const auto put = [&out](std::uint64_t value, int bytes) {
        for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>((value >> static_cast<unsigned>(shift)) & 0xFFU);
    };
    if (payload.size() < 126) {
        put(mask_bit | payload.size(), 1);
    } else if (payload.size() < 65536) {
        put(mask_bit | 126U, 1);
        put(payload.size(), 2);
    } else {
        put(mask_bit | 127U, 1);
        put(payload.size(), 8);
    }
    put(mask, 4);
    for (std::size_t i = 0; i < payload.size(); ++i) {
        out += static_cast<char>(static_cast<unsigned char>(payload[i]) ^ static_cast<unsigned char>(mask >> (24U - 8U * (i % 4))));
    }
    return out;
}

/// Takes one whole frame from the front of the buffer; false when there is none yet.
Result<bool> WsDecoder::take_frame(std::vector<WsMessage>& out) {
    const auto byte = [this](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(buffer_[i])); };
    if (buffer_.size() < 2) return false;
    const bool final = (byte(0) & fin_bit) != 0;
    const unsigned opcode = byte(0) & 0x0FU;
    if ((byte(0) & reserved_bits) != 0) return fail(ErrorCode::invalid_argument, "a WebSocket frame with reserved bits");
    if ((byte(1) & mask_bit) != 0) return fail(ErrorCode::invalid_argument, "a WebSocket frame from a server is masked");
    std::uint64_t size = byte(1) & 0x7FU;
    std::size_t head = 2;
    if (size >= 126) {
        const std::size_t extra = size == 126 ? 2 : 8;
        if (buffer_.size() < head + extra) return false;
        size = 0;
        for (std::size_t i = 0; i < extra; ++i) size = (size << 8U) | byte(head + i);
        head += extra;
    }
    if (size > max_message_bytes || (is_control(opcode) && (size > max_control_bytes || !final))) {
        return fail(ErrorCode::invalid_argument, "a WebSocket frame of " + std::to_string(size) + " bytes");
    }
    if (buffer_.size() < head + size) return false;
    std::string payload = buffer_.substr(head, size);
    buffer_.erase(0, head + size);
    if (is_control(opcode)) {
        if (opcode > 10) return fail(ErrorCode::invalid_argument, "a WebSocket frame of unknown type");
        out.push_back({static_cast<WsOpcode>(opcode), std::move(payload)});
        return true;
    }
    if (opcode > 2 || (opcode == 0) != in_fragments_) return fail(ErrorCode::invalid_argument, "a WebSocket frame out of order");
    if (fragments_.size() + payload.size() > max_message_bytes) return fail(ErrorCode::invalid_argument, "a WebSocket message is too long");
    if (opcode != 0) fragmented_ = static_cast<WsOpcode>(opcode);
    fragments_ += payload;
    in_fragments_ = !final;
    if (final) {
        out.push_back({fragmented_, std::move(fragments_)});
        fragments_.clear();
    }
    return true;
}

Result<std::vector<WsMessage>> WsDecoder::feed(std::string_view bytes) {
    buffer_ += bytes;
    std::vector<WsMessage> out;
    while (true) {
        KN_TRY(const bool more, take_frame(out));
        if (!more) return out;
    }
}

}  // namespace kn::kube
