#include "curl_worker.hpp"

#include <pthread.h>
#include <signal.h>

#include <chrono>
#include <cstring>

#include "curl_setup.hpp"

namespace kn::kube::http {
namespace {

int on_before_request(void* exchange, char*, char*, int, int) {
    return static_cast<Exchange*>(exchange)->mark_started() ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

std::size_t on_read(char* into, std::size_t size, std::size_t count, void* exchange) {
    return static_cast<Exchange*>(exchange)->read_body(into, size * count).value_or(CURL_READFUNC_ABORT);
}

/// libcurl rewinds a body when it wants to send a request a second time: a write must not leave twice.
int on_seek(void* /*exchange*/, curl_off_t /*offset*/, int /*origin*/) { return CURL_SEEKFUNC_FAIL; }

}  // namespace

struct CurlWorker::Transfer {
    CURLM* multi = nullptr;
    std::shared_ptr<Exchange> exchange;
    Handles handles;
    bool too_much = false;
    bool paused = false;
    bool is_probe = false;
    SteadyTime started{}, heard{};  ///< heard: the last byte of this stream, or proof that its peer lives

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
        self->heard = std::chrono::steady_clock::now();
        long status = 0;
        curl_easy_getinfo(self->handles.easy, CURLINFO_RESPONSE_CODE, &status);
        self->exchange->on_header({data, size * count}, status);
        return size * count;
    }
    static std::size_t on_data(char* data, std::size_t size, std::size_t count, void* self_) {
        auto* self = static_cast<Transfer*>(self_);
        self->heard = std::chrono::steady_clock::now();
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
        set_connection(handles, spec);
        set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(spec.http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
        // No PIPEWAIT: while a server turns out not to speak HTTP/2, this libcurl would send the waiting requests one after the other.
        set(easy, CURLOPT_FRESH_CONNECT, spec.fresh_connection ? 1L : 0L);
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
        return curl_multi_add_handle(multi, easy) == CURLM_OK;
    }

    void finish(CURLcode code) {
        if (code == CURLE_OK) return exchange->finish(std::nullopt);
        Error error = connection_error(handles, code, exchange->spec());
        error.applied = exchange->applied();
        if (too_much) {
            error.code = ErrorCode::resource_exhausted;
            error.message = "the answer is larger than " + std::to_string(exchange->spec().max_body) + " bytes";
            error.reason = "AnswerTooLarge";
        }
        exchange->finish(std::move(error));
    }
};

CurlWorker::CurlWorker(std::string name, Limits limits) : limits_(limits) {
    curl_global_once();
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
    transfer->started = transfer->heard = std::chrono::steady_clock::now();
    transfer->is_probe = exchange == probe_;
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
        if (transfer->is_probe) probe_ended(*transfer, code == CURLE_OK);
        transfer->finish(code);
    }
}

/// A peer that has been silent on a stream for half of the limit is asked something over the same worker (over HTTP/2: on the same connection). Silence
/// after that for the other half means that nobody is there, although the socket looks well: a path that was dropped tells nobody.
void CurlWorker::look_for_dead_peers() {
    if (limits_.dead_peer_after <= Duration::zero()) return;
    const auto now = std::chrono::steady_clock::now();
    const auto half = limits_.dead_peer_after / 2;
    if (probe_) {
        const auto found = transfers_.find(probe_.get());
        if (found == transfers_.end()) {
            probe_.reset();
        } else if (now - found->second->started >= half) {
            const auto transfer = std::move(found->second);
            transfers_.erase(found);
            probe_ended(*transfer, false);
        }
        return;
    }
    for (const auto& [key, transfer] : transfers_) {
        const auto& spec = transfer->exchange->spec();
        if (!spec.streaming || spec.probe_url.empty() || transfer->paused || now - transfer->heard < half) continue;
        ExchangeSpec question = spec;
        question.url = spec.probe_url;
        question.streaming = question.fresh_connection = false;
        question.max_body = 1U << 20U;
        probe_ = std::make_shared<Exchange>(std::move(question));
        start(probe_);
        return;  // the map has changed
    }
}

void CurlWorker::probe_ended(const Transfer& probe, bool answered) {
    probe_.reset();
    const auto now = std::chrono::steady_clock::now();
    std::vector<std::unique_ptr<Transfer>> dead;
    for (auto at = transfers_.begin(); at != transfers_.end();) {
        auto& transfer = *at->second;
        const bool silent = transfer.exchange->spec().streaming && transfer.heard <= probe.started &&
                            transfer.exchange->spec().probe_url == probe.exchange->spec().url;
        if (silent && answered) transfer.heard = now;
        if (!silent || answered) {
            ++at;
            continue;
        }
        dead.push_back(std::move(at->second));
        at = transfers_.erase(at);
    }
    for (const auto& transfer : dead) {
        transfer->exchange->finish(Error{.code = ErrorCode::unavailable,
                                         .message = "the server has not been heard of for " + format_duration(limits_.dead_peer_after),
                                         .reason = "PeerSilent",
                                         .applied = transfer->exchange->applied()});
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
        look_for_dead_peers();
        // A look four times within the limit is enough.
        const auto pause = limits_.dead_peer_after > Duration::zero() ? std::min<Duration>(1s, limits_.dead_peer_after / 8) : Duration{1s};
        curl_multi_poll(multi_, nullptr, 0, static_cast<int>(std::max<std::int64_t>(pause.count(), 10)), nullptr);
    }
    for (auto& [key, transfer] : transfers_) transfer->finish(CURLE_ABORTED_BY_CALLBACK);
    transfers_.clear();
}

}  // namespace kn::kube::http
