#include "pods/evictor.hpp"

#include "pods/pods.hpp"

namespace kn::actions {

Task<Result<EvictionAnswer>> evict_once(const ActionContext& context, const PodSet::Item& item, Calls& calls) {
    KN_CO_TRY(const auto pod, co_await still_there(context, item));
    if (pod.is_null()) co_return EvictionAnswer{};
    KN_CO_TRY(const auto floor, co_await floor_blocks(context, pod, Budgets::leave_to_server));
    if (floor) co_return EvictionAnswer{.what = Eviction::blocked, .why = *floor};

    const auto answer = co_await context.client->evict(item.ns, item.name, {.uid = item.uid, .dry_run = context.dry_run}, call_deadline(context));
    calls.push_back(
        call_result(context, call_text("POST", kube::resources::pods, "eviction", item.ns, item.name), answer ? nullptr : &answer.error()));
    if (answer || answer.error().code == ErrorCode::not_found) co_return EvictionAnswer{};
    const auto& error = answer.error();
    if (error.code == ErrorCode::resource_exhausted) {
        // 429 has two meanings, told apart by the cause only: a disruption budget, or too many requests.
        if (error.reason == "DisruptionBudget") co_return EvictionAnswer{.what = Eviction::blocked, .why = "a disruption budget forbids it"};
        co_return EvictionAnswer{.what = Eviction::busy, .why = "the API server is overloaded", .wait = error.retry_after.value_or(Duration{1000})};
    }
    if (error.code == ErrorCode::aborted || error.code == ErrorCode::unavailable) {
        // Another pod under that name; or a 500, as two budgets over one pod give it: the pod itself says whether it went.
        const auto now = co_await still_there(context, item);
        if (now && now->is_null()) co_return EvictionAnswer{};
        if (now && !error.reason.empty() && error.code == ErrorCode::aborted)
            co_return EvictionAnswer{.what = Eviction::blocked, .why = error.message};
    }
    co_return fail(error.with_context("evicting pod " + item.ns + "/" + item.name));
}

}  // namespace kn::actions
