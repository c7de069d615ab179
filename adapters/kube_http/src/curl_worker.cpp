#include "curl_worker.hpp"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <cstring>

namespace kn::kube::http {
namespace {

/// Unacknowledged data older than this means a dead peer. Without it a half-open HTTP/2 connection swallows request after request.
constexpr unsigned int user_timeout_ms = 30'000;
constexpr long keepalive_idle_s = 30, keepalive_interval_s = 10;

int on_socket(void* /*unused*/, curl_socket_t fd, curlsocktype purpose) {
    if (purpose == CURLSOCKTYPE_IPCXN) (void)::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
    return CURL_SOCKOPT_OK;
}

int on_before_request(void* exchange, char*, char*, int, int) {
    return static_cast<Exchange*>(exchange)->mark_started() ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

std::size_t on_read(char* into, std::size_t size, std::size_t count, void* exchange) {
    return static_cast<Exchange*>(exchange)->read_body(into, size * count).value_or(CURL_READFUNC_ABORT);
}

/// libcurl rewinds a body when it wants to send a request a second time: a write must not leave twice.
int on_seek(void* /*exchange*/, curl_off_t /*offset*/, int /*origin*/) { return CURL_SEEKFUNC_FAIL; }

struct Handles {
    CURL* easy = nullptr;
    curl_slist* headers = nullptr;
    curl_slist* connect_to = nullptr;
    char error_text[CURL_ERROR_SIZE] = {};
};

template <class T>
void set(CURL* easy, CURLoption option, T value) {
    (void)curl_easy_setopt(easy, option, value);
}

void set_blob(CURL* easy, CURLoption option, const std::string& pem) {
    // Not copied: the exchange's TlsMaterial outlives the transfer.
    curl_blob blob{.data = const_cast<char*>(pem.data()), .len = pem.size(), .flags = CURL_BLOB_NOCOPY};
    (void)curl_easy_setopt(easy, option, &blob);
}

void set_tls(CURL* easy, const ExchangeSpec& spec) {
    const auto& tls = *spec.tls;
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
    const bool may_leak = spec.proxy.contains('@') || buffer[0] == '\0';
    return may_leak ? curl_easy_strerror(code) : buffer;
}

ErrorCode code_for(CURLcode code) {
    switch (code) {
        case CURLE_URL_MALFORMAT: case CURLE_UNSUPPORTED_PROTOCOL: case CURLE_BAD_FUNCTION_ARGUMENT: return ErrorCode::invalid_argument;
        case CURLE_PEER_FAILED_VERIFICATION: return ErrorCode::unauthenticated;
        case CURLE_SSL_CERTPROBLEM: case CURLE_SSL_CACERT_BADFILE: case CURLE_SSL_ISSUER_ERROR: return ErrorCode::failed_precondition;
        case CURLE_OUT_OF_MEMORY: return ErrorCode::resource_exhausted;
        default: return ErrorCode::unavailable;
    }
}

std::string_view reason_for(CURLcode code) {
    switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST: case CURLE_COULDNT_RESOLVE_PROXY: return "NameNotResolved";
        case CURLE_COULDNT_CONNECT: return "NotConnected";
        case CURLE_OPERATION_TIMEDOUT: return "ConnectTimeout";
        case CURLE_PEER_FAILED_VERIFICATION: return "CertificateNotTrusted";
        case CURLE_SSL_CERTPROBLEM: return "ClientCertificate";
        case CURLE_SSL_CACERT_BADFILE: return "CertificateAuthority";
        case CURLE_SSL_CONNECT_ERROR: return "TlsHandshake";
        case CURLE_HTTP2: case CURLE_HTTP2_STREAM: return "Http2";
        default: return "ConnectionLost";
    }
}

void global_init() {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_ALL); });
}

}  // namespace

struct CurlWorker::Transfer {
    CURLM* multi = nullptr;
    std::shared_ptr<Exchange> exchange;
    Handles handles;
    bool too_much = false;
    bool paused = false;

    Transfer() = default;
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;
    ~Transfer() {
        if (handles.easy != nullptr) {
            curl_multi_remove_handle(multi, handles.easy);
            curl_easy_cleanup(handles.easy);
        }
        curl_slist_free_all(handles.headers);
        curl_slist_free_all(handles.connect_to);
    }

    static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self_) {
        auto* self = static_cast<Transfer*>(self_);
        long status = 0;
        curl_easy_getinfo(self->handles.easy, CURLINFO_RESPONSE_CODE, &status);
        self->exchange->on_header({data, size * count}, status);
        return size * count;
    }
    static std::size_t on_data(char* data, std::size_t size, std::size_t count, void* self_) {
        auto* self = static_cast<Transfer*>(self_);
        switch (self->exchange->on_data({data, size * count})) {
            case Exchange::Intake::taken: return size * count;
            case Exchange::Intake::pause: self->paused = true; return CURL_WRITEFUNC_PAUSE;
            case Exchange::Intake::too_much: break;
        }
        self->too_much = true;
        return 0;
    }

    bool prepare() {
        CURL* easy = handles.easy = curl_easy_init();
        if (easy == nullptr) return false;
        const auto& spec = exchange->spec();
        set(easy, CURLOPT_URL, spec.url.c_str());
        set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
        set(easy, CURLOPT_PATH_AS_IS, 1L);
        set(easy, CURLOPT_NOSIGNAL, 1L);
        set(easy, CURLOPT_QUICK_EXIT, 1L);  // do not wait for a name server when the transfer is given up
        set(easy, CURLOPT_CONNECTTIMEOUT_MS, spec.connect_timeout_ms);
        set(easy, CURLOPT_ERRORBUFFER, handles.error_text);
        set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(spec.http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
        // No PIPEWAIT: while a server turns out not to speak HTTP/2, this libcurl would send the waiting requests one after the other.
        set(easy, CURLOPT_FRESH_CONNECT, spec.fresh_connection ? 1L : 0L);
        set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
        set(easy, CURLOPT_TCP_KEEPIDLE, keepalive_idle_s);
        set(easy, CURLOPT_TCP_KEEPINTVL, keepalive_interval_s);
        set(easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
        set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
        set(easy, CURLOPT_BUFFERSIZE, 128L * 1024L);
        set(easy, CURLOPT_PREREQFUNCTION, on_before_request);
        set(easy, CURLOPT_PREREQDATA, exchange.get());
        set(easy, CURLOPT_HEADERFUNCTION, on_header);
        set(easy, CURLOPT_HEADERDATA, this);
        set(easy, CURLOPT_WRITEFUNCTION, on_data);
        set(easy, CURLOPT_WRITEDATA, this);
        set(easy, CURLOPT_PRIVATE, exchange.get());
        if (!spec.streaming) set(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
        if (!spec.proxy.empty()) set(easy, CURLOPT_PROXY, spec.proxy.c_str());
        else if (spec.no_proxy) set(easy, CURLOPT_PROXY, "");
        if (!spec.connect_to.empty()) {
            handles.connect_to = curl_slist_append(nullptr, spec.connect_to.c_str());
            set(easy, CURLOPT_CONNECT_TO, handles.connect_to);
        }
        for (const auto& line : spec.headers) handles.headers = curl_slist_append(handles.headers, line.c_str());
        handles.headers = curl_slist_append(handles.headers, "Expect:");
        set(easy, CURLOPT_HTTPHEADER, handles.headers);
        if (spec.method != Method::get) {
            set(easy, CURLOPT_POST, 1L);
            set(easy, CURLOPT_CUSTOMREQUEST, to_string(spec.method).data());
            set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(spec.body.size()));
            set(easy, CURLOPT_READFUNCTION, on_read);
            set(easy, CURLOPT_READDATA, exchange.get());
            set(easy, CURLOPT_SEEKFUNCTION, on_seek);
        }
        set_tls(easy, spec);
        return curl_multi_add_handle(multi, easy) == CURLM_OK;
    }

    void finish(CURLcode code) {
        if (code == CURLE_OK) return exchange->finish(std::nullopt);
        Error error{.code = code_for(code), .message = host_of_error(handles.error_text, code, exchange->spec()),
                    .reason = std::string(reason_for(code)), .applied = exchange->applied()};
        if (too_much) {
            error.code = ErrorCode::resource_exhausted;
            error.message = "the answer is larger than " + std::to_string(exchange->spec().max_body) + " bytes";
            error.reason = "AnswerTooLarge";
        }
        exchange->finish(std::move(error));
    }
};

CurlWorker::CurlWorker(std::string name, Limits limits) {
    global_init();
    multi_ = curl_multi_init();
    (void)curl_multi_setopt(multi_, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_MULTIPLEX));
    (void)curl_multi_setopt(multi_, CURLMOPT_MAX_HOST_CONNECTIONS, static_cast<long>(limits.host_connections));
    (void)curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(limits.idle_connections));
    // Signals are the main thread's; SIGPIPE from a TLS write stays blocked here and so does no harm.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

CurlWorker::~CurlWorker() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    curl_multi_wakeup(multi_);
    thread_.join();
    curl_multi_cleanup(multi_);
}

void CurlWorker::post(Command command) {
    {
        const std::lock_guard lock(mutex_);
        commands_.push_back(std::move(command));
    }
    curl_multi_wakeup(multi_);
}

void CurlWorker::add(std::shared_ptr<Exchange> exchange) { post({Command::Kind::add, std::move(exchange)}); }
void CurlWorker::remove(std::shared_ptr<Exchange> exchange) { post({Command::Kind::remove, std::move(exchange)}); }
void CurlWorker::resume(std::shared_ptr<Exchange> exchange) { post({Command::Kind::resume, std::move(exchange)}); }

bool CurlWorker::take_commands(std::vector<Command>& into) {
    const std::lock_guard lock(mutex_);
    into.swap(commands_);
    return !stopping_;
}

void CurlWorker::start(const std::shared_ptr<Exchange>& exchange) {
    auto transfer = std::make_unique<Transfer>();
    transfer->multi = multi_;
    transfer->exchange = exchange;
    if (!transfer->prepare()) {
        transfer->finish(CURLE_FAILED_INIT);
        return;
    }
    transfers_.emplace(exchange.get(), std::move(transfer));
}

void CurlWorker::collect_finished() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
        if (message->msg != CURLMSG_DONE) continue;
        const CURLcode code = message->data.result;
        char* key = nullptr;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &key);
        const auto found = transfers_.find(reinterpret_cast<Exchange*>(key));
        if (found == transfers_.end()) continue;
        const auto transfer = std::move(found->second);
        transfers_.erase(found);
        transfer->finish(code);
    }
}

void CurlWorker::run() {
    std::vector<Command> commands;
    while (take_commands(commands)) {
        for (const auto& command : commands) {
            const auto found = transfers_.find(command.exchange.get());
            switch (command.kind) {
                case Command::Kind::add: start(command.exchange); break;
                case Command::Kind::remove:
                    if (found != transfers_.end()) transfers_.erase(found);
                    break;
                case Command::Kind::resume:
                    if (found != transfers_.end() && std::exchange(found->second->paused, false)) {
                        curl_easy_pause(found->second->handles.easy, CURLPAUSE_CONT);
                    }
                    break;
            }
        }
        commands.clear();
        int running = 0;
        curl_multi_perform(multi_, &running);
        collect_finished();
        curl_multi_poll(multi_, nullptr, 0, 1000, nullptr);
    }
    for (auto& [key, transfer] : transfers_) transfer->finish(CURLE_ABORTED_BY_CALLBACK);
    transfers_.clear();
}

}  // namespace kn::kube::http
