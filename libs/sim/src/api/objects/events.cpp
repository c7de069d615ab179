#include "api/objects/events.hpp"

#include <array>

namespace kn::sim::api {
namespace {

struct Renamed {
    std::string_view old_name, new_name;
};
constexpr std::array<Renamed, 7> renamed{{{"involvedObject", "regarding"},
                                          {"message", "note"},
                                          {"source", "deprecatedSource"},
                                          {"firstTimestamp", "deprecatedFirstTimestamp"},
                                          {"lastTimestamp", "deprecatedLastTimestamp"},
                                          {"count", "deprecatedCount"},
                                          {"reportingComponent", "reportingController"}}};

template <bool ToNew> json::Value convert(const json::Value& event) {
    json::Object out;
    if (!event.is_object()) return event;
    out["kind"] = "Event";
    out["apiVersion"] = ToNew ? "events.k8s.io/v1" : "v1";
    for (const auto& [key, value] : event.get_object()) {
        if (key == "kind" || key == "apiVersion") continue;
        std::string_view name = key;
        for (const auto& rule : renamed) {
            if (name == (ToNew ? rule.old_name : rule.new_name)) {
                name = ToNew ? rule.new_name : rule.old_name;
                break;
            }
        }
        out[name] = value;
    }
    return out;
}

}  // namespace

json::Value event_to_new_form(const json::Value& event) { return convert<true>(event); }
json::Value event_to_old_form(const json::Value& event) { return convert<false>(event); }

}  // namespace kn::sim::api
