#include <algorithm>

#include "families/families.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"
#include "pods/capacity.hpp"
#include "pods/containers.hpp"
#include "pods/pods.hpp"

namespace kn::actions {
namespace {

/// pods/resize exists since 1.33 (KEP-1287).
Task<Result<>> check_version(const ActionContext& context) {
    KN_CO_TRY(const auto version, co_await context.client->call({.method = kube::Method::get, .path = "/version"}, call_deadline(context)));
    auto minor = std::string(json::string_at(version, "minor"));
    std::erase_if(minor, [](char c) { return c < '0' || c > '9'; });  // some providers write "33+"
    const auto major = json::string_at(version, "major");
    if (major == "1" && (minor.empty() || std::stoi(minor) < 33)) {
        co_return refuse("unsupported", "the server is 1." + minor + ": pods are resized in place from 1.33 on");
    }
    co_return Result<>{};
}

/// One image a pod; pods that were replaced meanwhile have the size of their template and are left alone.
class ResizePod final : public BaseAction {
public:
    explicit ResizePod(Shared& shared) : BaseAction("resize_pod_in_place", shared) {}

    Task<Result<ActionOutcome>> execute(const ActionContext& context) override { co_return co_await write_all(context, Direction::apply); }
    Task<Result<ActionOutcome>> compensate(const ActionContext& context) override { co_return co_await write_all(context, Direction::restore); }

    Task<Result<AppliedCheck>> applied_already(const ActionContext& context) override {
        KN_CO_TRY(const auto images, stored(context));
        for (const auto& image : images) {
            const auto pod = co_await reread(context, image.object, image.uid);
            if (!pod && pod.error().reason == "target_changed") continue;
            if (!pod) co_return unreadable_or(pod.error());
            if (state_of(pod->live, image.fields) != FieldState::after) co_return AppliedCheck::not_applied;
        }
        co_return AppliedCheck::applied;
    }

    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto images, stored(context));
        for (const auto& image : images) {
            const auto pod = co_await reread(context, image.object, image.uid);
            if (!pod && pod.error().reason == "target_changed") continue;
            if (!pod) co_return fail(pod.error());
            const auto pending = kube::condition_of(pod->live, "PodResizePending");
            const auto running = kube::condition_of(pod->live, "PodResizeInProgress");
            if ((pending && pending->status == "True") || (running && running->status == "True")) co_return false;
            if (!has_size(pod->live, image)) co_return false;
        }
        co_return true;
    }

protected:
    Task<Result<Prepared>> plan(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(const auto subject, co_await read_subject(context, spec(), params.text("object")));
        KN_CO_CHECK(co_await check_version(context));
        KN_CO_TRY(auto pods, co_await pods_of(context, subject));
        std::erase_if(pods, [](const json::Value& pod) { return kube::is_deleting(pod) || is_finished(pod) || node_of(pod).empty(); });
        if (pods.empty()) co_return refuse("condition_cleared", subject.key.str() + " has no running pod");
        const auto resource = params.text("resource");
        KN_CO_TRY(const auto container,
                  meant_container(*json::at(pods.front(), "spec"), params.text("container"), pods, resource == "memory" ? "OOMKilled" : ""));
        KN_CO_TRY(auto rooms, co_await read_rooms(context));

        json::Array images;
        Prepared prepared;
        std::vector<std::string> digests;
        for (auto& pod : pods) {
            KN_CO_TRY(auto fields, wanted_fields(pod, container, resource, params.number("factor").value_or(1.5), rooms));
            auto image = Image::of(pod_subject(context, std::move(pod)), kube::PatchType::strategic, std::move(fields));
            image.subresource = "resize";
            prepared.writes.push_back(image.object.str());
            digests.push_back(image.digest());
            images.emplace_back(image.to_json());
        }
        json::Object made;
        made["object"] = subject.key.str(), made["container"] = container, made["resource"] = resource, made["images"] = std::move(images);
        prepared.pre_image = json::Value(std::move(made));
        prepared.request_digest = to_hex(sha256_parts(digests));
        prepared.summary = "resize " + resource + " of " + std::to_string(digests.size()) + " pods of " + place_text(subject.key) + " in place";
        co_return prepared;
    }

private:
    static Result<std::vector<FieldChange>> wanted_fields(const json::Value& pod, const std::string& container, const std::string& resource,
                                                          double factor, std::vector<Room>& rooms) {
        const auto* found = find_container(*json::at(pod, "spec"), container);
        const auto limit = found == nullptr ? std::nullopt : resource_amount(*found, "limits", resource);
        if (!limit || *limit <= 0) return refuse("no_limit", "container " + container + " has no " + resource + " limit");
        for (const auto& policy : json::array_at(*found, "resizePolicy")) {
            if (json::string_at(policy, "resourceName") == resource && json::string_at(policy, "restartPolicy") == "RestartContainer") {
                return refuse("needs_restart", "container " + container + " restarts when its " + resource + " changes");
            }
        }
        const auto text = resource_text(resource, *limit * factor);
        const auto request = resource_amount(*found, "requests", resource);
        const bool request_too = request && *request == *limit;
        if (request_too) {
            const auto room = std::ranges::find(rooms, node_of(pod), &Room::name);
            const double more = kube::parse_quantity(text).value_or(0) - *limit;
            if (room == rooms.end() || (resource == "memory" ? room->memory : room->cpu) < more) {
                return refuse("no_room", "node " + std::string(node_of(pod)) + " has no room for a larger pod");
            }
            (resource == "memory" ? room->memory : room->cpu) -= more;
        }
        std::vector<FieldChange> fields;
        const auto field = [&](std::string which) {
            fields.push_back({.path = {"spec", "containers", "[name=" + container + "]", "resources", std::move(which), resource},
                              .after = json::Value(text),
                              .quantity = true});
        };
        field("limits");
        if (request_too) field("requests");
        return fields;
    }

    static Result<std::vector<Image>> stored(const ActionContext& context) {
        std::vector<Image> images;
        for (const auto& each : json::array_at(context.pre_image, "images")) {
            KN_TRY(auto image, Image::from_json(each));
            images.push_back(std::move(image));
        }
        if (images.empty()) return fail(ErrorCode::internal, "no pre-image was stored for this action");
        return images;
    }

    static bool has_size(const json::Value& pod, const Image& image) {
        for (const auto& change : image.fields) {
            // spec.containers[name=x].resources.limits.memory → the same of the container's status
            const auto name = change.path.at(2).substr(6, change.path.at(2).size() - 7);
            const auto& statuses = json::array_at(pod, "status", "containerStatuses");
            const auto status = std::ranges::find_if(statuses, [&](const json::Value& s) { return json::string_at(s, "name") == name; });
            if (status == statuses.end()) return false;
            const auto* actual = json::at(*status, "resources", change.path.at(4), change.path.at(5));
            if (actual == nullptr || !same_value(actual, &change.after, true)) return false;
        }
        return true;
    }

    static Task<Result<ActionOutcome>> write_all(const ActionContext& context, Direction direction) {
        KN_CO_TRY(const auto images, stored(context));
        Calls calls;
        std::int64_t changed = 0, gone = 0;
        for (const auto& image : images) {
            const auto pod = co_await reread(context, image.object, image.uid);
            if (!pod && pod.error().reason == "target_changed") {
                ++gone;
                continue;
            }
            const auto now = co_await write_fields(context, image, direction, calls);
            if (!now) co_return fail(now.error());
            ++changed;
        }
        json::Object output, post;
        output["pods"] = changed, output["gone"] = gone, output["container"] = json::string_at(context.pre_image, "container");
        output["to"] = direction == Direction::apply ? images.front().fields.front().after : images.front().fields.front().before;
        post["pods"] = changed;
        co_return ActionOutcome{.output = json::Value(std::move(output)), .post_image = json::Value(std::move(post)), .calls = std::move(calls)};
    }
};

}  // namespace

void add_resize_actions(ActionList& list, Shared& shared) { list.push_back(std::make_unique<ResizePod>(shared)); }

}  // namespace kn::actions
