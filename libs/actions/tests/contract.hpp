#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kubernaut/actions/registry.hpp"
#include "kubernaut/async/loop.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/client.hpp"
#include "kubernaut/testing/recording_notifier.hpp"
#include "tap.hpp"

namespace kn::actions::testing {

/// What one action needs to be tried: a small world and what to ask of it. Strings "@Kind/name" in the objects become the uid of that object.
struct ActionCase {
    std::string action;
    std::string objects;        ///< YAML documents, made in this order; their `status` is written through the status subresource
    std::string target;         ///< "Deployment.apps/shop/cart", "Node/n1"
    std::string params = "{}";  ///< JSON
    std::vector<std::pair<std::string, std::string>> bad{};  ///< parameters (merged over the good ones) → field of the error
    std::string object{};                                    ///< what is written, when it is not the target
    std::string meddle{};  ///< merge patch on it by somebody else, touching our field; "" = the action has no field to touch
    std::string owned{};   ///< what a GitOps tool owns, when it is not `object`
    std::function<void(struct World&)> after_setup{};
    bool gives_back_only_the_node = false;

    friend std::ostream& operator<<(std::ostream& out, const ActionCase& each) { return out << each.action; }
};

/// A cluster that the suite may fill, reached by two clients: the product's (through the tap) and somebody else's. The suite knows no more of it, so
/// that it can run on the simulator and on a real control plane without controllers alike.
struct World {
    World(async::EventLoop& event_loop, std::shared_ptr<kube::Transport> transport, ActionSettings settings);

    template <class T> T run(async::Task<T> task) { return loop.block_on(std::move(task)); }
    void put(std::string_view yaml);
    json::Value get(const std::string& object);
    bool exists(const std::string& object);
    void patch(const std::string& object, std::string_view merge_patch, const std::string& subresource = {});
    ports::ActionContext context(const ActionCase& each);
    ports::Action& action(const std::string& name);

    async::EventLoop& loop;
    std::shared_ptr<Tap> tap;
    std::shared_ptr<kube::Client> client, human;
    kn::testing::RecordingNotifier notifier;
    std::unique_ptr<ports::ActionRegistry> registry;
};

ActionSettings short_times();
ObjectKey key_from(const std::string& object);
/// The object without what every write changes.
std::string essence(const json::Value& object);

using MakeWorld = std::function<std::unique_ptr<World>()>;

// The contract, one function a promise. `fresh` gives an empty world.
void refuses_bad_parameters(const ActionCase& each, World& world);
void refuses_a_target_made_anew(const ActionCase& each, World& world);
void refuses_what_gitops_owns(const ActionCase& each, World& world);
void writes_nothing_in_a_dry_run(const ActionCase& each, World& world);
void does_it_once_though_the_reply_was_lost(const ActionCase& each, World& world, World& undisturbed);
void goes_on_after_a_harmless_conflict(const ActionCase& each, World& world);
void stops_when_somebody_touched_its_field(const ActionCase& each, World& world);
void restores_exactly(const ActionCase& each, World& world);
void leaves_what_drifted_alone(const ActionCase& each, World& world);

const std::vector<ActionCase>& action_cases();

}  // namespace kn::actions::testing
