// However the bytes are cut, the decoder gives the same events and errors.
#include <cstdint>
#include <cstdlib>

#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/status.hpp"
#include "kubernaut/kube/watch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace kn;
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::size_t step = 1 + data[0];
    kube::WatchDecoder whole, cut;
    std::size_t expected = 0, found = 0;
    const auto all = whole.feed(text);
    if (all) expected = all->size();
    bool failed = false;
    for (std::size_t at = 0; at < text.size() && !failed; at += step) {
        const auto some = cut.feed(text.substr(at, step));
        failed = !some;
        if (!some) break;
        found += some->size();
        for (const auto& event : *some) {
            if (event.type == kube::WatchEventType::error) (void)kube::error_from_status(event.object);
            (void)kube::controller_of(event.object);
        }
    }
    if (failed != !all || (all && (found != expected || cut.pending() != whole.pending()))) std::abort();
    return 0;
}
