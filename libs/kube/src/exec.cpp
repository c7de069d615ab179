#include "kubernaut/kube/exec.hpp"

#include <algorithm>
#include <charconv>

#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/resource.hpp"
#include "kubernaut/kube/status.hpp"

namespace kn::kube {
namespace {

// remotecommand: byte 0 of every message is the channel.
constexpr char stdin_channel = 0, stdout_channel = 1, stderr_channel = 2, status_channel = 3, close_channel = static_cast<char>(255);
constexpr std::size_t input_piece = 32U << 10U;

std::unexpected<Error> lost(std::string message) {
    return std::unexpected(Error{.code = ErrorCode::unavailable, .message = std::move(message), .applied = Applied::maybe});
}

Result<Upgrader*> upgrader_of(Transport& transport) {
    auto* upgrader = dynamic_cast<Upgrader*>(&transport);
    if (upgrader == nullptr) return fail(ErrorCode::unimplemented, "this connection cannot be upgraded to WebSocket");
    return upgrader;
}

Task<Result<>> send_message(Duplex& duplex, RandomSource& random, std::string payload, WsOpcode opcode, Deadline deadline) {
    co_return co_await duplex.send(ws_encode(opcode, payload, static_cast<std::uint32_t>(random.next())), deadline);
}

Task<Result<>> send_input(Duplex& duplex, RandomSource& random, std::string input, Deadline deadline) {
    for (std::size_t at = 0; at < input.size(); at += input_piece) {
        KN_CO_CHECK(co_await send_message(duplex, random, std::string(1, stdin_channel) + input.substr(at, input_piece), WsOpcode::binary, deadline));
    }
    co_return co_await send_message(duplex, random, std::string{close_channel, stdin_channel}, WsOpcode::binary, deadline);
}

void append(std::string& into, std::string_view bytes, std::size_t limit, bool& truncated) {
    const auto room = limit - std::min(limit, into.size());
    truncated = truncated || bytes.size() > room;
    into += bytes.substr(0, room);
}

}  // namespace

Result<bool> ExecChannels::on(const WsMessage& message) {
    if (message.opcode != WsOpcode::binary || message.payload.empty()) return false;
    const std::string_view bytes = std::string_view(message.payload).substr(1);
    switch (message.payload.front()) {
        case stdout_channel: append(result_.out, bytes, max_output_, result_.truncated); return false;
        case stderr_channel: append(result_.err, bytes, max_output_, result_.truncated); return false;
        case status_channel: break;
        default: return false;
    }
    if (bytes.empty()) return false;
    const auto status = json::parse(bytes);
    if (!status) return lost("the end of the program is told in a way that cannot be read");
    if (json::string_at(*status, "status") == "Success") return true;
    for (const auto& cause : json::array_at(*status, "details", "causes")) {
        if (json::string_at(cause, "reason") != "ExitCode") continue;
        const auto text = json::string_at(cause, "message");
        if (std::from_chars(text.data(), text.data() + text.size(), result_.exit_code).ec == std::errc{}) return true;
    }
    Error error = error_from_status(*status);
    error.applied = Applied::maybe;
    return std::unexpected(std::move(error).with_context("exec"));
}

Task<Result<ExecResult>> exec(std::shared_ptr<Transport> transport, async::Clock& clock, RandomSource& random, ExecPolicy policy, ExecRequest wanted,
                              Deadline deadline) {
    if (wanted.command.empty() || !policy.programs.contains(wanted.command.front())) {
        co_return fail(ErrorCode::permission_denied, "the program is not among those that may be run in containers");
    }
    deadline = deadline.earlier(clock.deadline_in(policy.longest));
    KN_CO_TRY(Upgrader* const upgrader, upgrader_of(*transport));
    Request request;
    request.path = resources::pods.path(wanted.ns, wanted.pod, "exec");
    if (!wanted.container.empty()) request.query.emplace_back("container", wanted.container);
    for (const auto& word : wanted.command) request.query.emplace_back("command", word);
    request.query.emplace_back("stdout", "true");
    request.query.emplace_back("stderr", "true");
    if (wanted.input) request.query.emplace_back("stdin", "true");
    std::vector<std::string> protocols{"v5.channel.k8s.io"};
    // Only v5 can tell the end of the input; without it a program such as cat would wait for ever.
    if (!wanted.input) protocols.emplace_back("v4.channel.k8s.io");
    KN_CO_TRY(const std::unique_ptr<Duplex> duplex, co_await upgrader->upgrade(std::move(request), std::move(protocols), deadline));
    if (wanted.input) KN_CO_CHECK(co_await send_input(*duplex, random, *std::move(wanted.input), deadline));
    WsDecoder decoder;
    ExecChannels channels(wanted.max_output);
    while (true) {
        auto bytes = co_await duplex->next(deadline);
        if (!bytes) {
            Error error = std::move(bytes).error();
            error.applied = Applied::maybe;
            co_return std::unexpected(std::move(error).with_context("exec"));
        }
        if (!*bytes) co_return lost("the connection ended before the program did");
        KN_CO_TRY(const auto messages, decoder.feed(**bytes));
        for (const auto& message : messages) {
            if (message.opcode == WsOpcode::ping) KN_CO_CHECK(co_await send_message(*duplex, random, message.payload, WsOpcode::pong, deadline));
            if (message.opcode == WsOpcode::close) co_return lost("the connection was closed before the program ended");
            KN_CO_TRY(const bool done, channels.on(message));
            if (done) co_return channels.result();
        }
    }
}

Task<Result<std::unique_ptr<PortForward>>> PortForward::open(std::shared_ptr<Transport> transport, RandomSource& random, std::string ns,
                                                             std::string pod, int port, Deadline deadline) {
    KN_CO_TRY(Upgrader* const upgrader, upgrader_of(*transport));
    Request request;
    request.path = resources::pods.path(ns, pod, "portforward");
    request.query.emplace_back("ports", std::to_string(port));
    KN_CO_TRY(std::unique_ptr<Duplex> duplex, co_await upgrader->upgrade(std::move(request), {"v4.channel.k8s.io"}, deadline));
    co_return std::unique_ptr<PortForward>(new PortForward(std::move(duplex), random));
}

Task<Result<>> PortForward::send(std::string bytes, Deadline deadline) {
    for (std::size_t at = 0; at < bytes.size(); at += input_piece) {
        KN_CO_CHECK(co_await send_message(*duplex_, random_, std::string(1, '\0') + bytes.substr(at, input_piece), WsOpcode::binary, deadline));
    }
    co_return Result<>{};
}

Task<Result<std::optional<std::string>>> PortForward::next(Deadline deadline) {
    while (true) {
        while (!ready_.empty()) {
            const WsMessage message = std::move(ready_.front());
            ready_.erase(ready_.begin());
            if (message.opcode == WsOpcode::ping) KN_CO_CHECK(co_await send_message(*duplex_, random_, message.payload, WsOpcode::pong, deadline));
            if (message.opcode == WsOpcode::close) ended_ = true;
            if (message.opcode != WsOpcode::binary || message.payload.empty()) continue;
            const auto channel = static_cast<unsigned char>(message.payload.front());
            if (channel > 1) continue;
            std::string bytes = message.payload.substr(1);
            // The first two bytes of each channel repeat the port.
            const auto skip = std::min(port_bytes_left_[channel], bytes.size());
            port_bytes_left_[channel] -= skip;
            bytes.erase(0, skip);
            if (bytes.empty()) continue;
            if (channel == 1) co_return fail(ErrorCode::unavailable, "port-forward: " + bytes.substr(0, 300));
            co_return std::optional(std::move(bytes));
        }
        if (ended_) co_return std::optional<std::string>{};
        KN_CO_TRY(const auto bytes, co_await duplex_->next(deadline));
        if (!bytes) {
            ended_ = true;
            continue;
        }
        KN_CO_TRY(ready_, decoder_.feed(*bytes));
    }
}

}  // namespace kn::kube
