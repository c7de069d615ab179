// Two JSON lines: the target and the patch.
#include <cstdint>
#include <string_view>

#include "kubernaut/kube/patch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace kn;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto line = text.find('\n');
    if (line == std::string_view::npos) return 0;
    auto target = json::parse(text.substr(0, line));
    const auto patch = json::parse(text.substr(line + 1));
    if (!target || !patch) return 0;
    (void)kube::apply_merge_patch(*target, *patch);
    (void)kube::apply_json_patch(*std::move(target), *patch);
    return 0;
}
