#include "conformance.hpp"

#include <algorithm>
#include <set>

namespace kn::conformance {

kube::Request request_of(kube::Method method, std::string_view target, std::string body, const CallOptions& options) {
    kube::Request request;
    request.method = method;
    const auto mark = target.find('?');
    request.path = std::string(target.substr(0, mark));
    auto rest = mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
    while (!rest.empty()) {
        const auto amp = std::min(rest.find('&'), rest.size());
        const auto pair = rest.substr(0, amp);
        const auto eq = std::min(pair.find('='), pair.size());
        request.query.emplace_back(std::string(pair.substr(0, eq)), kube::percent_decode(pair.substr(std::min(eq + 1, pair.size()))));
        rest.remove_prefix(std::min(amp + 1, rest.size()));
    }
    request.accept = options.accept;
    if (!body.empty()) request.content_type = options.content_type;
    request.body = std::move(body);
    request.headers = options.headers;
    return request;
}

void Conformance::SetUp() {
    const auto found = backend(GetParam());
    if (found.absent) GTEST_SKIP() << found.why;
    ASSERT_NE(found.backend, nullptr) << found.why;
    server = found.backend;
    client = std::make_shared<kube::Client>(server->transport(Who::admin), loop().clock());
    static std::set<std::string> prepared;
    if (prepared.insert(GetParam()).second) {
        // A node that pods can be put on by name and where nobody is.
        const auto node = post("/api/v1/nodes", R"({"metadata":{"name":"ghost"}})");
        ASSERT_EQ(node.code, 201) << node.raw.body;
    }
    static int counter = 0;
    ns = "t" + std::to_string(++counter);
    const auto made = post("/api/v1/namespaces", R"({"metadata":{"name":")" + ns + "\"}}");
    ASSERT_EQ(made.code, 201) << made.raw.body;
}

bool Conformance::eventually(const std::function<bool()>& done, Duration limit) {
    const auto end = loop().clock().steady() + limit;
    while (!done()) {
        if (loop().clock().steady() > end) return false;
        loop().run_for(50ms);
    }
    return true;
}

Answer Conformance::call(kube::Method method, std::string_view target, std::string body, CallOptions options) {
    auto answer = wait(server->transport(options.who)->send(request_of(method, target, std::move(body), options), soon()));
    Answer out;
    if (!answer) {
        ADD_FAILURE() << kube::to_string(method) << " " << target << ": " << answer.error().describe();
        return out;
    }
    out.raw = *std::move(answer);
    out.code = out.raw.status;
    if (auto parsed = json::parse(out.raw.body)) out.body = *std::move(parsed);
    return out;
}

std::unique_ptr<kube::Stream> Conformance::open(std::string_view target, CallOptions options) {
    auto stream = wait(server->transport(options.who)->open(request_of(kube::Method::get, target, {}, options), soon()));
    EXPECT_TRUE(stream) << target << ": " << (stream ? "" : stream.error().describe());
    return stream ? *std::move(stream) : nullptr;
}

Watched Conformance::watch(std::string_view target, const std::function<bool(const Watched&)>& enough, CallOptions options, Duration silence) {
    const auto stream = open(target, std::move(options));
    return stream ? read(*stream, enough, silence) : Watched{};
}

Watched Conformance::read(kube::Stream& stream, const std::function<bool(const Watched&)>& enough, Duration silence) {
    Watched out;
    out.code = stream.head().status;
    kube::WatchDecoder decoder;
    while (!enough || !enough(out)) {
        auto bytes = wait(stream.next(soon(silence)));
        if (!bytes) {
            if (bytes.error().code != ErrorCode::deadline_exceeded) ADD_FAILURE() << bytes.error().describe();
            break;
        }
        if (!*bytes) {
            out.ended = true;
            break;
        }
        out.text += **bytes;
        if (out.code != 200) continue;
        auto events = decoder.feed(**bytes);
        if (!events) {
            ADD_FAILURE() << events.error().describe() << " in " << **bytes;
            break;
        }
        std::ranges::move(*events, std::back_inserter(out.events));
    }
    return out;
}

std::string Conformance::config_map(std::string_view name, std::string_view data, std::string_view more) {
    return R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":")" + std::string(name) + "\"" +
           (more.empty() ? "" : "," + std::string(more)) + R"(},"data":)" + std::string(data) + "}";
}

std::string Conformance::pod(std::string_view name, std::string_view spec_extra, std::string_view labels) {
    return R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")" + std::string(name) + R"(","labels":)" + std::string(labels) + R"(},"spec":{)" +
           std::string(spec_extra) + (spec_extra.empty() ? "" : ",") + R"("containers":[{"name":"c","image":"r.example/c:1"}]}})";
}

std::string Conformance::deployment(std::string_view name, int replicas) {
    return R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":")" + std::string(name) +
           R"(","labels":{"a":"1"}},"spec":{"replicas":)" + std::to_string(replicas) +
           R"(,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"tolerations":[{"key":"k","operator":"Exists"}],"containers":[
           {"name":"app","image":"r.example/web:1","env":[{"name":"A","value":"1"},{"name":"B","value":"2"}],"ports":[{"containerPort":80}]},{"name":"side","image":"r.example/side:1"}]}}}})";
}

Answer Conformance::make_config_map(std::string_view name, std::string_view data, std::string_view more) {
    auto made = post(core("configmaps"), config_map(name, data, more));
    EXPECT_EQ(made.code, 201) << made.raw.body;
    return made;
}

Answer Conformance::make_pod(std::string_view name, std::string_view spec_extra, std::string_view labels) {
    Answer made;
    EXPECT_TRUE(eventually([&] { return made = post(core("pods"), pod(name, spec_extra, labels)), made.code != 403; }));
    EXPECT_EQ(made.code, 201) << made.raw.body;
    return made;
}

Answer Conformance::make_deployment(std::string_view name, int replicas) {
    auto made = post(apps("deployments"), deployment(name, replicas));
    EXPECT_EQ(made.code, 201) << made.raw.body;
    return made;
}

void Conformance::set_running(std::string_view name, bool ready) {
    const auto done =
        merge(core("pods/") + std::string(name) + "/status",
              R"({"status":{"phase":"Running","conditions":[{"type":"Ready","status":")" + std::string(ready ? "True" : "False") + R"("}]}})");
    EXPECT_EQ(done.code, 200) << done.raw.body;
}

void Conformance::make_widgets() {
    static std::set<std::string> done;
    if (!done.insert(GetParam()).second) return;
    const auto made =
        post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", R"({"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
        "metadata":{"name":"widgets.test.example"},"spec":{"group":"test.example","scope":"Namespaced","names":{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList"},
        "versions":[{"name":"v1","served":true,"storage":true,"subresources":{"status":{},"scale":{"specReplicasPath":".spec.n","statusReplicasPath":".status.n"}},
        "additionalPrinterColumns":[{"name":"N","type":"integer","jsonPath":".spec.n"}],
        "schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","required":["n"],"properties":{"n":{"type":"integer","maximum":10}}},
        "status":{"type":"object","properties":{"n":{"type":"integer"}}}}}}}]}})");
    ASSERT_EQ(made.code, 201) << made.raw.body;
    ASSERT_TRUE(eventually([&] { return get("/apis/test.example/v1/namespaces/" + ns + "/widgets").code == 200; }));
}

}  // namespace kn::conformance
