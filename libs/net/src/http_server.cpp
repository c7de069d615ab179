#include "kubernaut/net/http_server.hpp"

#include <openssl/x509.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <charconv>

#include "kubernaut/async/scope.hpp"
#include "kubernaut/async/with_deadline.hpp"
#include "kubernaut/base/log.hpp"

namespace kn::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

constexpr std::uint32_t header_limit = 64 * 1024;  // tokens and cookies are small; more is an attack

std::string decode(std::string_view text, bool plus_is_space) {
    const auto hex = [](char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    };
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
            out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
            i += 2;
        } else {
            out += plus_is_space && text[i] == '+' ? ' ' : text[i];
        }
    }
    return out;
}

void split_target(std::string_view target, HttpRequest& request) {
    const auto mark = target.find('?');
    request.path = decode(target.substr(0, mark), false);
    if (mark == std::string_view::npos) return;
    std::string_view rest = target.substr(mark + 1);
    while (!rest.empty()) {
        const auto amp = rest.find('&');
        const auto pair = rest.substr(0, amp);
        const auto equals = pair.find('=');
        if (!pair.empty()) {
            request.query.emplace_back(decode(pair.substr(0, equals), true),
                                       equals == std::string_view::npos ? std::string{} : decode(pair.substr(equals + 1), true));
        }
        if (amp == std::string_view::npos) break;
        rest.remove_prefix(amp + 1);
    }
}

template <class Stream> std::string client_name_of(Stream& stream) {
    if constexpr (requires { stream.native_handle(); }) {
        X509* certificate = SSL_get1_peer_certificate(stream.native_handle());
        if (certificate == nullptr) return {};
        char name[256] = {};
        const int length = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
        X509_free(certificate);
        return length > 0 ? std::string(name, static_cast<std::size_t>(length)) : std::string{};
    } else {
        return {};
    }
}

HttpResponse plain(int status, std::string text) {
    HttpResponse response;
    response.status = status;
    response.body = R"({"error":{"code":)" + std::to_string(status) + R"(,"message":")" + std::move(text) + "\"}}";
    return response;
}

/// One connection: requests one after another until either side has enough.
template <class Stream> class Session {
public:
    Session(Stream stream, const ServerOptions& options, const Handler& handler, std::string peer, bool loopback, const bool& draining,
            std::size_t& busy)
        : stream_(std::move(stream)),
          options_(options),
          handler_(handler),
          peer_(std::move(peer)),
          loopback_(loopback),
          draining_(draining),
          busy_(busy) {}

    Task<> run() {
        try {
            if constexpr (requires { stream_.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable); }) {
                lowest().expires_after(options_.header_timeout);
                co_await stream_.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
                client_name_ = client_name_of(stream_);
            }
            while (co_await one_request()) {
            }
            lowest().expires_after(2s);
            if constexpr (requires { stream_.async_shutdown(asio::use_awaitable); })
                co_await stream_.async_shutdown(asio::use_awaitable);
            else
                lowest().socket().shutdown(tcp::socket::shutdown_send);
        } catch (const boost::system::system_error& error) {
            // A peer that goes away, is too slow or speaks nonsense is an ordinary day; cancellation of the server is passed on.
            if (async::is_cancellation(error) && draining_) throw;
        }
    }

private:
    auto& lowest() { return beast::get_lowest_layer(stream_); }

    struct Busy {
        std::size_t& count;
        explicit Busy(std::size_t& c) : count(c) { ++count; }
        ~Busy() { --count; }
        Busy(const Busy&) = delete;
        Busy& operator=(const Busy&) = delete;
    };

    Task<bool> one_request() {
        http::request_parser<http::string_body> parser;
        parser.header_limit(header_limit);
        parser.body_limit(options_.body_limit);
        lowest().expires_after(options_.idle_timeout);
        boost::system::error_code ec;
        co_await http::async_read_header(stream_, buffer_, parser, asio::redirect_error(asio::use_awaitable, ec));
        if (ec == http::error::end_of_stream) co_return false;
        if (ec == http::error::header_limit) {
            co_await write(plain(431, "the headers are too large"), false, 11);
            co_return false;
        }
        if (ec == http::error::body_limit) {
            co_await write(plain(413, "the body is larger than " + std::to_string(options_.body_limit) + " bytes"), false, 11);
            co_return false;
        }
        if (ec && ec.category() == http::make_error_code(http::error::bad_method).category()) {
            co_await write(plain(400, "not a valid HTTP request"), false, 11);
            co_return false;
        }
        if (ec) throw boost::system::system_error(ec);
        const Busy busy(busy_);
        lowest().expires_after(options_.body_timeout);
        if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
            http::response<http::empty_body> go(http::status::continue_, parser.get().version());
            co_await http::async_write(stream_, go, asio::use_awaitable);
        }
        co_await http::async_read(stream_, buffer_, parser, asio::redirect_error(asio::use_awaitable, ec));
        if (ec == http::error::body_limit) {
            co_await write(plain(413, "the body is larger than " + std::to_string(options_.body_limit) + " bytes"), false, 11);
            co_return false;
        }
        if (ec) throw boost::system::system_error(ec);
        lowest().expires_never();

        auto message = parser.release();
        HttpRequest request;
        request.method = std::string(message.method_string());
        split_target(message.target(), request);
        for (const auto& field : message) {
            std::string name(field.name_string());
            std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
            request.headers.emplace_back(std::move(name), std::string(field.value()));
        }
        request.body = std::move(message.body());
        request.peer = peer_;
        request.loopback = loopback_;
        request.client_name = client_name_;
        const bool head = request.method == "HEAD";
        const bool keep = message.keep_alive() && !draining_;
        const unsigned version = message.version();
        HttpResponse response = co_await handler_(std::move(request));
        if (head) {
            response.stream.reset();
            response.body.clear();
        }
        const bool streamed = response.stream != nullptr;
        co_await write(std::move(response), keep && !streamed, version);
        co_return keep && !streamed;
    }

    Task<> write(HttpResponse response, bool keep_alive, unsigned version) {
        const auto fill = [&](auto& message) {
            message.result(static_cast<unsigned>(response.status));
            message.version(version);
            if (!response.content_type.empty()) message.set(http::field::content_type, response.content_type);
            message.set("X-Content-Type-Options", "nosniff");
            for (const auto& [name, value] : response.headers) message.insert(name, value);
            message.keep_alive(keep_alive);
        };
        lowest().expires_after(options_.write_timeout);
        if (response.stream == nullptr) {
            http::response<http::string_body> message;
            fill(message);
            message.body() = std::move(response.body);
            if (response.status != 304 && response.status != 204) message.prepare_payload();
            co_await http::async_write(stream_, message, asio::use_awaitable);
            co_return;
        }
        http::response<http::empty_body> message;
        fill(message);
        message.chunked(true);
        http::response_serializer<http::empty_body> serializer(message);
        co_await http::async_write_header(stream_, serializer, asio::use_awaitable);
        while (true) {
            lowest().expires_never();
            auto piece = co_await response.stream->next();
            lowest().expires_after(options_.write_timeout);
            if (!piece) break;
            if (piece->empty()) continue;
            co_await asio::async_write(stream_, http::make_chunk(asio::buffer(*piece)), asio::use_awaitable);
        }
        co_await asio::async_write(stream_, http::make_chunk_last(), asio::use_awaitable);
    }

    Stream stream_;
    const ServerOptions& options_;
    const Handler& handler_;
    std::string peer_, client_name_;
    bool loopback_;
    const bool& draining_;
    std::size_t& busy_;
    beast::flat_buffer buffer_;
};

Result<std::shared_ptr<asio::ssl::context>> make_context(const TlsFiles& tls) {
    auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
    boost::system::error_code ec;
    context->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 | asio::ssl::context::no_sslv3 |
                         asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
    context->use_certificate_chain(asio::buffer(tls.cert_pem), ec);
    if (ec) return fail(ErrorCode::invalid_argument, "the server certificate cannot be used: " + ec.message(), "http.tls.cert");
    context->use_private_key(asio::buffer(tls.key_pem), asio::ssl::context::pem, ec);
    if (ec)
        return fail(ErrorCode::invalid_argument, "the server key cannot be used (does it belong to the certificate?): " + ec.message(),
                    "http.tls.key");
    if (!tls.client_ca_pem.empty()) {
        context->add_certificate_authority(asio::buffer(tls.client_ca_pem), ec);
        if (ec) return fail(ErrorCode::invalid_argument, "the client CA cannot be used: " + ec.message(), "http.tls.client_ca");
        context->set_verify_mode(asio::ssl::verify_peer | (tls.require_client_cert ? asio::ssl::verify_fail_if_no_peer_cert : 0));
    }
    return context;
}

template <class Stream> Task<> run_session(std::unique_ptr<Session<Stream>> session) { co_await session->run(); }

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const {
    for (const auto& [each, value] : headers) {
        if (each == name) return value;
    }
    return {};
}

std::string_view HttpRequest::param(std::string_view name) const {
    for (const auto& [each, value] : query) {
        if (each == name) return value;
    }
    return {};
}

Result<std::pair<std::string, std::uint16_t>> split_address(std::string_view text) {
    const auto colon = text.rfind(':');
    unsigned port = 0;
    if (colon != std::string_view::npos) {
        const auto digits = text.substr(colon + 1);
        const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
        if (ec == std::errc{} && end == digits.data() + digits.size() && port <= 65535 && !digits.empty()) {
            std::string host(text.substr(0, colon));
            if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
            return std::pair(host.empty() ? std::string("0.0.0.0") : host, static_cast<std::uint16_t>(port));
        }
    }
    return fail(ErrorCode::invalid_argument,
                "an address such as 0.0.0.0:8080 or [::1]:8080 expected, not \"" + std::string(text.substr(0, 64)) + "\"");
}

struct HttpServer::Impl {
    Impl(async::EventLoop& l, ServerOptions o, Handler h)
        : loop(l), options(std::move(o)), handler(std::move(h)), acceptor(l.context()), scope(l.executor()), accepting(l.executor()) {}
    async::EventLoop& loop;
    ServerOptions options;
    Handler handler;
    tcp::acceptor acceptor;
    std::shared_ptr<asio::ssl::context> tls;
    bool draining = false;
    std::size_t busy = 0;
    async::TaskScope scope;
    async::TaskScope accepting;

    Task<> accept() {
        while (true) {
            while (scope.size() >= options.max_connections) co_await async::sleep_for(loop.clock(), 20ms);
            boost::system::error_code ec;
            auto socket = co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, ec));
            if (ec == asio::error::operation_aborted || draining) co_return;
            if (ec) {
                // Out of descriptors and the like: wait a little, never give up.
                log::warning("a connection could not be accepted", {{"error", ec.message()}});
                co_await async::sleep_for(loop.clock(), 100ms);
                continue;
            }
            socket.set_option(tcp::no_delay(true), ec);
            const auto remote = socket.remote_endpoint(ec);
            if (ec) continue;
            const std::string peer = remote.address().to_string();
            const bool loopback = remote.address().is_loopback() || peer.starts_with("::ffff:127.");
            if (tls != nullptr) {
                using Stream = beast::ssl_stream<beast::tcp_stream>;
                scope.spawn("https", run_session(std::make_unique<Session<Stream>>(Stream(beast::tcp_stream(std::move(socket)), *tls), options,
                                                                                   handler, peer, loopback, draining, busy)));
            } else {
                using Stream = beast::tcp_stream;
                scope.spawn("http", run_session(std::make_unique<Session<Stream>>(Stream(std::move(socket)), options, handler, peer, loopback,
                                                                                  draining, busy)));
            }
        }
    }
};

HttpServer::HttpServer(async::EventLoop& loop, ServerOptions options, Handler handler)
    : impl_(std::make_unique<Impl>(loop, std::move(options), std::move(handler))) {}
HttpServer::~HttpServer() = default;

Result<> HttpServer::start() {
    KN_TRY(const auto address, split_address(impl_->options.listen));
    if (impl_->options.tls) {
        KN_TRY(impl_->tls, make_context(*impl_->options.tls));
    }
    boost::system::error_code ec;
    const auto ip = asio::ip::make_address(address.first == "localhost" ? "127.0.0.1" : address.first, ec);
    if (ec) return fail(ErrorCode::invalid_argument, "\"" + address.first + "\" is not an IP address", "http.listen");
    const tcp::endpoint endpoint(ip, address.second);
    impl_->acceptor.open(endpoint.protocol(), ec);
    if (!ec) impl_->acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) impl_->acceptor.bind(endpoint, ec);
    if (!ec) impl_->acceptor.listen(1024, ec);
    if (ec) {
        return fail(ErrorCode::unavailable,
                    "cannot listen on " + impl_->options.listen + ": " + ec.message() +
                        (ec == asio::error::address_in_use ? " (another process has the port; choose another with http.listen)" : ""),
                    "http.listen");
    }
    impl_->accepting.spawn("accept", impl_->accept());
    return {};
}

std::uint16_t HttpServer::port() const {
    boost::system::error_code ec;
    return impl_->acceptor.local_endpoint(ec).port();
}

Result<> HttpServer::reload_tls(const TlsFiles& tls) {
    KN_TRY(impl_->tls, make_context(tls));
    return {};
}

Task<> HttpServer::stop(Duration drain) {
    impl_->draining = true;
    impl_->accepting.cancel();
    co_await impl_->accepting.join();
    boost::system::error_code ec;
    impl_->acceptor.close(ec);
    async::Clock& clock = impl_->loop.clock();
    const Deadline deadline = clock.deadline_in(drain);
    while (impl_->busy > 0 && !deadline.passed(clock.steady())) co_await async::sleep_for(clock, 10ms);
    impl_->scope.cancel();
    co_await impl_->scope.join();
}

}  // namespace kn::net
