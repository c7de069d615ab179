#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/refusal.hpp"
#include "kubernaut/kube/resource.hpp"

namespace kn::sim::api {

/// What a CustomResourceDefinition says about one version.
struct CustomType {
    Value schema = nullptr;                                ///< openAPIV3Schema
    json::Array columns;                                   ///< additionalPrinterColumns
    std::string scale_spec, scale_status, scale_selector;  ///< JSON paths without the leading '.'; "" = no scale
    std::vector<std::string> selectable;                   ///< JSON paths of selectableFields
    bool storage = false;
};

/// One resource as it is served under one version.
struct ServedType {
    kube::Resource resource;
    std::string storage;  ///< name of the Collection; shared by the versions of a kind
    std::string singular;
    std::vector<std::string> short_names, categories;
    std::set<std::string, std::less<>> subresources;
    std::vector<std::string> verbs;
    bool status = false;                       ///< status is written through its subresource only
    bool generation = false;                   ///< metadata.generation counts changes of the spec
    bool unconditional_update = true;          ///< PUT without resourceVersion is taken
    bool create_on_update = false;             ///< PUT of a name that does not exist creates it
    std::shared_ptr<const CustomType> custom;  ///< null for built-in kinds

    [[nodiscard]] bool has_verb(std::string_view verb) const;
    [[nodiscard]] std::string kind_in_messages() const { return resource.kind_group(); }
};

/// The kinds that the server knows now: built-in ones and those of CustomResourceDefinitions.
class TypeTable {
public:
    TypeTable();
    [[nodiscard]] const ServedType* find(std::string_view group, std::string_view version, std::string_view plural) const;
    /// The preferred version of a resource.
    [[nodiscard]] const ServedType* find_any(std::string_view group, std::string_view plural) const;
    [[nodiscard]] const ServedType* by_storage(std::string_view storage) const;
    [[nodiscard]] bool has_group_version(std::string_view group, std::string_view version) const;
    [[nodiscard]] const std::vector<std::shared_ptr<const ServedType>>& all() const { return types_; }
    [[nodiscard]] std::uint64_t revision() const { return revision_; }

    /// Serves the versions of this CRD in place of what was served for it before.
    void set_custom(const Value& definition);
    void remove_custom(std::string_view group, std::string_view plural);
    /// Resources that somebody else serves (add_api); known to discovery only.
    void add_foreign(const kube::Resource& resource);

private:
    std::vector<std::shared_ptr<const ServedType>> types_;
    std::uint64_t revision_ = 1;
};

/// "pods", "deployments.apps": the name of the collection of a kind.
std::string storage_of(const kube::Resource& resource);

}  // namespace kn::sim::api
