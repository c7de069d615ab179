#include "reader.hpp"

#include <algorithm>
#include <cmath>

#include "kubernaut/expr/expr.hpp"

namespace kn::catalog {

std::string Problem::text() const {
    std::string out = origin;
    if (line > 0) out += ":" + std::to_string(line);
    out += ": ";
    if (!path.empty()) out += path + ": ";
    return out + message;
}

void Problems::add(const std::string& pointer, std::string message) {
    list_.push_back({.origin = origin_, .line = line(pointer), .path = json::pointer_to_path(pointer), .message = std::move(message)});
}

int Problems::line(const std::string& pointer) const {
    if (document_ == nullptr) return 0;
    std::string_view at = pointer;
    while (true) {
        if (const auto found = document_->lines.find(at); found != document_->lines.end()) return found->second;
        const auto slash = at.rfind('/');
        if (slash == std::string_view::npos) return 0;
        at = at.substr(0, slash);
    }
}

Node Node::operator[](std::string_view key) const {
    const auto* object = value_ == nullptr ? nullptr : value_->if_object();
    const auto* found = object == nullptr ? nullptr : object->if_contains(key);
    return {found, pointer_ + "/" + json::escape_pointer_token(key), problems_};
}

std::vector<Node> Node::items() const {
    std::vector<Node> out;
    if (!present()) return out;
    const auto* array = value_->if_array();
    if (array == nullptr) {
        problem("must be a list");
        return out;
    }
    for (std::size_t i = 0; i < array->size(); ++i) out.emplace_back(&(*array)[i], pointer_ + "/" + std::to_string(i), problems_);
    return out;
}

std::vector<std::pair<std::string, Node>> Node::members() const {
    std::vector<std::pair<std::string, Node>> out;
    if (!present()) return out;
    const auto* object = value_->if_object();
    if (object == nullptr) {
        problem("must be a mapping");
        return out;
    }
    for (const auto& [key, item] : *object)
        out.emplace_back(std::string(key), Node(&item, pointer_ + "/" + json::escape_pointer_token(key), problems_));
    return out;
}

void Node::only(std::initializer_list<std::string_view> keys) const {
    for (const auto& [key, node] : members()) {
        if (std::ranges::find(keys, key) == keys.end()) node.problem("unknown key");
    }
}

std::string Node::text(std::string_view fallback) const {
    if (!present()) return std::string(fallback);
    if (const auto* found = value_->if_string()) return std::string(json::view(*found));
    problem("must be a string");
    return std::string(fallback);
}

std::string Node::required_text() const {
    std::string found = text();
    if (found.empty() && (!present() || value_->is_string())) problem("is required");
    return found;
}

std::int64_t Node::integer(std::int64_t fallback, std::int64_t least, std::int64_t most) const {
    if (!present()) return fallback;
    const auto found = json::to_int(value_);
    if (!found) {
        problem("must be a whole number");
        return fallback;
    }
    if (*found < least || *found > most) problem("must be between " + std::to_string(least) + " and " + std::to_string(most));
    return *found;
}

std::optional<double> Node::amount() const {
    if (!present()) return std::nullopt;
    if (const auto number = json::to_double(value_)) {
        if (std::isfinite(*number)) return number;
    } else if (const auto* text = value_->if_string()) {
        if (const auto duration = parse_duration(json::view(*text))) return std::chrono::duration<double>(*duration).count();
        if (const auto quantity = expr::parse_quantity(json::view(*text))) return quantity;
    }
    problem("must be a number, a duration or a quantity");
    return std::nullopt;
}

bool Node::flag(bool fallback) const {
    if (!present()) return fallback;
    if (const auto* found = value_->if_bool()) return *found;
    problem("must be true or false");
    return fallback;
}

std::optional<Duration> Node::duration() const {
    if (!present()) return std::nullopt;
    const auto* text = value_->if_string();
    const auto parsed = text == nullptr ? Result<Duration>(fail(ErrorCode::invalid_argument, "")) : parse_duration(json::view(*text));
    if (!parsed || *parsed <= 0ms) {
        problem("must be a duration such as 5m");
        return std::nullopt;
    }
    return *parsed;
}

std::vector<std::string> Node::texts() const {
    std::vector<std::string> out;
    if (present() && value_->is_string()) {  // one word stands for a list of one
        out.push_back(text());
        return out;
    }
    for (const Node& item : items()) out.push_back(item.required_text());
    return out;
}

}  // namespace kn::catalog
