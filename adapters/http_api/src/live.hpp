#pragma once

#include <memory>
#include <string_view>

#include "kubernaut/async/clock.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/http_api/auth.hpp"
#include "kubernaut/net/http_server.hpp"
#include "kubernaut/ports/wakeups.hpp"

namespace kn::http_api {

/// The newest changes of the live feed as server-sent events. Every event has an id, and a reader that comes back with the last one it saw
/// (Last-Event-ID) gets what it missed; when that is not kept any more, or was of another process, it gets `event: reset` and should read the lists
/// again. Nothing is listened to while nobody reads and for `linger` after the last reader has gone. A reader sees only what its roles let it read.
class LiveLog {
public:
    static constexpr std::size_t most_events = 2'000, most_bytes = 8U << 20U;
    static constexpr Duration linger = std::chrono::minutes{2};
    LiveLog(ports::LiveFeed& feed, async::Clock& clock, RandomSource& random);
    ~LiveLog();
    LiveLog(const LiveLog&) = delete;
    LiveLog& operator=(const LiveLog&) = delete;

    std::unique_ptr<net::BodyStream> open(Person person, std::string_view last_event_id);

private:
    struct State;
    class Reader;
    std::shared_ptr<State> state_;
};

}  // namespace kn::http_api
