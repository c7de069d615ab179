#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/result.hpp"

namespace kn::kube {

/// client.authentication.k8s.io exec plug-in.
struct ExecCredential {
    std::string api_version, command;
    std::vector<std::string> args;
    std::map<std::string, std::string> env;
    bool provide_cluster_info = false;
};

/// auth-provider "oidc": a token that an identity provider renews.
struct OidcProvider {
    std::string issuer, client_id, client_secret, id_token, refresh_token;
    std::string ca_pem, ca_file;  ///< of the provider; both empty = the system's authorities
};

/// One context of a kubeconfig, resolved: everything needed to connect. Data fields hold PEM text; `*_file` fields are absolute paths to be re-read.
struct ConnectionConfig {
    std::string context;
    std::string server;  ///< "https://host:6443" with optional path prefix
    std::string ns = "default";
    std::string ca_pem, ca_file;
    std::string client_cert_pem, client_cert_file, client_key_pem, client_key_file;
    std::string token, token_file;
    std::optional<ExecCredential> exec;
    std::optional<OidcProvider> oidc{};
    std::string username, password;
    std::string tls_server_name, proxy_url;
    std::string impersonate_user, impersonate_uid{};
    std::vector<std::string> impersonate_groups{};
    std::map<std::string, std::vector<std::string>> impersonate_extra{};
    bool disable_compression = false;       ///< for servers that are near: packing costs both sides more than the bytes
    bool insecure_skip_tls_verify = false;  ///< refused for environment prod by the fleet
};

/// The named context ("" = current-context) of one file's text. `base_dir` resolves relative paths. Errors name the line and field.
Result<ConnectionConfig> read_kubeconfig(std::string_view yaml, std::string_view base_dir, std::string_view context);
/// From the files of a KUBECONFIG-like list ("a:b", first definition wins), or ~/.kube/config when empty.
Result<ConnectionConfig> load_kubeconfig(std::string_view path_list, std::string_view context);
Result<std::vector<std::string>> kubeconfig_contexts(std::string_view path_list);
/// From the service account that is mounted into a pod.
Result<ConnectionConfig> in_cluster_config();
/// The same with the environment given: service host and port, and the folder with token, ca.crt and namespace.
Result<ConnectionConfig> in_cluster_config(std::string_view host, std::string_view port, const std::string& folder);

}  // namespace kn::kube
