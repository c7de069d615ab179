#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/client.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/request.hpp"
#include "kubernaut/kube/watch.hpp"
#include "kubernaut/sim/api/api_server.hpp"

namespace kn::sim {

/// One server in virtual time and short ways to ask it.
class ApiFixture : public ::testing::Test {
protected:
    struct Answer {
        int code = 0;
        json::Value body;
        kube::Response raw;
        [[nodiscard]] std::string_view reason() const { return json::string_at(body, "reason"); }
        [[nodiscard]] std::string_view message() const { return json::string_at(body, "message"); }
        [[nodiscard]] std::string_view cause() const { return json::string_at(body, "details", "causes", 0, "reason"); }
        [[nodiscard]] std::string_view field() const { return json::string_at(body, "details", "causes", 0, "field"); }
    };

    explicit ApiFixture(ApiServerOptions options = {}) : server(*loop, random, std::move(options)) {
        post("/api/v1/namespaces", R"({"metadata":{"name":"demo"}})");
        server.clear_writes();
    }

    Answer call(kube::Method method, std::string_view target, std::string body = {}, std::string content_type = "application/json",
                std::string accept = "application/json", std::optional<Identity> who = {}) {
        auto request = make_request(method, target, std::move(body), std::move(content_type), std::move(accept));
        Answer out;
        out.raw = server.handle(request, who.value_or(admin));
        out.code = out.raw.status;
        if (auto value = json::parse(out.raw.body)) out.body = std::move(*value);
        return out;
    }
    /// "/path?a=b&c=d" into a request; values are percent-decoded.
    static kube::Request make_request(kube::Method method, std::string_view target, std::string body = {}, std::string content_type = {},
                                      std::string accept = "application/json") {
        kube::Request request;
        request.method = method;
        const auto mark = target.find('?');
        request.path = std::string(target.substr(0, mark));
        if (mark != std::string_view::npos) {
            auto rest = target.substr(mark + 1);
            while (!rest.empty()) {
                const auto amp = rest.find('&');
                const auto pair = rest.substr(0, amp);
                const auto eq = pair.find('=');
                request.query.emplace_back(std::string(pair.substr(0, eq)),
                                           eq == std::string_view::npos ? "" : kube::percent_decode(pair.substr(eq + 1)));
                if (amp == std::string_view::npos) break;
                rest.remove_prefix(amp + 1);
            }
        }
        request.accept = std::move(accept);
        if (!body.empty()) request.content_type = std::move(content_type);
        request.body = std::move(body);
        return request;
    }
    Answer get(std::string_view target) { return call(kube::Method::get, target); }
    Answer post(std::string_view target, std::string body) { return call(kube::Method::post, target, std::move(body)); }
    Answer put(std::string_view target, std::string body) { return call(kube::Method::put, target, std::move(body)); }
    Answer del(std::string_view target, std::string body = {}) { return call(kube::Method::del, target, std::move(body)); }
    Answer merge(std::string_view target, std::string body) {
        return call(kube::Method::patch, target, std::move(body), "application/merge-patch+json");
    }
    Answer strategic(std::string_view target, std::string body) {
        return call(kube::Method::patch, target, std::move(body), "application/strategic-merge-patch+json");
    }
    Answer apply(std::string_view target, std::string body) {
        return call(kube::Method::patch, target, std::move(body), "application/apply-patch+yaml");
    }
    Answer as(const Identity& who, kube::Method method, std::string_view target, std::string body = {}) {
        return call(method, target, std::move(body), "application/json", "application/json", who);
    }

    /// Everything that a watch gives until it ends or is silent for `silence`.
    struct Watched {
        int code = 0;
        std::vector<kube::WatchEvent> events;
        bool ended = false;
        std::string text;
    };
    std::unique_ptr<kube::Stream> watch(std::string_view target, std::string accept = "application/json") {
        return server.open(make_request(kube::Method::get, target, {}, {}, std::move(accept)), admin);
    }
    Watched drain(kube::Stream& stream, Duration silence = 1s) { return loop->block_on(drain_stream(stream, loop->clock(), silence)); }
    static async::Task<Watched> drain_stream(kube::Stream& stream, async::Clock& clock, Duration silence) {
        Watched out;
        out.code = stream.head().status;
        kube::WatchDecoder decoder;
        while (true) {
            auto chunk = co_await stream.next(clock.deadline_in(silence));
            if (!chunk) break;
            if (!*chunk) {
                out.ended = true;
                break;
            }
            out.text += **chunk;
            if (out.code != 200) continue;
            auto events = decoder.feed(**chunk);
            if (events) std::ranges::move(*events, std::back_inserter(out.events));
        }
        co_return out;
    }

    static std::string deployment(std::string_view name, std::string_view extra = {}) {
        return R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":")" + std::string(name) + R"("},"spec":{)" + std::string(extra) +
               R"("selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"app","image":"r.example/web:1"}]}}}})";
    }
    static std::string pod(std::string_view name, std::string_view node = {}, std::string_view labels = R"({"app":"web"})") {
        return R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")" + std::string(name) + R"(","labels":)" + std::string(labels) +
               R"(},"spec":{)" + (node.empty() ? std::string{} : R"("nodeName":")" + std::string(node) + R"(",)") +
               R"("containers":[{"name":"c","image":"r.example/x:1"}]}})";
    }
    static std::string config_map(std::string_view name, std::string_view data = R"({"a":"1"})") {
        return R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":")" + std::string(name) + R"("},"data":)" + std::string(data) + "}";
    }
    static std::string version_of(const Answer& answer) { return std::string(json::string_at(answer.body, "metadata", "resourceVersion")); }
    static std::string uid_of(const Answer& answer) { return std::string(json::string_at(answer.body, "metadata", "uid")); }

    std::unique_ptr<async::EventLoop> loop = async::EventLoop::simulated(Instant{std::chrono::hours{24 * 365 * 56}});
    SeededRandom random{7};
    Identity admin{.user = "admin", .groups = {"system:masters"}};
    Identity alice{.user = "alice", .groups = {"dev"}};
    ApiServer server;
    static constexpr std::string_view config_maps = "/api/v1/namespaces/demo/configmaps";
    static constexpr std::string_view pods = "/api/v1/namespaces/demo/pods";
    static constexpr std::string_view deployments = "/apis/apps/v1/namespaces/demo/deployments";
};

}  // namespace kn::sim
