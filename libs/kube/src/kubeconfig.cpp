#include "kubernaut/kube/kubeconfig.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "kubernaut/base/hash.hpp"
#include "kubernaut/json/yaml.hpp"

namespace kn::kube {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t max_file_bytes = 16U << 20U;

struct File {
    std::string name;  ///< for messages; "" when read from text
    std::string base_dir;
    json::YamlDocument document;
};

/// A value in a file, and how to speak of it.
struct Place {
    const File* file = nullptr;
    std::string pointer;

    [[nodiscard]] const json::Value* value() const { return json::at_pointer(file->document.value, pointer); }
    [[nodiscard]] Place operator/(std::string_view key) const { return {file, pointer + "/" + json::escape_pointer_token(key)}; }
    [[nodiscard]] Place operator/(std::size_t index) const { return {file, pointer + "/" + std::to_string(index)}; }
    [[nodiscard]] std::string text() const {
        const auto where = file->document.place(pointer);
        return file->name.empty() ? where : file->name + ": " + where;
    }
    [[nodiscard]] std::unexpected<Error> error(std::string message) const {
        return fail(ErrorCode::invalid_argument, "kubeconfig: " + std::move(message), text());
    }
};

/// "" when absent. Values are never put into a message: they may be secrets.
Result<std::string> text_at(const Place& place) {
    const auto* value = place.value();
    if (value == nullptr || value->is_null()) return std::string{};
    if (!value->is_string()) return place.error("a string is expected here (put it into quotes)");
    return std::string(json::view(value->get_string()));
}

Result<bool> flag_at(const Place& place) {
    const auto* value = place.value();
    if (value == nullptr || value->is_null()) return false;
    if (!value->is_bool()) return place.error("true or false is expected here");
    return value->get_bool();
}

Result<std::string> pem_at(const Place& place) {
    KN_TRY(std::string encoded, text_at(place));
    std::erase_if(encoded, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
    if (encoded.empty()) return encoded;
    auto decoded = base64_decode(encoded);
    if (!decoded.ok) return place.error("not valid base64");
    if (!decoded.bytes.contains("-----BEGIN ")) return place.error("the decoded data is not PEM");
    return std::move(decoded.bytes);
}

Result<std::string> path_at(const Place& place) {
    KN_TRY(const std::string path, text_at(place));
    if (path.empty() || path.front() == '/') return path;
    return (fs::path(place.file->base_dir) / path).lexically_normal().string();
}

/// Entry number i of a list such as `clusters`, by name; the first file that has it wins.
Result<std::optional<Place>> find_named(const std::vector<File>& files, std::string_view list, std::string_view name) {
    for (const auto& file : files) {
        const Place entries = Place{&file, ""} / list;
        const auto* value = entries.value();
        if (value == nullptr || value->is_null()) continue;
        if (!value->is_array()) return entries.error("a list is expected here");
        for (std::size_t i = 0; i < value->get_array().size(); ++i) {
            if (json::string_at(value->get_array()[i], "name") == name) return entries / i;
        }
    }
    return std::optional<Place>{};
}

std::vector<std::string> names_in(const std::vector<File>& files, std::string_view list) {
    std::vector<std::string> names;
    for (const auto& file : files) {
        for (const auto& entry : json::array_at(file.document.value, list)) {
            std::string name(json::string_at(entry, "name"));
            if (!name.empty() && std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
        }
    }
    return names;
}

std::string joined(const std::vector<std::string>& names) {
    std::string out;
    for (const auto& name : names) out += (out.empty() ? "" : ", ") + name;
    return out.empty() ? "none" : out;
}

Result<> read_cluster(const Place& place, ConnectionConfig& config) {
    const Place cluster = place / "cluster";
    KN_TRY(config.server, text_at(cluster / "server"));
    if (config.server.empty()) return (cluster / "server").error("the cluster has no server");
    if (!config.server.contains("://")) config.server = "https://" + config.server;
    if (!config.server.starts_with("https://") && !config.server.starts_with("http://")) {
        return (cluster / "server").error("the server is an https:// or http:// address");
    }
    while (config.server.ends_with('/')) config.server.pop_back();
    KN_TRY(config.ca_pem, pem_at(cluster / "certificate-authority-data"));
    if (config.ca_pem.empty()) {
        KN_TRY(config.ca_file, path_at(cluster / "certificate-authority"));
    }
    KN_TRY(config.insecure_skip_tls_verify, flag_at(cluster / "insecure-skip-tls-verify"));
    KN_TRY(config.disable_compression, flag_at(cluster / "disable-compression"));
    if (config.insecure_skip_tls_verify && (!config.ca_pem.empty() || !config.ca_file.empty())) {
        return (cluster / "insecure-skip-tls-verify").error("contradicts the certificate authority that is given");
    }
    KN_TRY(config.tls_server_name, text_at(cluster / "tls-server-name"));
    KN_TRY(config.proxy_url, text_at(cluster / "proxy-url"));
    return {};
}

Result<ExecCredential> read_exec(const Place& place) {
    ExecCredential exec;
    KN_TRY(exec.api_version, text_at(place / "apiVersion"));
    if (exec.api_version != "client.authentication.k8s.io/v1" && exec.api_version != "client.authentication.k8s.io/v1beta1") {
        return (place / "apiVersion").error("the plug-in's version must be client.authentication.k8s.io/v1 or v1beta1");
    }
    KN_TRY(exec.command, text_at(place / "command"));
    if (exec.command.empty()) return (place / "command").error("the plug-in has no command");
    // As kubectl does: a bare name is searched in PATH, a path is relative to its file.
    if (exec.command.contains('/')) {
        KN_TRY(exec.command, path_at(place / "command"));
    }
    KN_TRY(const std::string interactive, text_at(place / "interactiveMode"));
    if (interactive == "Always") return (place / "interactiveMode").error("a plug-in that needs a terminal cannot be used here");
    KN_TRY(exec.provide_cluster_info, flag_at(place / "provideClusterInfo"));
    const auto& root = *place.value();
    for (std::size_t i = 0; i < json::array_at(root, "args").size(); ++i) {
        KN_TRY(std::string argument, text_at(place / "args" / i));
        exec.args.push_back(std::move(argument));
    }
    for (std::size_t i = 0; i < json::array_at(root, "env").size(); ++i) {
        KN_TRY(std::string name, text_at(place / "env" / i / "name"));
        KN_TRY(std::string value, text_at(place / "env" / i / "value"));
        if (name.empty() || name.contains('=')) return (place / "env" / i / "name").error("not the name of an environment variable");
        exec.env[std::move(name)] = std::move(value);
    }
    return exec;
}

Result<OidcProvider> read_oidc(const Place& place) {
    KN_TRY(const std::string name, text_at(place / "name"));
    if (name != "oidc") return (place / "name").error("of the auth-providers only oidc is left since Kubernetes 1.26; use an exec plug-in");
    const Place config = place / "config";
    OidcProvider oidc;
    KN_TRY(oidc.issuer, text_at(config / "idp-issuer-url"));
    KN_TRY(oidc.client_id, text_at(config / "client-id"));
    KN_TRY(oidc.client_secret, text_at(config / "client-secret"));
    KN_TRY(oidc.id_token, text_at(config / "id-token"));
    KN_TRY(oidc.refresh_token, text_at(config / "refresh-token"));
    KN_TRY(oidc.ca_pem, pem_at(config / "idp-certificate-authority-data"));
    if (oidc.ca_pem.empty()) {
        KN_TRY(oidc.ca_file, path_at(config / "idp-certificate-authority"));
    }
    if (oidc.issuer.empty()) return (config / "idp-issuer-url").error("the provider has no issuer");
    if (oidc.client_id.empty()) return (config / "client-id").error("the provider has no client-id");
    while (oidc.issuer.ends_with('/')) oidc.issuer.pop_back();
    return oidc;
}

Result<std::vector<std::string>> texts_at(const Place& place) {
    std::vector<std::string> out;
    const auto* value = place.value();
    if (value == nullptr || value->is_null()) return out;
    if (!value->is_array()) return place.error("a list is expected here");
    for (std::size_t i = 0; i < value->get_array().size(); ++i) {
        KN_TRY(std::string text, text_at(place / i));
        out.push_back(std::move(text));
    }
    return out;
}

Result<> read_impersonation(const Place& user, ConnectionConfig& config) {
    KN_TRY(config.impersonate_user, text_at(user / "as"));
    KN_TRY(config.impersonate_uid, text_at(user / "as-uid"));
    KN_TRY(config.impersonate_groups, texts_at(user / "as-groups"));
    const auto* extra = (user / "as-user-extra").value();
    if (extra != nullptr && extra->is_object()) {
        for (const auto& [key, values] : extra->get_object()) {
            KN_TRY(config.impersonate_extra[std::string(key)], texts_at(user / "as-user-extra" / std::string_view(key)));
        }
    }
    const bool more = !config.impersonate_uid.empty() || !config.impersonate_groups.empty() || !config.impersonate_extra.empty();
    if (more && config.impersonate_user.empty()) return (user / "as").error("groups, uid or extra of another user without the user (as)");
    return {};
}

Result<> read_user(const Place& place, ConnectionConfig& config) {
    const Place user = place / "user";
    KN_TRY(config.client_cert_pem, pem_at(user / "client-certificate-data"));
    if (config.client_cert_pem.empty()) {
        KN_TRY(config.client_cert_file, path_at(user / "client-certificate"));
    }
    KN_TRY(config.client_key_pem, pem_at(user / "client-key-data"));
    if (config.client_key_pem.empty()) {
        KN_TRY(config.client_key_file, path_at(user / "client-key"));
    }
    const bool has_cert = !config.client_cert_pem.empty() || !config.client_cert_file.empty();
    const bool has_key = !config.client_key_pem.empty() || !config.client_key_file.empty();
    if (has_cert != has_key) return user.error(has_cert ? "a client certificate without its key" : "a client key without its certificate");
    KN_TRY(config.token, text_at(user / "token"));
    KN_TRY(config.token_file, path_at(user / "tokenFile"));
    KN_TRY(config.username, text_at(user / "username"));
    KN_TRY(config.password, text_at(user / "password"));
    KN_CHECK(read_impersonation(user, config));
    const auto* exec = (user / "exec").value();
    if (exec != nullptr && exec->is_object()) {
        KN_TRY(config.exec, read_exec(user / "exec"));
    }
    const auto* provider = (user / "auth-provider").value();
    if (provider != nullptr && !provider->is_null()) {
        KN_TRY(config.oidc, read_oidc(user / "auth-provider"));
    }
    return {};
}

Result<ConnectionConfig> resolve(const std::vector<File>& files, std::string_view wanted) {
    std::string name(wanted);
    for (const auto& file : files) {
        if (!name.empty()) break;
        KN_TRY(name, text_at(Place{&file, "/current-context"}));
    }
    const auto names = names_in(files, "contexts");
    if (name.empty())
        return fail(ErrorCode::invalid_argument, "kubeconfig: no context was named and current-context is not set; there are: " + joined(names));
    KN_TRY(const auto context, find_named(files, "contexts", name));
    if (!context) return fail(ErrorCode::not_found, "kubeconfig: there is no context '" + name + "'; there are: " + joined(names), "contexts");

    ConnectionConfig config;
    config.context = name;
    KN_TRY(const std::string ns, text_at(*context / "context" / "namespace"));
    if (!ns.empty()) config.ns = ns;
    KN_TRY(const std::string cluster_name, text_at(*context / "context" / "cluster"));
    KN_TRY(const auto cluster, find_named(files, "clusters", cluster_name));
    if (!cluster) return (*context / "context" / "cluster").error("the context's cluster '" + cluster_name + "' is not defined");
    KN_CHECK(read_cluster(*cluster, config));
    KN_TRY(const std::string user_name, text_at(*context / "context" / "user"));
    if (user_name.empty()) return config;
    KN_TRY(const auto user, find_named(files, "users", user_name));
    if (!user) return (*context / "context" / "user").error("the context's user '" + user_name + "' is not defined");
    KN_CHECK(read_user(*user, config));
    return config;
}

Result<std::string> read_file(const std::string& path) {
    std::error_code ec;
    if (!fs::exists(path, ec)) return fail(ErrorCode::not_found, "there is no file " + path);
    if (!fs::is_regular_file(path, ec)) return fail(ErrorCode::invalid_argument, path + " is not a file");
    if (fs::file_size(path, ec) > max_file_bytes) return fail(ErrorCode::invalid_argument, path + " is too large");
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    if (!in || in.bad()) return fail(ErrorCode::permission_denied, path + " cannot be read");
    return std::move(text).str();
}

Result<File> parse_file(std::string_view yaml, std::string name, std::string_view base_dir) {
    auto document = json::parse_yaml(yaml);
    if (!document) {
        Error error = std::move(document).error().with_context("kubeconfig");
        if (!name.empty()) error.field = name + ": " + error.field;
        return std::unexpected(std::move(error));
    }
    File file{std::move(name), fs::absolute(base_dir.empty() ? fs::path(".") : fs::path(base_dir)).lexically_normal().string(), *std::move(document)};
    if (!file.document.value.is_object() && !file.document.value.is_null()) return Place{&file, ""}.error("a mapping is expected");
    return file;
}

std::vector<std::string> split_paths(std::string_view list) {
    std::vector<std::string> out;
    while (!list.empty()) {
        const auto end = std::min(list.find(':'), list.size());
        if (end > 0) out.emplace_back(list.substr(0, end));
        list.remove_prefix(std::min(end + 1, list.size()));
    }
    return out;
}

Result<std::vector<File>> load_files(std::string_view path_list) {
    auto paths = split_paths(path_list);
    if (paths.empty()) {
        const char* home = std::getenv("HOME");
        paths.push_back(std::string(home == nullptr ? "" : home) + "/.kube/config");
    }
    std::vector<File> files;
    for (const auto& path : paths) {
        auto text = read_file(path);
        // Like kubectl: files of a list may be missing, as long as one is there.
        if (!text && text.error().code == ErrorCode::not_found && paths.size() > 1) continue;
        if (!text) return std::unexpected(std::move(text).error().with_context("kubeconfig"));
        KN_TRY(File file, parse_file(*text, path, fs::path(path).parent_path().string()));
        files.push_back(std::move(file));
    }
    if (files.empty()) return fail(ErrorCode::not_found, "kubeconfig: none of these files exists: " + std::string(path_list));
    return files;
}

}  // namespace

Result<ConnectionConfig> read_kubeconfig(std::string_view yaml, std::string_view base_dir, std::string_view context) {
    std::vector<File> files;
    KN_TRY(File file, parse_file(yaml, "", base_dir));
    files.push_back(std::move(file));
    return resolve(files, context);
}

Result<ConnectionConfig> load_kubeconfig(std::string_view path_list, std::string_view context) {
    KN_TRY(const auto files, load_files(path_list));
    return resolve(files, context);
}

Result<std::vector<std::string>> kubeconfig_contexts(std::string_view path_list) {
    KN_TRY(const auto files, load_files(path_list));
    return names_in(files, "contexts");
}

Result<ConnectionConfig> in_cluster_config(std::string_view host, std::string_view port, const std::string& folder) {
    if (host.empty() || port.empty())
        return fail(ErrorCode::failed_precondition, "not inside a cluster: KUBERNETES_SERVICE_HOST and _PORT are not set");
    ConnectionConfig config;
    config.context = "in-cluster";
    config.server = "https://" + (host.contains(':') ? "[" + std::string(host) + "]" : std::string(host)) + ":" + std::string(port);
    config.token_file = folder + "/token";
    config.ca_file = folder + "/ca.crt";
    KN_CHECK(read_file(config.token_file));
    KN_CHECK(read_file(config.ca_file));
    if (auto ns = read_file(folder + "/namespace"); ns) {
        while (!ns->empty() && (ns->back() == '\n' || ns->back() == ' ')) ns->pop_back();
        if (!ns->empty()) config.ns = *std::move(ns);
    }
    return config;
}

Result<ConnectionConfig> in_cluster_config() {
    const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
    const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
    return in_cluster_config(host == nullptr ? "" : host, port == nullptr ? "" : port, "/var/run/secrets/kubernetes.io/serviceaccount");
}

}  // namespace kn::kube
