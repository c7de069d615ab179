#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/informers.hpp"
#include "kubernaut/kube/client.hpp"

namespace kn::sim {

using async::Task;
using json::Value;

/// Writes of one controller. settle() waits until the caches show what was written.
class Writer {
public:
    Writer(Informers& informers, std::string manager) : informers_(informers), manager_(std::move(manager)) {}

    Task<Result<Value>> create(const kube::Resource& resource, std::string ns, Value object);
    Task<Result<Value>> merge(const kube::Resource& resource, std::string ns, std::string name, Value patch, std::string subresource = {});
    /// Writes only what differs from object.status; nothing when nothing does.
    Task<Result<>> status(const kube::Resource& resource, kube::ObjectPtr object, Value status);
    /// Already gone is success.
    Task<Result<>> remove(const kube::Resource& resource, kube::ObjectPtr object, std::optional<int> grace = {},
                          std::string propagation = "Background");
    Task<> settle();
    [[nodiscard]] kube::Client& client() const { return informers_.client(); }
    [[nodiscard]] Deadline soon() const { return client().clock().deadline_in(10s); }
    [[nodiscard]] Instant now() const { return client().clock().now(); }

private:
    void wrote(const kube::Resource& resource, const Value& object);
    Informers& informers_;
    std::string manager_;
    std::map<const kube::Resource*, std::string> written_;
};

/// ownerReferences entry with controller and blockOwnerDeletion.
Value controller_ref(const kube::Resource& kind, const Value& owner);

}  // namespace kn::sim
