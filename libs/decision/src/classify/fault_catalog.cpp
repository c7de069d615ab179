#include <algorithm>

#include "classify/table_reader.hpp"
#include "has.hpp"
#include "kubernaut/decision/classifier.hpp"

namespace kn::decision {
namespace {

class Reader {
public:
    Reader(const json::Value& value, std::string place, TableErrors& errors) : value_(value), place_(std::move(place)), errors_(errors) {}

    std::optional<Condition> condition(const json::Value& text, const std::string& place) {
        if (!text.is_string()) {
            errors_.add(place, "must be an expression");
            return std::nullopt;
        }
        auto parsed = Condition::parse(json::view(text.get_string()));
        if (!parsed) {
            errors_.add(place, parsed.error().describe());
            return std::nullopt;
        }
        return *std::move(parsed);
    }
    std::vector<Condition> conditions(std::string_view key) { return list(json::array_at(value_, key), place_ + "/" + std::string{key}); }
    std::vector<Condition> list(const json::Array& texts, const std::string& place) {
        std::vector<Condition> out;
        for (std::size_t i = 0; i < texts.size(); ++i) {
            if (auto c = condition(texts[i], place + "/" + std::to_string(i))) out.push_back(*std::move(c));
        }
        return out;
    }
    std::vector<WeightedCondition> weighted(std::string_view key) {
        std::vector<WeightedCondition> out;
        const auto& rows = json::array_at(value_, key);
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto at = place_ + "/" + std::string{key} + "/" + std::to_string(i);
            const auto* text = json::at(rows[i], "if");
            if (text == nullptr) {
                errors_.add(at, "needs `if`");
                continue;
            }
            auto c = condition(*text, at + "/if");
            if (!c) continue;
            out.push_back({*std::move(c), json::double_at(rows[i], "weight").value_or(0), std::string{json::string_at(rows[i], "why")}});
        }
        return out;
    }

private:
    const json::Value& value_;
    std::string place_;
    TableErrors& errors_;
};

constexpr std::string_view known_keys[] = {"title",    "kinds",    "prior",       "required", "any", "supporting",
                                           "excluded", "evidence", "leave_alone", "plans",    "risk"};

FaultClass read_class(std::string_view name, const json::Value& value, TableErrors& errors) {
    const auto place = "/classes/" + json::escape_pointer_token(name);
    Reader reader(value, place, errors);
    FaultClass out;
    out.name = name;
    out.title = json::string_at(value, "title");
    for (const auto& member : json::object_at(value)) {
        if (!has(known_keys, std::string_view{member.key()})) errors.add(place + "/" + std::string{member.key()}, "unknown key");
    }
    for (const auto& kind : json::array_at(value, "kinds")) {
        if (kind.is_string()) out.kinds.emplace_back(json::view(kind.get_string()));
    }
    out.prior = json::double_at(value, "prior").value_or(0);
    out.required = reader.conditions("required");
    if (out.required.empty()) errors.add(place, "needs at least one required condition");
    const auto& groups = json::array_at(value, "any");
    for (std::size_t i = 0; i < groups.size(); ++i) {
        const auto* group = groups[i].if_array();
        if (group == nullptr)
            errors.add(place + "/any/" + std::to_string(i), "must be a list");
        else
            out.any.push_back(reader.list(*group, place + "/any/" + std::to_string(i)));
    }
    out.supporting = reader.weighted("supporting");
    for (const auto& support : out.supporting) {
        for (const auto& fact : support.condition.reads()) {
            if (fact.find(".hint_") != std::string::npos && std::abs(support.weight) > 0.2)
                errors.add(place + "/supporting", "a hint weighs at most 0.2: " + fact);
        }
    }
    for (const auto& condition : out.required) {
        for (const auto& fact : condition.reads()) {
            if (fact.find(".hint_") != std::string::npos) errors.add(place + "/required", "a hint proves nothing: " + fact);
        }
    }
    out.excluding = reader.weighted("excluded");
    if (const auto* evidence = json::at(value, "evidence")) {
        if (auto c = reader.condition(*evidence, place + "/evidence")) out.evidence.push_back(*std::move(c));
    }
    const auto& leave = json::array_at(value, "leave_alone");
    for (std::size_t i = 0; i < leave.size(); ++i) {
        const auto at = place + "/leave_alone/" + std::to_string(i);
        const auto* text = json::at(leave[i], "if");
        auto c = text == nullptr ? std::nullopt : reader.condition(*text, at + "/if");
        if (!c || json::string_at(leave[i], "reason").empty())
            errors.add(at, "needs `if` and `reason`");
        else
            out.leave_alone.push_back(
                {*std::move(c), std::string{json::string_at(leave[i], "reason")}, std::string{json::string_at(leave[i], "text")}});
    }
    const auto& plans = json::array_at(value, "plans");
    if (plans.empty()) errors.add(place, "needs at least one plan");
    for (std::size_t i = 0; i < plans.size(); ++i) {
        const auto at = place + "/plans/" + std::to_string(i);
        PlanChoice plan;
        plan.workflow = json::string_at(plans[i], "workflow");
        if (plan.workflow.empty()) errors.add(at, "needs `workflow`");
        plan.when = reader.list(json::array_at(plans[i], "when"), at + "/when");
        plan.why_not = json::string_at(plans[i], "why_not");
        plan.approval = json::bool_at(plans[i], "approval").value_or(false);
        out.plans.push_back(std::move(plan));
    }
    const auto risk = parse_enum<Risk>(json::string_at(value, "risk"));
    if (!risk) errors.add(place + "/risk", "risk is none, low, medium, high or critical");
    out.risk = risk.value_or(Risk::critical);
    return out;
}

}  // namespace

Result<FaultCatalog> FaultCatalog::builtin() { return parse(builtin_table("faults.yaml"), "faults.yaml"); }

Result<FaultCatalog> FaultCatalog::parse(std::string_view yaml, std::string_view origin) {
    KN_TRY(const auto document, json::parse_yaml(yaml));
    TableErrors errors(document, origin);
    FaultCatalog catalog;
    for (const auto& member : json::object_at(document.value, "classes"))
        catalog.classes_.push_back(read_class(member.key(), member.value(), errors));
    for (const auto& name : json::array_at(document.value, "not_provable_yet")) {
        if (name.is_string()) catalog.names_.emplace_back(json::view(name.get_string()));
    }
    for (const auto& each : catalog.classes_) catalog.names_.push_back(each.name);
    std::ranges::sort(catalog.names_);
    if (catalog.classes_.empty()) errors.add("", "has no classes");
    KN_CHECK(errors.result());
    std::ranges::sort(catalog.classes_, {}, &FaultClass::name);
    return catalog;
}

const FaultClass* FaultCatalog::find(std::string_view name) const {
    const auto found = std::ranges::lower_bound(classes_, name, {}, [](const FaultClass& c) { return std::string_view{c.name}; });
    return found != classes_.end() && found->name == name ? &*found : nullptr;
}

}  // namespace kn::decision
