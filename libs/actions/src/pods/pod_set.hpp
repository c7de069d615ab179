#pragma once

#include <string>
#include <vector>

#include "core/base.hpp"

namespace kn::actions {

/// The pods that an action takes away, as stored before it does, and how well their workload stood then.
struct PodSet {
    struct Item {
        std::string ns, name, uid, node;
    };
    ObjectKey subject;
    std::vector<Item> pods;
    ObjectKey owner;  ///< the workload above them; empty when they have several or none
    std::string owner_uid;
    std::int64_t ready_before = 0;  ///< Ready pods of the owner at that time

    [[nodiscard]] json::Value to_json() const;
    static Result<PodSet> from_json(const json::Value& stored);
    [[nodiscard]] std::vector<std::string> writes(const ClusterId& cluster) const;
    [[nodiscard]] std::string digest(std::string_view verb) const;
    [[nodiscard]] std::string names() const;
};

/// Reads what to_json needs; every pod must have a live controller when `managed`.
Task<Result<PodSet>> make_pod_set(const ActionContext& context, const Subject& subject, const std::vector<json::Value>& pods, bool managed);
/// The pod if it is still that one and not on its way out, else null.
Task<Result<json::Value>> still_there(const ActionContext& context, const PodSet::Item& item);
Task<Result<bool>> all_gone(const ActionContext& context, const PodSet& set, bool terminating_counts);
/// All gone, and the owner has at least as many Ready pods as before (but never more than it wants).
Task<Result<bool>> replaced(const ActionContext& context, const PodSet& set);
Task<Result<std::int64_t>> ready_pods_of(const ActionContext& context, const ObjectKey& owner, std::string uid);
ActionOutcome pod_outcome(const PodSet& set, std::size_t removed, Calls calls);

/// The named pods ("name" or "ns/name") among `pods`, or those that `select` means; at most `max`, in a stable order.
Result<std::vector<json::Value>> pick_pods(const Params& params, const Subject& subject, std::vector<json::Value> pods);

}  // namespace kn::actions
