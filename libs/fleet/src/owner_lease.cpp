#include "owner_lease.hpp"

#include "kubernaut/base/log.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::fleet {
namespace {

constexpr auto lease_namespace = "kubernaut-system", lease_name = "kubernaut-owner";

std::unexpected<Error> no_fence(const Error& why) {
    if (is_retryable(why.code)) return fail(why.with_context("reading the Lease of this cluster's owner"));
    return fail(Error{.code = ErrorCode::failed_precondition,
                      .message = "the Lease kubernaut-system/kubernaut-owner cannot be held (" + why.message +
                                 "): grant get, create and patch of leases in that namespace, and create it, or set fleet.owner_lease: false",
                      .reason = "no_fence",
                      .retry_after = 10s});
}

std::unexpected<Error> other_owner(std::string_view holder) {
    return fail(
        Error{.code = ErrorCode::failed_precondition,
              .message = "another installation (" + std::string(holder) + ") holds the Lease kubernaut-system/kubernaut-owner of this cluster",
              .reason = "other_owner",
              .retry_after = 5s});
}

json::Object spec_of(const std::string& owner, std::int64_t epoch, Instant now) {
    return {{"holderIdentity", owner},
            {"leaseDurationSeconds", std::chrono::duration_cast<std::chrono::seconds>(OwnerLease::duration).count()},
            {"renewTime", format_micro_time(now)},
            {"leaseTransitions", epoch}};
}

}  // namespace

void OwnerLease::learn(const json::Value& lease) {
    epoch_ = json::int_at(lease, "spec", "leaseTransitions").value_or(0);
    read_at_ = clock_.steady();
    others_version_.clear();
}

Task<Result<>> OwnerLease::create(Deadline deadline) {
    json::Object spec = spec_of(owner_, 1, clock_.now());
    spec["acquireTime"] = spec["renewTime"];
    const json::Value lease = json::Object{{"apiVersion", "coordination.k8s.io/v1"},
                                           {"kind", "Lease"},
                                           {"metadata", json::Object{{"name", lease_name}, {"namespace", lease_namespace}}},
                                           {"spec", std::move(spec)}};
    auto made = co_await client_->create(kube::resources::leases, lease_namespace, lease, {}, deadline);
    if (!made && made.error().code == ErrorCode::not_found) {
        json::Value ns = json::Object{{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", json::Object{{"name", lease_namespace}}}};
        const auto ready = co_await client_->create(kube::resources::namespaces, "", std::move(ns), {}, deadline);
        if (!ready && ready.error().code != ErrorCode::already_exists) co_return no_fence(ready.error());
        made = co_await client_->create(kube::resources::leases, lease_namespace, lease, {}, deadline);
    }
    if (!made) {
        if (made.error().code != ErrorCode::already_exists) co_return no_fence(made.error());
        // Somebody was quicker: a rival, or our own last life whose create was still on its way.
        const auto now = co_await client_->get(kube::resources::leases, lease_namespace, lease_name, deadline);
        if (!now) co_return no_fence(now.error());
        const std::string holder(json::string_at(*now, "spec", "holderIdentity"));
        if (holder != owner_) co_return other_owner(holder);
        learn(*now);
        co_return Result<>{};
    }
    learn(*made);
    co_return Result<>{};
}

Task<Result<>> OwnerLease::write(const json::Value& lease, bool take_over, Deadline deadline) {
    const std::int64_t before = json::int_at(lease, "spec", "leaseTransitions").value_or(0);
    json::Object spec = spec_of(owner_, take_over ? before + 1 : before, clock_.now());
    if (take_over) spec["acquireTime"] = spec["renewTime"];
    json::Value patch = json::Object{{"metadata", json::Object{{"resourceVersion", kube::resource_version_of(lease)}}}, {"spec", std::move(spec)}};
    auto written =
        co_await client_->patch(kube::resources::leases, lease_namespace, lease_name, kube::PatchType::merge, std::move(patch), {}, deadline);
    if (!written && written.error().code == ErrorCode::aborted) {
        // Somebody wrote it meanwhile: a rival, or our own last life whose renewal was still on its way.
        const auto now = co_await client_->get(kube::resources::leases, lease_namespace, lease_name, deadline);
        if (!now) co_return no_fence(now.error());
        const std::string holder(json::string_at(*now, "spec", "holderIdentity"));
        if (holder != owner_) co_return other_owner(holder.empty() ? "just now" : holder);
        learn(*now);
        co_return Result<>{};
    }
    if (!written) co_return no_fence(written.error());
    learn(*written);
    co_return Result<>{};
}

Task<Result<>> OwnerLease::keep(Deadline deadline) {
    auto lease = co_await client_->get(kube::resources::leases, lease_namespace, lease_name, deadline);
    if (!lease && lease.error().code == ErrorCode::not_found) co_return co_await create(deadline);
    if (!lease) co_return no_fence(lease.error());
    const std::string holder(json::string_at(*lease, "spec", "holderIdentity"));
    if (holder == owner_ || holder.empty()) co_return co_await write(*lease, holder.empty(), deadline);
    read_at_.reset();
    const std::string version(kube::resource_version_of(*lease));
    if (version != others_version_) {
        others_version_ = version;
        others_seen_at_ = clock_.steady();
    }
    const auto theirs = std::chrono::seconds{json::int_at(*lease, "spec", "leaseDurationSeconds").value_or(30)};
    if (clock_.steady() - others_seen_at_ < theirs) co_return other_owner(holder);
    log::info("the Lease of a cluster's owner was given up and is taken over", {{"holder", holder}});
    co_return co_await write(*lease, true, deadline);
}

Task<Result<>> OwnerLease::check(Deadline deadline) {
    if (read_at_ && *read_at_ + fresh > clock_.steady()) co_return Result<>{};
    if (!read_at_) co_return co_await keep(deadline);
    const auto lease = co_await client_->get(kube::resources::leases, lease_namespace, lease_name, deadline);
    if (!lease && lease.error().code != ErrorCode::not_found) co_return no_fence(lease.error());
    const std::int64_t epoch = lease ? json::int_at(*lease, "spec", "leaseTransitions").value_or(0) : -1;
    if (lease && json::string_at(*lease, "spec", "holderIdentity") == owner_ && epoch == epoch_) {
        read_at_ = clock_.steady();
        co_return Result<>{};
    }
    read_at_.reset();
    co_return co_await keep(deadline);
}

}  // namespace kn::fleet
