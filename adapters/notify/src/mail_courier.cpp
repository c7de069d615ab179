#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "kubernaut/async/pool.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/notify/courier.hpp"

namespace kn::notify {
namespace {

constexpr std::size_t line_width = 76;

/// A header value must not end its line, or what stands after it would be a header of its own.
std::string one_line(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f)
            out += c;
        else if (!out.ends_with(' '))
            out += ' ';
    }
    return out;
}

/// RFC 2047 words of at most 75 characters; plain ASCII stays as it is. Cut between characters, never within one.
std::string header_text(std::string_view raw) {
    const std::string text = one_line(raw).substr(0, 400);
    if (std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; })) return text;
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t end = std::min(text.size(), at + 42);
        while (end > at + 1 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
        out += (out.empty() ? "" : "\r\n ") + ("=?UTF-8?B?" + base64_encode(std::string_view(text).substr(at, end - at)) + "?=");
        at = end;
    }
    return out;
}

std::string address(std::string_view text) {
    std::string out = one_line(text);
    std::erase_if(out, [](char c) { return c == '<' || c == '>' || c == ' '; });
    return out;
}

std::string date_of(Instant at) {
    const std::time_t seconds = to_millis(at) / 1000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[64];
    // Names of days and months are English in RFC 5322, and so they are in the C locale that the process runs in.
    std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", &parts);
    return text;
}

struct Upload {
    std::string text;
    std::size_t at = 0;
};
std::size_t read_upload(char* into, std::size_t size, std::size_t count, void* raw) {
    auto& upload = *static_cast<Upload*>(raw);
    const std::size_t n = std::min(size * count, upload.text.size() - upload.at);
    upload.text.copy(into, n, upload.at);
    upload.at += n;
    return n;
}

struct Easy {
    CURL* handle = curl_easy_init();
    curl_slist* recipients = nullptr;
    Easy() = default;
    Easy(const Easy&) = delete;
    Easy& operator=(const Easy&) = delete;
    ~Easy() {
        curl_slist_free_all(recipients);
        if (handle != nullptr) curl_easy_cleanup(handle);
    }
};

/// On a thread of the pool: blocks until the server has taken the message.
Result<> send_mail(const MailChannel& channel, std::string text, Duration limit) {
    Easy easy;
    if (easy.handle == nullptr) return fail(ErrorCode::resource_exhausted, "libcurl has no handle");
    Upload upload{.text = std::move(text)};
    char message[CURL_ERROR_SIZE] = {};
    const auto set = [&](CURLoption option, auto value) { (void)curl_easy_setopt(easy.handle, option, value); };
    set(CURLOPT_URL, channel.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(limit.count()));
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limit.count()));
    set(CURLOPT_USE_SSL, static_cast<long>(channel.plain ? CURLUSESSL_TRY : CURLUSESSL_ALL));
    set(CURLOPT_SSL_VERIFYPEER, channel.plain ? 0L : 1L);
    set(CURLOPT_SSL_VERIFYHOST, channel.plain ? 0L : 2L);
    if (!channel.user.empty()) {
        set(CURLOPT_USERNAME, channel.user.c_str());
        set(CURLOPT_PASSWORD, channel.password.c_str());
    }
    const std::string from = "<" + address(channel.from) + ">";
    set(CURLOPT_MAIL_FROM, from.c_str());
    for (const std::string& to : channel.to) easy.recipients = curl_slist_append(easy.recipients, ("<" + address(to) + ">").c_str());
    set(CURLOPT_MAIL_RCPT, easy.recipients);
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_READFUNCTION, &read_upload);
    set(CURLOPT_READDATA, static_cast<void*>(&upload));
    set(CURLOPT_ERRORBUFFER, message);
    const CURLcode code = curl_easy_perform(easy.handle);
    if (code == CURLE_OK) return {};
    return fail(code == CURLE_OPERATION_TIMEDOUT ? ErrorCode::deadline_exceeded : ErrorCode::unavailable,
                std::string("mail: ") + (message[0] != '\0' ? message : curl_easy_strerror(code)));
}

class MailCourier final : public Courier {
public:
    explicit MailCourier(MailChannel channel) : channel_(std::move(channel)) {}
    ~MailCourier() override { pool_.stop(); }
    void stop() override { pool_.stop(); }

    async::Task<Result<>> deliver(Envelope envelope, Deadline) override {
        // The job owns what it uses: it goes on when nobody waits for it any more. Its own limit stays under that of the claim.
        auto job = [channel = channel_, text = mail_for(channel_, envelope)]() mutable { return send_mail(channel, std::move(text), 30s); };
        co_return co_await async::run_on(pool_, std::move(job));
    }

private:
    MailChannel channel_;
    async::ThreadPool pool_{"mail", 1};
};

}  // namespace

std::string mail_for(const MailChannel& channel, const Envelope& envelope) {
    const bool single = envelope.messages.size() == 1;
    const std::string title = single ? envelope.messages.front().title : std::to_string(envelope.messages.size()) + " messages in one";
    std::string text;
    Severity worst = Severity::none;
    for (const auto& message : envelope.messages) {
        worst = std::max(worst, message.severity);
        if (!text.empty()) text += "\n\n";
        text += message.title + "\n" + (message.text.empty() ? "" : message.text + "\n") + "cluster " + message.cluster.str() +
                (message.ns.empty() ? "" : ", namespace " + message.ns) + ", " + message.kind + ", " + std::string(to_string(message.severity)) +
                "\n";
    }
    std::string to;
    for (const std::string& each : channel.to) to += (to.empty() ? "<" : ", <") + address(each) + ">";
    std::string out = "Date: " + date_of(envelope.at) + "\r\n";
    out += "From: <" + address(channel.from) + ">\r\nTo: " + to + "\r\n";
    out += "Subject: " + header_text("[kubernaut " + std::string(to_string(worst)) + "] " + title) + "\r\n";
    // The same id for every try, so that mail programs show a repeat once.
    out += "Message-ID: <" + to_hex(sha256(envelope.key)).substr(0, 32) + "@kubernaut>\r\nAuto-Submitted: auto-generated\r\n";
    out += "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    const std::string body = base64_encode(text);
    for (std::size_t at = 0; at < body.size(); at += line_width) out += body.substr(at, line_width) + "\r\n";
    return out;
}

std::unique_ptr<Courier> make_mail_courier(MailChannel channel) { return std::make_unique<MailCourier>(std::move(channel)); }

}  // namespace kn::notify
