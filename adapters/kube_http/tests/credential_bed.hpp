#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <sstream>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/async/scope.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/kube_http/http_transport.hpp"
#include "test_server.hpp"

namespace kn::kube {

/// A server that lets the given Authorization headers in, a folder for files and plug-ins, and short ways to ask.
class CredentialBed : public testing::Test {
protected:
    CredentialBed() {
        std::string pattern = (std::filesystem::temp_directory_path() / "kn-credentials-XXXXXX").string();
        folder = ::mkdtemp(pattern.data());
    }
    ~CredentialBed() override {
        std::error_code ec;
        std::filesystem::remove_all(folder, ec);
    }
    std::string write(const std::string& name, std::string_view text) {
        // Renamed into place, as those who rotate files do.
        const auto path = folder + "/" + name;
        std::ofstream(path + ".new", std::ios::binary) << text;
        std::filesystem::rename(path + ".new", path);
        return path;
    }
    std::string script(const std::string& name, const std::string& body) {
        const auto path = write(name, "#!/bin/sh\n" + body + "\n");
        std::filesystem::permissions(path, std::filesystem::perms::owner_all);
        return path;
    }
    [[nodiscard]] std::string text_of(const std::string& name) const {
        std::ifstream in(folder + "/" + name, std::ios::binary);
        std::ostringstream out;
        out << in.rdbuf();
        return out.str();
    }
    /// How often the plug-ins made by plugin() ran.
    [[nodiscard]] long runs() const {
        const auto text = text_of("runs");
        return std::ranges::count(text, '\n');
    }
    ConnectionConfig plugin(const std::string& body, const std::string& version = "v1") {
        ConnectionConfig config;
        config.context = "test";
        config.exec = ExecCredential{.api_version = "client.authentication.k8s.io/" + version,
                                     .command = script("plugin", "echo run >> " + folder + "/runs\n" + body)};
        return config;
    }
    /// A shell line that prints a credential.
    static std::string prints(const std::string& status, const std::string& version = "v1") {
        return R"(echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/)" + version + R"(","status":{)" + status + "}}'";
    }
    static std::string token_of(const std::string& token) { return R"("token":")" + token + "\""; }

    void allow(std::set<std::string> authorizations) {
        const std::lock_guard lock(mutex);
        allowed = std::move(authorizations);
    }
    std::shared_ptr<Transport> connect(ConnectionConfig config, HttpOptions options = {}) {
        if (config.server.empty()) config.server = server.url();
        return make_http_transport(std::move(config), std::move(options), *loop);
    }
    Result<Response> send(const std::shared_ptr<Transport>& transport, Duration limit = 60s) {
        return loop->block_on(transport->send({.path = "/api"}, loop->clock().deadline_in(limit)));
    }
    /// The status of one request, or 0 with the error kept.
    int ask(ConnectionConfig config, HttpOptions options = {}) { return ask(connect(std::move(config), std::move(options))); }
    int ask(const std::shared_ptr<Transport>& transport) {
        const auto answer = send(transport);
        failure = answer ? Error{} : answer.error();
        // Whatever happens, no secret is told.
        EXPECT_FALSE(failure.describe().contains("hush")) << failure.describe();
        return answer ? answer->status : 0;
    }
    static async::Task<> count_good(std::shared_ptr<Transport> transport, async::Clock& clock, int& good) {
        const auto answer = co_await transport->send({.path = "/api"}, clock.deadline_in(120s));
        if (answer && answer->status == 200) ++good;
    }
    int ask_at_once(const std::shared_ptr<Transport>& transport, int requests) {
        int good = 0;
        async::TaskScope scope(loop->executor());
        for (int i = 0; i < requests; ++i) scope.spawn("sender", count_good(transport, loop->clock(), good));
        loop->block_on(scope.join());
        return good;
    }

    std::string folder;
    std::mutex mutex;
    std::set<std::string> allowed;
    Error failure;
    std::unique_ptr<async::EventLoop> loop = async::EventLoop::real();
    http::TestServer server{[this](http::Connection& c, const http::SeenRequest& r) {
        const std::lock_guard lock(mutex);
        const auto found = r.headers.find("authorization");
        return c.answer(found != r.headers.end() && allowed.contains(found->second) ? 200 : 401, "{}"), true;
    }};
};

}  // namespace kn::kube
