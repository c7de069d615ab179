#include "impl.hpp"
#include "kubernaut/domain/pattern.hpp"
#include "kubernaut/ports/pattern_store.hpp"

namespace kn::http_api {
namespace {

/// Words of an enum, separated by commas.
template <class E> Result<std::vector<E>> words_of(const Call& call, const char* name) {
    std::vector<E> words;
    const std::string text = call.param(name);
    std::string_view rest = text;
    while (!rest.empty()) {
        const auto comma = rest.find(',');
        const auto word = parse_enum<E>(rest.substr(0, comma));
        if (!word)
            return fail(ErrorCode::invalid_argument, "unknown word \"" + std::string(rest.substr(0, std::min<std::size_t>(comma, 64))) + "\"", name);
        words.push_back(*word);
        if (comma == std::string_view::npos) break;
        rest.remove_prefix(comma + 1);
    }
    return words;
}

/// Those of the fleet are for everybody who may see patterns anywhere.
bool may_see(const Call& call, const Pattern& pattern) {
    constexpr std::string_view prefix = "cluster/";
    const std::string cluster = pattern.scope.starts_with(prefix) ? pattern.scope.substr(prefix.size()) : "";
    return call.person.may("pattern.view", cluster, "", true);
}

json::Value warning_json(const EarlyWarning& warning) {
    json::Value value = to_json(warning);
    auto& object = value.get_object();
    // The pattern has a page of its own.
    object["pattern"] = json::Object{{"id", warning.pattern.id},
                                     {"kind", to_string(warning.pattern.kind)},
                                     {"claim", warning.pattern.claim},
                                     {"confidence", warning.pattern.confidence}};
    if (const auto lead = warning.lead_seconds()) object["lead_seconds"] = *lead;
    return value;
}

json::Value page_json(json::Array items, const std::string& next) {
    json::Object body{{"items", std::move(items)}};
    if (!next.empty()) body["next"] = next;
    return body;
}

}  // namespace

Task<Result<json::Value>> Api::Impl::list_patterns(Call& call) {
    KN_CO_TRY(const auto page, page_of(call));
    ports::PatternFilter filter{.cluster = call.param("cluster"),
                                .kind = call.param("kind"),
                                .subject = call.param("subject"),
                                .status = {},
                                .shadow = call.param("shadow") == "true"};
    KN_CO_TRY(filter.status, words_of<PatternStatus>(call, "status"));
    if (!filter.kind.empty() && !parse_enum<PatternKind>(filter.kind)) co_return fail(ErrorCode::invalid_argument, "no such kind of pattern", "kind");
    KN_CO_TRY(const auto found, co_await d.stores.patterns.list(std::move(filter), page, call.deadline));
    json::Array items;
    for (const auto& record : found.items)
        if (may_see(call, record.pattern)) items.push_back(to_json(record));
    co_return page_json(std::move(items), found.next);
}

Task<Result<json::Value>> Api::Impl::get_pattern(Call& call) {
    KN_CO_TRY(const auto record, co_await d.stores.patterns.get(call.path["id"], call.deadline));
    if (!may_see(call, record.pattern)) co_return fail(ErrorCode::not_found, "no such pattern");
    json::Value value = to_json(record);
    KN_CO_TRY(const auto warnings, co_await d.stores.patterns.warnings({.pattern = record.pattern.id}, {.limit = 20}, call.deadline));
    json::Array list;
    for (const auto& warning : warnings.items) list.push_back(warning_json(warning));
    value.get_object()["warnings"] = std::move(list);
    co_return value;
}

Task<Result<json::Value>> Api::Impl::list_warnings(Call& call) {
    KN_CO_TRY(const auto page, page_of(call));
    ports::WarningFilter filter{
        .cluster = call.param("cluster"), .pattern = call.param("pattern"), .incident = call.param("incident"), .outcomes = {}};
    KN_CO_TRY(filter.outcomes, words_of<WarningOutcome>(call, "outcome"));
    KN_CO_TRY(const auto found, co_await d.stores.patterns.warnings(std::move(filter), page, call.deadline));
    json::Array items;
    for (const auto& warning : found.items)
        if (call.person.may("pattern.view", warning.cluster.str(), "", true)) items.push_back(warning_json(warning));
    co_return page_json(std::move(items), found.next);
}

Task<Result<json::Value>> Api::Impl::list_analyzers(Call&) { co_return page_json(d.analyzers ? d.analyzers() : json::Array{}, ""); }

}  // namespace kn::http_api
