#pragma once

#include <memory>
#include <optional>
#include <string>

#include "exchange.hpp"
#include "kubernaut/async/loop.hpp"
#include "kubernaut/async/signal.hpp"
#include "kubernaut/async/task.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/kubeconfig.hpp"

namespace kn::kube::http {

/// One exchange with somebody who is not the API server.
class Fetcher {
public:
    virtual ~Fetcher() = default;
    virtual async::Task<Result<Response>> fetch(ExchangeSpec spec, Deadline deadline) = 0;
};

/// The ID token of a kubeconfig's oidc provider, renewed by its refresh token (OpenID Connect Core, section 12) shortly before it ends. One renewal at a
/// time; after a failed one there is a pause. A rotated refresh token is kept in memory only. Loop thread only.
class OidcToken {
public:
    struct Options {
        Duration timeout = 10s, pause = 5s;
    };
    OidcToken(OidcProvider provider, Options options, Fetcher& fetcher, async::EventLoop& loop);
    /// A token that is good now; `force`: another one than the present.
    async::Task<Result<>> ensure(bool force, Deadline deadline);
    [[nodiscard]] const std::string& token() const { return provider_.id_token; }
    /// Grows with every renewal.
    [[nodiscard]] std::uint64_t generation() const { return generation_; }

private:
    async::Task<Result<>> renew(Deadline deadline);
    async::Task<Result<json::Value>> ask(std::string url, Method method, std::string body, Deadline deadline);
    OidcProvider provider_;
    Options options_;
    Fetcher& fetcher_;
    async::EventLoop& loop_;
    std::string token_endpoint_;
    std::uint64_t generation_ = 1;
    bool running_ = false;
    std::optional<Error> failure_;
    SteadyTime failed_at_{};
    async::Signal changed_;
};

/// The `exp` of a JSON Web Token, unverified (the API server verifies); nullopt when it has none or is no JWT.
std::optional<Instant> jwt_expiry(std::string_view token);

}  // namespace kn::kube::http
