#include "sim/front.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "kubernaut/base/hash.hpp"
#include "kubernaut/json/yaml.hpp"

namespace kn::app {
namespace {

/// A watch or a followed log on its way to a socket.
class ForwardedStream final : public net::BodyStream {
public:
    ForwardedStream(std::unique_ptr<kube::Stream> stream, async::Clock& clock) : stream_(std::move(stream)), clock_(clock) {}
    net::Task<std::optional<std::string>> next() override {
        while (true) {
            auto piece = co_await stream_->next(clock_.deadline_in(std::chrono::hours{1}));
            if (piece) co_return *std::move(piece);
            if (piece.error().code != ErrorCode::deadline_exceeded) co_return std::nullopt;
        }
    }

private:
    std::unique_ptr<kube::Stream> stream_;
    async::Clock& clock_;
};

net::HttpResponse forward(kube::Response response) {
    net::HttpResponse out;
    out.status = response.status;
    out.content_type = std::move(response.content_type);
    for (auto& [name, value] : response.headers) {
        if (name != "content-type" && name != "content-length" && name != "transfer-encoding") out.headers.emplace_back(name, value);
    }
    out.body = std::move(response.body);
    return out;
}

std::string pem_of(const std::function<int(BIO*)>& write) {
    BIO* bio = BIO_new(BIO_s_mem());
    std::string text;
    if (write(bio) == 1) {
        char* data = nullptr;
        const long size = BIO_get_mem_data(bio, &data);
        text.assign(data, static_cast<std::size_t>(size));
    }
    BIO_free(bio);
    return text;
}

}  // namespace

SimFront::SimFront(async::EventLoop& loop, sim::ApiServer& server, std::string listen, net::TlsFiles tls, SimTap tap)
    : api_(server),
      loop_(loop),
      tap_(std::move(tap)),
      server_(loop, net::ServerOptions{.listen = std::move(listen), .tls = std::move(tls)},
              [this](net::HttpRequest request) { return handle(std::move(request)); }) {}

async::Task<net::HttpResponse> SimFront::handle(net::HttpRequest request) {
    sim::Identity identity;
    const auto authorization = request.header("authorization");
    if (authorization.starts_with("Bearer ")) {
        const auto known = api_.authenticate(authorization.substr(7));
        if (!known) co_return forward(sim::ApiServer::unauthorized());
        identity = *known;
    }
    kube::Request in;
    in.path = request.path;
    in.query = std::move(request.query);
    in.accept = request.header("accept");
    in.content_type = request.header("content-type");
    in.body = std::move(request.body);
    in.headers = request.headers;
    if (request.method == "GET" && request.path == "/metrics" && tap_.metrics) {
        net::HttpResponse text;
        text.content_type = "text/plain; version=0.0.4; charset=utf-8";
        text.body = tap_.metrics();
        co_return text;
    }
    std::string_view raw;
    if (request.method == "GET")
        in.method = kube::Method::get;
    else if (request.method == "POST")
        in.method = kube::Method::post;
    else if (request.method == "PUT")
        in.method = kube::Method::put;
    else if (request.method == "PATCH")
        in.method = kube::Method::patch;
    else if (request.method == "DELETE")
        in.method = kube::Method::del;
    else
        raw = request.method;
    if (!raw.empty() || !api_.is_stream(in)) {
        if (tap_.before) tap_.before(in, identity);
        auto answer = api_.handle(in, identity, raw);
        if (tap_.after) tap_.after(in, identity);
        co_return forward(std::move(answer));
    }
    auto stream = api_.open(in, identity);
    net::HttpResponse response;
    response.status = stream->head().status;
    response.content_type = stream->head().content_type;
    response.stream = std::make_unique<ForwardedStream>(std::move(stream), loop_.clock());
    co_return response;
}

Result<net::TlsFiles> self_signed(std::chrono::seconds valid_for) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    const auto failed = [&] {
        X509_free(certificate);
        EVP_PKEY_free(key);
        return fail(ErrorCode::internal, "a certificate could not be made");
    };
    if (key == nullptr || certificate == nullptr) return failed();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), valid_for.count() > 0 ? -60L : static_cast<long>(valid_for.count()) - 24L * 3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), static_cast<long>(valid_for.count()));
    X509_set_pubkey(certificate, key);
    X509_NAME* name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("kubernaut-sim"), -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    for (const auto& [id, value] :
         {std::pair(NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1"), std::pair(NID_basic_constraints, "critical,CA:TRUE")}) {
        X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value);
        if (extension == nullptr) return failed();
        X509_add_ext(certificate, extension, -1);
        X509_EXTENSION_free(extension);
    }
    if (X509_sign(certificate, key, EVP_sha256()) == 0) return failed();
    net::TlsFiles files;
    files.cert_pem = pem_of([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
    files.key_pem = pem_of([&](BIO* bio) { return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr); });
    X509_free(certificate);
    EVP_PKEY_free(key);
    return files;
}

std::string kubeconfig_of(const std::vector<SimContext>& contexts, const std::string& ca_pem) {
    json::Array clusters, users, list;
    for (const SimContext& each : contexts) {
        clusters.push_back(json::Object{{"name", each.name},
                                        {"cluster", json::Object{{"server", each.server}, {"certificate-authority-data", base64_encode(ca_pem)}}}});
        users.push_back(json::Object{{"name", each.name}, {"user", json::Object{{"token", each.token}}}});
        list.push_back(json::Object{{"name", each.name}, {"context", json::Object{{"cluster", each.name}, {"user", each.name}}}});
    }
    return json::dump_yaml(json::Object{{"apiVersion", "v1"},
                                        {"kind", "Config"},
                                        {"current-context", contexts.empty() ? "" : contexts.front().name},
                                        {"clusters", std::move(clusters)},
                                        {"users", std::move(users)},
                                        {"contexts", std::move(list)}});
}

}  // namespace kn::app
