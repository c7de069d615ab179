#include <cstdint>

#include "kubernaut/kube/discovery.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto value = kn::json::parse({reinterpret_cast<const char*>(data), size});
    if (!value) return 0;
    kn::kube::Discovery out;
    (void)kn::kube::read_aggregated_discovery(*value, out);
    (void)kn::kube::read_resource_list(*value, "g", "v1", out);
    return 0;
}
