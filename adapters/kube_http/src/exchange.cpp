#include "exchange.hpp"

#include <algorithm>
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

void Exchange::on_header(std::string_view line, long status) {
    heard_ = true;
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
    if (spec_.sink && response_.status < 300) spec_.sink->begin();
    if (spec_.streaming) changed_.notify();
}

Exchange::Intake Exchange::on_data(std::string_view bytes) {
    heard_ = true;
    if (spec_.streaming) {
        if (queued_.size() >= spec_.max_backlog) {
            paused_ = true;
            return Intake::pause;
        }
        queued_ += bytes;
        changed_.notify();
        return Intake::taken;
    }
    if (spec_.sink && response_.status < 300) return to_sink(bytes);
    if (response_.body.size() + bytes.size() > spec_.max_body) return Intake::too_much;
    response_.body += bytes;
    return Intake::taken;
}

Exchange::Intake Exchange::to_sink(std::string_view bytes) {
    sunk_ += bytes.size();
    if (sunk_ > spec_.max_body) return Intake::too_much;
    if (auto taken = spec_.sink->data(bytes); !taken) {
        failure_ = std::move(taken).error();
        return Intake::refused;
    }
    return Intake::taken;
}

std::size_t Exchange::read_body(char* into, std::size_t size) {
    const auto count = std::min(size, spec_.body.size() - body_offset_);
    std::memcpy(into, spec_.body.data() + body_offset_, count);
    body_offset_ += count;
    return count;
}

void Exchange::finish(std::optional<Error> failure) {
    finished_ = true;
    if (!failure_) failure_ = std::move(failure);  // a sink's own word comes first
    changed_.notify();
}

}  // namespace kn::kube::http
