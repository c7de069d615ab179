// The credential matrix: every form of identity, right and wrong. Secrets are made of "hush", so that one look at an error tells whether it leaks.
#include "credential_bed.hpp"
#include "kubernaut/kube/kubeconfig.hpp"

namespace kn::kube {
namespace {

using http::TestPki;
using http::TestServer;

class Credentials : public CredentialBed {};

TEST_F(Credentials, ATokenIsSentAsBearer) {
    allow({"Bearer hush"});
    EXPECT_EQ(ask({.token = "hush"}), 200);
    EXPECT_EQ(ask({.token = "hush-other"}), 401);
}

TEST_F(Credentials, UserNameAndPasswordAreSentAsBasic) {
    allow({"Basic " + base64_encode("user:hush")});
    EXPECT_EQ(ask({.username = "user", .password = "hush"}), 200);
}

TEST_F(Credentials, WithoutAnyIdentityNothingIsSent) {
    EXPECT_EQ(ask(ConnectionConfig{}), 401);
    EXPECT_FALSE(server.seen().at(0).headers.contains("authorization"));
}

TEST_F(Credentials, ATokenFileWinsOverATokenAndIsTrimmed) {
    allow({"Bearer hush-file"});
    EXPECT_EQ(ask({.token = "hush", .token_file = write("token", "  hush-file \n\n")}), 200);
}

TEST_F(Credentials, ATokenFileThatIsMissingEmptyOrHugeIsAnError) {
    for (const auto& path : {folder + "/none", write("empty", ""), write("huge", std::string(3U << 20U, 'h'))}) {
        EXPECT_EQ(ask({.token_file = path}), 0) << path;
        EXPECT_EQ(failure.code, ErrorCode::unauthenticated) << path;
    }
    EXPECT_TRUE(server.seen().empty());
}

TEST_F(Credentials, ATokenFileThatVanishesKeepsItsLastContent) {
    allow({"Bearer hush"});
    const auto path = write("token", "hush");
    const auto transport = connect({.token_file = path}, {.file_reread = 0ms});
    EXPECT_EQ(ask(transport), 200);
    std::filesystem::remove(path);
    EXPECT_EQ(ask(transport), 200);
}

TEST_F(Credentials, ARotatedTokenFileIsReadAtTheNext401AndOnlyOneReplayIsMade) {
    allow({"Bearer hush1"});
    const auto transport = connect({.token_file = write("token", "hush1")}, {.file_reread = 1h});
    EXPECT_EQ(ask(transport), 200);
    allow({"Bearer hush2"});
    write("token", "hush2");
    EXPECT_EQ(ask(transport), 200);
    EXPECT_EQ(server.seen().size(), 3U);
    allow({});
    write("token", "hush3");
    EXPECT_EQ(ask(transport), 401);
    EXPECT_EQ(server.seen().size(), 5U) << "one replay, not more";
}

TEST_F(Credentials, ATokenThatIsNoHeaderValueNeverLeaves) {
    for (const auto* bad : {"hush\nX-Evil: 1", "hush hush", "hush\x01", "hush\xc3\xa9"}) {
        EXPECT_EQ(ask({.token = bad}), 0);
        EXPECT_EQ(failure.code, ErrorCode::unauthenticated);
    }
    EXPECT_TRUE(server.seen().empty());
}

TEST_F(Credentials, ImpersonationNamesUserGroupsUidAndExtra) {
    allow({"Bearer hush"});
    ConnectionConfig config{.token = "hush", .impersonate_user = "carol", .impersonate_uid = "7"};
    config.impersonate_groups = {"dev"};
    config.impersonate_extra = {{"acme.example/scope", {"a"}}};
    EXPECT_EQ(ask(config), 200);
    const auto headers = server.seen().at(0).headers;
    EXPECT_EQ(headers.at("impersonate-user"), "carol");
    EXPECT_EQ(headers.at("impersonate-group"), "dev");
    EXPECT_EQ(headers.at("impersonate-uid"), "7");
    EXPECT_EQ(headers.at("impersonate-extra-acme.example%2fscope"), "a");
}

// Certificates.

class Certificates : public CredentialBed {
protected:
    ConnectionConfig base() {
        ConnectionConfig config;
        config.server = mutual.url();
        config.ca_pem = pki.ca_cert;
        config.tls_server_name = "api.test.example";
        return config;
    }
    const TestPki& pki = TestPki::instance();
    TestServer mutual{[](http::Connection& c, const http::SeenRequest&) { return c.answer(200, "{}"), true; }, TestServer::Tls::mutual};
};

TEST_F(Certificates, FromDataAndFromFiles) {
    auto config = base();
    config.client_cert_pem = pki.client_cert;
    config.client_key_pem = pki.client_key;
    EXPECT_EQ(ask(config), 200) << failure.describe();
    config.client_cert_pem = config.client_key_pem = config.ca_pem = "";
    config.client_cert_file = write("crt", pki.client_cert);
    config.client_key_file = write("key", pki.client_key);
    config.ca_file = write("ca", pki.ca_cert);
    EXPECT_EQ(ask(config), 200) << failure.describe();
}

TEST_F(Certificates, WithoutOneTheHandshakeFailsAndNothingWasApplied) {
    EXPECT_EQ(ask(base()), 0);
    EXPECT_EQ(failure.applied, Applied::no);
}

TEST_F(Certificates, AKeyThatDoesNotFitAndWhatIsNoCertificateAreErrors) {
    auto config = base();
    config.client_cert_pem = pki.client_cert;
    config.client_key_pem = pki.server_key;
    EXPECT_EQ(ask(config), 0);
    EXPECT_EQ(failure.reason, "ClientCertificate") << failure.describe();
    config.client_cert_pem = "hush";
    EXPECT_EQ(ask(config), 0);
    EXPECT_EQ(failure.code, ErrorCode::failed_precondition) << failure.describe();
}

TEST_F(Certificates, AnUnknownAuthorityAndAWrongNameAreRefusedUnlessAskedFor) {
    auto config = base();
    config.client_cert_pem = pki.client_cert;
    config.client_key_pem = pki.client_key;
    config.tls_server_name = "other.test.example";
    EXPECT_EQ(ask(config), 0);
    EXPECT_EQ(failure.reason, "CertificateNotTrusted");
    config = base();
    config.client_cert_pem = pki.client_cert;
    config.client_key_pem = pki.client_key;
    config.ca_pem = "";
    EXPECT_EQ(ask(config), 0);
    EXPECT_EQ(failure.reason, "CertificateNotTrusted");
    config.insecure_skip_tls_verify = true;
    EXPECT_EQ(ask(config), 200) << failure.describe();
}

TEST_F(Certificates, ARotatedAuthorityIsReadAgain) {
    auto config = base();
    config.client_cert_pem = pki.client_cert;
    config.client_key_pem = pki.client_key;
    config.ca_pem = "";
    config.ca_file = write("ca", pki.client_cert);  // some certificate that signed nothing
    const auto transport = connect(config, {.file_reread = 0ms});
    EXPECT_EQ(ask(transport), 0);
    EXPECT_EQ(failure.reason, "CertificateNotTrusted") << failure.describe();
    write("ca", pki.ca_cert);
    EXPECT_EQ(ask(transport), 200) << failure.describe();
}

TEST_F(Certificates, ARotatedClientCertificateIsUsedForNewConnections) {
    auto config = base();
    config.client_cert_file = write("crt", "hush");
    config.client_key_file = write("key", pki.client_key);
    const auto transport = connect(config, {.file_reread = 0ms});
    EXPECT_EQ(ask(transport), 0);
    write("crt", pki.client_cert);
    EXPECT_EQ(ask(transport), 200) << failure.describe();
}

// Exec plug-ins.

class Plugins : public CredentialBed {};

TEST_F(Plugins, BothVersionsGiveTokens) {
    allow({"Bearer hush1", "Bearer hush2"});
    EXPECT_EQ(ask(plugin(prints(token_of("hush1")))), 200) << failure.describe();
    EXPECT_EQ(ask(plugin(prints(token_of("hush2"), "v1beta1"), "v1beta1")), 200) << failure.describe();
}

TEST_F(Plugins, WhatIsNoCredentialIsAnErrorThatQuotesNothing) {
    struct Case {
        std::string body, message;
    };
    const std::vector<Case> cases = {
        {prints(token_of("hush"), "v1beta1"), "not an ExecCredential of client.authentication.k8s.io/v1"},
        {"echo hush", "not JSON"},
        {"true", "not JSON"},
        {"echo '{}'", "not an ExecCredential"},
        {prints(""), "no credential"},
        {prints(R"("clientCertificateData":"hush")"), "without its key"},
        {prints(R"("clientKeyData":"hush")"), "without its certificate"},
        {prints(token_of("hush") + R"(,"expirationTimestamp":"soon")"), "not a time"},
        {prints(token_of("hush hush")), "characters"},
        {"echo hush-hush-hush-hush-hush-hush >&2; exit 1", "code 1"},
        {"kill -9 $$", "signal 9"},
        {"exec yes hush", "wrote more than"},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(ask(plugin(c.body)), 0) << c.body;
        EXPECT_TRUE(failure.describe().contains(c.message)) << c.body << ": " << failure.describe();
    }
    EXPECT_TRUE(server.seen().empty());
}

TEST_F(Plugins, AProgramThatIsNotThereOrMayNotRunIsAnError) {
    auto config = plugin("true");
    config.exec->command = folder + "/none";
    EXPECT_EQ(ask(config), 0);
    config.exec->command = write("data", "hush");
    EXPECT_EQ(ask(config), 0);
    config.exec->command = "no-such-program-anywhere";
    EXPECT_EQ(ask(config), 0);
}

TEST_F(Plugins, OneThatHangsIsKilledAtItsLimitAndItsChildrenWithIt) {
    auto config = plugin("sleep 300 & echo $! > " + folder + "/child; wait");
    EXPECT_EQ(ask(config, {.exec_timeout = 300ms}), 0);
    EXPECT_EQ(failure.code, ErrorCode::deadline_exceeded) << failure.describe();
    const auto child = text_of("child");
    if (!child.empty()) {
        const auto gone = [&] {
            std::ifstream stat("/proc/" + std::to_string(std::atoi(child.c_str())) + "/stat");
            std::string text;
            std::getline(stat, text);
            return text.empty() || text.contains(") Z ");
        };
        const auto end = loop->clock().steady() + 30s;
        while (!gone() && loop->clock().steady() < end) loop->run_for(20ms);
        EXPECT_TRUE(gone());
    }
}

TEST_F(Plugins, OneThatHangsHoldsUpNoOtherCluster) {
    allow({"Bearer hush"});
    const auto stuck = connect(plugin("sleep 300"), {.exec_timeout = 30s});
    int good = 0;
    async::TaskScope scope(loop->executor());
    scope.spawn("stuck", count_good(stuck, loop->clock(), good));
    loop->run_for(50ms);
    EXPECT_EQ(ask({.token = "hush"}), 200);
    EXPECT_EQ(good, 0);
    scope.cancel();
    loop->block_on(scope.join());
}

TEST_F(Plugins, MoreThanAPipeHoldsIsRead) {
    allow({"Bearer hush"});
    const auto padded =
        R"(printf '{"kind":"ExecCredential","padding":"'; head -c 300000 /dev/zero | tr '\0' x; printf '","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"hush"}}')";
    EXPECT_EQ(ask(plugin(padded)), 200) << failure.describe();
    EXPECT_EQ(ask(plugin("head -c 2000000 /dev/zero | tr '\\0' x >&2; " + prints(token_of("hush")))), 200)
        << "complaints are cut, not waited for: " << failure.describe();
}

TEST_F(Plugins, OneThatSaysItsCredentialHasEndedIsBelievedForAMomentOnly) {
    allow({"Bearer hush"});
    const auto transport =
        connect(plugin(prints(token_of("hush") + R"(,"expirationTimestamp":"2020-01-01T00:00:00Z")")), {.exec_retry_pause = 200ms});
    EXPECT_EQ(ask(transport), 200) << failure.describe();
    EXPECT_EQ(runs(), 1) << "not run in a circle";
    loop->run_for(1500ms);
    EXPECT_EQ(ask(transport), 200);
    EXPECT_EQ(runs(), 2);
}

TEST_F(Plugins, OneThatPromisesALongLifeIsRunAgainWhenTheServerDisagrees) {
    allow({"Bearer hush2"});
    const auto transport = connect(
        plugin(
            "n=$(wc -l < " + folder +
            R"(/runs); echo "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{\"token\":\"hush$((n))\",\"expirationTimestamp\":\"2100-01-01T00:00:00Z\"}}")"),
        {.exec_retry_pause = 0ms});
    EXPECT_EQ(ask(transport), 200) << failure.describe();
    EXPECT_EQ(runs(), 2);
    EXPECT_EQ(server.seen().size(), 2U);
}

TEST_F(Plugins, AThousandRequestsAtOnceRunItOnce) {
    allow({"Bearer hush"});
    const auto transport = connect(plugin("sleep 0.2; " + prints(token_of("hush"))));
    EXPECT_EQ(ask_at_once(transport, 1000), 1000);
    EXPECT_EQ(runs(), 1);
}

TEST_F(Plugins, AThousandRequestsAtExpiryRunItOnceMore) {
    allow({"Bearer hush1"});
    const auto transport = connect(
        plugin(
            "n=$(wc -l < " + folder +
            R"(/runs); echo "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{\"token\":\"hush$((n))\"}}")"),
        {.exec_retry_pause = 0ms});
    EXPECT_EQ(ask(transport), 200);
    allow({"Bearer hush2"});
    EXPECT_EQ(ask_at_once(transport, 1000), 1000) << "each is replayed once with the new token";
    EXPECT_EQ(runs(), 2);
}

TEST_F(Plugins, AFailedRunRestsAndIsThenTriedAgain) {
    allow({"Bearer hush"});
    const auto transport = connect(plugin("[ -f " + folder + "/ready ] || exit 3; " + prints(token_of("hush"))), {.exec_retry_pause = 300ms});
    EXPECT_EQ(ask(transport), 0);
    EXPECT_EQ(ask(transport), 0);
    EXPECT_EQ(runs(), 1);
    write("ready", "");
    loop->run_for(400ms);
    EXPECT_EQ(ask(transport), 200);
}

TEST_F(Plugins, ItGetsItsArgumentsUnevaluatedItsEnvironmentAndTheClusterIfAsked) {
    allow({"Bearer hush"});
    ::setenv("KUBERNAUT_SECRET", "hush", 1);
    auto config = plugin("printf '%s|%s|%s|%s|%s\\n' \"$1\" \"$2\" \"$EXTRA\" \"$KUBERNAUT_SECRET\" \"$KUBERNETES_EXEC_INFO\" > " + folder +
                         "/seen; " + prints(token_of("hush")));
    config.exec->args = {"a b", "$(touch " + folder + "/evil)"};
    config.exec->env = {{"EXTRA", "e"}};
    config.exec->provide_cluster_info = true;
    EXPECT_EQ(ask(config), 200) << failure.describe();
    ::unsetenv("KUBERNAUT_SECRET");
    const auto seen = text_of("seen");
    EXPECT_TRUE(seen.starts_with("a b|$(touch " + folder + "/evil)|e||{")) << seen;
    EXPECT_TRUE(seen.contains(R"("server":")" + server.url())) << seen;
    EXPECT_FALSE(std::filesystem::exists(folder + "/evil"));
}

TEST_F(Plugins, TheKubeconfigFormsOfTheCloudsWork) {
    // What `aws eks update-kubeconfig`, `gcloud container clusters get-credentials` and `az aks get-credentials` (with kubelogin) write, with plug-ins of the same
    // names in PATH.
    allow({"Bearer k8s-aws-v1.hush", "Bearer ya29.hush", "Bearer eyJ.hush"});
    script("aws",
           "[ \"$*\" = '--region eu-west-1 eks get-token --cluster-name prod --output json' ] || exit 2; [ \"$AWS_PROFILE\" = ops ] || exit 3; " +
               prints(token_of("k8s-aws-v1.hush") + R"(,"expirationTimestamp":"2100-01-01T00:00:00Z")", "v1beta1"));
    script("gke-gcloud-auth-plugin", "echo \"$KUBERNETES_EXEC_INFO\" | grep -q '\"cluster\"' || exit 2; " + prints(token_of("ya29.hush"), "v1beta1"));
    script("kubelogin", "[ \"$1\" = get-token ] || exit 2; " + prints(token_of("eyJ.hush"), "v1beta1"));
    const std::string path = folder + ":" + ::getenv("PATH");
    const std::string old = ::getenv("PATH");
    ::setenv("PATH", path.c_str(), 1);
    const auto user = [&](const std::string& exec) {
        return read_kubeconfig(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: '" + server.url() +
                "'}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nusers:\n- name: u\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n" +
                exec,
            folder, "");
    };
    const auto eks = user(
        "      command: aws\n      args: [--region, eu-west-1, eks, get-token, --cluster-name, prod, --output, json]\n      env: [{name: AWS_PROFILE, value: ops}]\n      interactiveMode: IfAvailable\n");
    const auto gke =
        user("      command: gke-gcloud-auth-plugin\n      installHint: Install gke-gcloud-auth-plugin\n      provideClusterInfo: true\n");
    const auto aks = user(
        "      command: kubelogin\n      args: [get-token, --environment, AzurePublicCloud, --server-id, '6dae42f8', --client-id, '80faf920', --tenant-id, t, --login, azurecli]\n      env: null\n");
    for (const auto* config : {&eks, &gke, &aks}) {
        ASSERT_TRUE(*config) << config->error().describe();
        EXPECT_EQ(ask(**config), 200) << failure.describe();
    }
    ::setenv("PATH", old.c_str(), 1);
}

}  // namespace
}  // namespace kn::kube
