#include "curl_setup.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <mutex>

namespace kn::kube::http {
namespace {

/// Unacknowledged data older than this means a dead peer. Without it a half-open HTTP/2 connection swallows request after request.
constexpr unsigned int user_timeout_ms = 15'000;
/// And an idle connection is asked for life: three questions without an answer, 14 s in all.
constexpr long keepalive_idle_s = 5, keepalive_interval_s = 3;
constexpr int keepalive_count = 3;
/// API servers close a connection that was idle for 90 s: one as old is not used again, for a request could meet its end.
constexpr long max_idle_s = 80;

int on_socket(void* /*unused*/, curl_socket_t fd, curlsocktype purpose) { return set_socket_options(fd, purpose); }

void set_blob(CURL* easy, CURLoption option, const std::string& pem) {
    // Not copied: the exchange's TlsMaterial outlives the transfer.
    curl_blob blob{.data = const_cast<char*>(pem.data()), .len = pem.size(), .flags = CURL_BLOB_NOCOPY};
    (void)curl_easy_setopt(easy, option, &blob);
}

void set_tls(CURL* easy, const TlsMaterial& tls) {
    set(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(easy, CURLOPT_SSL_VERIFYPEER, tls.verify ? 1L : 0L);
    set(easy, CURLOPT_SSL_VERIFYHOST, tls.verify ? 2L : 0L);
    if (!tls.ca_pem.empty()) set_blob(easy, CURLOPT_CAINFO_BLOB, tls.ca_pem);
    if (!tls.cert_pem.empty()) {
        set(easy, CURLOPT_SSLCERTTYPE, "PEM");
        set_blob(easy, CURLOPT_SSLCERT_BLOB, tls.cert_pem);
        set(easy, CURLOPT_SSLKEYTYPE, "PEM");
        set_blob(easy, CURLOPT_SSLKEY_BLOB, tls.key_pem);
    }
}

std::string host_of_error(const char* buffer, CURLcode code, const ExchangeSpec& spec) {
    // libcurl quotes a proxy's address, password and all, in some messages.
    const bool may_leak = spec.connection.proxy.contains('@') || buffer[0] == '\0';
    return may_leak ? curl_easy_strerror(code) : buffer;
}

ErrorCode code_for(CURLcode code) {
    switch (code) {
        case CURLE_URL_MALFORMAT:
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_BAD_FUNCTION_ARGUMENT: return ErrorCode::invalid_argument;
        case CURLE_PEER_FAILED_VERIFICATION: return ErrorCode::unauthenticated;
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_ISSUER_ERROR: return ErrorCode::failed_precondition;
        case CURLE_OUT_OF_MEMORY: return ErrorCode::resource_exhausted;
        default: return ErrorCode::unavailable;
    }
}

std::string_view reason_for(CURLcode code) {
    switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY: return "NameNotResolved";
        case CURLE_COULDNT_CONNECT: return "NotConnected";
        case CURLE_OPERATION_TIMEDOUT: return "ConnectTimeout";
        case CURLE_PEER_FAILED_VERIFICATION: return "CertificateNotTrusted";
        case CURLE_SSL_CERTPROBLEM: return "ClientCertificate";
        case CURLE_SSL_CACERT_BADFILE: return "CertificateAuthority";
        case CURLE_SSL_CONNECT_ERROR: return "TlsHandshake";
        case CURLE_HTTP2:
        case CURLE_HTTP2_STREAM: return "Http2";
        default: return "ConnectionLost";
    }
}

}  // namespace

int set_socket_options(curl_socket_t fd, curlsocktype purpose) {
    if (purpose == CURLSOCKTYPE_IPCXN) {
        (void)::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
        (void)::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &keepalive_count, sizeof keepalive_count);
    }
    return CURL_SOCKOPT_OK;
}

void curl_global_once() {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_ALL); });
}

void set_connection(Handles& handles, const ConnectionSpec& spec) {
    CURL* easy = handles.easy;
    set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    set(easy, CURLOPT_PATH_AS_IS, 1L);
    set(easy, CURLOPT_NOSIGNAL, 1L);
    set(easy, CURLOPT_QUICK_EXIT, 1L);  // do not wait for a name server when the transfer is given up
    set(easy, CURLOPT_CONNECTTIMEOUT_MS, spec.connect_timeout_ms);
    set(easy, CURLOPT_MAXAGE_CONN, max_idle_s);
    set(easy, CURLOPT_ERRORBUFFER, handles.error_text);
    set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    set(easy, CURLOPT_TCP_KEEPIDLE, keepalive_idle_s);
    set(easy, CURLOPT_TCP_KEEPINTVL, keepalive_interval_s);
    set(easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
    if (!spec.proxy.empty()) {
        // As in Go, "socks5" leaves names to the proxy.
        const bool socks = spec.proxy.starts_with("socks5://");
        set(easy, CURLOPT_PROXY, socks ? ("socks5h://" + spec.proxy.substr(9)).c_str() : spec.proxy.c_str());
    } else if (spec.no_proxy) {
        set(easy, CURLOPT_PROXY, "");
    }
    if (!spec.connect_to.empty()) {
        handles.connect_to = curl_slist_append(nullptr, spec.connect_to.c_str());
        set(easy, CURLOPT_CONNECT_TO, handles.connect_to);
    }
    set_tls(easy, *spec.tls);
}

Error connection_error(const Handles& handles, CURLcode code, const ExchangeSpec& spec) {
    return {.code = code_for(code), .message = host_of_error(handles.error_text, code, spec), .reason = std::string(reason_for(code))};
}

}  // namespace kn::kube::http
