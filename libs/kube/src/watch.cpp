#include "kubernaut/kube/watch.hpp"

namespace kn::kube {
namespace {

Result<WatchEvent> decode(std::string_view line) {
    auto parsed = json::parse(line, {.max_bytes = WatchDecoder::max_event_bytes});
    if (!parsed) return fail(ErrorCode::internal, "an event is " + parsed.error().message, std::move(parsed.error().field));
    json::Value document = *std::move(parsed);
    const auto type = json::string_at(document, "type");
    WatchEvent event;
    if (type == "ADDED")
        event.type = WatchEventType::added;
    else if (type == "MODIFIED")
        event.type = WatchEventType::modified;
    else if (type == "DELETED")
        event.type = WatchEventType::deleted;
    else if (type == "BOOKMARK")
        event.type = WatchEventType::bookmark;
    else if (type == "ERROR")
        event.type = WatchEventType::error;
    else
        return fail(ErrorCode::internal, "watch event of unknown type '" + std::string(type.substr(0, 40)) + "'");
    auto* object = document.is_object() ? document.get_object().if_contains("object") : nullptr;
    if (object == nullptr || !object->is_object()) return fail(ErrorCode::internal, "watch event without an object");
    event.object = std::move(*object);
    return event;
}

}  // namespace

Result<std::vector<WatchEvent>> WatchDecoder::feed(std::string_view bytes) {
    std::vector<WatchEvent> events;
    while (!bytes.empty()) {
        // The buffer holds no line end, so only the new bytes are searched.
        const auto end = bytes.find('\n');
        if (buffer_.size() + std::min(end, bytes.size()) > max_event_bytes) {
            return fail(ErrorCode::resource_exhausted, "a watch event is over " + std::to_string(max_event_bytes) + " bytes");
        }
        if (end == std::string_view::npos) {
            buffer_ += bytes;
            break;
        }
        std::string_view line = bytes.substr(0, end);
        if (!buffer_.empty()) {
            buffer_ += line;
            line = buffer_;
        }
        bytes.remove_prefix(end + 1);
        if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
            auto event = decode(line);
            if (!event) return std::unexpected(std::move(event).error().with_context("watch stream"));
            events.push_back(*std::move(event));
        }
        buffer_.clear();
    }
    return events;
}

}  // namespace kn::kube
