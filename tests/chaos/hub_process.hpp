#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/async/signal.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/testing/process.hpp"

namespace kn::chaos {

/// What ends one life of the hub.
struct Doom {
    enum class At { time, before_write, after_write, before_dry_run, after_dry_run, during_post, never };
    At at = At::time;
    Duration after{};   ///< time: this long after its start; else the latest moment
    int countdown = 0;  ///< so many of the events are let through
};

/// The real `kubernaut serve`, killed (SIGKILL) again and again and started anew at once.
class MortalHub {
public:
    MortalHub(async::EventLoop& loop, SeededRandom& random, std::string binary, std::string folder);

    /// Lives `lives` short lives and then one that goes on; returns when the last one has begun. An error when it ends by itself.
    async::Task<Result<>> run(int lives);
    /// Something happened on which a doom may wait. When it strikes, the process is gone when this returns.
    void event(Doom::At at);
    /// Asks the last life to stop in good order: its exit code.
    Result<int> stop();

    [[nodiscard]] int kills() const { return kills_; }
    /// How often each kind of doom struck.
    [[nodiscard]] std::string causes() const;
    [[nodiscard]] std::string log_file() const { return folder_ + "/hub.log"; }

private:
    Result<> begin();
    void strike(Doom::At cause);
    Doom draw();
    async::EventLoop& loop_;
    SeededRandom& random_;
    std::string binary_, folder_;
    std::optional<testing::Process> process_;
    Doom doom_{};
    bool struck_ = false;
    async::Signal died_;
    int kills_ = 0;
    std::map<Doom::At, int> causes_;
};

}  // namespace kn::chaos
