#include "render.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "kubernaut/json/yaml.hpp"

namespace kn::client {
namespace {

using json::string_at;
std::string text(const json::Value& v, auto... keys) { return std::string(string_at(v, keys...)); }

std::string number(const json::Value& v, const char* key) {
    const auto value = json::double_at(v, key);
    if (!value) return "-";
    std::string out = std::to_string(*value);
    return out.substr(0, out.find('.') + 3);
}

/// "eu1/shop/Deployment.apps/cart" → "shop/Deployment/cart"
std::string short_target(std::string_view key) {
    const auto slash = key.find('/');
    if (slash == std::string_view::npos) return std::string(key);
    std::string rest(key.substr(slash + 1));
    if (rest.starts_with("_/")) rest = rest.substr(2);
    const auto dot = rest.find('.');
    const auto name = rest.rfind('/');
    if (dot != std::string::npos && name != std::string::npos && dot < name) rest.erase(dot, name - dot);
    return rest;
}
std::string target_of(const json::Value& v) { return short_target(string_at(v, "target", "key")); }

std::string since(const json::Value& v, const char* key, Instant now) { return age_of(string_at(v, key), now); }

/// "11/12": of the predictions of a pattern that were checked, those that came true.
std::string checks(const json::Value& v) {
    const auto good = json::int_at(v, "confirmed").value_or(0), bad = json::int_at(v, "refuted").value_or(0);
    return std::to_string(good) + "/" + std::to_string(good + bad);
}
/// "in 3h", "now", "-".
std::string next_of(const json::Value& v, Instant now) {
    const auto from = parse_rfc3339(string_at(v, "next_expected", "from")), to = parse_rfc3339(string_at(v, "next_expected", "to"));
    if (!from || !to || *to < now) return "-";
    return *from <= now ? "now" : "in " + human_age(*from - now);
}
std::string lead_of(const json::Value& v) {
    const auto seconds = json::double_at(v, "lead_seconds");
    return seconds ? human_age(Duration{static_cast<std::int64_t>(*seconds * 1000)}) : "-";
}

#define KN_COLUMN(expr)                                    \
    [](const json::Value& v, Instant now) -> std::string { \
        (void)now;                                         \
        (void)v;                                           \
        return expr;                                       \
    }

std::vector<Kind> make_kinds() {
    return {
        {"incidents",
         "/api/v1/incidents",
         {"incident", "inc"},
         {{"ID", KN_COLUMN(text(v, "id"))},
          {"CLUSTER", KN_COLUMN(text(v, "cluster"))},
          {"TARGET", KN_COLUMN(target_of(v))},
          {"CLASS", KN_COLUMN(text(v, "fault_class"))},
          {"P", KN_COLUMN(number(v, "p")), true},
          {"STATE", KN_COLUMN(text(v, "state"))},
          {"REASON", KN_COLUMN(text(v, "state_reason")), true},
          {"OUTCOME", KN_COLUMN(text(v, "outcome"))},
          {"WORKFLOW", KN_COLUMN(text(v, "plan", "workflow"))},
          {"AGE", KN_COLUMN(since(v, "opened_at", now))},
          {"LAST", KN_COLUMN(text(v, "last")), true}},
         true,
         "incident"},
        {"executions",
         "/api/v1/executions",
         {"execution", "exe"},
         {{"ID", KN_COLUMN(text(v, "id"))},
          {"CLUSTER", KN_COLUMN(text(v, "cluster"))},
          {"WORKFLOW", KN_COLUMN(text(v, "plan", "workflow"))},
          {"TARGET", KN_COLUMN(short_target(string_at(v, "plan", "target", "key")))},
          {"STATE", KN_COLUMN(text(v, "state"))},
          {"BY", KN_COLUMN(text(v, "requested_by"))},
          {"DRY-RUN", KN_COLUMN(json::bool_at(v, "dry_run").value_or(false) ? "yes" : "no"), true},
          {"AGE", KN_COLUMN(since(v, "created_at", now))},
          {"ERROR", KN_COLUMN(text(v, "error")), true}},
         true,
         "execution"},
        {"clusters",
         "/api/v1/clusters",
         {"cluster"},
         {{"ID", KN_COLUMN(text(v, "id"))},
          {"ENVIRONMENT", KN_COLUMN(text(v, "environment"))},
          {"MODE", KN_COLUMN(text(v, "mode"))},
          {"VERDICT", KN_COLUMN(text(v, "verdict"))},
          {"SINCE", KN_COLUMN(since(v, "verdict_since", now))},
          {"REASON", KN_COLUMN(text(v, "verdict_reason")), true},
          {"UID", KN_COLUMN(text(v, "uid")), true}},
         true,
         "cluster"},
        {"workflows",
         "/api/v1/workflows",
         {"workflow", "wf"},
         {{"ID", KN_COLUMN(text(v, "id"))},
          {"VERSION", KN_COLUMN(std::to_string(json::int_at(v, "version").value_or(0)))},
          {"RISK", KN_COLUMN(text(v, "risk"))},
          {"DESCRIPTION", KN_COLUMN(text(v, "description"))},
          {"ORIGIN", KN_COLUMN(text(v, "origin")), true}},
         true,
         ""},
        {"actions",
         "/api/v1/actions",
         {"action"},
         {{"NAME", KN_COLUMN(text(v, "name"))},
          {"RISK", KN_COLUMN(text(v, "risk"))},
          {"MUTATING", KN_COLUMN(json::bool_at(v, "mutating").value_or(false) ? "yes" : "no")},
          {"TIMEOUT", KN_COLUMN(text(v, "timeout")), true},
          {"DESCRIPTION", KN_COLUMN(text(v, "description"))}},
         false,
         ""},
        {"assessments",
         "/api/v1/assessments",
         {"assessment", "asm"},
         {{"ID", KN_COLUMN(text(v, "id"))},
          {"CLUSTER", KN_COLUMN(text(v, "cluster"))},
          {"WORKFLOW", KN_COLUMN(text(v, "workflow"))},
          {"CLASS", KN_COLUMN(text(v, "fault_class"))},
          {"STAGE", KN_COLUMN(text(v, "stage"))},
          {"SCORE", KN_COLUMN(number(v, "score"))},
          {"CONFIDENCE", KN_COLUMN(number(v, "confidence"))},
          {"HEALS-ALONE", KN_COLUMN(number(v, "would_have_healed"))},
          {"UPLIFT", KN_COLUMN(number(v, "uplift"))},
          {"DUE", KN_COLUMN(text(v, "due_at")), true},
          {"NOTE", KN_COLUMN(text(v, "note")), true}},
         false,
         "assessment"},
        {"approvals",
         "/api/v1/approvals",
         {"approval"},
         {{"ID", KN_COLUMN(text(v, "id"))},
          {"CLUSTER", KN_COLUMN(text(v, "cluster"))},
          {"WORKFLOW", KN_COLUMN(text(v, "workflow"))},
          {"TARGET", KN_COLUMN(short_target(string_at(v, "target")))},
          {"RISK", KN_COLUMN(text(v, "risk"))},
          {"STATE", KN_COLUMN(text(v, "state"))},
          {"ASKED", KN_COLUMN(since(v, "asked_at", now))},
          {"REASON", KN_COLUMN(text(v, "reason")), true}},
         false,
         "approval"},
        {"signals",
         "/api/v1/signals",
         {"signal", "alerts"},
         {{"ID", KN_COLUMN(text(v, "id"))},
          {"CLUSTER", KN_COLUMN(text(v, "cluster"))},
          {"SOURCE", KN_COLUMN(text(v, "source"))},
          {"NAME", KN_COLUMN(text(v, "name"))},
          {"OBJECT", KN_COLUMN(short_target(string_at(v, "object")))},
          {"STATUS", KN_COLUMN(text(v, "status"))},
          {"STATE", KN_COLUMN(text(v, "state"))},
          {"AGE", KN_COLUMN(since(v, "received_at", now))},
          {"ERROR", KN_COLUMN(text(v, "error")), true}},
         false,
         ""},
        {"history",
         "/api/v1/history",
         {},
         {{"ID", KN_COLUMN(text(v, "id"))},
          {"CLUSTER", KN_COLUMN(text(v, "cluster"))},
          {"ACTION", KN_COLUMN(text(v, "action"))},
          {"TARGET", KN_COLUMN(target_of(v))},
          {"OUTCOME", KN_COLUMN(text(v, "outcome"))},
          {"BY", KN_COLUMN(text(v, "requested_by"))},
          {"AGE", KN_COLUMN(since(v, "started_at", now))},
          {"ERROR", KN_COLUMN(text(v, "error")), true}},
         false,
         ""},
        {"dead-letters",
         "/api/v1/dead-letters",
         {"dead-letter", "dead"},
         {{"ID", KN_COLUMN(text(v, "id"))},
          {"CLUSTER", KN_COLUMN(text(v, "cluster"))},
          {"KIND", KN_COLUMN(text(v, "kind"))},
          {"WHAT", KN_COLUMN(text(v, "title"))},
          {"REASON", KN_COLUMN(text(v, "reason"))},
          {"AGE", KN_COLUMN(since(v, "at", now))}},
         true,
         ""},
        {"audit",
         "/api/v1/audit",
         {},
         {{"CLUSTER", KN_COLUMN(text(v, "cluster"))},
          {"SEQ", KN_COLUMN(std::to_string(json::int_at(v, "seq").value_or(0)))},
          {"AT", KN_COLUMN(text(v, "at"))},
          {"ACTOR", KN_COLUMN(text(v, "actor"))},
          {"VERB", KN_COLUMN(text(v, "verb"))},
          {"OBJECT", KN_COLUMN(short_target(string_at(v, "object")))},
          {"REASON", KN_COLUMN(text(v, "reason"))},
          {"HASH", KN_COLUMN(text(v, "hash")), true}},
         false,
         ""},
        {"patterns",
         "/api/v1/patterns",
         {"pattern", "pat"},
         {{"ID", KN_COLUMN(text(v, "id"))},
          {"KIND", KN_COLUMN(text(v, "kind"))},
          {"SCOPE", KN_COLUMN(text(v, "scope"))},
          {"STATUS", KN_COLUMN(text(v, "status"))},
          {"CONFIDENCE", KN_COLUMN(number(v, "confidence"))},
          {"SUPPORT", KN_COLUMN(std::to_string(json::int_at(v, "support").value_or(0))), true},
          {"CHECKS", KN_COLUMN(checks(v)), true},
          {"NEXT", KN_COLUMN(next_of(v, now))},
          {"SEEN", KN_COLUMN(since(v, "last_seen", now))},
          {"BY", KN_COLUMN(text(v, "provenance", "analyzer") + (string_at(v, "provenance", "mode") == "basic" ? " (basic)" : "")), true},
          {"CLAIM", KN_COLUMN(text(v, "claim"))}},
         true,
         ""},
        {"warnings",
         "/api/v1/warnings",
         {"warning", "wrn"},
         {{"ID", KN_COLUMN(text(v, "id"))},
          {"CLUSTER", KN_COLUMN(text(v, "cluster"))},
          {"NAME", KN_COLUMN(text(v, "name"))},
          {"TARGET", KN_COLUMN(short_target(string_at(v, "target")))},
          {"RAISED", KN_COLUMN(since(v, "raised_at", now))},
          {"EXPECTED", KN_COLUMN(text(v, "expected_at"))},
          {"OUTCOME", KN_COLUMN(text(v, "outcome"))},
          {"LEAD", KN_COLUMN(lead_of(v))},
          {"INCIDENT", KN_COLUMN(text(v, "incident")), true},
          {"NOTE", KN_COLUMN(text(v, "note")), true}},
         false,
         ""},
        {"analyzers",
         "/api/v1/analyzers",
         {"analyzer"},
         {{"NAME", KN_COLUMN(text(v, "name"))},
          {"MODE", KN_COLUMN(text(v, "mode") + (json::bool_at(v, "basic").value_or(false) ? " (basic)" : ""))},
          {"FOUND", KN_COLUMN(std::to_string(json::int_at(v, "found").value_or(0)))},
          {"CHECKS", KN_COLUMN(std::to_string(json::int_at(v, "checks").value_or(0)))},
          {"BRIER", KN_COLUMN(number(v, "brier"))},
          {"ECE", KN_COLUMN(number(v, "calibration_error"))},
          {"SECONDS", KN_COLUMN(number(v, "seconds")), true},
          {"ERROR", KN_COLUMN(text(v, "error"))}},
         false,
         ""},
        {"pauses",
         "/api/v1/pauses",
         {"pause"},
         {{"CLUSTER", KN_COLUMN(text(v, "cluster"))},
          {"NAMESPACE", KN_COLUMN(text(v, "ns"))},
          {"BY", KN_COLUMN(text(v, "by"))},
          {"SINCE", KN_COLUMN(since(v, "since", now))},
          {"UNTIL", KN_COLUMN(text(v, "until"))},
          {"REASON", KN_COLUMN(text(v, "reason"))}},
         false,
         ""},
    };
}

std::string join(const json::Array& list) {
    std::string out;
    for (const auto& each : list) {
        if (const auto* word = each.if_string()) out += (out.empty() ? "" : ", ") + std::string(json::view(*word));
    }
    return out;
}

std::string value_text(const json::Value& value) { return value.is_string() ? std::string(json::view(value.get_string())) : json::dump(value); }

}  // namespace

std::string Style::wrap(std::string_view code, std::string_view content) const {
    if (!colours_) return std::string(content);
    return "\033[" + std::string(code) + "m" + std::string(content) + "\033[0m";
}

Style Style::for_stdout() { return Style(isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr); }

std::string Style::state(std::string_view word) const {
    static constexpr std::string_view good_words[] = {"healthy",     "succeeded",   "resolved",  "remediated", "granted", "active",
                                                      "self_healed", "compensated", "confirmed", "came_true",  "averted"};
    static constexpr std::string_view bad_words[] = {"lost",          "failed",       "escalated",   "compensation_failed", "rejected",
                                                     "wrong_cluster", "isolated_hub", "quarantined", "false_alarm"};
    static constexpr std::string_view warn_words[] = {"suspect", "held",      "awaiting_approval", "pending", "expired",
                                                      "refused", "cancelled", "ambiguous",         "unknown", "fading"};
    if (std::find(std::begin(good_words), std::end(good_words), word) != std::end(good_words)) return good(word);
    if (std::find(std::begin(bad_words), std::end(bad_words), word) != std::end(bad_words)) return bad(word);
    if (std::find(std::begin(warn_words), std::end(warn_words), word) != std::end(warn_words)) return warn(word);
    return std::string(word);
}

std::string human_age(Duration age) {
    const auto s = std::max<std::int64_t>(0, age.count() / 1000);
    if (s < 120) return std::to_string(s) + "s";
    if (s < 7200) return std::to_string(s / 60) + "m";
    if (s < 172'800) return std::to_string(s / 3600) + "h";
    return std::to_string(s / 86'400) + "d";
}

std::string age_of(std::string_view rfc3339, Instant now) {
    const auto time = parse_rfc3339(rfc3339);
    return time ? human_age(now - *time) : "-";
}

const std::vector<Kind>& kinds() {
    static const std::vector<Kind> all = make_kinds();
    return all;
}

const Kind* find_kind(std::string_view name) {
    for (const Kind& kind : kinds()) {
        if (kind.name == name || std::find(kind.aliases.begin(), kind.aliases.end(), name) != kind.aliases.end()) return &kind;
    }
    return nullptr;
}

std::string table(const Kind& kind, const json::Array& items, bool wide, bool headings, Instant now, const Style& style) {
    std::vector<std::vector<std::string>> rows;
    std::vector<std::string> head;
    for (const Column& column : kind.columns) {
        if (wide || !column.wide) head.push_back(column.heading);
    }
    if (headings) rows.push_back(head);
    for (const auto& item : items) {
        auto& row = rows.emplace_back();
        for (const Column& column : kind.columns) {
            if (column.wide && !wide) continue;
            std::string cell = column.cell(item, now);
            std::replace(cell.begin(), cell.end(), '\n', ' ');
            if (cell.empty()) cell = "-";
            row.push_back(std::move(cell));
        }
    }
    std::vector<std::size_t> widths(head.size());
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string out;
    for (std::size_t r = 0; r < rows.size(); ++r) {
        for (std::size_t i = 0; i < rows[r].size(); ++i) {
            const std::string& cell = rows[r][i];
            const bool heading = headings && r == 0;
            out += heading ? style.bold(cell) : style.state(cell);
            if (i + 1 < rows[r].size()) out.append(widths[i] - cell.size() + 3, ' ');
        }
        out += '\n';
    }
    return out;
}

namespace {

/// One judgement in words: every input with what was known of it, then what came of them.
std::string judgement(const json::Value& a, const Style& style) {
    std::string out = "  " + text(a, "workflow") + " (" + text(a, "stage") + ")";
    if (json::at(a, "score") == nullptr || json::at(a, "score")->is_null()) {
        out += text(a, "done_at").empty() ? ": not judged yet, due " + text(a, "due_at") : ": unassessed";
    } else {
        out += ": score " + number(a, "score") + ", confidence " + number(a, "confidence") + ", would have healed by itself " +
               number(a, "would_have_healed") + ", credited " + number(a, "uplift") +
               (json::bool_at(a, "attributable").value_or(true) ? "" : ", not attributed to it");
    }
    out += "\n" +
           style.dim("      the fault is gone: " + text(a, "resolved") + ", its metric improved: " + number(a, "metric") + ", it came back: " +
                     text(a, "came_back") + ", side effects: " + text(a, "side_effects") + ", changed by others: " + text(a, "drift")) +
           "\n";
    if (const auto worse = text(a, "worse"); !worse.empty()) out += style.bad("      worse: " + worse) + "\n";
    if (const auto note = text(a, "note"); !note.empty()) out += style.dim("      " + note) + "\n";
    return out;
}

}  // namespace

std::string describe(const json::Value& object) {
    std::string out = json::dump_yaml(object);
    // What people look for first, as comments: the document stays YAML.
    std::string words;
    for (const auto& assessment : json::array_at(object, "assessments")) words += judgement(assessment, Style(false));
    if (words.empty()) return out;
    std::string comment = "# Did it help\n#";
    for (std::size_t i = 0; i < words.size(); ++i) {
        comment += words[i];
        if (words[i] == '\n' && i + 1 < words.size()) comment += '#';
    }
    return out + comment;
}

std::string explain_pattern(const json::Value& pattern, const Style& style, Instant now) {
    std::string out = style.bold(text(pattern, "claim")) + "\n\n";
    const auto line = [&](const char* name, const std::string& value) {
        if (!value.empty())
            out += "  " + std::string(name) + std::string(std::max<std::size_t>(1, 14 - std::string_view(name).size()), ' ') + value + "\n";
    };
    line("what", text(pattern, "kind") + ", " + text(pattern, "scope"));
    line("about", text(pattern, "subject"));
    line("status", style.state(text(pattern, "status")) + ", first seen " + age_of(string_at(pattern, "first_seen"), now) + " ago, last seen " +
                       age_of(string_at(pattern, "last_seen"), now) + " ago");
    const bool basic = string_at(pattern, "provenance", "mode") == "basic";
    line("found by", text(pattern, "provenance", "analyzer") + (basic ? " (basic: counts and rates, while an analyzer is off or cut off)" : "") +
                         ", from " + std::to_string(json::int_at(pattern, "support").value_or(0)) + " observations");
    const bool calibrated = json::bool_at(pattern, "calibrated").value_or(false);
    line("confidence", number(pattern, "confidence") + (calibrated ? ": of claims as strong as this one, so many came true"
                                                                   : ": not calibrated yet (fewer than 200 claims were checked), meant carefully"));
    line("strength", number(pattern, "raw") + " as the analyzer measures it");
    if (const auto good = json::int_at(pattern, "confirmed").value_or(0), bad = json::int_at(pattern, "refuted").value_or(0); good + bad > 0)
        line("checked", std::to_string(good) + " of " + std::to_string(good + bad) + " predictions came true");
    if (const auto from = text(pattern, "next_expected", "from"); !from.empty())
        line("next", from + " to " + text(pattern, "next_expected", "to") + " (" + next_of(pattern, now) + ")");
    if (const auto& detail = json::object_at(pattern, "detail"); !detail.empty()) {
        out += "\n" + style.bold("The numbers") + "\n";
        for (const auto& [name, value] : detail)
            if (!value.is_array()) line(std::string(name.data(), name.size()).c_str(), value_text(value));
        for (const auto& each : json::array_at(pattern, "detail", "workflows"))
            line("", text(each, "workflow") + ": worked in " + std::to_string(json::int_at(each, "succeeded").value_or(0)) + " of " +
                         std::to_string(json::int_at(each, "runs").value_or(0)));
    }
    if (const auto& evidence = json::array_at(pattern, "evidence"); !evidence.empty())
        out += "\n" + style.bold("Rests on") + "\n  " + join(evidence) + "\n";
    if (const auto& warnings = json::array_at(pattern, "warnings"); !warnings.empty()) {
        out += "\n" + style.bold("Early warnings") + "\n";
        for (const auto& each : warnings)
            out += "  " + text(each, "raised_at") + "  " + text(each, "name") + "  " + style.state(text(each, "outcome")) +
                   (text(each, "note").empty() ? "" : ": " + text(each, "note")) + (lead_of(each) == "-" ? "" : ", " + lead_of(each) + " ahead") +
                   (text(each, "incident").empty() ? "" : "  " + text(each, "incident")) + "\n";
    }
    return out;
}

std::string why(const json::Value& incident, const Style& style, Instant now) {
    std::string out = style.bold(text(incident, "id")) + "  " + text(incident, "target", "key") + "  " + style.state(text(incident, "state"));
    if (const auto reason = text(incident, "state_reason"); !reason.empty()) out += " (" + reason + ")";
    if (const auto outcome = text(incident, "outcome"); outcome != "none" && !outcome.empty()) out += ", outcome " + style.state(outcome);
    out += "\n\n" + style.bold("What happened") + "\n";
    for (const auto& entry : json::array_at(incident, "story")) {
        out += "  " + text(entry, "at") + "  " + style.dim(text(entry, "kind")) +
               std::string(std::max<std::size_t>(1, 12 - std::min<std::size_t>(11, text(entry, "kind").size())), ' ') + text(entry, "text") + "\n";
    }
    if (const auto* diagnosis = json::at(incident, "diagnosis"); diagnosis != nullptr && diagnosis->is_object()) {
        out += "\n" + style.bold("What was it taken for") + "\n";
        std::size_t shown = 0;
        for (const auto& candidate : json::array_at(*diagnosis, "candidates")) {
            if (++shown > 8) break;
            const auto why_not = text(candidate, "why_not");
            out += "  p " + number(candidate, "p") + "  " + text(candidate, "fault_class") +
                   (why_not.empty() ? style.good("  chosen") : style.dim("  " + why_not)) + "\n";
            if (const auto& facts = json::array_at(candidate, "for_facts"); !facts.empty() && shown <= 2)
                out += style.dim("      for: " + join(facts)) + "\n";
            if (const auto& facts = json::array_at(candidate, "against_facts"); !facts.empty() && shown <= 2)
                out += style.dim("      against: " + join(facts)) + "\n";
            if (const auto& facts = json::array_at(candidate, "unknown_facts"); !facts.empty() && shown <= 2)
                out += style.dim("      unknown: " + join(facts)) + "\n";
        }
        out += "\n" + style.bold("The evidence") + "\n";
        for (const auto& fact : json::array_at(*diagnosis, "facts")) {
            const auto state = text(fact, "state");
            if (state == "no") continue;
            const auto* value = json::at(fact, "value");
            out += "  " + text(fact, "name") + " = " +
                   (state == "unknown" ? style.warn("unknown")
                    : value == nullptr ? "?"
                                       : value_text(*value)) +
                   style.dim("   " + text(fact, "source") + ", " + age_of(string_at(fact, "observed_at"), now) + " ago") + "\n";
        }
    }
    if (const auto* plan = json::at(incident, "plan"); plan != nullptr && plan->is_object()) {
        out += "\n" + style.bold("What was decided") + "\n  " + text(*plan, "workflow") + " (risk " + text(*plan, "risk") + ") on " +
               text(*plan, "target", "key") + "\n";
        if (const auto& params = json::object_at(*plan, "params"); !params.empty())
            out += style.dim("  with " + json::dump(json::Value(params))) + "\n";
        for (const auto& reason : json::array_at(*plan, "reasons")) out += "  because " + value_text(reason) + "\n";
        for (const auto& other : json::array_at(*plan, "alternatives"))
            out += "  not " + text(other, "workflow") + ": " + text(other, "why_not") + "\n";
    }
    bool told = false;
    for (const auto& assessment : json::array_at(incident, "assessments")) {
        out += (std::exchange(told, true) ? std::string{} : "\n" + style.bold("Did it help") + "\n") + judgement(assessment, style);
    }
    return out;
}

}  // namespace kn::client
