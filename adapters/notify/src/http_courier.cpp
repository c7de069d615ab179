#include <algorithm>

#include "kubernaut/base/hash.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/notify/courier.hpp"

namespace kn::notify {
namespace {

constexpr std::size_t shown_in_digest = 30;

json::Object fields_of(const ports::Notification& n) {
    return {{"kind", n.kind},   {"key", n.key},  {"cluster", n.cluster.str()}, {"namespace", n.ns}, {"severity", to_string(n.severity)},
            {"title", n.title}, {"text", n.text}};
}

Severity worst_of(const Envelope& envelope) {
    Severity worst = Severity::none;
    for (const auto& message : envelope.messages) worst = std::max(worst, message.severity);
    return worst;
}

std::string title_of(const Envelope& envelope) {
    if (envelope.messages.size() == 1) return envelope.messages.front().title;
    return std::to_string(envelope.messages.size()) + " messages in one";
}

std::string text_of(const Envelope& envelope) {
    if (envelope.messages.size() == 1) return envelope.messages.front().text;
    std::string text;
    for (std::size_t i = 0; i < envelope.messages.size() && i < shown_in_digest; ++i) {
        const auto& message = envelope.messages[i];
        text += std::string(i == 0 ? "" : "\n") + std::string(to_string(message.severity)) + " " + message.cluster.str() + ": " + message.title;
    }
    if (envelope.messages.size() > shown_in_digest) text += "\nand " + std::to_string(envelope.messages.size() - shown_in_digest) + " more";
    return text;
}

/// Slack's three control characters; everything else is text to it.
std::string slack_text(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '&')
            out += "&amp;";
        else if (c == '<')
            out += "&lt;";
        else if (c == '>')
            out += "&gt;";
        else
            out += c;
    }
    return out;
}

/// The incident or execution that a message is about: the first word of its key. All messages of one incident share one alert there; the incident's key would not do,
/// since it changes when the trouble is diagnosed.
std::string subject_of(const ports::Notification& message) { return message.key.substr(0, message.key.find_first_of(" /")); }

json::Object pagerduty_event(const HttpChannel& channel, const Envelope& envelope) {
    const auto& first = envelope.messages.front();
    const bool single = envelope.messages.size() == 1;
    const bool over = single && (first.kind == "incident_resolved" || first.kind == "execution_done");
    const Severity worst = worst_of(envelope);
    const char* severity = worst == Severity::critical ? "critical" : worst == Severity::warning ? "warning" : "info";
    json::Object event{{"routing_key", channel.secret},
                       {"event_action", over ? "resolve" : "trigger"},
                       {"dedup_key", single ? subject_of(first) : envelope.key},
                       {"client", "kubernaut"}};
    json::Array all;
    for (const auto& message : envelope.messages) all.push_back(fields_of(message));
    // Their limit for the summary is 1024 characters.
    event["payload"] = json::Object{{"summary", (first.cluster.str() + ": " + title_of(envelope)).substr(0, 1000)},
                                    {"source", first.cluster.str().empty() ? "kubernaut" : first.cluster.str()},
                                    {"severity", severity},
                                    {"component", first.ns},
                                    {"class", single ? first.kind : "digest"},
                                    {"custom_details", json::Object{{"text", text_of(envelope)}, {"messages", std::move(all)}}}};
    return event;
}

json::Object teams_card(const Envelope& envelope) {
    json::Array body;
    body.push_back(json::Object{{"type", "TextBlock"},
                                {"size", "Medium"},
                                {"weight", "Bolder"},
                                {"wrap", true},
                                {"text", title_of(envelope)},
                                {"color", worst_of(envelope) == Severity::critical  ? "Attention"
                                          : worst_of(envelope) == Severity::warning ? "Warning"
                                                                                    : "Default"}});
    body.push_back(json::Object{{"type", "TextBlock"}, {"wrap", true}, {"text", text_of(envelope)}});
    const json::Object card{
        {"$schema", "http://adaptivecards.io/schemas/adaptive-card.json"}, {"type", "AdaptiveCard"}, {"version", "1.4"}, {"body", std::move(body)}};
    return {{"type", "message"},
            {"attachments", json::Array{json::Object{{"contentType", "application/vnd.microsoft.card.adaptive"}, {"content", card}}}}};
}

class HttpCourier final : public Courier {
public:
    HttpCourier(HttpChannel channel, std::shared_ptr<kube::Transport> transport) : channel_(std::move(channel)), transport_(std::move(transport)) {}

    async::Task<Result<>> deliver(Envelope envelope, Deadline deadline) override {
        kube::Request request{.method = kube::Method::post, .path = channel_.path};
        // The query of the URL is part of its secret and goes as it is.
        if (const auto question = channel_.path.find('?'); question != std::string::npos) {
            request.path = channel_.path.substr(0, question);
            for (std::string_view rest = std::string_view(channel_.path).substr(question + 1); !rest.empty();) {
                const auto end = std::min(rest.find('&'), rest.size());
                const auto pair = rest.substr(0, end);
                const auto equals = std::min(pair.find('='), pair.size());
                request.query.emplace_back(kube::percent_decode(pair.substr(0, equals)),
                                           kube::percent_decode(pair.substr(std::min(equals + 1, pair.size()))));
                rest.remove_prefix(std::min(end + 1, rest.size()));
            }
        }
        request.content_type = "application/json";
        request.body = body_for(channel_, envelope);
        request.headers.emplace_back("Idempotency-Key", one_line(envelope.key));
        if (channel_.type == "webhook" && !channel_.secret.empty()) {
            for (auto& header : signature_headers(channel_.secret, envelope.at, request.body)) request.headers.push_back(std::move(header));
        }
        KN_CO_TRY(const kube::Response answer, co_await transport_->send(std::move(request), deadline));
        if (answer.status >= 200 && answer.status < 300) co_return Result<>{};
        Error error{.code = answer.status == 429   ? ErrorCode::resource_exhausted
                            : answer.status >= 500 ? ErrorCode::unavailable
                                                   : ErrorCode::invalid_argument,
                    .message = "HTTP " + std::to_string(answer.status) + (answer.body.empty() ? "" : ": " + answer.body.substr(0, 200))};
        if (const auto after = json::parse(answer.header("retry-after")); after && after->is_number()) {
            error.retry_after = std::chrono::seconds{std::clamp<std::int64_t>(json::to_int(&*after).value_or(0), 0, 300)};
        }
        co_return fail(std::move(error));
    }

private:
    /// Keys come from names in clusters: nothing of them may end a header line.
    static std::string one_line(std::string text) {
        std::erase_if(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
        return text;
    }
    HttpChannel channel_;
    std::shared_ptr<kube::Transport> transport_;
};

}  // namespace

std::string body_for(const HttpChannel& channel, const Envelope& envelope) {
    if (channel.type == "slack")
        return json::dump(json::Object{{"text", "*" + slack_text(title_of(envelope)) + "*\n" + slack_text(text_of(envelope))}});
    if (channel.type == "pagerduty") return json::dump(pagerduty_event(channel, envelope));
    if (channel.type == "teams") return json::dump(teams_card(envelope));
    if (envelope.messages.size() == 1) return json::dump(fields_of(envelope.messages.front()));
    json::Array all;
    for (const auto& message : envelope.messages) all.push_back(fields_of(message));
    return json::dump(json::Object{{"kind", "digest"},
                                   {"key", envelope.key},
                                   {"severity", to_string(worst_of(envelope))},
                                   {"title", title_of(envelope)},
                                   {"text", text_of(envelope)},
                                   {"messages", std::move(all)}});
}

kube::Headers signature_headers(const std::string& secret, Instant at, const std::string& body) {
    const std::string seconds = std::to_string(to_millis(at) / 1000);
    return {{"X-Kubernaut-Timestamp", seconds}, {"X-Kubernaut-Signature", "sha256=" + to_hex(hmac_sha256(secret, seconds + "." + body))}};
}

std::unique_ptr<Courier> make_http_courier(HttpChannel channel, std::shared_ptr<kube::Transport> transport) {
    return std::make_unique<HttpCourier>(std::move(channel), std::move(transport));
}

}  // namespace kn::notify
