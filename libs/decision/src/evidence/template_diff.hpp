#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/json/json.hpp"

namespace kn::decision {

/// Equal but for pod-template-hash and the annotations that a restart leaves behind.
bool same_template(const json::Value& a, const json::Value& b);

/// What differs between two pod templates, as words: image, command, env, probe, resources, config_refs, scheduling, pull_secrets, volumes, account,
/// security, containers, labels, annotations, lifecycle, other. Empty = the same.
std::set<std::string> template_diff(const json::Value& before, const json::Value& after);

struct ConfigReference {
    std::string kind, name;  ///< ConfigMap, Secret
    bool optional = false, image_pull = false, volume = false;
    std::vector<std::string> keys;  ///< named keys; empty = all
    auto operator<=>(const ConfigReference&) const = default;
};
/// Every ConfigMap and Secret that a pod spec refers to, by kind and name, each once (optional only when every use is).
std::vector<ConfigReference> references_of(const json::Value& pod_spec);

/// Names of claims that a pod spec mounts.
std::vector<std::string> claims_of(const json::Value& pod_spec);

struct UpstreamName {
    std::string ns, service, why;
};
/// Services that env values may name ("db", "db:5432", "http://db.infra:80/x", "db.infra.svc.cluster.local"). Whether they exist is for the caller to see.
/// `ns` is "" when the value names none.
std::vector<UpstreamName> upstream_names(const json::Value& pod_spec);
/// The annotation `kubernaut.io/depends-on`: a list of ns/Service (or Service) separated by commas or spaces.
std::vector<UpstreamName> declared_upstreams(std::string_view annotation);

}  // namespace kn::decision
