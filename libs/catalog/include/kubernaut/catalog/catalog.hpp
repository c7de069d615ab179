#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/result.hpp"
#include "kubernaut/domain/workflow.hpp"
#include "kubernaut/ports/action_runner.hpp"

namespace kn::catalog {

/// Something wrong in a definition, with its place.
struct Problem {
    std::string origin;  ///< file, or "builtin/restart-dns.yaml"
    int line = 0;
    std::string path;  ///< "steps[2].with.factor"
    std::string message;
    [[nodiscard]] std::string text() const;  ///< "restart.yaml:12: steps[2].with.factor: must be at most 2"
};

/// What a definition may name. An empty list of fault classes is not checked; actions are always.
struct Rules {
    std::vector<ports::ActionSpec> actions;
    std::vector<std::string> fault_classes;
    std::optional<Duration> default_timeout{};  ///< of workflows that name none; written into their source, which executions keep
};

struct Checked {
    std::vector<WorkflowDefinition> workflows;  ///< those without problems
    std::vector<Problem> problems;              ///< all of them, in order of place
};

/// Every document of a YAML text. Subworkflows are looked up later, when a catalogue is put together.
Checked validate(std::string_view text, std::string_view origin, const Rules& rules);

/// A definition back from WorkflowDefinition::source, as an execution keeps it. Structure is checked, names of actions are not.
Result<WorkflowDefinition> definition_from(const json::Value& source);

/// All actions that a definition may call, subworkflows excluded; sorted.
std::vector<std::string> actions_of(const WorkflowDefinition& workflow);

/// The workflows known to this process. Copyable; the definitions are shared and immutable.
class Catalog {
public:
    /// catalog/workflows as built in; invalid_argument with every problem, one a line.
    static Result<Catalog> builtin(const Rules& rules);
    /// All *.yaml and *.yml under the folder, on top of what is there: another id extends, a higher version of an id replaces, a lower one can only be
    /// asked for by number. The same id and version with other content is refused. All or nothing.
    Result<> load_folder(const std::filesystem::path& folder, const Rules& rules);
    Result<> add(std::string_view text, std::string_view origin, const Rules& rules);

    /// The newest version, or that version; nullptr when there is none.
    [[nodiscard]] std::shared_ptr<const WorkflowDefinition> find(std::string_view id, int version = 0) const;
    /// The newest version of every workflow, by id.
    [[nodiscard]] std::vector<std::shared_ptr<const WorkflowDefinition>> all() const;
    /// find() that gives nullptr when an action (of the workflow or its subworkflows) is not available: what the planner wants. Holds a copy of the catalogue.
    [[nodiscard]] std::function<std::shared_ptr<const WorkflowDefinition>(std::string_view)> lookup(
        std::function<bool(std::string_view action)> available) const;

private:
    Result<> merge(Checked checked);
    std::map<std::string, std::map<int, std::shared_ptr<const WorkflowDefinition>>, std::less<>> workflows_;
};

}  // namespace kn::catalog
