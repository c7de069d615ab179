#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <variant>

#include "kubernaut/async/clock.hpp"
#include "kubernaut/async/loop.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/status.hpp"
#include "kubernaut/kube/transport.hpp"

namespace kn::kube {

/// What a scripted stream does next: bytes, an error or (nullopt) the clean end, `after` the previous step.
struct StreamStep {
    Duration after{};
    Result<std::optional<std::string>> what;
};

class ScriptedStream final : public Stream {
public:
    ScriptedStream(async::Clock& clock, int status, std::deque<StreamStep> steps, int* open) : clock_(clock), steps_(std::move(steps)), open_(open) {
        head_.status = status;
        ++*open_;
    }
    ~ScriptedStream() override { --*open_; }
    [[nodiscard]] const Response& head() const override { return head_; }
    async::Task<Result<std::optional<std::string>>> next(Deadline deadline) override {
        if (!due_) due_ = steps_.empty() ? SteadyTime::max() : clock_.steady() + steps_.front().after;
        if (*due_ > deadline.at) {
            co_await async::sleep_until(clock_, deadline.at);
            co_return fail(ErrorCode::deadline_exceeded, "silence");
        }
        co_await async::sleep_until(clock_, *due_);
        auto step = std::move(steps_.front());
        steps_.pop_front();
        due_.reset();
        co_return std::move(step.what);
    }

private:
    async::Clock& clock_;
    Response head_;
    std::deque<StreamStep> steps_;
    std::optional<SteadyTime> due_;
    int* open_;
};

/// Answers from a function and from a queue of streams; remembers the requests. For tests of this library only: all others use the simulator.
class ScriptedTransport final : public Transport {
public:
    explicit ScriptedTransport(async::Clock& clock) : clock_(clock) {}
    async::Task<Result<Response>> send(Request request, Deadline) override {
        requests.push_back(request);
        co_return answer(request);
    }
    async::Task<Result<std::unique_ptr<Stream>>> open(Request request, Deadline) override {
        requests.push_back(request);
        watches.push_back(request);
        times.push_back(clock_.steady());
        if (streams.empty()) co_return std::make_unique<ScriptedStream>(clock_, 200, std::deque<StreamStep>{}, &open_streams);
        auto next = std::move(streams.front());
        streams.pop_front();
        if (!next) co_return std::unexpected(next.error());
        co_return std::make_unique<ScriptedStream>(clock_, next->first, std::move(next->second), &open_streams);
    }

    std::function<Result<Response>(const Request&)> answer;
    std::deque<Result<std::pair<int, std::deque<StreamStep>>>> streams;
    std::vector<Request> requests, watches;
    std::vector<SteadyTime> times;
    int open_streams = 0;

private:
    async::Clock& clock_;
};

inline Response json_response(int status, const json::Value& body) {
    Response response;
    response.status = status;
    response.body = json::dump(body);
    return response;
}

inline std::string query_of(const Request& request, std::string_view name) {
    for (const auto& [key, value] : request.query) {
        if (key == name) return value;
    }
    return {};
}

inline json::Value pod_object(std::string_view ns, std::string_view name, std::string_view uid, std::string_view version,
                              std::string_view owner = {}) {
    json::Object metadata{{"name", name}, {"namespace", ns}, {"uid", uid}, {"resourceVersion", version}};
    if (!owner.empty()) metadata["ownerReferences"] = json::Array{json::Object{{"uid", owner}, {"controller", true}}};
    return json::Object{{"kind", "Pod"}, {"apiVersion", "v1"}, {"metadata", std::move(metadata)}};
}

inline json::Value pod_list(std::string_view version, std::initializer_list<json::Value> items, std::string_view token = {}) {
    json::Object metadata{{"resourceVersion", version}};
    if (!token.empty()) metadata["continue"] = token;
    json::Array array;
    for (auto item : items) {
        item.get_object().erase("kind");
        item.get_object().erase("apiVersion");
        array.push_back(std::move(item));
    }
    return json::Object{{"kind", "PodList"}, {"apiVersion", "v1"}, {"metadata", std::move(metadata)}, {"items", std::move(array)}};
}

inline std::string event_line(std::string_view type, const json::Value& object) {
    return json::dump(json::Object{{"type", type}, {"object", object}}) + "\n";
}

}  // namespace kn::kube
