#include "kubernaut/kube_http/http_transport.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>

#include "credentials.hpp"
#include "curl_driver.hpp"
#include "exchange.hpp"
#include "first_alone.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/kube/upgrade.hpp"
#include "upgrade_socket.hpp"

namespace kn::kube {
namespace {

using http::CurlDriver;
using http::Exchange;
using http::ExchangeSpec;
using http::FirstAlone;
using http::Identity;

/// Requests that go over connections of their own; when more are under way they share one, where the server offers HTTP/2.
constexpr int few_at_a_time = 2;
/// The connections of a burst are closed when it has been over for so long: a hub has hundreds of clusters, and each connection takes 150 kB.
constexpr Duration burst_linger = 5s;
/// libcurl's buffer of a stream: events are small, and a hub has thousands of watches.
constexpr long stream_buffer = 4L * 1024L;

/// Takes the transfer back when the waiting coroutine ends, however it ends.
class Hold {
public:
    Hold(std::shared_ptr<CurlDriver> driver, std::shared_ptr<Exchange> exchange) : driver_(std::move(driver)), exchange_(std::move(exchange)) {
        driver_->add(exchange_);
    }
    ~Hold() {
        if (exchange_ && !exchange_->finished()) driver_->remove(*exchange_);
    }
    Hold(Hold&& other) noexcept : driver_(std::move(other.driver_)), exchange_(std::move(other.exchange_)) { other.exchange_ = nullptr; }
    Hold& operator=(Hold&&) = delete;
    [[nodiscard]] Exchange& exchange() const { return *exchange_; }
    void resume() const { driver_->resume(*exchange_); }

private:
    std::shared_ptr<CurlDriver> driver_;
    std::shared_ptr<Exchange> exchange_;
};

/// Counts down at the end of a scope.
class Counted {
public:
    explicit Counted(int& count) : count_(count) {}
    ~Counted() { --count_; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;

private:
    int& count_;
};

Error timeout_error(const Exchange& exchange) {
    return {.code = ErrorCode::deadline_exceeded,
            .message = exchange.heard_anything() ? "the answer did not end in time" : "no answer in time",
            .applied = exchange.applied()};
}

/// The connections for many requests at a time. They end some time after the last of these.
class Burst : public std::enable_shared_from_this<Burst> {
public:
    Burst(async::EventLoop& loop, CurlDriver::Limits limits) : loop_(loop), limits_(limits) {}
    std::shared_ptr<CurlDriver> driver() {
        last_used_ = loop_.clock().steady();
        if (!driver_) {
            driver_ = std::make_shared<CurlDriver>(loop_, limits_);
            first_ = std::make_shared<FirstAlone>();
            look_later();
        }
        return driver_;
    }
    [[nodiscard]] std::shared_ptr<FirstAlone> first() const { return first_; }

private:
    void look_later() {
        loop_.clock().call_at(last_used_ + burst_linger, [weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->look();
        });
    }
    void look() {
        const auto now = loop_.clock().steady();
        if (driver_.use_count() > 1) last_used_ = now;  // somebody waits for an answer
        if (now - last_used_ < burst_linger) return look_later();
        driver_.reset();
    }

    async::EventLoop& loop_;
    const CurlDriver::Limits limits_;
    std::shared_ptr<CurlDriver> driver_;
    std::shared_ptr<FirstAlone> first_;  ///< of that driver
    SteadyTime last_used_{};
};

class HttpStream final : public Stream {
public:
    /// `silent` is set when the stream ends because its peer is dead.
    HttpStream(Hold hold, Response head, async::Clock& clock, std::shared_ptr<bool> silent)
        : hold_(std::move(hold)), head_(std::move(head)), clock_(clock), silent_(std::move(silent)) {}
    [[nodiscard]] const Response& head() const override { return head_; }

    async::Task<Result<std::optional<std::string>>> next(Deadline deadline) override {
        auto& exchange = hold_.exchange();
        while (true) {
            // Asked in this order: bytes that came before the end must not be lost.
            const bool finished = exchange.finished();
            bool was_paused = false;
            std::string bytes = exchange.take_bytes(was_paused);
            if (was_paused) hold_.resume();
            if (!bytes.empty()) co_return std::optional(std::move(bytes));
            if (finished) {
                if (const auto& failure = exchange.failure()) {
                    if (failure->reason == "PeerSilent") *silent_ = true;
                    co_return std::unexpected(*failure);
                }
                co_return std::optional<std::string>{};
            }
            const bool told = co_await exchange.changed().wait(clock_, deadline);
            if (!told && deadline.passed(clock_.steady())) co_return fail(ErrorCode::deadline_exceeded, "no bytes in time");
        }
    }

private:
    Hold hold_;
    Response head_;
    async::Clock& clock_;
    std::shared_ptr<bool> silent_;
};

bool is_loopback(std::string_view server) {
    const auto start = server.find("://");
    const auto host = start == std::string_view::npos ? server : server.substr(start + 3);
    return host.starts_with("127.") || host.starts_with("localhost:") || host == "localhost" || host.starts_with("[::1]");
}

/// "https://api.example:6443/prefix" in its parts; the port is always given.
struct ServerAddress {
    std::string scheme, host, port, path;
};
ServerAddress split_server(std::string_view server) {
    ServerAddress out;
    const auto scheme_end = server.find("://");
    out.scheme = server.substr(0, scheme_end);
    auto rest = server.substr(scheme_end + 3);
    const auto slash = std::min(rest.find('/'), rest.size());
    out.path = rest.substr(slash);
    rest = rest.substr(0, slash);
    const auto colon = rest.rfind(':');
    const bool has_port = colon != std::string_view::npos && rest.find(']', colon) == std::string_view::npos;
    out.host = rest.substr(0, has_port ? colon : rest.size());
    out.port = has_port ? std::string(rest.substr(colon + 1)) : (out.scheme == "https" ? "443" : "80");
    return out;
}

class HttpTransport final : public Transport, public Upgrader, private http::Fetcher {
public:
    HttpTransport(ConnectionConfig config, HttpOptions options, async::EventLoop& loop)
        : config_(std::make_shared<const ConnectionConfig>(std::move(config))),
          options_(std::move(options)),
          loop_(loop),
          local_(is_loopback(config_->server)),
          credentials_(config_, options_, loop, *this) {}

    async::Task<Result<Response>> send(Request request, Deadline deadline) override {
        KN_CO_TRY(Identity identity, co_await identity_for(deadline));
        auto answer = co_await exchange_with_retry(request, identity, deadline);
        if (!answer || answer->status != 401) co_return answer;
        const auto next = co_await other_identity(identity, deadline);
        if (!next) co_return answer;
        co_return co_await exchange_with_retry(request, *next, deadline);
    }

    async::Task<Result<std::unique_ptr<Stream>>> open(Request request, Deadline connect_deadline) override {
        KN_CO_TRY(Identity identity, co_await identity_for(connect_deadline));
        auto stream = co_await open_once(request, identity, connect_deadline);
        if (!stream || (*stream)->head().status != 401) co_return stream;
        const auto next = co_await other_identity(identity, connect_deadline);
        if (!next) co_return stream;
        co_return co_await open_once(request, *next, connect_deadline);
    }

    async::Task<Result<std::unique_ptr<Duplex>>> upgrade(Request request, std::vector<std::string> protocols, Deadline deadline) override {
        KN_CO_TRY(Identity identity, co_await identity_for(deadline));
        ExchangeSpec spec = spec_for(request, identity);
        spec.connection.http2 = false;
        KN_CO_CHECK(check_headers(spec));
        co_return co_await http::upgrade(std::move(spec), std::move(protocols), loop_, deadline);
    }

private:
    /// For the credentials' own questions, to an identity provider.
    async::Task<Result<Response>> fetch(ExchangeSpec spec, Deadline deadline) override { return run(std::move(spec), deadline); }

    async::Task<Result<Identity>> identity_for(Deadline deadline) {
        auto identity = co_await credentials_.current(deadline);
        if (!identity) log::warning("no credential for a cluster", {{"context", config_->context}, {"error", identity.error().describe()}});
        co_return identity;
    }

    /// What to try once more after a 401, if there is anything.
    async::Task<std::optional<Identity>> other_identity(const Identity& used, Deadline deadline) {
        auto next = co_await credentials_.renewed(used.generation, deadline);
        if (!next) {
            log::warning("a credential was refused and could not be renewed", {{"context", config_->context}, {"error", next.error().describe()}});
            co_return std::nullopt;
        }
        co_return *next;
    }

    ExchangeSpec spec_for(const Request& request, const Identity& identity) {
        ExchangeSpec spec;
        const auto address = split_server(config_->server);
        const std::string real = address.host + ":" + address.port;
        if (address.scheme == "https" && !config_->tls_server_name.empty() && config_->tls_server_name != address.host) {
            // libcurl takes the TLS name from the URL: so the URL has that name and the connection goes to the real host.
            spec.url = "https://" + config_->tls_server_name + ":" + address.port + address.path + request.target();
            spec.connection.connect_to = config_->tls_server_name + ":" + address.port + ":" + real;
            spec.headers.push_back("Host: " + real);
        } else {
            spec.url = config_->server + request.target();
        }
        spec.connection.proxy = config_->proxy_url;
        spec.connection.no_proxy = local_;
        spec.connection.tls = identity.tls;
        spec.connection.connect_timeout_ms = options_.connect_timeout.count();
        spec.compressed = options_.compression.value_or(!local_ && !config_->disable_compression);
        spec.method = request.method;
        spec.body = request.body;
        spec.sink = request.sink;
        spec.max_body = options_.max_response_bytes;
        spec.max_backlog = options_.max_stream_backlog;
        spec.headers.push_back("User-Agent: " + options_.user_agent);
        spec.headers.push_back("Accept: " + request.accept);
        if (request.method != Method::get)
            spec.headers.push_back("Content-Type: " + (request.content_type.empty() ? "application/json" : request.content_type));
        if (!identity.authorization.empty()) spec.headers.push_back("Authorization: " + identity.authorization);
        add_impersonation(spec.headers);
        const auto path = spec.url.find('/', spec.url.find("://") + 3);
        spec.probe_url = spec.url.substr(0, path) + address.path + "/livez";
        for (const auto& [name, value] : request.headers) spec.headers.push_back(name + ": " + value);
        return spec;
    }

    void add_impersonation(std::vector<std::string>& headers) const {
        if (!config_->impersonate_user.empty()) headers.push_back("Impersonate-User: " + config_->impersonate_user);
        if (!config_->impersonate_uid.empty()) headers.push_back("Impersonate-Uid: " + config_->impersonate_uid);
        for (const auto& group : config_->impersonate_groups) headers.push_back("Impersonate-Group: " + group);
        for (const auto& [key, values] : config_->impersonate_extra) {
            for (const auto& value : values) headers.push_back("Impersonate-Extra-" + percent_encode(key) + ": " + value);
        }
    }

    static Result<> check_headers(const ExchangeSpec& spec) {
        for (const auto& line : spec.headers) {
            if (std::ranges::any_of(line, [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; })) {
                return fail(ErrorCode::invalid_argument, "a header has a line break or a control character");
            }
        }
        return {};
    }

    /// One exchange; a read that fails in HTTP/2 itself gets a second one over a fresh HTTP/1.1 connection.
    async::Task<Result<Response>> exchange_with_retry(const Request& request, const Identity& identity, Deadline deadline) {
        auto answer = co_await exchange_once(request, identity, deadline, false);
        const bool http2_trouble = !answer && answer.error().reason == "Http2";
        if (!http2_trouble || request.method != Method::get) co_return answer;
        co_return co_await exchange_once(request, identity, deadline, true);
    }

    async::Task<Result<Response>> exchange_once(const Request& request, const Identity& identity, Deadline deadline, bool plain_http1) {
        ExchangeSpec spec = spec_for(request, identity);
        KN_CO_CHECK(check_headers(spec));
        // One request alone costs a fifth less over HTTP/1.1; many at a time cost less on one connection than on many.
        spec.connection.http2 = options_.http2 && !plain_http1 && (options_.http2_requests || in_flight_ >= few_at_a_time);
        // After a silent timeout the pooled connection is suspect.
        spec.fresh_connection = plain_http1 || std::exchange(suspect_, false);
        co_return co_await run(std::move(spec), deadline);
    }

    async::Task<Result<Response>> run(ExchangeSpec spec, Deadline deadline) {
        const int connections = std::max(options_.max_connections, 4);
        const bool many = spec.connection.http2 && !options_.http2_requests;
        if (many && !burst_)
            burst_ = std::make_shared<Burst>(loop_, CurlDriver::Limits{.host_connections = connections, .idle_connections = connections});
        if (!many && !requests_)
            requests_ = std::make_shared<CurlDriver>(loop_, CurlDriver::Limits{.host_connections = connections, .idle_connections = connections});
        const auto driver = many ? burst_->driver() : requests_;
        ++in_flight_;
        const Counted counted(in_flight_);
        FirstAlone::Turn turn;
        if (many) {
            auto given = co_await burst_->first()->enter(loop_.clock(), deadline);
            if (!given) co_return std::unexpected(given.error());
            turn = *std::move(given);
            spec.tell_start = turn.first();
        }
        const Hold hold(driver, std::make_shared<Exchange>(std::move(spec)));
        auto& exchange = hold.exchange();
        while (!exchange.finished()) {
            const bool told = co_await exchange.changed().wait(loop_.clock(), deadline);
            if (exchange.started()) turn.end(true);
            if (!told && deadline.passed(loop_.clock().steady()) && !exchange.finished()) {
                if (!exchange.heard_anything()) suspect_ = true;
                co_return std::unexpected(timeout_error(exchange));
            }
        }
        if (const auto& failure = exchange.failure()) co_return std::unexpected(*failure);
        co_return exchange.take_response();
    }

    async::Task<Result<std::unique_ptr<Stream>>> open_once(const Request& request, const Identity& identity, Deadline deadline) {
        // A dead peer's connections would be used again: all of them are left behind, with the streams that still live on them.
        if (std::exchange(*peer_silent_, false)) streams_.reset();
        if (!streams_) {
            first_stream_ = std::make_shared<FirstAlone>();
            streams_ = std::make_shared<CurlDriver>(loop_, CurlDriver::Limits{.host_connections = 0,
                                                                              .idle_connections = options_.max_connections,
                                                                              .buffer_bytes = stream_buffer,
                                                                              .dead_peer_after = options_.dead_peer_after});
        }
        ExchangeSpec spec = spec_for(request, identity);
        KN_CO_CHECK(check_headers(spec));
        spec.connection.http2 = options_.http2;
        spec.streaming = true;
        spec.compressed = false;
        spec.sink.reset();
        const auto driver = streams_;
        KN_CO_TRY(FirstAlone::Turn turn, co_await first_stream_->enter(loop_.clock(), deadline));
        spec.tell_start = turn.first();
        Hold hold(driver, std::make_shared<Exchange>(std::move(spec)));
        auto& exchange = hold.exchange();
        while (!exchange.head_ready()) {
            if (exchange.finished()) {
                co_return std::unexpected(exchange.failure().value_or(Error{ErrorCode::unavailable, "the connection ended before an answer"}));
            }
            const bool told = co_await exchange.changed().wait(loop_.clock(), deadline);
            if (exchange.started()) turn.end(true);
            if (!told && deadline.passed(loop_.clock().steady()) && !exchange.head_ready()) co_return std::unexpected(timeout_error(exchange));
        }
        turn.end(true);
        Response head = exchange.take_response();
        co_return std::make_unique<HttpStream>(std::move(hold), std::move(head), loop_.clock(), peer_silent_);
    }

    std::shared_ptr<const ConnectionConfig> config_;
    HttpOptions options_;
    async::EventLoop& loop_;
    const bool local_;  ///< neither a proxy nor compression is worth it
    http::Credentials credentials_;
    std::shared_ptr<CurlDriver> requests_, streams_;  ///< from the first use on
    bool suspect_ = false;
    std::shared_ptr<Burst> burst_;
    std::shared_ptr<FirstAlone> first_stream_;  ///< of streams_
    int in_flight_ = 0;
    std::shared_ptr<bool> peer_silent_ = std::make_shared<bool>(false);
};

}  // namespace

std::shared_ptr<Transport> make_http_transport(ConnectionConfig config, HttpOptions options, async::EventLoop& loop) {
    return std::make_shared<HttpTransport>(std::move(config), std::move(options), loop);
}

}  // namespace kn::kube
