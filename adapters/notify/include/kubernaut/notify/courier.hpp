#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/kube/transport.hpp"
#include "kubernaut/ports/notifier.hpp"

namespace kn::notify {

/// What goes out at once: one message, or a digest of several.
struct Envelope {
    std::vector<ports::Notification> messages;
    std::string key;  ///< the receiver may drop repeats by it
    Instant at{};
};

/// One way to people. A value: the other side has taken it.
class Courier {
public:
    virtual ~Courier() = default;
    virtual async::Task<Result<>> deliver(Envelope envelope, Deadline deadline) = 0;
    /// No more deliveries; ends threads. May be called twice.
    virtual void stop() {}
};

/// webhook, slack, teams or pagerduty: JSON in a POST.
struct HttpChannel {
    std::string type, path = "/";  ///< path of the URL
    std::string secret;            ///< webhook: key of the signature; pagerduty: the routing key
};
/// The body for a channel's type. Pure. A webhook gets the fields as they are, several messages as {"kind": "digest", "messages": [...]}.
std::string body_for(const HttpChannel& channel, const Envelope& envelope);
/// Of a webhook with a secret: X-Kubernaut-Timestamp (Unix seconds) and X-Kubernaut-Signature, "sha256=" + hex of HMAC-SHA256(secret, timestamp + "." + body). Pure.
kube::Headers signature_headers(const std::string& secret, Instant at, const std::string& body);
std::unique_ptr<Courier> make_http_courier(HttpChannel channel, std::shared_ptr<kube::Transport> transport);

/// E-mail by SMTP (libcurl): smtps:// is TLS from the start; smtp:// asks for STARTTLS and refuses to go on without it, unless `plain` (a relay on this machine).
struct MailChannel {
    std::string url;  ///< smtp://host:587 or smtps://host:465
    std::string from, user, password;
    std::vector<std::string> to;
    bool plain = false;
};
/// The message as RFC 5322 wants it, lines ended by CR LF, header values on one line, text as base64 UTF-8. Pure.
std::string mail_for(const MailChannel& channel, const Envelope& envelope);
std::unique_ptr<Courier> make_mail_courier(MailChannel channel);

}  // namespace kn::notify
