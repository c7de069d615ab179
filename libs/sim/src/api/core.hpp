#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "api/access/rbac.hpp"
#include "api/objects/field_set.hpp"
#include "api/objects/types.hpp"
#include "api/refusal.hpp"
#include "api/route.hpp"
#include "api/store.hpp"
#include "kubernaut/kube/selector.hpp"
#include "kubernaut/sim/api/api_server.hpp"

namespace kn::sim::api {

/// What every step of a write needs to know about the request.
struct WriteContext {
    const RequestInfo* info = nullptr;
    const ServedType* type = nullptr;
    Identity identity;
    std::string manager;
    bool dry_run = false;
    enum class FieldValidation : std::uint8_t { ignore, warn, strict } field_validation = FieldValidation::warn;
    std::vector<std::string> warnings;
    Instant now{};
    std::string subresource;  ///< as recorded in managedFields
};

struct Written {
    ObjectPtr object;  ///< for a dry run not stored
    bool created = false;
    bool changed = false;
    bool deleted = false;  ///< the last finalizer went
};

/// How a new state is meant.
enum class UpdatePart : std::uint8_t { main, status, scale, resize, ephemeral, finalize, binding };

/// The server without its public face: state, and one function a step. Files: core (dispatch), read, write, patch, remove, subresources, reviews,
/// watch, discovery, table.
class Core : public std::enable_shared_from_this<Core> {
public:
    Core(async::EventLoop& loop, RandomSource& random, ApiServerOptions options);

    kube::Response handle(const kube::Request& request, const Identity& identity, std::string_view raw_method);
    std::unique_ptr<kube::Stream> open(const kube::Request& request, const Identity& identity);
    void bootstrap();

    [[nodiscard]] Instant now() const { return loop.clock().now(); }
    std::string make_uid();
    std::string random_suffix(std::size_t length);

    async::EventLoop& loop;
    RandomSource& random;
    ApiServerOptions options;
    TypeTable types;
    Store store;
    Rbac rbac;
    NetworkFaults faults;
    std::function<Result<std::string>(const ApiServer::LogQuery&)> log_source;
    struct ForeignApi {
        std::string prefix;
        std::function<kube::Response(const kube::Request&, const Identity&)> handler;
    };
    std::vector<ForeignApi> foreign;
    std::deque<WriteRecord> writes;
    std::size_t dropped_writes = 0;
    ApiServer::Counters counters;

    // core.cpp
    Outcome<Identity> effective_identity(const kube::Request& request, const Identity& identity) const;
    Outcome<> authorize(const RequestInfo& info, const Identity& identity) const;
    Outcome<kube::Response> dispatch(const RequestInfo& info, const Identity& identity);
    kube::Response render(int code, const ServedType& type, const StoredObject& object, const RequestInfo& info,
                          std::vector<std::string> warnings = {});

    // read.cpp
    Outcome<kube::Response> get(const RequestInfo& info, const ServedType& type);
    Outcome<kube::Response> list(const RequestInfo& info, const ServedType& type);

    // write.cpp
    Outcome<kube::Response> write(const RequestInfo& info, const ServedType& type, const Identity& identity);
    Outcome<WriteContext> write_context(const RequestInfo& info, const ServedType& type, const Identity& identity, std::string_view options_kind);
    Outcome<Written> create(WriteContext& context, Value object, const FieldSet* applied = nullptr);
    Outcome<Written> update(WriteContext& context, const ObjectPtr& old, Value desired, UpdatePart part, const FieldSet* applied = nullptr);
    void after_store(const ServedType& type, const Written& written);

    // patch.cpp
    Outcome<Written> patch(WriteContext& context);
    Outcome<Value> patched(WriteContext& context, Value target, std::string_view kind);
    Outcome<Written> apply(WriteContext& context);

    // remove.cpp
    Outcome<kube::Response> remove(const RequestInfo& info, const ServedType& type, const Identity& identity);
    Outcome<kube::Response> remove_collection(const RequestInfo& info, const ServedType& type, const Identity& identity);
    struct DeleteSpec {
        std::string uid, resource_version, propagation;
        int grace_seconds = -1;  ///< -1: not given
        bool dry_run = false;
    };
    struct Removed {
        ObjectPtr object;
        bool gone = false, changed = false;
    };
    Outcome<Removed> remove_object(const ServedType& type, const ObjectPtr& object, const DeleteSpec& spec);
    static Outcome<DeleteSpec> delete_spec(const RequestInfo& info, const Value& body);
    void clean_namespace(const std::string& name);
    void object_gone(std::string_view storage, const StoredObject& object);
    void expire_events();

    // subresources.cpp
    Outcome<kube::Response> subresource(const RequestInfo& info, const ServedType& type, const Identity& identity);
    Outcome<kube::Response> scale(const RequestInfo& info, const ServedType& type, const Identity& identity);
    Outcome<kube::Response> evict(const RequestInfo& info, const ServedType& type, const Identity& identity);
    Outcome<kube::Response> bind(const RequestInfo& info, const ServedType& type, const Identity& identity);
    Outcome<std::string> read_log(const RequestInfo& info);
    Outcome<kube::Response> log(const RequestInfo& info);

    // reviews.cpp
    Outcome<kube::Response> review(const RequestInfo& info, const ServedType& type, const Identity& identity);
    Outcome<kube::Response> service_account_token(const RequestInfo& info);
    std::optional<Identity> authenticate(std::string_view token) const;
    std::map<std::string, Identity, std::less<>> issued_tokens;

    // discovery.cpp
    Outcome<kube::Response> non_resource(const RequestInfo& info);
    Outcome<kube::Response> discovery_of_group_version(const std::string& group, const std::string& version);

    [[nodiscard]] ObjectPtr find(std::string_view storage, std::string_view ns, std::string_view name) const;
    void note_write(const RequestInfo& info, const ServedType& type, const Identity& identity, std::string_view manager, int code, bool dry_run,
                    bool changed, std::string_view name);
    bool write_changed_ = false;  ///< set by the write in progress, for its WriteRecord
    std::string write_name_;      ///< a generated name, likewise
    std::set<std::string, std::less<>> cleaning_;
    /// Changes of Events by time, and the last one of each.
    std::deque<std::pair<Instant, Key>> event_ages_;
    std::map<Key, Instant> event_times_;
    std::uint32_t next_service_ip_ = 10;
    std::uint32_t next_node_port_ = 30000;
};

/// The object in the version and shape that this type serves (stored form → served form).
Value served_value(const ServedType& type, const Value& stored);
/// The reverse, for bodies that clients send.
Value stored_value(const ServedType& type, Value sent);
/// Text of served_value; shared with the stored text whenever both are the same.
std::string served_text(const ServedType& type, const StoredObject& object);
/// As in lists: without kind and apiVersion.
std::string served_item_text(const ServedType& type, const StoredObject& object);
Value partial_metadata(const Value& object);

/// Selector query parameters of lists and watches, checked.
class Selection {
public:
    static Outcome<Selection> read(const RequestInfo& info, const ServedType& type);
    [[nodiscard]] bool matches(const Value& object) const;
    [[nodiscard]] bool empty() const { return empty_; }

private:
    bool empty_ = true;
    std::string ns_;
    kube::LabelSelector labels_;
    bool by_labels_ = false;
    kube::FieldSelector fields_;
};

std::unique_ptr<kube::Stream> refused_stream(kube::Response response);
std::unique_ptr<kube::Stream> open_watch(const std::shared_ptr<Core>& core, const RequestInfo& info, const ServedType& type,
                                         const Identity& identity);
std::unique_ptr<kube::Stream> open_log(const std::shared_ptr<Core>& core, const kube::Request& request, const Identity& identity);

// table.cpp
/// columnDefinitions and rows for these objects.
json::Array table_columns(const ServedType& type);
json::Array table_row(const ServedType& type, const Value& object, Instant now);
Value table_of(const ServedType& type, const std::vector<ObjectPtr>& objects, const Value& list_metadata, std::string_view include_object,
               Instant now, bool with_columns);

}  // namespace kn::sim::api
