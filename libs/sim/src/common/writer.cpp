#include "common/writer.hpp"

#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/patch.hpp"

namespace kn::sim {

void Writer::wrote(const kube::Resource& resource, const Value& object) {
    auto& version = written_[&resource];
    const auto now = kube::resource_version_of(object);
    if (version_number(now) > version_number(version)) version = now;
}

Task<Result<Value>> Writer::create(const kube::Resource& resource, std::string ns, Value object) {
    kube::WriteOptions options{.dry_run = false, .field_manager = manager_, .field_validation = "Warn"};
    auto made = co_await client().create(resource, std::move(ns), std::move(object), options, soon());
    if (made) wrote(resource, *made);
    co_return made;
}

Task<Result<Value>> Writer::merge(const kube::Resource& resource, std::string ns, std::string name, Value patch, std::string subresource) {
    kube::PatchOptions options{.write = {.dry_run = false, .field_manager = manager_, .field_validation = "Warn"},
                               .subresource = std::move(subresource)};
    auto made = co_await client().patch(resource, std::move(ns), std::move(name), kube::PatchType::merge, std::move(patch), options, soon());
    if (made) wrote(resource, *made);
    co_return made;
}

Task<Result<>> Writer::status(const kube::Resource& resource, kube::ObjectPtr object, Value status) {
    const Value* before = json::at(*object, "status");
    Value difference = kube::diff_merge_patch(before == nullptr ? Value(json::Object{}) : *before, status);
    if (difference.is_object() && difference.get_object().empty()) co_return Result<>{};
    Value patch(json::Object{});
    patch.get_object()["status"] = std::move(difference);
    auto made = co_await merge(resource, std::string(kube::namespace_of(*object)), std::string(kube::name_of(*object)), std::move(patch), "status");
    if (!made && made.error().code != ErrorCode::not_found) co_return fail(std::move(made).error());
    co_return Result<>{};
}

Task<Result<>> Writer::remove(const kube::Resource& resource, kube::ObjectPtr object, std::optional<int> grace, std::string propagation) {
    kube::DeleteOptions options{.uid = std::string(kube::uid_of(*object)), .grace_seconds = grace, .propagation = std::move(propagation)};
    auto gone = co_await client().remove(resource, std::string(kube::namespace_of(*object)), std::string(kube::name_of(*object)), options, soon());
    if (!gone) {
        // A uid that is not there any more means that somebody else was quicker.
        if (gone.error().code == ErrorCode::not_found || gone.error().code == ErrorCode::aborted) co_return Result<>{};
        co_return fail(std::move(gone).error());
    }
    if (kube::is_deleting(*gone)) {
        wrote(resource, *gone);
        co_return Result<>{};
    }
    // Gone at once: its end has no version that we know, so wait until the cache has let go of it.
    const auto* cache = informers_.find(resource.kind_group());
    auto& clock = client().clock();
    for (int i = 0; cache != nullptr && i < 120; ++i) {
        const auto held = cache->find(kube::namespace_of(*object), kube::name_of(*object));
        if (held == nullptr || kube::uid_of(*held) != kube::uid_of(*object) || kube::is_deleting(*held)) break;
        if (i < 20)
            co_await async::yield();
        else
            co_await async::sleep_for(clock, 20ms);
    }
    co_return Result<>{};
}

Task<> Writer::settle() {
    auto written = std::exchange(written_, {});
    for (auto& [resource, version] : written) co_await informers_.caught_up(*resource, version, 5s);
}

Value controller_ref(const kube::Resource& kind, const Value& owner) {
    return json::Object{{"apiVersion", kind.api_version()}, {"kind", kind.kind},  {"name", kube::name_of(owner)},
                        {"uid", kube::uid_of(owner)},       {"controller", true}, {"blockOwnerDeletion", true}};
}

}  // namespace kn::sim
