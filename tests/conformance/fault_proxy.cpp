#include "fault_proxy.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <optional>
#include <thread>

namespace kn::conformance {
namespace {

using kube::http::Connection;
using kube::http::SeenRequest;

/// One exchange with the upstream whose answer is passed on piece by piece.
struct Relay {
    Connection& client;
    std::optional<Fault> fault;
    CURL* easy = nullptr;
    bool head_sent = false, broken = false;
    std::int64_t passed = 0;
    std::string head;

    [[nodiscard]] bool is(Fault::Kind kind) const { return fault && fault->kind == kind; }

    void send_chunk(std::string_view bytes) {
        char size[32];
        std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
        client.send(size);
        client.send(bytes);
        client.send("\r\n");
    }
    void send_head() {
        if (std::exchange(head_sent, true)) return;
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        client.send("HTTP/1.1 " + std::to_string(status) + " X\r\n" + head + "Transfer-Encoding: chunked\r\n\r\n");
    }
    /// False: the connection is to end here.
    bool pass(std::string_view bytes) {
        if (is(Fault::Kind::lose_reply)) return true;
        send_head();
        if (is(Fault::Kind::delay) && client.wait_for_close(static_cast<int>(fault->bytes))) return false;
        const bool last =
            (is(Fault::Kind::cut_after) || is(Fault::Kind::stall_after)) && passed + static_cast<std::int64_t>(bytes.size()) >= fault->bytes;
        if (last) {
            // A chunk that promises more than comes.
            const auto rest = bytes.substr(0, static_cast<std::size_t>(std::max<std::int64_t>(0, fault->bytes - passed)));
            char size[32];
            std::snprintf(size, sizeof size, "%zx\r\n", bytes.size() + 1);
            client.send(size);
            client.send(rest);
            if (is(Fault::Kind::stall_after)) (void)client.wait_for_close(600'000);
            return false;
        }
        passed += static_cast<std::int64_t>(bytes.size());
        send_chunk(bytes);
        if (is(Fault::Kind::duplicate)) send_chunk(bytes);
        return true;
    }
};

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* relay_) {
    auto* relay = static_cast<Relay*>(relay_);
    if (relay->client.wait_for_close(0) || !relay->pass({data, size * count})) return relay->broken = true, 0;
    return size * count;
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* relay_) {
    const std::string line(data, size * count);
    std::string lower = line;
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    for (const auto* name : {"content-type:", "warning:", "retry-after:", "etag:"}) {
        if (lower.starts_with(name)) static_cast<Relay*>(relay_)->head += line;
    }
    return size * count;
}

/// Looks whether the client is still there while the upstream is silent.
int on_progress(void* relay, curl_off_t, curl_off_t, curl_off_t, curl_off_t) { return static_cast<Relay*>(relay)->client.wait_for_close(0) ? 1 : 0; }

void set_blob(CURL* easy, CURLoption option, const std::string& pem) {
    curl_blob blob{.data = const_cast<char*>(pem.data()), .len = pem.size(), .flags = CURL_BLOB_COPY};
    curl_easy_setopt(easy, option, &blob);
}

}  // namespace

FaultProxy::FaultProxy(kube::ConnectionConfig upstream)
    : upstream_(std::move(upstream)), server_(std::make_unique<kube::http::TestServer>([this](Connection& connection, const SeenRequest& request) {
          return serve(connection, request);
      })) {}

kube::ConnectionConfig FaultProxy::config() const {
    kube::ConnectionConfig out;
    out.context = "fault-proxy";
    out.server = server_->url();
    return out;
}

void FaultProxy::script(Fault fault) {
    const std::lock_guard lock(mutex_);
    faults_.push_back(std::move(fault));
}

void FaultProxy::on_request(std::function<std::optional<Fault>(const std::string&)> chooser) {
    const std::lock_guard lock(mutex_);
    chooser_ = std::move(chooser);
}

void FaultProxy::clear() {
    const std::lock_guard lock(mutex_);
    faults_.clear();
    chooser_ = {};
}

std::vector<std::string> FaultProxy::seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
}

int FaultProxy::count(std::string_view match) const {
    const auto all = seen();
    return static_cast<int>(std::ranges::count_if(all, [match](const std::string& what) { return what.contains(match); }));
}

std::optional<Fault> FaultProxy::take(const std::string& what) {
    const std::lock_guard lock(mutex_);
    seen_.push_back(what);
    for (auto& fault : faults_) {
        if (fault.times <= 0 || !what.contains(fault.match)) continue;
        --fault.times;
        return fault;
    }
    return chooser_ ? chooser_(what) : std::nullopt;
}

bool FaultProxy::serve(Connection& connection, const SeenRequest& request) {
    const auto fault = take(request.method + " " + request.target);
    using Kind = Fault::Kind;
    if (fault && fault->kind == Kind::answer) return connection.answer(fault->status, fault->body, fault->headers), true;
    if (fault && fault->kind == Kind::reset) return connection.reset(), false;
    if (fault && fault->kind == Kind::hang) return (void)connection.wait_for_close(600'000), false;
    CURL* easy = curl_easy_init();
    Relay relay{.client = connection, .fault = fault, .easy = easy};
    curl_slist* headers = nullptr;
    for (const auto& [name, value] : request.headers) {
        if (name == "accept" || name == "content-type" || name.starts_with("impersonate"))
            headers = curl_slist_append(headers, (name + ": " + value).c_str());
    }
    headers = curl_slist_append(headers, "Expect:");
    curl_easy_setopt(easy, CURLOPT_URL, (upstream_.server + request.target).c_str());
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    if (request.method != "GET") {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.c_str());
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body.size()));
    }
    set_blob(easy, CURLOPT_CAINFO_BLOB, upstream_.ca_pem);
    set_blob(easy, CURLOPT_SSLCERT_BLOB, upstream_.client_cert_pem);
    set_blob(easy, CURLOPT_SSLKEY_BLOB, upstream_.client_key_pem);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &relay);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, &relay);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, &relay);
    const auto code = curl_easy_perform(easy);
    bool keep = false;
    if (fault && fault->kind == Kind::lose_reply) {
        connection.reset();
    } else if (code == CURLE_OK && !relay.broken) {
        relay.send_head();
        connection.send("0\r\n\r\n");
        keep = true;
    } else if (!relay.head_sent && !relay.broken) {
        connection.answer(502, "the upstream does not answer");
        keep = true;
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
    return keep;
}

}  // namespace kn::conformance
