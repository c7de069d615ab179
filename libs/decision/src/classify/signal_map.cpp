#include "kubernaut/decision/signal_map.hpp"

#include "classify/table_reader.hpp"
#include "kubernaut/base/embedded.hpp"

namespace kn::decision {

extern const std::span<const EmbeddedFile> tables;

std::string_view builtin_table(std::string_view name) {
    for (const auto& file : tables) {
        if (file.path == name) return file.content;
    }
    return {};
}

Result<SignalMap> SignalMap::builtin() { return parse(builtin_table("signals.yaml"), "signals.yaml"); }

Result<SignalMap> SignalMap::parse(std::string_view yaml, std::string_view origin) {
    KN_TRY(const auto document, json::parse_yaml(yaml));
    TableErrors errors(document, origin);
    SignalMap map;
    for (const auto& member : json::object_at(document.value)) {
        const std::string_view key = member.key();
        if (key != "alerts" && key != "aliases" && key != "ignored" && key != "version") errors.add("/" + std::string{key}, "unknown key");
    }
    for (const auto& member : json::object_at(document.value, "alerts")) {
        const std::string name{member.key()};
        const auto place = "/alerts/" + json::escape_pointer_token(name);
        const auto* row = member.value().if_array();
        if (row == nullptr || row->size() < 5) {
            errors.add(place, "needs [target label, severity, family, default workflow, class, ...]");
            continue;
        }
        SignalMeaning meaning;
        meaning.name = name;
        bool texts = true;
        for (const auto& cell : *row) texts = texts && cell.is_string();
        if (!texts) {
            errors.add(place, "every entry must be text");
            continue;
        }
        const auto cell = [&](std::size_t i) { return std::string{json::view((*row)[i].get_string())}; };
        meaning.target_label = cell(0);
        const auto severity = parse_enum<Severity>(cell(1));
        if (!severity) errors.add(place + "/1", "severity is none, info, warning or critical");
        meaning.severity = severity.value_or(Severity::warning);
        meaning.family = cell(2);
        meaning.default_workflow = cell(3);
        for (std::size_t i = 4; i < row->size(); ++i) meaning.classes.push_back(cell(i));
        map.meanings_.emplace(name, std::move(meaning));
    }
    for (const auto& value : json::array_at(document.value, "ignored")) {
        if (!value.is_string()) continue;
        SignalMeaning meaning;
        meaning.name = json::view(value.get_string());
        meaning.ignored = true;
        map.meanings_.insert_or_assign(meaning.name, meaning);
    }
    for (const auto& member : json::object_at(document.value, "aliases")) {
        const std::string name{member.key()};
        if (!member.value().is_string() || !map.meanings_.contains(json::view(member.value().get_string()))) {
            errors.add("/aliases/" + json::escape_pointer_token(name), "stands for an alert that the map does not have");
            continue;
        }
        map.aliases_[name] = json::view(member.value().get_string());
    }
    KN_CHECK(errors.result());
    return map;
}

std::string SignalMap::canonical(std::string_view name) const {
    const auto found = aliases_.find(name);
    return found == aliases_.end() ? std::string{name} : found->second;
}

const SignalMeaning* SignalMap::find(std::string_view name) const {
    const auto found = meanings_.find(canonical(name));
    return found == meanings_.end() ? nullptr : &found->second;
}

bool SignalMap::ignored(std::string_view name) const {
    const auto* meaning = find(name);
    return meaning != nullptr && meaning->ignored;
}

}  // namespace kn::decision
