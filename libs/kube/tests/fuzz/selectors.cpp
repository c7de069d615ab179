#include <cstdint>

#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/selector.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace kn;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const json::Object labels{{"app", "web"}, {"tier", "a"}};
    if (const auto selector = kube::LabelSelector::parse(text)) (void)selector->matches(labels);
    if (const auto fields = kube::FieldSelector::parse(text)) (void)fields->matches(json::Object{{"metadata", labels}});
    (void)kube::parse_quantity(text);
    return 0;
}
