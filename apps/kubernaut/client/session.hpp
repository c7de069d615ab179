#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/transport.hpp"

namespace kn::client {

struct ServerOptions {
    std::string server;  ///< "http://127.0.0.1:8080"
    std::string token, token_file, ca_file;
};

using Query = std::vector<std::pair<std::string, std::string>>;

/// A hub's REST API from a terminal: blocking calls with a deadline each. Errors are the server's own words.
class ApiSession {
public:
    explicit ApiSession(ServerOptions options);
    ~ApiSession();
    Result<json::Value> get(const std::string& path, Query query = {});
    Result<json::Value> post(const std::string& path, const json::Value& body);
    Result<json::Value> remove(const std::string& path, Query query);
    /// All pages of a list, at most `most` items.
    Result<json::Array> list(const std::string& path, Query query, std::size_t most);
    /// Server-sent events until the stream ends or `on_event` gives false.
    Result<> stream(const std::string& path, const std::function<bool(std::string_view kind, const json::Value& document)>& on_event);

private:
    Result<json::Value> send(kube::Request request);
    std::unique_ptr<async::EventLoop> loop_;
    std::shared_ptr<kube::Transport> transport_;
    std::string server_;
};

}  // namespace kn::client
