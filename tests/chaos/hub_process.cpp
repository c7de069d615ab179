#include "hub_process.hpp"

#include <csignal>

namespace kn::chaos {
namespace {

constexpr Duration longest_life = 4s;

const char* name_of(Doom::At at) {
    switch (at) {
        case Doom::At::time: return "at a random time";
        case Doom::At::before_write: return "before a write reached the cluster";
        case Doom::At::after_write: return "after a write, before its answer";
        case Doom::At::before_dry_run: return "before a dry run";
        case Doom::At::after_dry_run: return "after a dry run, before its answer";
        case Doom::At::during_post: return "while an alert was being posted";
        case Doom::At::never: return "never";
    }
    return "?";
}

}  // namespace

MortalHub::MortalHub(async::EventLoop& loop, SeededRandom& random, std::string binary, std::string folder)
    : loop_(loop), random_(random), binary_(std::move(binary)), folder_(std::move(folder)) {}

Doom MortalHub::draw() {
    const double kind = random_.unit();
    const auto between = [this](Duration from, Duration to) {
        return from + Duration{static_cast<std::int64_t>(random_.unit() * static_cast<double>((to - from).count()))};
    };
    const auto few = static_cast<int>(random_.next() % 3);
    if (kind < 0.45) return {.at = Doom::At::time, .after = between(300ms, 3500ms)};
    if (kind < 0.50) return {.at = Doom::At::time, .after = between(0ms, 300ms)};  // while it starts
    if (kind < 0.62) return {.at = Doom::At::before_write, .after = longest_life, .countdown = few};
    if (kind < 0.80) return {.at = Doom::At::after_write, .after = longest_life, .countdown = few};
    if (kind < 0.84) return {.at = Doom::At::before_dry_run, .after = longest_life, .countdown = few};
    if (kind < 0.88) return {.at = Doom::At::after_dry_run, .after = longest_life, .countdown = few};
    return {.at = Doom::At::during_post, .after = longest_life, .countdown = 2 + static_cast<int>(random_.next() % 20)};
}

Result<> MortalHub::begin() {
    KN_TRY(process_, testing::Process::start({binary_, "serve", "-c", folder_ + "/kubernaut.yaml"}, {.output = log_file()}));
    struck_ = false;
    return {};
}

async::Task<Result<>> MortalHub::run(int lives) {
    async::Clock& clock = loop_.clock();
    while (kills_ < lives) {
        doom_ = draw();
        KN_CO_CHECK(begin());
        const Deadline end = clock.deadline_in(doom_.after);
        while (!struck_ && !end.passed(clock.steady())) co_await died_.wait(clock, end);
        if (!struck_ && !process_->running())
            co_return fail(ErrorCode::internal, "the hub ended by itself with " + std::to_string(process_->exit_code()));
        if (!struck_) strike(Doom::At::time);
    }
    doom_ = {.at = Doom::At::never};
    co_return begin();
}

void MortalHub::event(Doom::At at) {
    if (struck_ || doom_.at != at || !process_) return;
    if (doom_.countdown-- > 0) return;
    strike(at);
}

void MortalHub::strike(Doom::At cause) {
    if (!process_->running()) return;  // run() finds that out
    process_->kill();
    struck_ = true;
    ++kills_;
    ++causes_[cause];
    died_.notify();
}

Result<int> MortalHub::stop() {
    process_->signal(SIGTERM);
    return process_->wait(30s);
}

std::string MortalHub::causes() const {
    std::string text;
    for (const auto& [at, count] : causes_) text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + name_of(at);
    return text;
}

}  // namespace kn::chaos
