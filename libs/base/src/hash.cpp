#include "kubernaut/base/hash.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstdlib>

namespace kn {
namespace {

/// A digest context that aborts on OpenSSL failure: SHA-256 cannot fail but for lack of memory.
class Sha256 {
public:
    Sha256() : context_(EVP_MD_CTX_new()) {
        if (context_ == nullptr || EVP_DigestInit_ex(context_, EVP_sha256(), nullptr) != 1) std::abort();
    }
    ~Sha256() { EVP_MD_CTX_free(context_); }
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;
    void update(std::string_view bytes) {
        if (EVP_DigestUpdate(context_, bytes.data(), bytes.size()) != 1) std::abort();
    }
    void update_part(std::string_view bytes) {
        std::array<char, 8> length{};
        std::uint64_t size = bytes.size();
        for (auto& c : length) {
            c = static_cast<char>(size & 0xff);
            size >>= 8;
        }
        update({length.data(), length.size()});
        update(bytes);
    }
    Digest finish() {
        Digest digest{};
        unsigned size = digest.size();
        if (EVP_DigestFinal_ex(context_, digest.data(), &size) != 1) std::abort();
        return digest;
    }

private:
    EVP_MD_CTX* context_;
};

}  // namespace

Digest sha256(std::string_view bytes) {
    Sha256 hash;
    hash.update(bytes);
    return hash.finish();
}

Digest sha256_parts(std::initializer_list<std::string_view> parts) {
    Sha256 hash;
    for (const auto part : parts) hash.update_part(part);
    return hash.finish();
}

Digest sha256_parts(std::span<const std::string> parts) {
    Sha256 hash;
    for (const auto& part : parts) hash.update_part(part);
    return hash.finish();
}

Digest hmac_sha256(std::string_view key, std::string_view bytes) {
    Digest digest{};
    unsigned size = digest.size();
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
             digest.data(), &size) == nullptr)
        std::abort();
    return digest;
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
    constexpr std::string_view alphabet = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const auto byte : bytes) {
        out += alphabet[byte >> 4];
        out += alphabet[byte & 15];
    }
    return out;
}

std::string base64_encode(std::string_view bytes) {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t group = 0;
        for (std::size_t j = 0; j < 3; ++j) group = group << 8 | (i + j < bytes.size() ? static_cast<std::uint8_t>(bytes[i + j]) : 0U);
        out += alphabet[group >> 18 & 63];
        out += alphabet[group >> 12 & 63];
        out += i + 1 < bytes.size() ? alphabet[group >> 6 & 63] : '=';
        out += i + 2 < bytes.size() ? alphabet[group & 63] : '=';
    }
    return out;
}

Base64Decoded base64_decode(std::string_view text) {
    Base64Decoded result;
    std::uint32_t group = 0;
    int bits = 0;
    std::size_t padding = 0;
    for (const char c : text) {
        if (c == '\n' || c == '\r' || c == ' ' || c == '\t') continue;
        if (c == '=') {
            if (++padding > 2) return {};
            continue;
        }
        int value = -1;
        if (c >= 'A' && c <= 'Z')
            value = c - 'A';
        else if (c >= 'a' && c <= 'z')
            value = c - 'a' + 26;
        else if (c >= '0' && c <= '9')
            value = c - '0' + 52;
        else if (c == '+' || c == '-')
            value = 62;
        else if (c == '/' || c == '_')
            value = 63;
        if (value < 0 || padding > 0) return {};
        group = group << 6 | static_cast<std::uint32_t>(value);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            result.bytes += static_cast<char>(group >> bits & 0xff);
        }
    }
    result.ok = bits < 6;
    return result;
}

bool equal_constant_time(std::string_view a, std::string_view b) {
    const Digest da = sha256(a), db = sha256(b);
    return CRYPTO_memcmp(da.data(), db.data(), da.size()) == 0;
}

}  // namespace kn
