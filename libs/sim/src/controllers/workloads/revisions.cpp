#include "controllers/workloads/revisions.hpp"

#include <algorithm>

namespace kn::sim {

ObjectPtr Revisions::named(std::string_view name) const {
    const auto found = std::ranges::find_if(all, [&](const ObjectPtr& each) { return kube::name_of(*each) == name; });
    return found == all.end() ? nullptr : *found;
}

Value template_of_revision(const Value& revision) {
    Value out = *json::at(revision, "data", "spec", "template");
    if (auto* object = out.if_object()) object->erase("$patch");
    return out;
}

Task<Result<Revisions>> read_revisions(Writer& writer, std::vector<ObjectPtr> existing, const kube::Resource& kind, ObjectPtr owner,
                                       std::int64_t history_limit, std::vector<std::string> in_use) {
    Revisions out;
    out.all = std::move(existing);
    const auto number = [](const ObjectPtr& each) { return json::int_at(*each, "revision").value_or(0); };
    std::ranges::sort(out.all, {}, number);
    Value pod_template = *json::at(*owner, "spec", "template");
    pod_template.as_object()["$patch"] = "replace";
    const Value data = json::Object{{"spec", json::Object{{"template", std::move(pod_template)}}}};
    const std::int64_t newest = out.all.empty() ? 0 : number(out.all.back());
    const auto same = std::ranges::find_if(out.all, [&](const ObjectPtr& each) {
        const auto* held = json::at(*each, "data");
        return held != nullptr && *held == data;
    });
    const std::string ns(kube::namespace_of(*owner));
    if (same != out.all.end()) {
        out.update = *same;
        if (number(out.update) != newest) {  // an old template came back: it becomes the newest revision
            KN_CO_TRY(auto changed, co_await writer.merge(r::controller_revisions, ns, std::string(kube::name_of(*out.update)),
                                                          json::Object{{"revision", newest + 1}}));
            out.update = std::make_shared<const Value>(std::move(changed));
            *same = out.update;
            std::ranges::sort(out.all, {}, number);
        }
    } else {
        const std::string hash = template_hash(data);
        json::Object labels = json::object_at(*owner, "spec", "template", "metadata", "labels");
        labels["controller-revision-hash"] = hash;
        const std::string name = std::string(kube::name_of(*owner)) + "-" + hash;
        auto made = co_await writer.create(r::controller_revisions, ns,
                                           json::Object{{"apiVersion", "apps/v1"},
                                                        {"kind", "ControllerRevision"},
                                                        {"revision", newest + 1},
                                                        {"data", data},
                                                        {"metadata", json::Object{{"name", name},
                                                                                  {"namespace", ns},
                                                                                  {"labels", std::move(labels)},
                                                                                  {"ownerReferences", json::Array{controller_ref(kind, *owner)}}}}});
        if (!made) co_return fail(std::move(made).error());
        out.update = std::make_shared<const Value>(*std::move(made));
        out.all.push_back(out.update);
    }
    std::vector<ObjectPtr> idle;
    for (const auto& each : out.all) {
        if (each != out.update && std::ranges::find(in_use, kube::name_of(*each)) == in_use.end()) idle.push_back(each);
    }
    for (std::size_t i = 0; i + static_cast<std::size_t>(std::max<std::int64_t>(0, history_limit)) < idle.size(); ++i) {
        KN_CO_CHECK(co_await writer.remove(r::controller_revisions, idle[i]));
        std::erase(out.all, idle[i]);
    }
    co_return out;
}

}  // namespace kn::sim
