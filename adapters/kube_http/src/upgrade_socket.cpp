#include "upgrade_socket.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <charconv>
#include <deque>
#include <thread>

#include "curl_setup.hpp"
#include "kubernaut/async/signal.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/status.hpp"

namespace kn::kube::http {
namespace {

constexpr std::size_t max_head = 64U << 10U, max_refusal = 256U << 10U, max_backlog = 4U << 20U;

std::string random_key() {
    std::array<unsigned char, 16> bytes{};
    RAND_bytes(bytes.data(), static_cast<int>(bytes.size()));
    return base64_encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

/// Sec-WebSocket-Accept (RFC 6455 §1.3).
std::string accept_for(const std::string& key) {
    const std::string text = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
    return base64_encode({reinterpret_cast<const char*>(digest.data()), size});
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

/// The head of an HTTP/1.1 answer; `text` ends with the empty line.
Response parse_head(std::string_view text) {
    Response out;
    if (text.size() > 12) std::from_chars(text.data() + 9, text.data() + 12, out.status);
    for (auto at = text.find("\r\n"); at != std::string_view::npos && at + 2 < text.size();) {
        const auto end = text.find("\r\n", at + 2);
        const auto line = text.substr(at + 2, end - at - 2);
        if (const auto colon = line.find(':'); colon != std::string_view::npos) {
            auto value = line.substr(colon + 1);
            while (value.starts_with(' ')) value.remove_prefix(1);
            out.headers.emplace_back(lower(line.substr(0, colon)), std::string(value));
        }
        at = end;
    }
    out.content_type = std::string(out.header("content-type"));
    return out;
}

/// What both threads see. The worker keeps it alive until it has ended.
class Line : public std::enable_shared_from_this<Line> {
public:
    Line(ExchangeSpec spec, std::string handshake, async::Executor loop)
        : spec_(std::move(spec)), handshake_(std::move(handshake)), loop_(std::move(loop)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
    ~Line() {
        if (wake_ >= 0) ::close(wake_);
    }
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    void start() {
        curl_global_once();
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        // Detached: a name server that hangs must not hold up whoever gives the connection up. Everything that it uses is its own.
        std::thread([self = shared_from_this()] { self->run(); }).detach();
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    void stop() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake();
    }
    void send(std::string bytes) {
        {
            const std::lock_guard lock(mutex_);
            outgoing_ += bytes;
        }
        wake();
    }
    [[nodiscard]] std::size_t unsent() const {
        const std::lock_guard lock(mutex_);
        return outgoing_.size();
    }
    [[nodiscard]] std::string take() {
        std::string out;
        {
            const std::lock_guard lock(mutex_);
            out = std::exchange(incoming_, {});
        }
        if (!out.empty()) wake();  // it may have paused
        return out;
    }
    [[nodiscard]] std::optional<Response> head() const {
        const std::lock_guard lock(mutex_);
        return head_;
    }
    [[nodiscard]] bool ended() const {
        const std::lock_guard lock(mutex_);
        return ended_;
    }
    [[nodiscard]] std::optional<Error> failure() const {
        const std::lock_guard lock(mutex_);
        return failure_;
    }
    async::Signal changed;  ///< loop thread only

private:
    void wake() const {
        const std::uint64_t one = 1;
        (void)!::write(wake_, &one, sizeof one);
    }
    void tell() {
        boost::asio::post(loop_, [self = shared_from_this()] { self->changed.notify(); });
    }
    void end(std::optional<Error> failure) {
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
            failure_ = std::move(failure);
        }
        tell();
    }

    void run() {
        pthread_setname_np(pthread_self(), "kube-upgrade");
        Handles handles;
        handles.easy = curl_easy_init();
        if (handles.easy == nullptr) return end(Error{ErrorCode::resource_exhausted, "no memory"});
        set(handles.easy, CURLOPT_URL, spec_.url.c_str());
        set_connection(handles, spec_.connection);
        set(handles.easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
        set(handles.easy, CURLOPT_CONNECT_ONLY, 1L);
        const CURLcode code = curl_easy_perform(handles.easy);
        if (code == CURLE_OK)
            end(converse(handles.easy));
        else
            end(connection_error(handles, code, spec_));
        curl_easy_cleanup(handles.easy);
        curl_slist_free_all(handles.connect_to);
    }

    std::optional<Error> converse(CURL* easy) {
        curl_socket_t fd = CURL_SOCKET_BAD;
        curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
        {
            const std::lock_guard lock(mutex_);
            outgoing_.insert(0, handshake_);
        }
        std::string buffer;
        std::array<char, 32768> piece;
        bool upgraded = false;
        while (true) {
            bool stopping = false, wants_write = false, room = true;
            {
                const std::lock_guard lock(mutex_);
                stopping = stopping_;
                room = incoming_.size() < max_backlog;
                if (!outgoing_.empty()) {
                    std::size_t sent = 0;
                    const CURLcode code = curl_easy_send(easy, outgoing_.data(), outgoing_.size(), &sent);
                    if (code != CURLE_OK && code != CURLE_AGAIN)
                        return Error{.code = ErrorCode::unavailable, .message = curl_easy_strerror(code), .reason = "ConnectionLost"};
                    outgoing_.erase(0, sent);
                    wants_write = !outgoing_.empty();
                    if (sent > 0) tell();
                }
            }
            if (stopping) return std::nullopt;
            // Read before waiting: TLS may hold bytes that the socket does not show.
            bool got = false;
            while (room) {
                std::size_t count = 0;
                const CURLcode code = curl_easy_recv(easy, piece.data(), piece.size(), &count);
                if (code == CURLE_AGAIN) break;
                if (code != CURLE_OK) return Error{.code = ErrorCode::unavailable, .message = curl_easy_strerror(code), .reason = "ConnectionLost"};
                if (count == 0) {
                    if (upgraded) return std::nullopt;
                    return finish_refusal(std::move(buffer));
                }
                got = true;
                if (upgraded) {
                    const std::lock_guard lock(mutex_);
                    incoming_.append(piece.data(), count);
                    room = incoming_.size() < max_backlog;
                    continue;
                }
                buffer.append(piece.data(), count);
                if (auto over = read_head(buffer, upgraded)) return *over;
            }
            if (got) tell();
            std::array<pollfd, 2> fds{pollfd{fd, static_cast<short>((room ? POLLIN : 0) | (wants_write ? POLLOUT : 0)), 0}, pollfd{wake_, POLLIN, 0}};
            ::poll(fds.data(), fds.size(), 1000);
            std::uint64_t drained = 0;
            (void)!::read(wake_, &drained, sizeof drained);
        }
    }

    /// Sets `upgraded` after a 101; a value means that the conversation is over.
    std::optional<std::optional<Error>> read_head(std::string& buffer, bool& upgraded) {
        const auto end_of_head = buffer.find("\r\n\r\n");
        if (end_of_head == std::string::npos) {
            if (buffer.size() > max_head) return std::optional(Error{ErrorCode::unavailable, "the head of the answer is too long"});
            return std::nullopt;
        }
        Response head = parse_head(std::string_view(buffer).substr(0, end_of_head + 2));
        if (head.status != 101) {
            // A refusal has a body: it is read to the length that it names, or to the end.
            std::size_t length = max_refusal;
            const auto text = head.header("content-length");
            std::from_chars(text.data(), text.data() + text.size(), length);
            if (buffer.size() - end_of_head - 4 < std::min(length, max_refusal)) return std::nullopt;
            return std::optional(finish_refusal(std::move(buffer)));
        }
        upgraded = true;
        const std::lock_guard lock(mutex_);
        incoming_ = buffer.substr(end_of_head + 4);
        head_ = std::move(head);
        tell();
        return std::nullopt;
    }

    std::optional<Error> finish_refusal(std::string buffer) {
        const auto end_of_head = buffer.find("\r\n\r\n");
        if (end_of_head == std::string::npos)
            return Error{.code = ErrorCode::unavailable, .message = "the connection ended before an answer", .reason = "ConnectionLost"};
        Response head = parse_head(std::string_view(buffer).substr(0, end_of_head + 2));
        head.body = buffer.substr(end_of_head + 4, max_refusal);
        const std::lock_guard lock(mutex_);
        head_ = std::move(head);
        return std::nullopt;
    }

    const ExchangeSpec spec_;
    const std::string handshake_;
    const async::Executor loop_;
    const int wake_;
    mutable std::mutex mutex_;
    std::string outgoing_, incoming_;
    std::optional<Response> head_;
    std::optional<Error> failure_;
    bool stopping_ = false, ended_ = false;
};

class Holder {
public:
    explicit Holder(std::shared_ptr<Line> line) : line_(std::move(line)) {}
    ~Holder() {
        if (line_) line_->stop();
    }
    Holder(Holder&& other) noexcept : line_(std::exchange(other.line_, nullptr)) {}
    Holder& operator=(Holder&&) = delete;
    Line& operator*() const { return *line_; }
    Line* operator->() const { return line_.get(); }

private:
    std::shared_ptr<Line> line_;
};

class UpgradedConnection final : public Duplex {
public:
    UpgradedConnection(Holder line, std::string protocol, async::Clock& clock)
        : line_(std::move(line)), protocol_(std::move(protocol)), clock_(clock) {}
    [[nodiscard]] const std::string& protocol() const override { return protocol_; }
    async::Task<Result<>> send(std::string bytes, Deadline deadline) override {
        line_->send(std::move(bytes));
        while (line_->unsent() > 0) {
            if (line_->ended()) co_return std::unexpected(line_->failure().value_or(Error{ErrorCode::unavailable, "the connection has ended"}));
            const bool told = co_await line_->changed.wait(clock_, deadline);
            if (!told && deadline.passed(clock_.steady())) co_return fail(ErrorCode::deadline_exceeded, "the other side does not take the bytes");
        }
        co_return Result<>{};
    }
    async::Task<Result<std::optional<std::string>>> next(Deadline deadline) override {
        while (true) {
            const bool ended = line_->ended();
            std::string bytes = line_->take();
            if (!bytes.empty()) co_return std::optional(std::move(bytes));
            if (ended) {
                if (auto failure = line_->failure()) co_return std::unexpected(*std::move(failure));
                co_return std::optional<std::string>{};
            }
            const bool told = co_await line_->changed.wait(clock_, deadline);
            if (!told && deadline.passed(clock_.steady())) co_return fail(ErrorCode::deadline_exceeded, "no bytes in time");
        }
    }

private:
    Holder line_;
    std::string protocol_;
    async::Clock& clock_;
};

std::string handshake_for(const ExchangeSpec& spec, const std::vector<std::string>& protocols, const std::string& key) {
    const auto host_start = spec.url.find("://") + 3;
    const auto path = std::min(spec.url.find('/', host_start), spec.url.size());
    std::string out = "GET " + (path == spec.url.size() ? "/" : spec.url.substr(path)) + " HTTP/1.1\r\n";
    const bool has_host = std::ranges::any_of(spec.headers, [](const std::string& line) { return line.starts_with("Host:"); });
    if (!has_host) out += "Host: " + spec.url.substr(host_start, path - host_start) + "\r\n";
    for (const auto& line : spec.headers) {
        if (!line.starts_with("Content-Type:")) out += line + "\r\n";
    }
    // Some servers refuse a WebSocket without an origin.
    out += "Origin: " + spec.url.substr(0, path) +
           "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\n";
    std::string list;
    for (const auto& protocol : protocols) list += (list.empty() ? "" : ", ") + protocol;
    return out + "Sec-WebSocket-Protocol: " + list + "\r\n\r\n";
}

}  // namespace

async::Task<Result<std::unique_ptr<Duplex>>> upgrade(ExchangeSpec spec, std::vector<std::string> protocols, async::EventLoop& loop,
                                                     Deadline deadline) {
    auto& clock = loop.clock();
    const std::string key = random_key();
    std::string handshake = handshake_for(spec, protocols, key);
    Holder line(std::make_shared<Line>(std::move(spec), std::move(handshake), loop.executor()));
    line->start();
    while (!line->head() && !line->ended()) {
        const bool told = co_await line->changed.wait(clock, deadline);
        // The request may have begun something: exec counts as a write.
        if (!told && deadline.passed(clock.steady())) {
            co_return std::unexpected(Error{.code = ErrorCode::deadline_exceeded, .message = "no answer in time", .applied = Applied::maybe});
        }
    }
    const auto head = line->head();
    if (!head) co_return std::unexpected(line->failure().value_or(Error{ErrorCode::unavailable, "the connection ended before an answer"}));
    if (head->status != 101) co_return std::unexpected(error_from(*head, Method::get));
    if (head->header("sec-websocket-accept") != accept_for(key)) co_return fail(ErrorCode::unavailable, "the answer is not from a WebSocket server");
    std::string protocol(head->header("sec-websocket-protocol"));
    if (std::ranges::find(protocols, protocol) == protocols.end())
        co_return fail(ErrorCode::unavailable, "the server chose a protocol that was not offered");
    co_return std::make_unique<UpgradedConnection>(std::move(line), std::move(protocol), clock);
}

}  // namespace kn::kube::http
