#include "kubernaut/kube/discovery.hpp"

#include <algorithm>

#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/status.hpp"

namespace kn::kube {
namespace {

constexpr std::string_view aggregated_accept =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

std::vector<std::string> texts(const json::Array& list) {
    std::vector<std::string> out;
    for (const auto& entry : list) {
        if (entry.is_string()) out.emplace_back(json::view(entry.get_string()));
    }
    return out;
}

std::string joined(std::string_view group, std::string_view version) {
    return group.empty() ? std::string(version) : std::string(group) + "/" + std::string(version);
}

/// One exchange without repetition: what a dead group answers today it answers a second later as well, and there may be many of them.
Task<Result<json::Value>> ask_once(std::shared_ptr<Client> client, std::string path, std::string_view accept, Deadline deadline) {
    Request request{.path = path, .accept = std::string(accept)};
    auto answer = co_await client->transport()->send(std::move(request), deadline);
    if (!answer) co_return std::unexpected(std::move(answer).error().with_context("discovery " + path));
    if (answer->status != 200) co_return std::unexpected(error_from(*answer, Method::get).with_context("discovery " + path));
    co_return json::parse(answer->body);
}

struct GroupVersions {
    std::string group;
    std::vector<std::string> versions;  ///< the preferred one first
};

GroupVersions versions_of(const json::Value& group) {
    GroupVersions out{std::string(json::string_at(group, "name")), {}};
    if (const auto preferred = json::string_at(group, "preferredVersion", "version"); !preferred.empty()) out.versions.emplace_back(preferred);
    for (const auto& entry : json::array_at(group, "versions")) {
        std::string version(json::string_at(entry, "version"));
        if (!version.empty() && std::ranges::find(out.versions, version) == out.versions.end()) out.versions.push_back(std::move(version));
    }
    return out;
}

Task<Result<>> follow(std::shared_ptr<Client> client, GroupVersions group, Discovery& out, Deadline deadline) {
    for (const auto& version : group.versions) {
        const auto path = group.group.empty() ? "/api/" + version : "/apis/" + group.group + "/" + version;
        const auto list = co_await ask_once(client, path, "application/json", deadline);
        // Only the loss of the whole server ends the discovery: a group that answers with an error is that group's trouble.
        if (!list && deadline.passed(client->clock().steady())) co_return std::unexpected(list.error());
        if (!list || !read_resource_list(*list, group.group, version, out)) out.broken.push_back(joined(group.group, version));
    }
    co_return Result<>{};
}

Task<Result<Discovery>> legacy_discovery(std::shared_ptr<Client> client, Deadline deadline) {
    Discovery out;
    KN_CO_TRY(const json::Value core, co_await ask_once(client, "/api", "application/json", deadline));
    GroupVersions core_versions{"", texts(json::array_at(core, "versions"))};
    KN_CO_CHECK(co_await follow(client, std::move(core_versions), out, deadline));
    KN_CO_TRY(const json::Value groups, co_await ask_once(client, "/apis", "application/json", deadline));
    for (const auto& group : json::array_at(groups, "groups")) KN_CO_CHECK(co_await follow(client, versions_of(group), out, deadline));
    co_return out;
}

}  // namespace

const ServedResource* Discovery::find(std::string_view group, std::string_view kind) const {
    const auto found = std::ranges::find_if(resources, [&](const ServedResource& s) { return s.resource.group == group && s.resource.kind == kind; });
    return found == resources.end() ? nullptr : &*found;
}

bool read_aggregated_discovery(const json::Value& answer, Discovery& out) {
    if (kind_of(answer) != "APIGroupDiscoveryList") return false;
    for (const auto& item : json::array_at(answer, "items")) {
        const std::string group(name_of(item));
        for (const auto& version : json::array_at(item, "versions")) {
            const std::string name(json::string_at(version, "version"));
            if (json::string_at(version, "freshness") == "Stale") out.broken.push_back(joined(group, name));
            for (const auto& entry : json::array_at(version, "resources")) {
                ServedResource served;
                served.resource = {group, name, std::string(json::string_at(entry, "resource")),
                                   std::string(json::string_at(entry, "responseKind", "kind")), json::string_at(entry, "scope") != "Cluster"};
                served.verbs = texts(json::array_at(entry, "verbs"));
                served.short_names = texts(json::array_at(entry, "shortNames"));
                for (const auto& sub : json::array_at(entry, "subresources")) served.subresources.emplace_back(json::string_at(sub, "subresource"));
                if (!served.resource.plural.empty() && !served.resource.kind.empty()) out.resources.push_back(std::move(served));
            }
        }
    }
    return true;
}

bool read_resource_list(const json::Value& answer, std::string_view group, std::string_view version, Discovery& out) {
    if (kind_of(answer) != "APIResourceList") return false;
    const auto first = out.resources.size();
    for (const auto& entry : json::array_at(answer, "resources")) {
        const std::string plural(json::string_at(entry, "name"));
        if (plural.empty() || plural.contains('/')) continue;
        ServedResource served;
        served.resource = {std::string(group), std::string(version), plural, std::string(json::string_at(entry, "kind")),
                           json::bool_at(entry, "namespaced").value_or(true)};
        served.verbs = texts(json::array_at(entry, "verbs"));
        served.short_names = texts(json::array_at(entry, "shortNames"));
        out.resources.push_back(std::move(served));
    }
    for (const auto& entry : json::array_at(answer, "resources")) {
        const std::string_view name = json::string_at(entry, "name");
        const auto slash = name.find('/');
        if (slash == std::string_view::npos) continue;
        for (auto i = first; i < out.resources.size(); ++i) {
            if (out.resources[i].resource.plural == name.substr(0, slash)) out.resources[i].subresources.emplace_back(name.substr(slash + 1));
        }
    }
    return true;
}

Task<Result<Discovery>> discover_all(std::shared_ptr<Client> client, Deadline deadline, DiscoveryForm form) {
    if (form == DiscoveryForm::legacy) co_return co_await legacy_discovery(client, deadline);
    Discovery out;
    KN_CO_TRY(const json::Value core, co_await ask_once(client, "/api", aggregated_accept, deadline));
    if (!read_aggregated_discovery(core, out)) co_return co_await legacy_discovery(client, deadline);
    KN_CO_TRY(const json::Value groups, co_await ask_once(client, "/apis", aggregated_accept, deadline));
    if (!read_aggregated_discovery(groups, out)) co_return co_await legacy_discovery(client, deadline);
    co_return out;
}

}  // namespace kn::kube
