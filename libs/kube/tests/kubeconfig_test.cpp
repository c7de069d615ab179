#include "kubernaut/kube/kubeconfig.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "kubernaut/base/hash.hpp"

namespace kn::kube {
namespace {

const std::string pem = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";

std::string config_with(std::string_view cluster, std::string_view user) {
    return "apiVersion: v1\nkind: Config\ncurrent-context: main\ncontexts:\n- name: main\n  context: {cluster: c, user: u, namespace: shop}\n"
           "clusters:\n- name: c\n  cluster:\n    server: https://host:6443/\n" +
           std::string(cluster) + "users:\n- name: u\n  user:\n    token: t0\n" + std::string(user);
}

TEST(Kubeconfig, ResolvesAContextWithDataAndFileFields) {
    const auto config =
        read_kubeconfig(
            config_with("    certificate-authority-data: " + base64_encode(pem) + "\n    tls-server-name: api\n    proxy-url: http://p:1\n",
                        "    client-certificate: certs/u.crt\n    client-key: /abs/u.key\n    tokenFile: ../tok\n    as: root\n"),
            "/etc/kn/kube", "")
            .value();
    EXPECT_EQ(config.context, "main");
    EXPECT_EQ(config.server, "https://host:6443");
    EXPECT_EQ(config.ns, "shop");
    EXPECT_EQ(config.ca_pem, pem);
    EXPECT_EQ(config.client_cert_file, "/etc/kn/kube/certs/u.crt");
    EXPECT_EQ(config.client_key_file, "/abs/u.key");
    EXPECT_EQ(config.token_file, "/etc/kn/tok");
    EXPECT_EQ(config.token, "t0");
    EXPECT_EQ(config.tls_server_name, "api");
    EXPECT_EQ(config.proxy_url, "http://p:1");
    EXPECT_EQ(config.impersonate_user, "root");
}

TEST(Kubeconfig, ReadsExecPlugIns) {
    const std::string exec =
        "    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: ./bin/login\n      args: [get, token]\n"
        "      env: [{name: REGION, value: \"1\"}]\n      provideClusterInfo: true\n";
    const auto config = read_kubeconfig(config_with("", exec), "/k", "main").value();
    ASSERT_TRUE(config.exec);
    EXPECT_EQ(config.exec->command, "/k/bin/login");
    EXPECT_EQ(config.exec->args, (std::vector<std::string>{"get", "token"}));
    EXPECT_EQ(config.exec->env.at("REGION"), "1");
    EXPECT_TRUE(config.exec->provide_cluster_info);
}

TEST(Kubeconfig, ErrorsNameLineAndFieldAndNoSecrets) {
    struct Case {
        std::string cluster, user, place, message;
    };
    const std::vector<Case> cases = {
        {"    certificate-authority-data: '***'\n", "", "line 11, clusters[0].cluster.certificate-authority-data", "base64"},
        {"    certificate-authority-data: " + base64_encode("secret stuff") + "\n", "", "line 11", "not PEM"},
        {"    insecure-skip-tls-verify: true\n    certificate-authority: x\n", "", "line 11", "contradicts"},
        {"    insecure-skip-tls-verify: maybe\n", "", "line 11", "true or false"},
        {"", "    client-certificate: x\n", "users[0].user", "without its key"},
        {"", "    password: 12345\n", "line 15, users[0].user.password", "a string is expected"},
        {"", "    exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}\n", "users[0].user.exec.apiVersion", "v1beta1"},
        {"", "    exec: {apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: Always}\n", "interactiveMode", "terminal"},
        {"", "    auth-provider: {name: gcp}\n", "name", "exec plug-in"},
    };
    for (const auto& c : cases) {
        const auto result = read_kubeconfig(config_with(c.cluster, c.user), "/k", "");
        ASSERT_FALSE(result) << c.message;
        EXPECT_NE(result.error().field.find(c.place), std::string::npos) << result.error().describe();
        EXPECT_NE(result.error().message.find(c.message), std::string::npos) << result.error().describe();
        EXPECT_EQ(result.error().describe().find("12345"), std::string::npos);
        EXPECT_EQ(result.error().describe().find("secret stuff"), std::string::npos);
    }
    EXPECT_EQ(read_kubeconfig(config_with("", ""), "/k", "other").error().code, ErrorCode::not_found);
    EXPECT_NE(read_kubeconfig(config_with("", ""), "/k", "other").error().message.find("there are: main"), std::string::npos);
    EXPECT_FALSE(read_kubeconfig("a: [", "/k", ""));
    EXPECT_FALSE(read_kubeconfig("[]", "/k", ""));
    EXPECT_FALSE(read_kubeconfig("", "/k", ""));
}

class KubeconfigFiles : public testing::Test {
protected:
    KubeconfigFiles() {
        std::string pattern = (std::filesystem::temp_directory_path() / "kn-kubeconfig-XXXXXX").string();
        dir = ::mkdtemp(pattern.data());
        std::filesystem::create_directory(dir + "/sub");
    }
    ~KubeconfigFiles() override { std::filesystem::remove_all(dir); }
    std::string write(const std::string& name, std::string_view text) const {
        std::ofstream(dir + "/" + name) << text;
        return dir + "/" + name;
    }
    std::string dir;
};

TEST_F(KubeconfigFiles, ListsMergeTheFirstDefinitionWinsAndPathsBelongToTheirFile) {
    const auto first = write("a", "current-context: x\ncontexts:\n- name: x\n  context: {cluster: c, user: u}\n");
    const auto second =
        write("sub/b",
              "current-context: z\ncontexts:\n- name: x\n  context: {cluster: other}\n- name: z\n  context: {cluster: c}\n"
              "clusters:\n- name: c\n  cluster: {server: 'host:1', certificate-authority: ca.crt}\nusers:\n- name: u\n  user: {token: t}\n");
    const auto config = load_kubeconfig(first + ":" + dir + "/missing:" + second, "").value();
    EXPECT_EQ(config.context, "x");
    EXPECT_EQ(config.server, "https://host:1");
    EXPECT_EQ(config.ca_file, dir + "/sub/ca.crt");
    EXPECT_EQ(config.token, "t");
    EXPECT_EQ(kubeconfig_contexts(first + ":" + second).value(), (std::vector<std::string>{"x", "z"}));
    EXPECT_EQ(load_kubeconfig(dir + "/missing", "").error().code, ErrorCode::not_found);
    EXPECT_NE(load_kubeconfig(first, "x").error().field.find(first), std::string::npos);
}

TEST_F(KubeconfigFiles, InClusterReadsTheMountedServiceAccount) {
    EXPECT_FALSE(in_cluster_config("10.0.0.1", "443", dir));
    write("token", "t");
    write("ca.crt", pem);
    write("namespace", "ops\n");
    const auto config = in_cluster_config("fd00::1", "443", dir).value();
    EXPECT_EQ(config.server, "https://[fd00::1]:443");
    EXPECT_EQ(config.ns, "ops");
    EXPECT_EQ(config.token_file, dir + "/token");
    EXPECT_FALSE(in_cluster_config("", "", dir));
}

}  // namespace
}  // namespace kn::kube
