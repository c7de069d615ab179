// The loopback server of these tests (named *_test.cpp so that the test program has it).
#include "test_server.hpp"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace kn::kube::http {
namespace {

template <class T, void (*Free)(T*)> struct Deleter {
    void operator()(T* p) const { Free(p); }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY, EVP_PKEY_free>>;
using Cert = std::unique_ptr<X509, Deleter<X509, X509_free>>;

std::string bio_text(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string out(data, static_cast<std::size_t>(size));
    BIO_free(bio);
    return out;
}
std::string pem_of(X509* cert) {
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, cert);
    return bio_text(bio);
}
std::string pem_of(EVP_PKEY* key) {
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
    return bio_text(bio);
}

Cert make_cert(EVP_PKEY* key, const char* name, const char* extension_name, const char* extension, X509* issuer, EVP_PKEY* issuer_key) {
    static std::atomic<long> serial = 1;
    Cert cert(X509_new());
    X509_set_version(cert.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), serial++);
    X509_gmtime_adj(X509_getm_notBefore(cert.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert.get()), 24 * 3600);
    X509_set_pubkey(cert.get(), key);
    X509_NAME* subject = X509_get_subject_name(cert.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509_set_issuer_name(cert.get(), issuer == nullptr ? subject : X509_get_subject_name(issuer));
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer == nullptr ? cert.get() : issuer, cert.get(), nullptr, nullptr, 0);
    X509_EXTENSION* made = X509V3_EXT_conf(nullptr, &context, extension_name, extension);
    X509_add_ext(cert.get(), made, -1);
    X509_EXTENSION_free(made);
    X509_sign(cert.get(), issuer_key, EVP_sha256());
    return cert;
}

TestPki make_pki() {
    const Key ca_key(EVP_EC_gen("P-256")), server_key(EVP_EC_gen("P-256")), client_key(EVP_EC_gen("P-256"));
    const Cert ca = make_cert(ca_key.get(), "test authority", "basicConstraints", "critical,CA:TRUE", nullptr, ca_key.get());
    const Cert server = make_cert(server_key.get(), "server", "subjectAltName", "DNS:api.test.example", ca.get(), ca_key.get());
    const Cert client = make_cert(client_key.get(), "client", "extendedKeyUsage", "clientAuth", ca.get(), ca_key.get());
    return {pem_of(ca.get()), pem_of(server.get()), pem_of(server_key.get()), pem_of(client.get()), pem_of(client_key.get())};
}

SSL_CTX* make_ssl_context(bool mutual) {
    const auto& pki = TestPki::instance();
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    const auto bio = [](const std::string& text) { return BIO_new_mem_buf(text.data(), static_cast<int>(text.size())); };
    BIO* cert_bio = bio(pki.server_cert);
    const Cert cert(PEM_read_bio_X509(cert_bio, nullptr, nullptr, nullptr));
    BIO_free(cert_bio);
    BIO* key_bio = bio(pki.server_key);
    const Key key(PEM_read_bio_PrivateKey(key_bio, nullptr, nullptr, nullptr));
    BIO_free(key_bio);
    SSL_CTX_use_certificate(context, cert.get());
    SSL_CTX_use_PrivateKey(context, key.get());
    if (mutual) {
        BIO* ca_bio = bio(pki.ca_cert);
        const Cert ca(PEM_read_bio_X509(ca_bio, nullptr, nullptr, nullptr));
        BIO_free(ca_bio);
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca.get());
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    return context;
}

class SocketConnection final : public Connection {
public:
    SocketConnection(int fd, SSL* ssl) : fd_(fd), ssl_(ssl) {}
    ~SocketConnection() override {
        if (ssl_ != nullptr) {
            if (!was_reset_) SSL_shutdown(ssl_);
            SSL_free(ssl_);
        }
    }
    void send(std::string_view bytes) override {
        while (!bytes.empty()) {
            const auto count = ssl_ == nullptr ? ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL)
                                               : SSL_write(ssl_, bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), 16384)));
            if (count <= 0) return;
            bytes.remove_prefix(static_cast<std::size_t>(count));
        }
    }
    void reset() override {
        const linger hard{1, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        was_reset_ = true;
    }
    bool wait_for_close(int limit_ms) override {
        pollfd p{fd_, POLLRDHUP, 0};
        return ::poll(&p, 1, limit_ms) > 0;
    }
    /// "" at the end.
    std::string receive() {
        char buffer[16384];
        const auto count = ssl_ == nullptr ? ::recv(fd_, buffer, sizeof buffer, 0) : SSL_read(ssl_, buffer, sizeof buffer);
        return count > 0 ? std::string(buffer, static_cast<std::size_t>(count)) : std::string{};
    }

private:
    int fd_;
    SSL* ssl_;
    bool was_reset_ = false;
};

/// Takes one request from the front of `buffer`, reading more as needed. False at the end of the connection.
bool read_request(SocketConnection& connection, std::string& buffer, SeenRequest& out) {
    std::size_t end = 0;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
        const auto more = connection.receive();
        if (more.empty()) return false;
        buffer += more;
    }
    const std::string head = buffer.substr(0, end + 2);
    buffer.erase(0, end + 4);
    std::size_t at = head.find("\r\n");
    const std::string line = head.substr(0, at);
    out.method = line.substr(0, line.find(' '));
    out.target = line.substr(out.method.size() + 1, line.rfind(' ') - out.method.size() - 1);
    while ((at += 2) < head.size()) {
        const auto next = head.find("\r\n", at);
        const auto colon = head.find(':', at);
        std::string name = head.substr(at, colon - at);
        std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        out.headers[name] = head.substr(colon + 2, next - colon - 2);
        at = next;
    }
    std::size_t length = 0;
    if (const auto found = out.headers.find("content-length"); found != out.headers.end()) {
        std::from_chars(found->second.data(), found->second.data() + found->second.size(), length);
    }
    while (buffer.size() < length) {
        const auto more = connection.receive();
        if (more.empty()) return false;
        buffer += more;
    }
    out.body = buffer.substr(0, length);
    buffer.erase(0, length);
    return true;
}

int listen_on_loopback(int& port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0) throw std::runtime_error("bind");
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    return fd;
}

}  // namespace

const TestPki& TestPki::instance() {
    static const TestPki pki = make_pki();
    return pki;
}

void Connection::answer(int status, std::string_view body, std::string_view extra_headers) {
    send("HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         std::string(extra_headers) + "\r\n" + std::string(body));
}

TestServer::TestServer(Handler handler, Tls tls) : handler_(std::move(handler)), tls_(tls) {
    ::signal(SIGPIPE, SIG_IGN);  // SSL_write of this server
    if (tls != Tls::none) ssl_context_ = make_ssl_context(tls == Tls::mutual);
    listener_ = listen_on_loopback(port_);
    ::listen(listener_, 64);
    acceptor_ = std::thread([this] { accept_loop(); });
}

TestServer::~TestServer() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
        const std::lock_guard lock(mutex_);
        for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
    }
    for (auto& thread : threads_) thread.join();
    ::close(listener_);
    SSL_CTX_free(static_cast<SSL_CTX*>(ssl_context_));
}

std::string TestServer::url() const { return (tls_ == Tls::none ? "http://127.0.0.1:" : "https://127.0.0.1:") + std::to_string(port_); }

std::vector<SeenRequest> TestServer::seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
}

void TestServer::accept_loop() {
    while (!stopping_) {
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) continue;
        const std::lock_guard lock(mutex_);
        open_.push_back(fd);
        threads_.emplace_back([this, fd, number = ++connections_] { serve(fd, number); });
    }
}

void TestServer::serve(int fd, int number) {
    SSL* ssl = nullptr;
    bool good = true;
    if (ssl_context_ != nullptr) {
        ssl = SSL_new(static_cast<SSL_CTX*>(ssl_context_));
        SSL_set_fd(ssl, fd);
        good = SSL_accept(ssl) == 1;
    }
    {
        SocketConnection connection(fd, ssl);
        std::string buffer;
        while (good && !stopping_) {
            SeenRequest request;
            request.connection = number;
            if (!read_request(connection, buffer, request)) break;
            {
                const std::lock_guard lock(mutex_);
                seen_.push_back(request);
            }
            good = handler_(connection, request);
        }
    }
    const std::lock_guard lock(mutex_);
    std::erase(open_, fd);
    ::close(fd);
}

int unused_port() {
    int port = 0;
    const int fd = listen_on_loopback(port);
    ::close(fd);
    return port;
}

}  // namespace kn::kube::http
