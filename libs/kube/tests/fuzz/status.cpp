// Any body with any status: an error with a message, and warnings that can be read.
#include <cstdint>
#include <cstdlib>

#include "kubernaut/kube/status.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace kn::kube;
    if (size < 2) return 0;
    Response response;
    response.status = 400 + data[0] % 200;
    response.body.assign(reinterpret_cast<const char*>(data + 2), size - 2);
    response.headers = {{"warning", response.body}, {"retry-after", response.body.substr(0, data[1] % 8)}};
    (void)response.warnings();
    if (error_from(response, data[1] % 2 == 0 ? Method::get : Method::post).message.empty()) std::abort();
    return 0;
}
