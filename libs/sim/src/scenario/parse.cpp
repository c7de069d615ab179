#include <algorithm>

#include "common/text.hpp"
#include "kubernaut/kube/object.hpp"
#include "scenario/state.hpp"
#include "scenario/variables.hpp"

namespace kn::sim {
namespace {

struct Reader {
    const json::YamlDocument& document;

    [[nodiscard]] std::unexpected<Error> wrong(std::string_view pointer, std::string message) const {
        return fail(ErrorCode::invalid_argument, std::move(message), document.place(pointer));
    }
    Result<> only(const std::string& pointer, std::initializer_list<std::string_view> known) const {
        const auto* value = json::at_pointer(document.value, pointer);
        if (value == nullptr) return {};
        if (!value->is_object()) return wrong(pointer, "expected a map");
        for (const auto& [key, each] : value->get_object()) {
            const std::string_view name(key.data(), key.size());
            if (std::ranges::find(known, name) == known.end())
                return wrong(pointer + "/" + json::escape_pointer_token(name), "unknown key '" + std::string(name) + "'");
        }
        return {};
    }
    Result<std::string> text(const std::string& pointer) const {
        const auto* value = json::at_pointer(document.value, pointer);
        if (value == nullptr || !value->is_string() || value->get_string().empty()) return wrong(pointer, "expected a text");
        return std::string(json::view(value->get_string()));
    }
    Result<std::vector<std::string>> texts(const std::string& pointer) const {
        const auto* value = json::at_pointer(document.value, pointer);
        if (value == nullptr) return std::vector<std::string>{};
        if (!value->is_array() || std::ranges::any_of(value->get_array(), [](const json::Value& each) { return !each.is_string(); }))
            return wrong(pointer, "expected a list of texts");
        return strings_of(value->get_array());
    }
    Result<std::vector<Step>> steps(const std::string& pointer, Result<> (*validate)(const Step&)) const {
        std::vector<Step> out;
        const auto* value = json::at_pointer(document.value, pointer);
        if (value == nullptr) return out;
        if (!value->is_array()) return wrong(pointer, "expected a list");
        for (std::size_t i = 0; i < value->get_array().size(); ++i) {
            const auto& each = value->get_array()[i];
            const std::string here = pointer + "/" + std::to_string(i);
            if (!each.is_object() || each.get_object().size() != 1) return wrong(here, "expected a map with one key");
            Step step{std::string(each.get_object().begin()->key()), each.get_object().begin()->value(), document.place(here)};
            if (auto valid = validate(step); !valid) return wrong(here + "/" + json::escape_pointer_token(step.kind), valid.error().message);
            out.push_back(std::move(step));
        }
        return out;
    }
};

Result<NodeSpec> read_node(const Reader& reader, const std::string& pointer, const json::Value& value) {
    KN_CHECK(reader.only(pointer, {"name", "cpu", "memory", "pods", "zone", "labels", "taints"}));
    NodeSpec node;
    KN_TRY(node.name, reader.text(pointer + "/name"));
    if (const auto* cpu = json::at(value, "cpu")) node.cpu = kube::quantity_at(cpu).value_or(node.cpu);
    if (const auto* memory = json::at(value, "memory")) node.memory = kube::quantity_at(memory).value_or(node.memory);
    node.pods = static_cast<int>(json::int_at(value, "pods").value_or(node.pods));
    if (const auto zone = json::string_at(value, "zone"); !zone.empty()) node.zone = zone;
    for (const auto& [key, label] : json::object_at(value, "labels"))
        node.labels[std::string(key)] = label.is_string() ? std::string(json::view(label.get_string())) : json::dump(label);
    node.taints = strings_of(json::array_at(value, "taints"));
    return node;
}

Result<> read_world(const Reader& reader, Scenario::State& state) {
    const auto* world = json::at(reader.document.value, "world");
    if (world == nullptr || !world->is_array()) return reader.wrong("/world", "expected a list of namespace, workload, object, neighbours and ready");
    std::vector<std::string> taken;
    state.waves.emplace_back();
    for (std::size_t i = 0; i < world->get_array().size(); ++i) {
        const std::string pointer = "/world/" + std::to_string(i);
        const auto& item = world->get_array()[i];
        if (!item.is_object() || item.get_object().size() != 1) return reader.wrong(pointer, "expected a map with one key");
        const std::string kind(item.get_object().begin()->key());
        const json::Value& body = item.get_object().begin()->value();
        const std::string below = pointer + "/" + kind;
        auto& wave = state.waves.back();
        if (kind == "namespace") {
            KN_CHECK(reader.only(below, {"name", "labels", "annotations"}));
            KN_TRY(auto name, reader.text(below + "/name"));
            json::Object metadata{{"name", name}};
            for (const auto part : {"labels", "annotations"}) {
                if (const auto* each = json::at(body, part)) metadata[part] = *each;
            }
            wave.push_back(json::Object{{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", std::move(metadata)}});
            state.namespaces.push_back(std::move(name));
        } else if (kind == "workload") {
            auto objects = expand_workload(body);
            if (!objects) return reader.wrong(below, objects.error().message);
            taken.emplace_back(json::string_at(body, "name"));
            wave.insert(wave.end(), objects->begin(), objects->end());
        } else if (kind == "object") {
            if (kube::resource_of(body) == nullptr) return reader.wrong(below, "apiVersion and kind name nothing that is known");
            if (kube::name_of(body).empty()) return reader.wrong(below, "metadata.name is missing");
            wave.push_back(body);
        } else if (kind == "neighbours") {
            KN_CHECK(reader.only(below, {"ns", "count"}));
            KN_TRY(const auto ns, reader.text(below + "/ns"));
            auto objects = neighbours(ns, static_cast<int>(json::int_at(body, "count").value_or(3)), state.seed, taken);
            wave.insert(wave.end(), objects.begin(), objects.end());
        } else if (kind == "ready") {
            state.waves.emplace_back();
        } else {
            return reader.wrong(pointer, "unknown item '" + kind + "': namespace, workload, object, neighbours or ready");
        }
    }
    return {};
}

Result<> read_expect(const Reader& reader, Scenario::State& state) {
    KN_CHECK(reader.only("/expect", {"class", "workflows", "must_not", "outcome", "leave_alone", "needs_approval", "cured_within"}));
    const auto* expect = json::at(reader.document.value, "expect");
    if (expect == nullptr) return reader.wrong("/expect", "missing");
    KN_TRY(state.expect.fault_class, reader.text("/expect/class"));
    KN_TRY(state.expect.workflows, reader.texts("/expect/workflows"));
    KN_TRY(state.expect.must_not, reader.texts("/expect/must_not"));
    KN_TRY(state.expect.outcome, reader.text("/expect/outcome"));
    state.expect.leave_alone = json::bool_at(*expect, "leave_alone").value_or(false);
    state.expect.needs_approval = json::bool_at(*expect, "needs_approval").value_or(false);
    if (json::at(*expect, "cured_within") != nullptr) {
        auto within = parse_duration(json::string_at(*expect, "cured_within"));
        if (!within) return reader.wrong("/expect/cured_within", within.error().message);
        state.expect.cured_within = *within;
    }
    return {};
}

}  // namespace

Result<Scenario> Scenario::parse(std::string_view yaml, std::uint64_t seed) {
    KN_TRY(auto variables, choose_variables(yaml, seed));
    KN_TRY(const auto text, substitute(yaml, variables));
    KN_TRY(const auto document, json::parse_yaml(text));
    const Reader reader{document};
    KN_CHECK(reader.only("", {"id", "name", "title", "needs", "vars", "nodes", "world", "registries", "behaviours", "target", "fault", "signals",
                              "expect", "cured", "may_touch", "aftercare"}));
    auto state = std::make_unique<State>();
    state->seed = seed;
    state->variables = std::move(variables);
    KN_TRY(state->id, reader.text("/id"));
    KN_TRY(state->name, reader.text("/name"));
    KN_TRY(state->title, reader.text("/title"));
    KN_TRY(state->target, reader.text("/target"));
    if (auto target = ObjectName::parse(state->target); !target) return reader.wrong("/target", target.error().message);
    KN_TRY(state->needs, reader.texts("/needs"));
    const auto& nodes = json::array_at(document.value, "nodes");
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        KN_TRY(auto node, read_node(reader, "/nodes/" + std::to_string(i), nodes[i]));
        state->nodes.push_back(std::move(node));
    }
    KN_CHECK(read_world(reader, *state));
    json::Object book;
    for (const auto key : {"registries", "behaviours"}) {
        if (const auto* part = json::at(document.value, key)) book[key] = *part;
    }
    state->book = std::move(book);
    BehaviourBook scratch;
    if (auto loaded = scratch.load(state->book); !loaded) return reader.wrong("/behaviours", loaded.error().describe());
    KN_TRY(state->fault, reader.steps("/fault", validate_fault_step));
    KN_TRY(state->aftercare, reader.steps("/aftercare", validate_fault_step));
    KN_TRY(state->cured, reader.steps("/cured", validate_check));
    KN_TRY(auto signals, reader.texts("/signals"));
    const auto known = known_alerts();
    for (const auto& signal : signals) {
        if (std::ranges::find(known, signal) == known.end()) return reader.wrong("/signals", "there is no rule for the alert '" + signal + "'");
        state->signals.insert(signal);
    }
    KN_TRY(auto may_touch, reader.texts("/may_touch"));
    state->may_touch.insert(may_touch.begin(), may_touch.end());
    KN_CHECK(read_expect(reader, *state));
    if (!state->expect.leave_alone && state->cured.empty()) return reader.wrong("/cured", "what is it like when it is cured?");
    return Scenario(std::move(state));
}

}  // namespace kn::sim
