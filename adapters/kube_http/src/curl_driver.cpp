#include "curl_driver.hpp"

#include <algorithm>
#include <chrono>

#include "curl_setup.hpp"

namespace kn::kube::http {
namespace {

/// Handles that are kept for the next transfers; each holds its buffer and 6 kB more.
constexpr std::size_t max_idle_handles = 4;
/// The loop was busy elsewhere: silence that long is not the peer's.
constexpr Duration late_look = 1s;

SteadyTime steady_now() { return std::chrono::steady_clock::now(); }

int on_before_request(void* exchange, char* /*to*/, char* /*from*/, int /*port*/, int /*own*/) {
    static_cast<Exchange*>(exchange)->mark_started();
    return CURL_PREREQFUNC_OK;
}

std::size_t on_read(char* into, std::size_t size, std::size_t count, void* exchange) {
    return static_cast<Exchange*>(exchange)->read_body(into, size * count);
}

/// libcurl rewinds a body when it wants to send a request a second time: a write must not leave twice.
int on_seek(void* /*exchange*/, curl_off_t /*offset*/, int /*origin*/) { return CURL_SEEKFUNC_FAIL; }

}  // namespace

struct CurlDriver::Transfer {
    Handles handles;
    std::shared_ptr<Exchange> exchange;
    ConnectionSpec connection;              ///< what the handle is set up for
    std::vector<std::string> header_lines;  ///< what handles.headers holds
    bool added = false, too_much = false, paused = false, is_probe = false;
    SteadyTime started{}, heard{};  ///< heard: the last byte of this stream, or proof that its peer lives

    Transfer() = default;
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;
    ~Transfer() {
        if (handles.easy != nullptr) curl_easy_cleanup(handles.easy);
        curl_slist_free_all(handles.headers);
        curl_slist_free_all(handles.connect_to);
    }

    static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self_) {
        auto* self = static_cast<Transfer*>(self_);
        self->heard = steady_now();
        long status = 0;
        curl_easy_getinfo(self->handles.easy, CURLINFO_RESPONSE_CODE, &status);
        self->exchange->on_header({data, size * count}, status);
        return size * count;
    }
    static std::size_t on_data(char* data, std::size_t size, std::size_t count, void* self_) {
        auto* self = static_cast<Transfer*>(self_);
        self->heard = steady_now();
        switch (self->exchange->on_data({data, size * count})) {
            case Exchange::Intake::taken: return size * count;
            case Exchange::Intake::pause: self->paused = true; return CURL_WRITEFUNC_PAUSE;
            case Exchange::Intake::too_much: self->too_much = true; break;
            case Exchange::Intake::refused: break;
        }
        return 0;
    }

    /// Everything that stays the same from one transfer to the next.
    bool set_up(const ConnectionSpec& spec, const Limits& limits, MultiSockets& sockets) {
        if (handles.easy == nullptr)
            handles.easy = curl_easy_init();
        else
            curl_easy_reset(handles.easy);
        CURL* easy = handles.easy;
        if (easy == nullptr) return false;
        curl_slist_free_all(std::exchange(handles.headers, nullptr));
        curl_slist_free_all(std::exchange(handles.connect_to, nullptr));
        header_lines.clear();
        connection = spec;
        set_connection(handles, connection);
        sockets.prepare(easy);
        set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(spec.http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
        // No PIPEWAIT: while a server turns out not to speak HTTP/2, this libcurl would send the waiting requests one after the other.
        set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
        set(easy, CURLOPT_BUFFERSIZE, limits.buffer_bytes);
        set(easy, CURLOPT_PREREQFUNCTION, on_before_request);
        set(easy, CURLOPT_HEADERFUNCTION, on_header);
        set(easy, CURLOPT_HEADERDATA, this);
        set(easy, CURLOPT_WRITEFUNCTION, on_data);
        set(easy, CURLOPT_WRITEDATA, this);
        set(easy, CURLOPT_READFUNCTION, on_read);
        set(easy, CURLOPT_SEEKFUNCTION, on_seek);
        return true;
    }

    void set_headers(const std::vector<std::string>& lines) {
        if (handles.headers != nullptr && header_lines == lines) return;
        curl_slist_free_all(std::exchange(handles.headers, nullptr));
        for (const auto& line : lines) handles.headers = curl_slist_append(handles.headers, line.c_str());
        handles.headers = curl_slist_append(handles.headers, "Expect:");
        set(handles.easy, CURLOPT_HTTPHEADER, handles.headers);
        header_lines = lines;
    }

    bool prepare(const Limits& limits, MultiSockets& sockets) {
        const auto& spec = exchange->spec();
        if ((handles.easy == nullptr || connection != spec.connection) && !set_up(spec.connection, limits, sockets)) return false;
        CURL* easy = handles.easy;
        too_much = paused = false;
        handles.error_text[0] = '\0';
        set(easy, CURLOPT_URL, spec.url.c_str());
        set(easy, CURLOPT_FRESH_CONNECT, spec.fresh_connection ? 1L : 0L);
        set(easy, CURLOPT_ACCEPT_ENCODING, spec.compressed ? "gzip" : nullptr);
        set(easy, CURLOPT_PRIVATE, exchange.get());
        set(easy, CURLOPT_PREREQDATA, exchange.get());
        set_headers(spec.headers);
        if (spec.method == Method::get) {
            set(easy, CURLOPT_HTTPGET, 1L);
            set(easy, CURLOPT_CUSTOMREQUEST, static_cast<const char*>(nullptr));
        } else {
            set(easy, CURLOPT_POST, 1L);
            set(easy, CURLOPT_CUSTOMREQUEST, to_string(spec.method).data());
            set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(spec.body.size()));
            set(easy, CURLOPT_READDATA, exchange.get());
        }
        return true;
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

namespace {
CURLM* new_multi() {
    curl_global_once();
    return curl_multi_init();
}
}  // namespace

CurlDriver::CurlDriver(async::EventLoop& loop, Limits limits)
    : limits_(limits),
      multi_(new_multi()),
      sockets_(loop.context(), multi_, [this] { collect_finished(); }),
      self_(std::make_shared<CurlDriver*>(this)),
      look_(loop.context()) {
    (void)curl_multi_setopt(multi_, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_MULTIPLEX));
    (void)curl_multi_setopt(multi_, CURLMOPT_MAX_HOST_CONNECTIONS, static_cast<long>(limits.host_connections));
    (void)curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(limits.idle_connections));
}

CurlDriver::~CurlDriver() {
    *self_ = nullptr;
    while (!transfers_.empty()) take(transfers_.begin())->finish(CURLE_ABORTED_BY_CALLBACK);
    idle_.clear();
    curl_multi_cleanup(multi_);
}

std::unique_ptr<CurlDriver::Transfer> CurlDriver::transfer_for(std::shared_ptr<Exchange> exchange) {
    // The one that was used last, if it fits: most transfers of a cluster are made with the same connection and headers.
    const auto& wanted = exchange->spec().connection;
    auto found = std::ranges::find_if(idle_.rbegin(), idle_.rend(), [&](const auto& idle) { return idle->connection == wanted; });
    if (found == idle_.rend()) found = idle_.rbegin();
    std::unique_ptr<Transfer> transfer;
    if (found == idle_.rend()) {
        transfer = std::make_unique<Transfer>();
    } else {
        transfer = std::move(*found);
        idle_.erase(std::next(found).base());
    }
    transfer->is_probe = exchange == probe_;
    transfer->exchange = std::move(exchange);
    transfer->started = transfer->heard = steady_now();
    return transfer;
}

void CurlDriver::put_back(std::unique_ptr<Transfer> transfer) {
    transfer->exchange.reset();
    if (idle_.size() < max_idle_handles && transfer->handles.easy != nullptr) idle_.push_back(std::move(transfer));
}

/// Out of the map and out of libcurl's hands.
std::unique_ptr<CurlDriver::Transfer> CurlDriver::take(Transfers::iterator at) {
    auto transfer = std::move(at->second);
    transfers_.erase(at);
    if (std::exchange(transfer->added, false)) curl_multi_remove_handle(multi_, transfer->handles.easy);
    return transfer;
}

void CurlDriver::add(std::shared_ptr<Exchange> exchange) {
    auto* key = exchange.get();
    auto transfer = transfer_for(std::move(exchange));
    const bool streaming = transfer->exchange->spec().streaming;
    transfer->added = transfer->prepare(limits_, sockets_) && curl_multi_add_handle(multi_, transfer->handles.easy) == CURLM_OK;
    if (!transfer->added) return transfer->finish(CURLE_FAILED_INIT);
    transfers_.emplace(key, std::move(transfer));
    sockets_.kick();
    if (streaming && limits_.dead_peer_after > Duration::zero() && !looking_) look_at(steady_now() + limits_.dead_peer_after / 2);
}

void CurlDriver::remove(Exchange& exchange) {
    const auto found = transfers_.find(&exchange);
    if (found == transfers_.end()) return;
    put_back(take(found));
    sockets_.kick();
}

void CurlDriver::resume(Exchange& exchange) {
    const auto found = transfers_.find(&exchange);
    if (found == transfers_.end() || !std::exchange(found->second->paused, false)) return;
    curl_easy_pause(found->second->handles.easy, CURLPAUSE_CONT);
    sockets_.kick();
}

void CurlDriver::collect_finished() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
        if (message->msg != CURLMSG_DONE) continue;
        const CURLcode code = message->data.result;
        char* key = nullptr;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &key);
        const auto found = transfers_.find(reinterpret_cast<Exchange*>(key));
        if (found == transfers_.end()) continue;
        auto transfer = take(found);
        if (transfer->is_probe) probe_ended(*transfer, code == CURLE_OK);
        transfer->finish(code);
        put_back(std::move(transfer));
    }
}

void CurlDriver::look_at(SteadyTime when) {
    looking_ = true;
    look_due_ = when;
    look_.expires_at(std::chrono::time_point_cast<std::chrono::steady_clock::duration>(when));
    look_.async_wait([self = self_](boost::system::error_code ec) {
        if (!ec && *self != nullptr) (*self)->look_for_dead_peers();
    });
}

/// A peer that has been silent on a stream for half of the limit is asked something over the same connections (over HTTP/2: on the same one). Silence
/// after that for the other half means that nobody is there, although the socket looks well: a path that was dropped tells nobody.
void CurlDriver::look_for_dead_peers() {
    looking_ = false;
    const auto now = steady_now();
    const auto half = limits_.dead_peer_after / 2;
    if (probe_) {
        const auto found = transfers_.find(probe_.get());
        const bool late = now - look_due_ >= late_look;  // the answer may lie in the socket, unread
        if (found == transfers_.end()) {
            probe_.reset();
        } else if (now - found->second->started >= half && !late) {
            const auto probe = take(found);
            probe_ended(*probe, false);
        } else {
            return look_at(std::max(found->second->started + half, now + late_look / 2));
        }
    }
    SteadyTime next = SteadyTime::max();
    const ExchangeSpec* silent = nullptr;
    for (const auto& [key, transfer] : transfers_) {
        const auto& spec = transfer->exchange->spec();
        if (!spec.streaming || spec.probe_url.empty() || transfer->paused) continue;
        if (now - transfer->heard >= half)
            silent = &spec;
        else
            next = std::min(next, transfer->heard + half);
    }
    if (silent != nullptr) {
        ask_for_life(*silent);
        next = std::min(next, now + half);
    }
    if (next != SteadyTime::max()) return look_at(next);
    // Only paused streams are left: they are looked at again later.
    if (!transfers_.empty()) look_at(now + half);
}

void CurlDriver::ask_for_life(const ExchangeSpec& stream) {
    ExchangeSpec question = stream;
    question.url = stream.probe_url;
    question.streaming = question.fresh_connection = false;
    question.max_body = 1U << 20U;
    probe_ = std::make_shared<Exchange>(std::move(question));
    add(probe_);
}

void CurlDriver::probe_ended(const Transfer& probe, bool answered) {
    probe_.reset();
    const auto now = steady_now();
    std::vector<std::unique_ptr<Transfer>> dead;
    for (auto at = transfers_.begin(); at != transfers_.end();) {
        auto& transfer = *at->second;
        const bool silent = transfer.exchange->spec().streaming && transfer.heard <= probe.started &&
                            transfer.exchange->spec().probe_url == probe.exchange->spec().url;
        const auto next = std::next(at);
        if (silent && answered) transfer.heard = now;
        if (silent && !answered) dead.push_back(take(at));
        at = next;
    }
    for (const auto& transfer : dead) {
        transfer->exchange->finish(Error{.code = ErrorCode::unavailable,
                                         .message = "the server has not been heard of for " + format_duration(limits_.dead_peer_after),
                                         .reason = "PeerSilent",
                                         .applied = transfer->exchange->applied()});
    }
}

}  // namespace kn::kube::http
