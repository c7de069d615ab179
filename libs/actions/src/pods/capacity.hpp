#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/subject.hpp"

namespace kn::actions {

/// What a pod asks for: the sum over its containers, or its largest init container.
struct Need {
    double cpu = 0, memory = 0;
};
Need need_of(const json::Value& pod_spec);

/// A node and what is left on it.
struct Room {
    std::string name;
    json::Object labels;
    json::Array taints;
    bool schedulable = true, ready = true;
    double cpu = 0, memory = 0, pods = 0;  ///< free
    double allocatable_cpu = 0, allocatable_memory = 0;
};

/// All nodes but `leave_out` with what their pods leave free.
Task<Result<std::vector<Room>>> read_rooms(const ActionContext& context, std::string leave_out = {});
/// Takes the room of one such pod; false when no node has it. Looks at resources, pod count, cordons, taints, node selector and required node
/// affinity; pod (anti-)affinity and spread are not looked at, so this says "no room", never "it will surely run".
bool take_room(std::vector<Room>& rooms, const json::Value& pod_spec);
/// The node's labels and taints let such a pod run there, whatever room it has.
bool admits(const Room& room, const json::Value& pod_spec);
bool tolerates(const json::Value& pod_spec, const json::Value& taint);
bool is_node_ready(const json::Value& node);

/// The quota that `more` ("limits.memory" → bytes) would break, as a sentence; nullopt when all leave room. Scoped quotas are left to the server.
Task<Result<std::optional<std::string>>> quota_blocks(const ActionContext& context, std::string ns, std::map<std::string, double> more);
/// What `count` more pods of this template ask of a quota.
std::map<std::string, double> quota_of(const json::Value& pod_spec, double count);

}  // namespace kn::actions
