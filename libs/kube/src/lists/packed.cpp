#include "kubernaut/kube/packed.hpp"

#include <array>
#include <bit>
#include <cstring>

#include "lists/packed_form.hpp"
#include "lists/packed_words.hpp"

namespace kn::kube {
namespace {

using namespace packed_form;

void put(std::string& out, const json::Value& value) {
    switch (value.kind()) {
        case boost::json::kind::null: out += static_cast<char>(Tag::null); return;
        case boost::json::kind::bool_: out += static_cast<char>(value.get_bool() ? Tag::yes : Tag::no); return;
        case boost::json::kind::int64: return put_int(out, value.get_int64());
        case boost::json::kind::uint64: return put_uint(out, value.get_uint64());
        case boost::json::kind::double_: return put_double(out, value.get_double());
        case boost::json::kind::string: return put_string(out, json::view(value.get_string()));
        case boost::json::kind::array:
            put_head(out, Tag::array, small_bits, value.get_array().size());
            for (const auto& element : value.get_array()) put(out, element);
            return;
        case boost::json::kind::object:
            put_head(out, Tag::object, small_bits, value.get_object().size());
            for (const auto& [key, member] : value.get_object()) {
                put_key(out, {key.data(), key.size()});
                put(out, member);
            }
            return;
    }
}

class Reader {
public:
    explicit Reader(std::string_view bytes) : at_(bytes.data()) {}

    json::Value value() {
        const auto head = static_cast<std::uint8_t>(*at_++);
        if (head >= static_cast<std::uint8_t>(Tag::text)) return json::Value(text(count(head & text_bits, text_bits)));
        if (head >= static_cast<std::uint8_t>(Tag::object)) return object(count(head & small_bits, small_bits));
        if (head >= static_cast<std::uint8_t>(Tag::array)) return array(count(head & small_bits, small_bits));
        if (head >= static_cast<std::uint8_t>(Tag::word)) return json::Value(word(count(head & small_bits, small_bits)));
        switch (static_cast<Tag>(head)) {
            case Tag::no: return false;
            case Tag::yes: return true;
            case Tag::number: {
                const auto zigzag = varint();
                return static_cast<std::int64_t>(zigzag >> 1U) ^ -static_cast<std::int64_t>(zigzag & 1U);
            }
            case Tag::large: return varint();
            case Tag::real: {
                std::array<char, sizeof(double)> bytes;
                std::memcpy(bytes.data(), at_, bytes.size());
                at_ += bytes.size();
                return std::bit_cast<double>(bytes);
            }
            default: return nullptr;
        }
    }

private:
    std::uint64_t varint() {
        std::uint64_t number = 0;
        for (unsigned shift = 0;; shift += 7) {
            const auto byte = static_cast<std::uint8_t>(*at_++);
            number |= std::uint64_t{byte & 0x7fU} << shift;
            if (byte < 0x80) return number;
        }
    }
    std::uint64_t count(std::uint8_t small, std::uint8_t largest) { return small < largest ? small : varint(); }
    boost::json::string_view text(std::uint64_t length) {
        const boost::json::string_view out(at_, length);
        at_ += length;
        return out;
    }
    static boost::json::string_view word(std::uint64_t number) {
        const auto text = word_of(static_cast<std::uint16_t>(number));
        return {text.data(), text.size()};
    }
    json::Value array(std::uint64_t size) {
        json::Array out;
        out.reserve(size);
        for (; size > 0; --size) out.push_back(value());
        return out;
    }
    json::Value object(std::uint64_t size) {
        json::Object out;
        out.reserve(size);
        for (; size > 0; --size) {
            const auto head = varint();
            if ((head & 1U) == 0) {
                const auto key = text(head >> 1U);
                out.emplace(key, value());
            } else if ((head & 2U) == 0) {
                out.emplace(word(head >> 2U), value());
            } else {
                std::string key(field_prefix);
                key += word_of(static_cast<std::uint16_t>(head >> 2U));
                out.emplace(key, value());
            }
        }
        return out;
    }

    const char* at_;
};

}  // namespace

std::string pack(const json::Value& value) {
    // Packed in a buffer that stays, so that what is kept is as long as it must be.
    thread_local std::string buffer;
    buffer.clear();
    put(buffer, value);
    std::string out(buffer);
    constexpr std::size_t most = 1U << 20U;
    if (buffer.capacity() > most) buffer = {};
    return out;
}

json::Value unpack(std::string_view packed) { return Reader(packed).value(); }

}  // namespace kn::kube
