#include <cstdint>

#include "kubernaut/kube/kubeconfig.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    (void)kn::kube::read_kubeconfig({reinterpret_cast<const char*>(data), size}, "/base", "");
    return 0;
}
