#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/resource.hpp"
#include "kubernaut/ports/action_runner.hpp"

namespace kn::actions {

using async::Task;
using ports::ActionContext;
using ports::ActionSpec;

/// "The world is not as this action needs it", with a word that gates, metrics and people go by.
std::unexpected<Error> refuse(std::string_view reason, std::string message);
std::unexpected<Error> bad_param(std::string_view name, std::string message);

/// An object as it is right now.
struct Subject {
    kube::Resource resource;
    ObjectKey key;
    json::Value live;
};

/// One call must not eat the whole time of the action.
Deadline call_deadline(const ActionContext& context);
/// Lower-case last 8 hex digits of a hash of the action id: the end of every name that the action makes.
std::string id_suffix(const ActionContext& context);

Task<Result<kube::Resource>> resource_for(const ActionContext& context, std::string kind, std::string group);
/// The key that `object` (see specs.cpp) or else the target names. An action never leaves its target's namespace but for cluster-scoped objects.
Result<ObjectKey> subject_key(const ActionContext& context, const ActionSpec& spec, std::string_view object);
/// not_found stays not_found.
Task<Result<Subject>> read_object(const ActionContext& context, ObjectKey key);
/// The common preconditions: it is there, has the planned uid (if it is the target), is not being deleted, is of a kind the action knows, and no
/// GitOps tool owns it (unless the action may touch such objects).
Task<Result<Subject>> read_subject(const ActionContext& context, const ActionSpec& spec, std::string_view object);
/// The same checks for an object that the action found by itself.
Task<Result<>> check_writable(const ActionContext& context, const ActionSpec& spec, const Subject& subject);
/// Again, by key and uid, right before a write: target_changed when it is gone, another one or being deleted.
Task<Result<Subject>> reread(const ActionContext& context, ObjectKey key, std::string uid);

/// "argocd", "flux", ... when a GitOps tool claims this object, else "".
std::string_view gitops_owner(const json::Value& object);
/// The controllers above an object, nearest first, at most 6; ends where there is none or it is gone.
Task<Result<std::vector<Subject>>> owners_of(const ActionContext& context, const Subject& subject);
/// The topmost controller, or the object itself.
Task<Result<Subject>> workload_of(const ActionContext& context, const Subject& subject);

}  // namespace kn::actions
