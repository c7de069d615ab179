#include "live.hpp"

#include <charconv>
#include <deque>
#include <set>

#include "kubernaut/async/signal.hpp"
#include "kubernaut/domain/keys.hpp"

namespace kn::http_api {
namespace {

constexpr std::size_t most_in_one_piece = 64 * 1024;
constexpr Duration sign_of_life = 15s;

/// Whose namespace a document tells of; "" when it tells of none.
std::string namespace_of(std::string_view kind, const json::Value& document) {
    if (kind == "pause") return std::string(json::string_at(document, "namespace"));
    std::string_view target = json::string_at(document, "target", "key");
    if (target.empty()) target = json::string_at(document, "plan", "target", "key");
    if (target.empty()) target = json::string_at(document, "target");
    const auto key = ObjectKey::parse(target);
    return key ? key->ns : std::string();
}

}  // namespace

struct LiveLog::State {
    struct Event {
        std::string cluster, ns, text;
    };
    State(ports::LiveFeed& f, async::Clock& c) : feed(f), clock(c) {}
    ports::LiveFeed& feed;
    async::Clock& clock;
    std::string life;  ///< of this process: numbers of another one mean nothing here
    std::deque<Event> events;
    std::uint64_t first = 1;  ///< number of events.front()
    std::size_t bytes = 0;
    std::optional<std::size_t> listening;
    std::set<async::Signal*> readers;
    SteadyTime last_reader{};

    [[nodiscard]] std::uint64_t next() const { return first + events.size(); }
    [[nodiscard]] std::string id(std::uint64_t number) const { return life + "-" + std::to_string(number); }

    void forget(std::size_t down_to_events, std::size_t down_to_bytes) {
        while (!events.empty() && (events.size() > down_to_events || bytes > down_to_bytes)) {
            bytes -= events.front().text.size();
            events.pop_front();
            ++first;
        }
    }
    void silence() {
        if (listening) feed.unsubscribe(*listening);
        listening.reset();
        // What happens from now on is not seen: ids from before this gap must not look complete.
        forget(0, 0);
        ++first;
    }
    void heard(std::string_view kind, const json::Value& document) {
        if (readers.empty() && clock.steady() > last_reader + linger) return silence();
        const std::uint64_t number = next();
        Event event;
        event.cluster = json::string_at(document, kind == "cluster" ? "id" : "cluster");
        event.ns = namespace_of(kind, document);
        event.text = "id: " + id(number) + "\nevent: " + std::string(kind) + "\ndata: " + json::dump(document) + "\n\n";
        bytes += event.text.size();
        events.push_back(std::move(event));
        forget(most_events, most_bytes);
        for (async::Signal* reader : readers) reader->notify();
    }
};

class LiveLog::Reader final : public net::BodyStream {
public:
    Reader(std::shared_ptr<State> state, Person person, std::uint64_t position, bool missed)
        : state_(std::move(state)), person_(std::move(person)), position_(position), missed_(missed) {
        state_->readers.insert(&ready_);
    }
    ~Reader() override {
        state_->readers.erase(&ready_);
        state_->last_reader = state_->clock.steady();
    }
    net::Task<std::optional<std::string>> next() override {
        if (first_) {
            first_ = false;
            co_return (missed_ ? "event: reset\ndata: {}\n" : ": hello\n") + ("id: " + state_->id(position_ - 1)) + "\n\n";
        }
        while (true) {
            if (position_ < state_->first) co_return std::nullopt;  // too slow: it comes back and is told to read the lists
            std::string piece;
            for (; position_ < state_->next() && piece.size() < most_in_one_piece; ++position_) {
                const auto& event = state_->events[position_ - state_->first];
                if (person_.may("incident.view", event.cluster, event.ns, event.ns.empty())) piece += event.text;
            }
            if (!piece.empty()) co_return piece;
            if (!co_await ready_.wait(state_->clock, state_->clock.deadline_in(sign_of_life))) co_return std::string(": still here\n\n");
        }
    }

private:
    std::shared_ptr<State> state_;
    Person person_;
    std::uint64_t position_;  ///< the next one to give
    bool missed_, first_ = true;
    async::Signal ready_;
};

LiveLog::LiveLog(ports::LiveFeed& feed, async::Clock& clock, RandomSource& random) : state_(std::make_shared<State>(feed, clock)) {
    state_->life = make_id("", clock.now(), random);
}

LiveLog::~LiveLog() {
    if (state_->listening) state_->feed.unsubscribe(*state_->listening);
}

std::unique_ptr<net::BodyStream> LiveLog::open(Person person, std::string_view last_event_id) {
    State& state = *state_;
    if (state.readers.empty() && state.listening && state.clock.steady() > state.last_reader + linger) state.silence();
    if (!state.listening) {
        state.listening = state.feed.subscribe([log = std::weak_ptr(state_)](std::string_view kind, const json::Value& document) {
            if (const auto alive = log.lock()) alive->heard(kind, document);
        });
    }
    std::uint64_t position = state.next(), seen = 0;
    bool missed = false;
    if (!last_event_id.empty()) {
        const std::string prefix = state.life + "-";
        const auto number = last_event_id.starts_with(prefix) ? last_event_id.substr(prefix.size()) : std::string_view();
        const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), seen);
        const bool known =
            !number.empty() && error == std::errc() && end == number.data() + number.size() && seen + 1 >= state.first && seen < state.next();
        if (known) position = seen + 1;
        missed = !known;
    }
    return std::make_unique<Reader>(state_, std::move(person), position, missed);
}

}  // namespace kn::http_api
