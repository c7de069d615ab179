#include "evidence/image_name.hpp"

namespace kn::decision {
namespace {

std::string_view one_name_for_hub(std::string_view host) {
    return host == "index.docker.io" || host == "registry-1.docker.io" ? std::string_view{"docker.io"} : host;
}

}  // namespace

std::string registry_host(std::string_view image) {
    const auto slash = image.find('/');
    const auto first = image.substr(0, slash);
    const bool is_host = slash != std::string_view::npos && (first.find_first_of(".:") != std::string_view::npos || first == "localhost");
    return std::string{one_name_for_hub(is_host ? first : std::string_view{"docker.io"})};
}

bool registry_entry_covers(std::string_view entry, std::string_view host) {
    if (const auto scheme = entry.find("://"); scheme != std::string_view::npos) entry.remove_prefix(scheme + 3);
    entry = entry.substr(0, entry.find('/'));
    entry = one_name_for_hub(entry);
    if (entry == host) return true;
    // Globs match label by label, as in the kubelet's credential keyring.
    while (!entry.empty() && !host.empty()) {
        const auto a = entry.find('.'), b = host.find('.');
        const auto part = entry.substr(0, a), label = host.substr(0, b);
        if (const auto star = part.find('*');
            star == std::string_view::npos
                ? part != label
                : (label.size() + 1 < part.size() || !label.starts_with(part.substr(0, star)) || !label.ends_with(part.substr(star + 1)))) {
            return false;
        }
        if ((a == std::string_view::npos) != (b == std::string_view::npos)) return false;
        if (a == std::string_view::npos) return true;
        entry.remove_prefix(a + 1);
        host.remove_prefix(b + 1);
    }
    return entry.empty() && host.empty();
}

}  // namespace kn::decision
