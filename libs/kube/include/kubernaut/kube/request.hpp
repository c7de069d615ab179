#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kubernaut/base/result.hpp"

namespace kn::kube {

enum class Method : std::uint8_t { get, post, put, patch, del };
std::string_view to_string(Method method);

using Headers = std::vector<std::pair<std::string, std::string>>;

/// Takes the body of a successful answer piece by piece, as it comes.
class BodySink {
public:
    virtual ~BodySink() = default;
    /// A body begins; what came before, of an answer that broke off, is void.
    virtual void begin() = 0;
    /// A failure ends the request with it.
    virtual Result<> data(std::string_view bytes) = 0;
};

/// One HTTP request to an API server; the transport adds host, credentials and Accept-Encoding.
struct Request {
    Method method = Method::get;
    std::string path;                                          ///< "/api/v1/namespaces/shop/pods/web-1", unescaped segments joined by '/'
    std::vector<std::pair<std::string, std::string>> query{};  ///< unescaped
    std::string accept = "application/json";
    std::string content_type{};  ///< empty without body
    std::string body{};
    Headers headers{};
    /// Where a successful answer's body goes. A transport that knows no sinks puts it into Response::body like any other.
    std::shared_ptr<BodySink> sink{};

    /// Path and query, percent-encoded.
    [[nodiscard]] std::string target() const;
};

struct Response {
    int status = 0;
    std::string content_type;
    Headers headers;  ///< names in lower case
    std::string body;

    [[nodiscard]] std::string_view header(std::string_view lower_case_name) const;
    /// The texts of `Warning: 299` headers, unescaped.
    [[nodiscard]] std::vector<std::string> warnings() const;
};

std::string percent_encode(std::string_view text);
std::string percent_decode(std::string_view text);

}  // namespace kn::kube
