// Any bytes, cut anywhere: no crash, and the cuts do not change what is read.
#include <cstdint>
#include <cstdlib>

#include "kubernaut/kube/exec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace kn::kube;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    WsDecoder whole, pieces;
    const auto first = whole.feed(bytes);
    std::vector<WsMessage> second;
    bool good = true;
    for (std::size_t at = 0; at < size && good; at += 3) {
        auto some = pieces.feed(bytes.substr(at, 3));
        good = some.has_value();
        if (some) second.insert(second.end(), some->begin(), some->end());
    }
    if (first && (!good || *first != second)) std::abort();
    if (first) {
        ExecChannels channels(100);
        for (const auto& message : *first) (void)channels.on(message);
    }
    return 0;
}
