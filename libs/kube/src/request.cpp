#include "kubernaut/kube/request.hpp"

#include <optional>

namespace kn::kube {
namespace {

bool is_unreserved(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

void append_encoded(std::string& out, std::string_view text, std::string_view also_plain) {
    static constexpr std::string_view digits = "0123456789ABCDEF";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (is_unreserved(byte) || also_plain.contains(c)) {
            out += c;
        } else {
            out += '%';
            out += digits[byte >> 4U];
            out += digits[byte & 15U];
        }
    }
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// Takes one quoted-string (RFC 9110 §5.6.4) from the front of `text`; nullopt when there is none.
std::optional<std::string> take_quoted(std::string_view& text) {
    if (!text.starts_with('"')) return std::nullopt;
    std::string out;
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (text[i] == '"') {
            text.remove_prefix(i + 1);
            return out;
        }
        if (text[i] == '\\' && i + 1 < text.size()) ++i;
        out += text[i];
    }
    return std::nullopt;
}

/// One header line may hold several warn values: `299 - "a", 299 - "b" "date"` (RFC 7234 §5.5).
void append_warnings(std::vector<std::string>& out, std::string_view line) {
    while (true) {
        const auto start = line.find_first_not_of(", \t");
        if (start == std::string_view::npos) return;
        line.remove_prefix(start);
        const bool wanted = line.starts_with("299 ");
        const auto quote = line.find('"');
        if (quote == std::string_view::npos) return;
        line.remove_prefix(quote);
        auto text = take_quoted(line);
        if (!text) return;
        if (wanted) out.push_back(*std::move(text));
        // A quoted date may follow the text of the same value.
        if (const auto next = line.find_first_not_of(" \t"); next != std::string_view::npos && line[next] == '"') {
            line.remove_prefix(next);
            if (!take_quoted(line)) return;
        }
    }
}

}  // namespace

std::string_view to_string(Method method) {
    switch (method) {
        case Method::get: return "GET";
        case Method::post: return "POST";
        case Method::put: return "PUT";
        case Method::patch: return "PATCH";
        case Method::del: return "DELETE";
    }
    return "GET";
}

std::string Request::target() const {
    std::string out;
    out.reserve(path.size() + 32);
    append_encoded(out, path, "/");
    char separator = '?';
    for (const auto& [name, value] : query) {
        out += separator;
        separator = '&';
        append_encoded(out, name, "");
        out += '=';
        append_encoded(out, value, "");
    }
    return out;
}

std::string_view Response::header(std::string_view lower_case_name) const {
    for (const auto& [name, value] : headers) {
        if (name == lower_case_name) return value;
    }
    return {};
}

std::vector<std::string> Response::warnings() const {
    std::vector<std::string> out;
    for (const auto& [name, value] : headers) {
        if (name == "warning") append_warnings(out, value);
    }
    return out;
}

std::string percent_encode(std::string_view text) {
    std::string out;
    append_encoded(out, text, "");
    return out;
}

std::string percent_decode(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size()) {
            const int high = hex_value(text[i + 1]);
            const int low = hex_value(text[i + 2]);
            if (high >= 0 && low >= 0) {
                out += static_cast<char>(high * 16 + low);
                i += 2;
                continue;
            }
        }
        out += text[i];
    }
    return out;
}

}  // namespace kn::kube
