#include "lists/packed_text.hpp"

#include <simdjson.h>

#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/packed.hpp"
#include "lists/packed_form.hpp"

namespace kn::kube {
namespace {

using namespace packed_form;
using Element = simdjson::dom::element;
using Type = simdjson::dom::element_type;

constexpr std::size_t max_depth = 128;

/// simdjson's containers count at most so many members; a larger number means "count them".
constexpr std::size_t most_counted = 0xffffff;

template <class Container> std::size_t size_of(const Container& container) {
    const std::size_t size = container.size();
    if (size < most_counted) return size;
    std::size_t counted = 0;
    for ([[maybe_unused]] const auto& member : container) ++counted;
    return counted;
}

void put(std::string& out, const Element& element) {
    switch (element.type()) {
        case Type::NULL_VALUE: out += static_cast<char>(Tag::null); return;
        case Type::BOOL: out += static_cast<char>(bool(element) ? Tag::yes : Tag::no); return;
        case Type::INT64: return put_int(out, std::int64_t(element));
        case Type::UINT64: return put_uint(out, std::uint64_t(element));
        case Type::DOUBLE: return put_double(out, double(element));
        case Type::STRING: return put_string(out, std::string_view(element));
        case Type::ARRAY: {
            const auto array = simdjson::dom::array(element);
            put_head(out, Tag::array, small_bits, size_of(array));
            for (const Element member : array) put(out, member);
            return;
        }
        case Type::OBJECT: {
            const auto object = simdjson::dom::object(element);
            put_head(out, Tag::object, small_bits, size_of(object));
            for (const auto& [key, member] : object) {
                put_key(out, key);
                put(out, member);
            }
            return;
        }
    }
}

std::string_view text_at(const simdjson::dom::object& object, std::string_view key) {
    std::string_view text;
    return object.at_key(key).get(text) == simdjson::SUCCESS ? text : std::string_view{};
}

/// What an object is found by: namespace, name, owners.
void note_metadata(PackedItem& item, const simdjson::dom::object& object) {
    simdjson::dom::object metadata;
    if (object.at_key("metadata").get(metadata) != simdjson::SUCCESS) return;
    item.ns = text_at(metadata, "namespace");
    item.name = text_at(metadata, "name");
    simdjson::dom::array owners;
    if (metadata.at_key("ownerReferences").get(owners) != simdjson::SUCCESS) return;
    for (const Element owner : owners) {
        simdjson::dom::object reference;
        if (owner.get(reference) == simdjson::SUCCESS) item.owners.emplace_back(text_at(reference, "uid"));
    }
}

PackedItem pack_item(const Element& element, const ListNames& names, std::string& buffer) {
    PackedItem item;
    buffer.clear();
    simdjson::dom::object object;
    if (element.get(object) != simdjson::SUCCESS) {
        put(buffer, element);
        item.bytes = buffer;
        return item;
    }
    note_metadata(item, object);
    Element found;
    const bool add_kind = !names.kind.empty() && object.at_key("kind").get(found) != simdjson::SUCCESS;
    const bool add_version = !names.api_version.empty() && object.at_key("apiVersion").get(found) != simdjson::SUCCESS;
    put_head(buffer, Tag::object, small_bits, size_of(object) + (add_kind ? 1U : 0U) + (add_version ? 1U : 0U));
    for (const auto& [key, member] : object) {
        put_key(buffer, key);
        put(buffer, member);
    }
    const auto add = [&buffer](std::string_view key, std::string_view text) {
        put_key(buffer, key);
        put_string(buffer, text);
    };
    if (add_kind) add("kind", names.kind);
    if (add_version) add("apiVersion", names.api_version);
    item.bytes = buffer;
    return item;
}

/// For texts that simdjson refuses and we do not, such as numbers beyond 64 bits.
Result<json::Value> pack_list_slowly(std::string_view text, const ListNames& names, ItemSink& items) {
    KN_TRY(json::Value list, json::parse(text, {.max_bytes = text.size(), .max_depth = max_depth}));
    if (!list.is_object()) return list;
    auto* found = list.get_object().if_contains("items");
    if (found == nullptr || !found->is_array()) return list;
    for (auto& value : found->get_array()) {
        if (auto* object = value.if_object()) {
            if (!names.kind.empty() && !object->contains("kind")) (*object)["kind"] = names.kind;
            if (!names.api_version.empty() && !object->contains("apiVersion")) (*object)["apiVersion"] = names.api_version;
        }
        PackedItem item{.ns = std::string(namespace_of(value)), .name = std::string(name_of(value)), .owners = {}, .bytes = pack(value)};
        for (const auto& owner : json::array_at(value, "metadata", "ownerReferences")) item.owners.emplace_back(json::string_at(owner, "uid"));
        items.add(std::move(item));
    }
    found->emplace_array();
    return list;
}

}  // namespace

Result<json::Value> pack_list(std::string& text, const ListNames& names, ItemSink& items) {
    text.reserve(text.size() + simdjson::SIMDJSON_PADDING);
    simdjson::dom::parser parser;
    simdjson::dom::object list;
    if (parser.allocate(text.size(), max_depth) != simdjson::SUCCESS || parser.parse(text).get(list) != simdjson::SUCCESS)
        return pack_list_slowly(text, names, items);
    json::Object rest;
    std::string buffer;
    for (const auto& [key, member] : list) {
        simdjson::dom::array array;
        if (key == "items" && member.get(array) == simdjson::SUCCESS) {
            for (const Element element : array) items.add(pack_item(element, names, buffer));
            rest["items"] = json::Array{};
            continue;
        }
        buffer.clear();
        put(buffer, member);
        rest[boost::json::string_view(key.data(), key.size())] = unpack(buffer);
    }
    return rest;
}

}  // namespace kn::kube
