#pragma once

#include "controllers/controller.hpp"

namespace kn::sim {

/// The ControllerRevisions of a StatefulSet or DaemonSet, oldest first; `update` is the one of the present template (made when missing).
struct Revisions {
    std::vector<ObjectPtr> all;
    ObjectPtr update;
    [[nodiscard]] ObjectPtr named(std::string_view name) const;
};

Task<Result<Revisions>> read_revisions(Writer& writer, std::vector<ObjectPtr> existing, const kube::Resource& kind, ObjectPtr owner,
                                       std::int64_t history_limit, std::vector<std::string> in_use);
/// The pod template that a revision holds.
Value template_of_revision(const Value& revision);

}  // namespace kn::sim
