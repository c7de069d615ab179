#include "exchange.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstring>

namespace kn::kube::http {
namespace {

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.back() == '\r' || text.back() == '\n' || text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    return text;
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return out;
}

}  // namespace

/// At most one wake-up is on its way at a time.
void Exchange::tell_loop() {
    if (!loop_ || told_.exchange(true)) return;
    boost::asio::post(loop_, [self = shared_from_this()] {
        self->told_ = false;
        self->changed_.notify();
    });
}

void Exchange::on_header(std::string_view line, long status) {
    heard_ = true;
    const std::lock_guard lock(mutex_);
    if (head_ready_) return;  // trailers: nothing in this API uses them
    if (line.starts_with("HTTP/")) {
        response_.headers.clear();  // an interim answer (1xx) came before
        return;
    }
    const auto text = trimmed(line);
    if (!text.empty()) {
        const auto colon = text.find(':');
        if (colon != std::string_view::npos)
            response_.headers.emplace_back(lower(text.substr(0, colon)), std::string(trimmed(text.substr(colon + 1))));
        return;
    }
    if (status < 200) return;
    response_.status = static_cast<int>(status);
    response_.content_type = std::string(response_.header("content-type"));
    head_ready_ = true;
    if (spec_.streaming) tell_loop();
}

Exchange::Intake Exchange::on_data(std::string_view bytes) {
    heard_ = true;
    const std::lock_guard lock(mutex_);
    if (!spec_.streaming) {
        if (response_.body.size() + bytes.size() > spec_.max_body) return Intake::too_much;
        response_.body += bytes;
        return Intake::taken;
    }
    if (queued_.size() >= spec_.max_backlog) {
        paused_ = true;
        return Intake::pause;
    }
    queued_ += bytes;
    tell_loop();
    return Intake::taken;
}

std::optional<std::size_t> Exchange::read_body(char* into, std::size_t size) {
    const auto count = std::min(size, spec_.body.size() - body_offset_);
    if (count > 0) {
        body_taken_ = true;
        if (abandoned_) return std::nullopt;
        std::memcpy(into, spec_.body.data() + body_offset_, count);
        body_offset_ += count;
    }
    return count;
}

void Exchange::finish(std::optional<Error> failure) {
    const std::lock_guard lock(mutex_);
    finished_ = true;
    failure_ = std::move(failure);
    tell_loop();
}

}  // namespace kn::kube::http
