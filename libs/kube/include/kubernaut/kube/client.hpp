#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/async/clock.hpp"
#include "kubernaut/async/task.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/adaptive_rate.hpp"
#include "kubernaut/kube/list_decoder.hpp"
#include "kubernaut/kube/patch.hpp"
#include "kubernaut/kube/resource.hpp"
#include "kubernaut/kube/transport.hpp"

namespace kn::kube {

using async::Task;

struct ListOptions {
    std::string label_selector{};
    std::string field_selector{};
    std::string resource_version{};  ///< "" = most recent; "0" = any cached
    int page_size = 500;
};

struct ObjectList {
    std::vector<json::Value> items;  ///< kind and apiVersion filled in (the server leaves them out)
    std::string resource_version;
};

struct WriteOptions {
    bool dry_run = false;
    std::string field_manager = "kubernaut";
    std::string field_validation = "Strict";
};

struct PatchOptions {
    WriteOptions write{};
    std::string subresource{};  ///< "", "status", "scale", "resize"
    bool force = false;         ///< apply only; our own actions never set it
};

struct DeleteOptions {
    std::string uid{};               ///< precondition
    std::string resource_version{};  ///< precondition
    std::optional<int> grace_seconds{};
    std::string propagation{};  ///< "", "Background", "Foreground", "Orphan"
    bool dry_run = false;
};

struct LogOptions {
    std::string container{};
    bool previous = false;
    int tail_lines = 200;
    int limit_bytes = 64 * 1024;
    bool timestamps = false;
};

struct ServiceAccountToken {
    std::string token;
    Instant expires{};
};

/// Kubernetes verbs over one Transport. Every call has a deadline; errors come from Status (status.hpp). Reads are tried again on
/// `unavailable` within the deadline (back-off with jitter); writes are never repeated here: an error with Applied::maybe is the caller's to resolve.
class Client {
public:
    Client(std::shared_ptr<Transport> transport, async::Clock& clock);
    virtual ~Client() = default;

    Task<Result<json::Value>> get(const Resource& resource, std::string ns, std::string name, Deadline deadline);
    /// All pages; restarts once when a continue token expires.
    Task<Result<ObjectList>> list(const Resource& resource, std::string ns, ListOptions options, Deadline deadline);
    /// The same, item by item as the bytes come: neither the body nor all objects are in memory at a time. Gives the list's version. `items` must outlive the
    /// call; what it was given is void when the call fails.
    Task<Result<std::string>> list_into(Resource resource, std::string ns, ListOptions options, ItemSink& items, Deadline deadline);
    Task<Result<json::Value>> create(const Resource& resource, std::string ns, json::Value object, WriteOptions options, Deadline deadline);
    Task<Result<json::Value>> replace(const Resource& resource, std::string ns, std::string name, json::Value object, PatchOptions options,
                                      Deadline deadline);
    Task<Result<json::Value>> patch(const Resource& resource, std::string ns, std::string name, PatchType type, json::Value patch,
                                    PatchOptions options, Deadline deadline);
    /// The object in its last state, or a Status.
    Task<Result<json::Value>> remove(const Resource& resource, std::string ns, std::string name, DeleteOptions options, Deadline deadline);
    /// policy/v1 Eviction. Blocked by a budget: resource_exhausted with reason "DisruptionBudget"; overload: resource_exhausted with another reason.
    Task<Result<>> evict(std::string ns, std::string pod, DeleteOptions options, Deadline deadline);
    Task<Result<std::string>> logs(std::string ns, std::string pod, LogOptions options, Deadline deadline);
    /// SelfSubjectAccessReview.
    Task<Result<bool>> can_i(std::string verb, const Resource& resource, std::string subresource, std::string ns, std::string name,
                             Deadline deadline);
    /// SubjectAccessReview for another user, e.g. "system:serviceaccount:shop:cart".
    Task<Result<bool>> can_user(std::string user, std::vector<std::string> groups, std::string verb, const Resource& resource, std::string ns,
                                Deadline deadline);
    /// uid of the Namespace kube-system: the cluster's identity.
    Task<Result<std::string>> cluster_uid(Deadline deadline);
    /// The resource of a kind that is not built in, by discovery; not_found when the server does not serve it.
    Task<Result<Resource>> discover(std::string group, std::string kind, Deadline deadline);
    /// TokenRequest for a service account; `audiences` empty = the server's own.
    Task<Result<ServiceAccountToken>> request_token(std::string ns, std::string service_account, std::vector<std::string> audiences, int seconds,
                                                    Deadline deadline);
    /// Any request with a JSON answer.
    Task<Result<json::Value>> call(Request request, Deadline deadline);
    Task<Result<std::unique_ptr<Stream>>> watch(const Resource& resource, std::string ns, ListOptions options, std::string resource_version,
                                                int timeout_seconds, Deadline connect_deadline);

    /// A streaming list: the objects that are there as ADDED events, a bookmark with the annotation k8s.io/initial-events-end, then the watch. Servers that
    /// do not offer it refuse with invalid_argument.
    Task<Result<std::unique_ptr<Stream>>> watch_from_list(const Resource& resource, std::string ns, ListOptions options, int timeout_seconds,
                                                          Deadline connect_deadline);
    /// Hears the texts of Warning headers: what the server thinks a person should know about a request. Set before the first call.
    void on_warning(std::function<void(std::string_view)> listener) { warned_ = std::move(listener); }

    [[nodiscard]] const std::shared_ptr<Transport>& transport() const { return transport_; }
    [[nodiscard]] async::Clock& clock() const { return *clock_; }
    [[nodiscard]] const AdaptiveRate& rate() const { return rate_; }

private:
    /// One request in its turn (adaptive_rate.hpp).
    Task<Result<Response>> send(Request request, Deadline deadline);
    Task<Result<>> wait_for_turn(const Request& request, Deadline deadline);
    Task<Result<Response>> read_response(Request request, Deadline deadline);
    Task<Result<json::Value>> read(Request request, Deadline deadline);
    Task<Result<ObjectList>> list_all(Resource resource, std::string ns, ListOptions options, Deadline deadline);
    Task<Result<std::string>> list_pages(const Resource& resource, std::string ns, ListOptions options, ItemSink& items, Deadline deadline);
    Task<Result<bool>> ask_access(Request request, Deadline deadline);
    Task<Result<std::unique_ptr<Stream>>> open_stream(Request request, Deadline connect_deadline);
    Task<Result<json::Value>> write(Request request, Deadline deadline);
    void tell_warnings(const Response& response) const;

    std::shared_ptr<Transport> transport_;
    async::Clock* clock_;
    std::function<void(std::string_view)> warned_;
    AdaptiveRate rate_;
};

}  // namespace kn::kube
