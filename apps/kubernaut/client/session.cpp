#include "session.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "kubernaut/kube/kubeconfig.hpp"
#include "kubernaut/kube_http/http_transport.hpp"

namespace kn::client {
namespace {

constexpr Duration call_timeout = 30s;

Error error_of(const kube::Response& response) {
    Error error{.code = ErrorCode::internal, .message = "the hub answered " + std::to_string(response.status)};
    if (const auto body = json::parse(response.body)) {
        const auto message = json::string_at(*body, "error", "message");
        if (!message.empty()) error.message = message;
        error.field = json::string_at(*body, "error", "field");
        error.code = error_code_from(json::string_at(*body, "error", "code")).value_or(ErrorCode::internal);
    }
    if (response.status == 401) error.message += " (--token, --token-file or KUBERNAUT_TOKEN)";
    return error;
}

}  // namespace

ApiSession::ApiSession(ServerOptions options) : loop_(async::EventLoop::real()), server_(options.server) {
    kube::ConnectionConfig config;
    config.server = options.server;
    config.token = options.token;
    config.token_file = options.token_file;
    config.ca_file = options.ca_file;
    transport_ = kube::make_http_transport(config, {.user_agent = "kubernaut-client"}, *loop_);
}

ApiSession::~ApiSession() = default;

Result<json::Value> ApiSession::send(kube::Request request) {
    auto response = loop_->block_on(transport_->send(std::move(request), loop_->clock().deadline_in(call_timeout)));
    if (!response) return fail(response.error().with_context("no answer from " + server_ + " (is the hub running? --server or KUBERNAUT_SERVER)"));
    if (response->status >= 400) return fail(error_of(*response));
    return json::parse(response->body);
}

Result<json::Value> ApiSession::get(const std::string& path, Query query) {
    return send({.method = kube::Method::get, .path = path, .query = std::move(query)});
}

Result<json::Value> ApiSession::post(const std::string& path, const json::Value& body) {
    kube::Request request{.method = kube::Method::post, .path = path};
    request.content_type = "application/json";
    request.body = json::dump(body);
    return send(std::move(request));
}

Result<json::Value> ApiSession::remove(const std::string& path, Query query) {
    return send({.method = kube::Method::del, .path = path, .query = std::move(query)});
}

Result<json::Array> ApiSession::list(const std::string& path, Query query, std::size_t most) {
    json::Array items;
    std::string cursor;
    do {
        Query page = query;
        if (!cursor.empty()) page.emplace_back("cursor", cursor);
        KN_TRY(const auto body, get(path, page));
        for (const auto& item : json::array_at(body, "items")) {
            if (items.size() < most) items.push_back(item);
        }
        cursor = json::string_at(body, "next");
    } while (!cursor.empty() && items.size() < most);
    return items;
}

Result<> ApiSession::stream(const std::string& path, const std::function<bool(std::string_view, const json::Value&)>& on_event) {
    kube::Request request{.method = kube::Method::get, .path = path};
    request.accept = "text/event-stream";
    auto opened = loop_->block_on(transport_->open(std::move(request), loop_->clock().deadline_in(call_timeout)));
    if (!opened) return fail(opened.error().with_context("no answer from " + server_));
    if ((*opened)->head().status != 200) return fail(error_of((*opened)->head()));
    std::string buffer;
    while (true) {
        auto piece = loop_->block_on((*opened)->next(loop_->clock().deadline_in(60s)));
        if (!piece) return fail(piece.error());
        if (!*piece) return {};
        buffer += **piece;
        for (auto end = buffer.find("\n\n"); end != std::string::npos; end = buffer.find("\n\n")) {
            const std::string event = buffer.substr(0, end);
            buffer.erase(0, end + 2);
            std::string_view rest = event, kind, data;
            while (!rest.empty()) {
                const std::string_view line = rest.substr(0, rest.find('\n'));
                rest.remove_prefix(std::min(rest.size(), line.size() + 1));
                if (line.starts_with("event: "))
                    kind = line.substr(7);
                else if (line.starts_with("data: "))
                    data = line.substr(6);
            }
            if (kind.empty() || kind == "reset" || data.empty()) continue;
            KN_TRY(const auto document, json::parse(data));
            if (!on_event(kind, document)) return {};
        }
    }
}

}  // namespace kn::client
