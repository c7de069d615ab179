#include "kubernaut/web/assets.hpp"

#include <array>
#include <map>
#include <span>
#include <string>
#include <utility>

#include "kubernaut/base/embedded.hpp"
#include "kubernaut/base/hash.hpp"

#ifdef KN_WEB_HAS_PAGE
namespace kn::web::embedded {
extern const std::span<const kn::EmbeddedFile> page;
}
#endif

namespace kn::web {
namespace {

std::string_view content_type(std::string_view path) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 8> types{{
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".ico", "image/x-icon"},
        {".woff2", "font/woff2"},
        {".json", "application/json"},
    }};
    for (const auto& [ending, type] : types) {
        if (path.ends_with(ending)) return type;
    }
    return "application/octet-stream";
}

struct Entry {
    std::string_view bytes, type;
    std::string etag;
};

const std::map<std::string, Entry, std::less<>>& table() {
    static const std::map<std::string, Entry, std::less<>> files = [] {
        std::map<std::string, Entry, std::less<>> all;
#ifdef KN_WEB_HAS_PAGE
        for (const EmbeddedFile& file : embedded::page) {
            const std::string hash = to_hex(sha256(file.content)).substr(0, 32);
            all.emplace("/" + std::string(file.path), Entry{file.content, content_type(file.path), "\"" + hash + "\""});
        }
#endif
        return all;
    }();
    return files;
}

}  // namespace

std::optional<http_api::Asset> asset(std::string_view path) {
    const auto found = table().find(path);
    if (found == table().end()) return std::nullopt;
    const Entry& entry = found->second;
    return http_api::Asset{.bytes = entry.bytes, .content_type = entry.type, .etag = entry.etag};
}

}  // namespace kn::web
