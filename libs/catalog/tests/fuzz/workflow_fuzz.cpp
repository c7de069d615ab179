#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kubernaut/catalog/catalog.hpp"

/// Any bytes: validate() lists problems or gives definitions that can be read back.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    kn::catalog::Rules rules;
    kn::ports::ActionSpec spec;
    spec.name = "act";
    rules.actions.push_back(spec);
    const auto checked = kn::catalog::validate({reinterpret_cast<const char*>(data), size}, "fuzz", rules);
    for (const auto& workflow : checked.workflows) {
        if (!kn::catalog::definition_from(workflow.source)) __builtin_trap();
    }
    return 0;
}
