#include "kubernaut/catalog/catalog.hpp"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "kubernaut/base/embedded.hpp"
#include "reader.hpp"

namespace kn::catalog {

extern const std::span<const EmbeddedFile> builtin_workflows;

namespace {

Error as_error(const std::vector<Problem>& problems) {
    std::string text;
    for (const Problem& problem : problems) text += (text.empty() ? "" : "\n") + problem.text();
    return {.code = ErrorCode::invalid_argument, .message = std::move(text)};
}

void visit_steps(const std::vector<StepSpec>& steps, const std::function<void(const StepSpec&)>& visit) {
    for (const StepSpec& step : steps) {
        visit(step);
        for (const auto* inner : {&step.then_steps, &step.else_steps, &step.body}) visit_steps(*inner, visit);
        for (const auto& branch : step.branches) visit_steps(branch, visit);
    }
}
void visit_all(const WorkflowDefinition& workflow, const std::function<void(const StepSpec&)>& visit) {
    for (const auto* list : {&workflow.steps, &workflow.verify, &workflow.finally}) visit_steps(*list, visit);
}

std::set<std::string> subworkflows_of(const WorkflowDefinition& workflow) {
    std::set<std::string> out;
    visit_all(workflow, [&out](const StepSpec& step) {
        if (step.kind == "subworkflow") out.insert(step.workflow);
    });
    return out;
}

}  // namespace

Checked validate(std::string_view text, std::string_view origin, const Rules& rules) {
    Checked out;
    const auto documents = json::parse_yaml_stream(text);
    if (!documents) {
        int line = 0;
        if (std::sscanf(documents.error().field.c_str(), "line %d", &line) != 1) line = 0;
        out.problems.push_back({.origin = std::string(origin), .line = line, .path = {}, .message = documents.error().message});
        return out;
    }
    if (documents->empty()) out.problems.push_back({.origin = std::string(origin), .line = 0, .path = {}, .message = "there is no workflow in it"});
    for (const json::YamlDocument& document : *documents) {
        Problems problems{std::string(origin), &document};
        const Node root(&document.value, "", &problems);
        WorkflowDefinition workflow = read_definition(root);
        if (rules.default_timeout && workflow.source.is_object() && !root["timeout"].present()) {
            workflow.timeout = *rules.default_timeout;
            workflow.source.as_object()["timeout"] = format_duration(workflow.timeout);
        }
        check_definition(workflow, root, rules);
        if (root["subworkflows"].present()) root["subworkflows"].problem("is filled in by the catalogue");
        workflow.origin = origin;
        auto found = problems.take();
        std::ranges::sort(found, {}, &Problem::line);
        if (found.empty()) out.workflows.push_back(std::move(workflow));
        out.problems.insert(out.problems.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
    }
    return out;
}

Result<WorkflowDefinition> definition_from(const json::Value& source) {
    Problems problems{"definition", nullptr};
    WorkflowDefinition workflow = read_definition(Node(&source, "", &problems));
    if (!problems.list().empty()) return fail(as_error(problems.list()));
    return workflow;
}

std::vector<std::string> actions_of(const WorkflowDefinition& workflow) {
    std::set<std::string> names;
    visit_all(workflow, [&names](const StepSpec& step) {
        if (step.kind == "action") names.insert(step.action);
    });
    return {names.begin(), names.end()};
}

Result<Catalog> Catalog::builtin(const Rules& rules) {
    Checked all;
    for (const EmbeddedFile& file : builtin_workflows) {
        Checked one = validate(file.content, "builtin/" + std::string(file.path), rules);
        for (auto& workflow : one.workflows) workflow.origin = "builtin";
        std::ranges::move(one.workflows, std::back_inserter(all.workflows));
        std::ranges::move(one.problems, std::back_inserter(all.problems));
    }
    Catalog catalog;
    KN_CHECK(catalog.merge(std::move(all)));
    return catalog;
}

Result<> Catalog::load_folder(const std::filesystem::path& folder, const Rules& rules) {
    std::error_code error;
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        const auto extension = entry.path().extension();
        if (entry.is_regular_file(error) && (extension == ".yaml" || extension == ".yml")) files.push_back(entry.path());
    }
    if (error) return fail(ErrorCode::not_found, "cannot read the folder " + folder.string() + ": " + error.message());
    std::ranges::sort(files);
    Checked all;
    for (const auto& file : files) {
        std::ifstream in(file, std::ios::binary);
        std::stringstream content;
        content << in.rdbuf();
        if (!in) return fail(ErrorCode::unavailable, "cannot read " + file.string());
        Checked one = validate(content.str(), file.string(), rules);
        std::ranges::move(one.workflows, std::back_inserter(all.workflows));
        std::ranges::move(one.problems, std::back_inserter(all.problems));
    }
    return merge(std::move(all));
}

Result<> Catalog::add(std::string_view text, std::string_view origin, const Rules& rules) { return merge(validate(text, origin, rules)); }

Result<> Catalog::merge(Checked checked) {
    auto merged = workflows_;
    std::vector<Problem> problems = std::move(checked.problems);
    const auto complain = [&problems](const WorkflowDefinition& workflow, std::string path, std::string message) {
        problems.push_back({.origin = workflow.origin, .line = 0, .path = std::move(path), .message = std::move(message)});
    };
    std::vector<std::pair<std::string, int>> added;
    for (WorkflowDefinition& workflow : checked.workflows) {
        auto& versions = merged[workflow.id];
        const auto same = versions.find(workflow.version);
        if (same != versions.end()) {
            json::Value before = same->second->source;
            before.as_object().erase("subworkflows");
            if (json::canonical(before) != json::canonical(workflow.source)) {
                complain(workflow, "version",
                         workflow.id + " version " + std::to_string(workflow.version) + " exists with other content (" + same->second->origin +
                             "): give it a higher version");
            }
            continue;
        }
        added.emplace_back(workflow.id, workflow.version);
        versions.emplace(workflow.version, std::make_shared<const WorkflowDefinition>(std::move(workflow)));
    }
    // Every definition carries the subworkflows that it may start, so that an execution's snapshot is complete.
    const auto newest = [&merged](const std::string& id) -> std::shared_ptr<const WorkflowDefinition> {
        const auto found = merged.find(id);
        return found == merged.end() || found->second.empty() ? nullptr : found->second.rbegin()->second;
    };
    for (const auto& [id, version] : added) {
        const auto workflow = merged[id][version];
        json::Object snapshot;
        bool bad = false;
        const std::function<void(const WorkflowDefinition&, std::vector<std::string>)> follow = [&](const WorkflowDefinition& at,
                                                                                                    std::vector<std::string> way) {
            way.push_back(at.id);
            for (const std::string& name : subworkflows_of(at)) {
                const auto inner = newest(name);
                if (std::ranges::find(way, name) != way.end())
                    complain(*workflow, "steps", "the subworkflow `" + name + "` leads back to itself"), bad = true;
                else if (inner == nullptr)
                    complain(*workflow, "steps", "unknown subworkflow `" + name + "`"), bad = true;
                else if (static_cast<int>(way.size()) > max_subworkflow_depth)
                    complain(*workflow, "steps", "subworkflows are nested too deeply"), bad = true;
                else if (inner->risk > workflow->risk)
                    complain(*workflow, "risk", "is lower than that of the subworkflow `" + name + "`"), bad = true;
                else {
                    json::Value source = inner->source;
                    source.as_object().erase("subworkflows");
                    snapshot[name] = std::move(source);
                    follow(*inner, way);
                }
                if (bad) return;
            }
        };
        follow(*workflow, {});
        if (bad || snapshot.empty()) continue;
        auto complete = std::make_shared<WorkflowDefinition>(*workflow);
        complete->source.as_object()["subworkflows"] = std::move(snapshot);
        merged[id][version] = std::move(complete);
    }
    if (!problems.empty()) return fail(as_error(problems));
    workflows_ = std::move(merged);
    return {};
}

std::shared_ptr<const WorkflowDefinition> Catalog::find(std::string_view id, int version) const {
    const auto found = workflows_.find(id);
    if (found == workflows_.end() || found->second.empty()) return nullptr;
    if (version == 0) return found->second.rbegin()->second;
    const auto at = found->second.find(version);
    return at == found->second.end() ? nullptr : at->second;
}

std::vector<std::shared_ptr<const WorkflowDefinition>> Catalog::all() const {
    std::vector<std::shared_ptr<const WorkflowDefinition>> out;
    for (const auto& [id, versions] : workflows_) {
        if (!versions.empty()) out.push_back(versions.rbegin()->second);
    }
    return out;
}

std::function<std::shared_ptr<const WorkflowDefinition>(std::string_view)> Catalog::lookup(std::function<bool(std::string_view)> available) const {
    return [catalog = *this, available = std::move(available)](std::string_view id) -> std::shared_ptr<const WorkflowDefinition> {
        auto workflow = catalog.find(id);
        if (workflow == nullptr) return nullptr;
        const auto can = [&available](const WorkflowDefinition& definition) { return std::ranges::all_of(actions_of(definition), available); };
        if (!can(*workflow)) return nullptr;
        for (const auto& [name, source] : json::object_at(workflow->source, "subworkflows")) {
            const auto inner = definition_from(source);
            if (!inner || !can(*inner)) return nullptr;
        }
        return workflow;
    };
}

}  // namespace kn::catalog
