#include "oidc.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "kubernaut/base/hash.hpp"

namespace kn::kube::http {
namespace {

/// A token that ends within this is renewed before it is used.
constexpr Duration skew = 10s;

std::unexpected<Error> refused(std::string message) { return fail(ErrorCode::unauthenticated, "OIDC: " + std::move(message)); }

bool is_safe(std::string_view url) {
    return url.starts_with("https://") || url.starts_with("http://127.0.0.1:") || url.starts_with("http://localhost:") ||
           url.starts_with("http://[::1]:");
}

std::string form(std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
    std::string out;
    for (const auto& [name, value] : fields) {
        if (value.empty()) continue;
        if (!out.empty()) out += '&';
        out += std::string(name) + "=" + percent_encode(value);
    }
    return out;
}

}  // namespace

std::optional<Instant> jwt_expiry(std::string_view token) {
    const auto first = token.find('.');
    const auto second = first == std::string_view::npos ? first : token.find('.', first + 1);
    if (second == std::string_view::npos) return std::nullopt;
    std::string payload(token.substr(first + 1, second - first - 1));
    std::ranges::replace(payload, '-', '+');
    std::ranges::replace(payload, '_', '/');
    const auto decoded = base64_decode(payload);
    if (!decoded.ok) return std::nullopt;
    const auto claims = json::parse(decoded.bytes);
    if (!claims) return std::nullopt;
    const auto exp = json::double_at(*claims, "exp");
    if (!exp || !(*exp > 0) || *exp > 1e11) return std::nullopt;
    return Instant{std::chrono::seconds(static_cast<std::int64_t>(*exp))};
}

OidcToken::OidcToken(OidcProvider provider, Options options, Fetcher& fetcher, async::EventLoop& loop)
    : provider_(std::move(provider)), options_(options), fetcher_(fetcher), loop_(loop) {}

async::Task<Result<>> OidcToken::ensure(bool force, Deadline deadline) {
    auto& clock = loop_.clock();
    const auto wanted = generation_ + (force ? 1 : 0);
    while (true) {
        const auto expires = jwt_expiry(provider_.id_token);
        const bool good = !provider_.id_token.empty() && expires && clock.now() + skew < *expires;
        if (good && generation_ >= wanted) co_return Result<>{};
        if (running_) {
            if (!co_await changed_.wait(clock, deadline) && deadline.passed(clock.steady()))
                co_return fail(ErrorCode::deadline_exceeded, "waiting for an OIDC token");
            continue;
        }
        if (failure_ && clock.steady() - failed_at_ < options_.pause) co_return std::unexpected(*failure_);
        struct Running {
            OidcToken& self;
            explicit Running(OidcToken& owner) : self(owner) { self.running_ = true; }
            ~Running() {
                self.running_ = false;
                self.changed_.notify();
            }
        };
        const Running running(*this);
        auto renewed = co_await renew(deadline.earlier(clock.deadline_in(options_.timeout)));
        if (!renewed) {
            failure_ = renewed.error();
            failed_at_ = clock.steady();
            co_return renewed;
        }
        failure_.reset();
        ++generation_;
        co_return Result<>{};
    }
}

async::Task<Result<json::Value>> OidcToken::ask(std::string url, Method method, std::string body, Deadline deadline) {
    if (!is_safe(url)) co_return refused("the provider is not reached by https");
    ExchangeSpec spec;
    spec.url = std::move(url);
    spec.method = method;
    spec.body = std::move(body);
    spec.max_body = 1U << 20U;
    spec.compressed = true;
    spec.connection.no_proxy = spec.url.starts_with("http://");
    spec.headers = {"Accept: application/json"};
    if (method != Method::get) {
        spec.headers.emplace_back("Content-Type: application/x-www-form-urlencoded");
        if (!provider_.client_secret.empty()) {
            spec.headers.push_back("Authorization: Basic " +
                                   base64_encode(percent_encode(provider_.client_id) + ":" + percent_encode(provider_.client_secret)));
        }
    }
    auto tls = std::make_shared<TlsMaterial>();
    tls->ca_pem = provider_.ca_pem;
    if (tls->ca_pem.empty() && !provider_.ca_file.empty()) {
        std::ifstream in(provider_.ca_file, std::ios::binary);
        std::ostringstream text;
        text << in.rdbuf();
        tls->ca_pem = std::move(text).str();
        if (tls->ca_pem.empty()) co_return refused("cannot read " + provider_.ca_file);
    }
    spec.connection.tls = std::move(tls);
    auto answer = co_await fetcher_.fetch(std::move(spec), deadline);
    if (!answer) co_return std::unexpected(std::move(answer).error().with_context("OIDC provider"));
    const auto parsed = json::parse(answer->body);
    if (answer->status != 200) {
        // The error's name is from a fixed list (RFC 6749 §5.2); nothing else of the answer is told.
        const auto name = parsed ? std::string(json::string_at(*parsed, "error").substr(0, 40)) : std::string{};
        const auto code = answer->status >= 500 ? ErrorCode::unavailable : ErrorCode::unauthenticated;
        co_return fail(code, "OIDC: the provider answers " + std::to_string(answer->status) + (name.empty() ? "" : " " + name));
    }
    if (!parsed || !parsed->is_object()) co_return refused("the provider's answer is not JSON");
    co_return *parsed;
}

async::Task<Result<>> OidcToken::renew(Deadline deadline) {
    if (provider_.refresh_token.empty()) co_return refused("the token has ended and there is no refresh token");
    if (token_endpoint_.empty()) {
        KN_CO_TRY(const json::Value found, co_await ask(provider_.issuer + "/.well-known/openid-configuration", Method::get, {}, deadline));
        std::string issuer(json::string_at(found, "issuer"));
        while (issuer.ends_with('/')) issuer.pop_back();
        if (issuer != provider_.issuer) co_return refused("the provider calls itself by another name");
        token_endpoint_ = std::string(json::string_at(found, "token_endpoint"));
        if (token_endpoint_.empty()) co_return refused("the provider has no token_endpoint");
    }
    const auto client_id = provider_.client_secret.empty() ? std::string_view(provider_.client_id) : std::string_view{};
    KN_CO_TRY(const json::Value answer,
              co_await ask(token_endpoint_, Method::post,
                           form({{"grant_type", "refresh_token"}, {"refresh_token", provider_.refresh_token}, {"client_id", client_id}}), deadline));
    const std::string token(json::string_at(answer, "id_token"));
    const auto expires = jwt_expiry(token);
    if (!expires) co_return refused("the provider gave no id_token with an end");
    if (*expires <= loop_.clock().now()) co_return refused("the provider gave a token that has ended already");
    provider_.id_token = token;
    if (const auto next = json::string_at(answer, "refresh_token"); !next.empty()) provider_.refresh_token = next;
    co_return Result<>{};
}

}  // namespace kn::kube::http
