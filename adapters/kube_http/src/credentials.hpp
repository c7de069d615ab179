#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "exchange.hpp"
#include "kubernaut/async/loop.hpp"
#include "kubernaut/async/task.hpp"
#include "kubernaut/kube/kubeconfig.hpp"
#include "kubernaut/kube_http/http_transport.hpp"
#include "oidc.hpp"

namespace kn::kube::http {

/// Who we are, at one moment.
struct Identity {
    std::string authorization;  ///< the header's value, "" for none
    std::shared_ptr<const TlsMaterial> tls;
    std::uint64_t generation = 0;  ///< grows with every change
};

/// What an exec plug-in gave.
struct PluginCredential {
    std::string token, cert_pem, key_pem;
    std::optional<Instant> expires;
};

/// Reads an ExecCredential answer of the wanted version. No error quotes the text.
Result<PluginCredential> parse_exec_credential(std::string_view text, std::string_view api_version);
/// KUBERNETES_EXEC_INFO for the plug-in.
std::string exec_info(const ExecCredential& exec, const ConnectionConfig& config, std::string_view ca_pem);

/// The identity of a ConnectionConfig, kept fresh: files are read again, plug-ins run again at 80 % of a credential's life, one run at a time.
/// Loop thread only.
class Credentials {
public:
    /// `fetcher` asks an OIDC provider.
    Credentials(std::shared_ptr<const ConnectionConfig> config, HttpOptions options, async::EventLoop& loop, Fetcher& fetcher);
    ~Credentials();
    Credentials(const Credentials&) = delete;
    Credentials& operator=(const Credentials&) = delete;

    async::Task<Result<Identity>> current(Deadline deadline);
    /// After a 401 with `used`: another identity, or nullopt when there is none to be had.
    async::Task<Result<std::optional<Identity>>> renewed(std::uint64_t used_generation, Deadline deadline);

private:
    struct Plugin;
    Result<> read_files(bool force);
    Result<> rebuild();
    async::Task<Result<>> ensure_plugin(bool force, Deadline deadline);

    std::shared_ptr<const ConnectionConfig> config_;
    HttpOptions options_;
    async::EventLoop& loop_;
    Identity identity_;
    std::optional<SteadyTime> files_read_;
    std::string file_token_, ca_pem_, cert_pem_, key_pem_;
    std::shared_ptr<Plugin> plugin_;
    std::unique_ptr<OidcToken> oidc_;
    std::uint64_t oidc_built_ = 0;  ///< generation of the token in identity_
};

}  // namespace kn::kube::http
