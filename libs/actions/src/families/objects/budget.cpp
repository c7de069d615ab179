#include <algorithm>
#include <cmath>

#include "families/families.hpp"
#include "kubernaut/kube/object.hpp"
#include "pods/capacity.hpp"
#include "pods/pods.hpp"

namespace kn::actions {
namespace {

/// An int-or-percent as the API wants it, from the text of a parameter.
Result<json::Value> int_or_percent(std::string_view name, const std::string& text) {
    const bool percent = text.ends_with('%');
    const auto digits = std::string_view(text).substr(0, text.size() - (percent ? 1 : 0));
    const bool numeric = !digits.empty() && digits.size() <= 6 && std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
    if (!numeric) return bad_param(name, "must be a number or a percentage");
    const auto number = std::stoll(std::string(digits));
    if (percent && number > 100) return bad_param(name, "must be at most 100%");
    return percent ? json::Value(text) : json::Value(number);
}

std::int64_t of_total(const json::Value& value, std::int64_t total) {
    if (const auto whole = json::to_int(&value)) return *whole;
    const auto text = value.is_string() ? json::view(value.get_string()) : std::string_view{};
    const auto percent = kube::parse_quantity(text.substr(0, text.empty() ? 0 : text.size() - 1)).value_or(100);
    return static_cast<std::int64_t>(std::ceil(percent * static_cast<double>(total) / 100.0));  // both fields of a budget round up
}

class PatchPdb final : public PatchAction {
public:
    explicit PatchPdb(Shared& shared) : PatchAction("patch_pdb", shared) {}

    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto image, Image::from_json(context.pre_image));
        KN_CO_TRY(const auto subject, co_await reread(context, image.object, image.uid));
        if (state_of(subject.live, image.fields) != FieldState::after) co_return false;
        if (json::int_at(subject.live, "status", "observedGeneration").value_or(0) < kube::generation_of(subject.live)) co_return false;
        co_return json::int_at(subject.live, "status", "disruptionsAllowed").value_or(0) >= 1;
    }

protected:
    Task<Result<Change>> change(const ActionContext& context, const Params& params) override {
        if (params.has("min_available") && params.has("max_unavailable"))
            co_return bad_param("max_unavailable", "only one of min_available and max_unavailable");
        KN_CO_TRY(auto subject, co_await read_subject(context, spec(), params.text("object")));
        if (json::int_at(subject.live, "status", "disruptionsAllowed").value_or(0) >= 1) {
            co_return refuse("condition_cleared", "budget " + place_text(subject.key) + " allows a disruption already");
        }
        const auto expected = json::int_at(subject.live, "status", "expectedPods").value_or(0);
        json::Value least, most;
        if (params.has("min_available")) {
            KN_CO_TRY(least, int_or_percent("min_available", params.text("min_available")));
        } else if (params.has("max_unavailable")) {
            KN_CO_TRY(most, int_or_percent("max_unavailable", params.text("max_unavailable")));
        } else {
            least = expected - 1;
        }
        const auto kept = least.is_null() ? expected - of_total(most, expected) : of_total(least, expected);
        if (kept < 1)
            co_return refuse("last_pod",
                             "budget " + place_text(subject.key) + " must keep at least one of its " + std::to_string(expected) + " pods");

        Change made{.summary = "relax disruption budget " + place_text(subject.key) + " to keep " + std::to_string(kept) + " of " +
                               std::to_string(expected) + " pods"};
        made.fields.push_back({.path = {"spec", "minAvailable"}, .after = std::move(least)});
        made.fields.push_back({.path = {"spec", "maxUnavailable"}, .after = std::move(most)});
        // Restored by the workflow's last step, or when this time is over.
        made.extra["restore_by"] = format_rfc3339(context.clock->now() + params.duration("ttl"));
        made.extra["ttl_ms"] = params.duration("ttl").count();
        made.subject = std::move(subject);
        co_return made;
    }
};

class PatchResourceQuota final : public PatchAction {
public:
    explicit PatchResourceQuota(Shared& shared) : PatchAction("patch_resource_quota", shared) {}

    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto image, Image::from_json(context.pre_image));
        KN_CO_TRY(const auto subject, co_await reread(context, image.object, image.uid));
        for (const auto& change : image.fields) {
            const auto* seen = json::at(subject.live, "status", "hard", change.path.back());
            if (!same_value(field_at(subject.live, change.path), &change.after, true) || !same_value(seen, &change.after, true)) co_return false;
        }
        co_return true;
    }

protected:
    Task<Result<Change>> change(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(auto subject, co_await read_subject(context, spec(), params.text("object")));
        const auto resource = params.text("resource");
        const auto now = kube::quantity_at(json::at(subject.live, "spec", "hard", resource));
        if (!now) co_return bad_param("resource", "quota " + place_text(subject.key) + " does not limit " + resource);
        const double wanted = params.quantity("hard").value_or(*now * params.number("factor").value_or(1.25));
        if (wanted > *now * 1.5 + 1e-9) co_return bad_param("hard", "must be at most one and a half of the present limit");
        if (wanted <= *now) co_return bad_param("hard", "must be more than the present limit");
        KN_CO_CHECK(co_await check_headroom(context, resource, wanted - *now));
        const auto text = quota_text(resource, wanted);
        Change made{.summary = "raise quota " + place_text(subject.key) + " of " + resource + " to " + text};
        made.fields.push_back({.path = {"spec", "hard", resource}, .after = json::Value(text), .quantity = true});
        made.subject = std::move(subject);
        co_return made;
    }

private:
    static std::string quota_text(std::string_view resource, double amount) {
        if (resource.ends_with("memory") || resource.ends_with("storage")) {
            constexpr double mebibyte = 1024.0 * 1024.0;
            return kube::format_bytes(std::floor(amount / mebibyte + 1e-6) * mebibyte);
        }
        if (resource.ends_with("cpu")) return kube::format_cores(std::floor(amount * 100 + 1e-6) / 100);
        return std::to_string(static_cast<std::int64_t>(std::floor(amount + 1e-6)));
    }
    /// The nodes could carry what the quota would newly allow.
    static Task<Result<>> check_headroom(const ActionContext& context, const std::string& resource, double more) {
        const bool cpu = resource == "requests.cpu" || resource == "cpu";
        const bool memory = resource == "requests.memory" || resource == "memory";
        if (!cpu && !memory && resource != "pods") co_return Result<>{};
        KN_CO_TRY(const auto rooms, co_await read_rooms(context));
        double free = 0;
        for (const auto& room : rooms) {
            if (room.ready && room.schedulable) free += std::max(0.0, cpu ? room.cpu : memory ? room.memory : room.pods);
        }
        if (free < more) co_return refuse("no_room", "the nodes have less " + resource + " free than the quota would newly allow");
        co_return Result<>{};
    }
};

}  // namespace

void add_budget_actions(ActionList& list, Shared& shared) {
    list.push_back(std::make_unique<PatchPdb>(shared));
    list.push_back(std::make_unique<PatchResourceQuota>(shared));
}

}  // namespace kn::actions
