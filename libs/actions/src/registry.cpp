#include "kubernaut/actions/registry.hpp"

#include <algorithm>

#include "families/families.hpp"

namespace kn::actions {
namespace {

class Registry final : public ports::ActionRegistry {
public:
    explicit Registry(ActionDependencies dependencies)
        : shared_{.notifier = &dependencies.notifier, .settings = std::move(dependencies.settings), .quiet = {}} {
        add_report_actions(actions_, shared_);
        add_rollback_actions(actions_, shared_);
        add_rollout_actions(actions_, shared_);
        add_pod_actions(actions_, shared_);
        add_evict_actions(actions_, shared_);
        add_scale_actions(actions_, shared_);
        add_limit_actions(actions_, shared_);
        add_resize_actions(actions_, shared_);
        add_probe_actions(actions_, shared_);
        add_budget_actions(actions_, shared_);
        add_node_actions(actions_, shared_);
        add_volume_actions(actions_, shared_);
        add_config_actions(actions_, shared_);
        add_binding_actions(actions_, shared_);
        add_secret_actions(actions_, shared_);
        add_service_actions(actions_, shared_);
        add_job_actions(actions_, shared_);
        std::ranges::sort(actions_, {}, [](const auto& action) -> const std::string& { return action->spec().name; });
    }

    [[nodiscard]] ports::Action* find(std::string_view name) const override {
        const auto found = std::ranges::find_if(actions_, [name](const auto& action) { return action->spec().name == name; });
        return found == actions_.end() ? nullptr : found->get();
    }
    [[nodiscard]] std::vector<const ports::Action*> all() const override {
        std::vector<const ports::Action*> list;
        for (const auto& action : actions_) list.push_back(action.get());
        return list;
    }

private:
    Shared shared_;
    ActionList actions_;
};

}  // namespace

std::unique_ptr<ports::ActionRegistry> make_action_registry(ActionDependencies dependencies) {
    return std::make_unique<Registry>(std::move(dependencies));
}

}  // namespace kn::actions
