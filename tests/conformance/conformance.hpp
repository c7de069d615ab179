#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/client.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/status.hpp"
#include "kubernaut/kube/watch.hpp"

namespace kn::conformance {

template <class Range, class T> bool has(const Range& range, const T& value) { return std::ranges::find(range, value) != std::ranges::end(range); }

/// What one raw request gave.
struct Answer {
    int code = 0;
    json::Value body;
    kube::Response raw;
    [[nodiscard]] std::string_view reason() const { return json::string_at(body, "reason"); }
    [[nodiscard]] std::string_view kind() const { return json::string_at(body, "kind"); }
    [[nodiscard]] std::string_view cause(std::size_t i = 0) const { return json::string_at(body, "details", "causes", i, "reason"); }
    [[nodiscard]] std::string_view field(std::size_t i = 0) const { return json::string_at(body, "details", "causes", i, "field"); }
    [[nodiscard]] std::string_view version() const { return json::string_at(body, "metadata", "resourceVersion"); }
    [[nodiscard]] std::string_view uid() const { return json::string_at(body, "metadata", "uid"); }
    [[nodiscard]] std::string_view name() const { return json::string_at(body, "metadata", "name"); }
    /// As the client would report it.
    [[nodiscard]] Error error(kube::Method method = kube::Method::get) const { return kube::error_from(raw, method); }
};

struct CallOptions {
    std::string content_type = "application/json";
    std::string accept = "application/json";
    Who who = Who::admin;
    kube::Headers headers{};
};

struct Watched {
    int code = 0;
    std::vector<kube::WatchEvent> events;
    bool ended = false;  ///< by the server; else the test had seen enough or nothing more came
    std::string text;
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> out;
        for (const auto& event : events) out.emplace_back(kube::name_of(event.object));
        return out;
    }
};

/// One case against one backend, in a namespace of its own. Requests are written as on the wire, so that a case reads like the recordings it comes from.
class Conformance : public testing::TestWithParam<const char*> {
protected:
    void SetUp() override;

    template <class T> T wait(async::Task<T> task) { return loop().block_on(std::move(task)); }
    async::EventLoop& loop() { return server->loop(); }
    [[nodiscard]] Deadline soon(Duration d = 60s) { return loop().clock().deadline_in(d); }
    bool eventually(const std::function<bool()>& done, Duration limit = 120s);

    Answer call(kube::Method method, std::string_view target, std::string body = {}, CallOptions options = {});
    Answer get(std::string_view target, CallOptions options = {}) { return call(kube::Method::get, target, {}, std::move(options)); }
    Answer post(std::string_view target, std::string body, CallOptions options = {}) {
        return call(kube::Method::post, target, std::move(body), std::move(options));
    }
    Answer put(std::string_view target, std::string body, CallOptions options = {}) {
        return call(kube::Method::put, target, std::move(body), std::move(options));
    }
    Answer del(std::string_view target, std::string body = {}, CallOptions options = {}) {
        return call(kube::Method::del, target, std::move(body), std::move(options));
    }
    Answer merge(std::string_view target, std::string body) { return patch("application/merge-patch+json", target, std::move(body)); }
    Answer strategic(std::string_view target, std::string body) { return patch("application/strategic-merge-patch+json", target, std::move(body)); }
    Answer json_patch(std::string_view target, std::string body) { return patch("application/json-patch+json", target, std::move(body)); }
    Answer apply(std::string_view target, std::string body) { return patch("application/apply-patch+yaml", target, std::move(body)); }
    Answer patch(std::string_view type, std::string_view target, std::string body) {
        return call(kube::Method::patch, target, std::move(body), {.content_type = std::string(type)});
    }

    std::unique_ptr<kube::Stream> open(std::string_view target, CallOptions options = {});
    /// Reads until the server ends the watch, `enough` says so, or nothing comes for `silence`.
    Watched watch(std::string_view target, const std::function<bool(const Watched&)>& enough = {}, CallOptions options = {}, Duration silence = 30s);
    Watched read(kube::Stream& stream, const std::function<bool(const Watched&)>& enough = {}, Duration silence = 30s);

    // Paths and bodies.
    [[nodiscard]] std::string core(std::string_view rest = {}) const {
        return "/api/v1/namespaces/" + ns + (rest.empty() ? "" : "/" + std::string(rest));
    }
    [[nodiscard]] std::string apps(std::string_view rest) const { return "/apis/apps/v1/namespaces/" + ns + "/" + std::string(rest); }
    static std::string config_map(std::string_view name, std::string_view data = R"({"a":"1"})", std::string_view more_metadata = {});
    static std::string pod(std::string_view name, std::string_view spec_extra = {}, std::string_view labels = R"({"app":"x"})");
    static std::string deployment(std::string_view name, int replicas = 0);
    Answer make_config_map(std::string_view name, std::string_view data = R"({"a":"1"})", std::string_view more_metadata = {});
    /// Waits for the namespace's service account, without which pods are refused.
    Answer make_pod(std::string_view name, std::string_view spec_extra = {}, std::string_view labels = R"({"app":"x"})");
    Answer make_deployment(std::string_view name, int replicas = 0);
    void set_running(std::string_view name, bool ready = true);
    /// A CustomResourceDefinition for widgets.test.example with scale and status; once a backend.
    void make_widgets();

    Backend* server = nullptr;
    std::string ns;
    std::shared_ptr<kube::Client> client;
};

/// The parts of "a=b&c=d" of a target become query pairs.
kube::Request request_of(kube::Method method, std::string_view target, std::string body, const CallOptions& options);

}  // namespace kn::conformance
