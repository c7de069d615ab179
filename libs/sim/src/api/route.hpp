#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/objects/types.hpp"
#include "api/refusal.hpp"
#include "kubernaut/kube/request.hpp"

namespace kn::sim::api {

/// What a request asks for, read from method, path and query alone.
struct RequestInfo {
    bool resource_request = false;  ///< /api/v1/..., /apis/<group>/<version>/...
    std::string verb;               ///< get list watch create update patch delete deletecollection; for other paths the method in lower case
    std::string group, version, plural, ns, name, subresource;
    std::string proxy_path;  ///< what follows .../proxy/
    std::string path;
    const kube::Request* request = nullptr;

    [[nodiscard]] std::string_view query(std::string_view name) const;
    [[nodiscard]] bool flag(std::string_view name) const;
    [[nodiscard]] std::vector<std::string_view> query_all(std::string_view name) const;
    /// "pods", "deployments.apps", "pods/eviction": the form of TrafficFilter and WriteRecord.
    [[nodiscard]] std::string traffic_resource() const;
};
RequestInfo read_request(const kube::Request& request, std::string_view raw_method);

enum class Form : std::uint8_t { object, table, metadata };

/// What the client wants to read.
struct Accepted {
    Form form = Form::object;
    bool yaml = false;
    std::string content_type = "application/json";
};
/// The first entry of Accept that the server can satisfy; 406 when there is none.
Outcome<Accepted> negotiate(std::string_view accept, const ServedType* type);
/// The first media range in `accept` that asks for `as=<kind>` of a group; its `v` parameter.
std::optional<std::string> accept_as(std::string_view accept, std::string_view group, std::string_view as, const std::vector<std::string>& versions);

/// The body of a write as JSON; YAML is taken too. `strict` gets the duplicate keys and the like that strict decoding finds.
Outcome<Value> read_body(const kube::Request& request, std::string_view expected_kind);

}  // namespace kn::sim::api
