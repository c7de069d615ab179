#include "commands.hpp"

#include <cstdlib>
#include <iostream>
#include <memory>

#include "kubernaut/json/yaml.hpp"
#include "render.hpp"
#include "session.hpp"

namespace kn::client {
namespace {

/// What all client commands share.
struct Common {
    ServerOptions server;
    std::string output = "table";
    Instant now() const { return std::chrono::floor<Duration>(std::chrono::system_clock::now()); }
};

int report(const Error& error) {
    std::cerr << "error: " << (error.field.empty() ? "" : error.field + ": ") << error.message << "\n";
    return error.code == ErrorCode::not_found ? 4 : 1;
}

std::string env(const char* name, std::string fallback = {}) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::move(fallback) : std::string(value);
}

void add_server_options(CLI::App& command, Common& common) {
    command.add_option("--server", common.server.server, "address of the hub (KUBERNAUT_SERVER)")->capture_default_str();
    command.add_option("--token", common.server.token, "bearer token (KUBERNAUT_TOKEN)");
    command.add_option("--token-file", common.server.token_file, "file with the token");
    command.add_option("--ca-file", common.server.ca_file, "CA of the hub's certificate");
}

void add_output(CLI::App& command, Common& common) {
    command.add_option("-o,--output", common.output, "table, wide, json or yaml")->check(CLI::IsMember({"table", "wide", "json", "yaml"}));
}

void print(const json::Value& value, const std::string& output) {
    if (output == "yaml")
        std::cout << json::dump_yaml(value);
    else
        std::cout << json::dump_pretty(value) << "\n";
}

struct GetOptions {
    std::string kind, id, cluster, ns, state, fault_class, workflow, actor, action, since, until, correlation;
    bool watch = false, all = false, no_headers = false;
    std::size_t limit = 50;
};

Query query_of(const GetOptions& get, const std::string& kind) {
    Query query;
    const auto add = [&](const char* name, const std::string& value) {
        if (!value.empty()) query.emplace_back(name, value);
    };
    if (kind != "clusters" && kind != "workflows" && kind != "actions" && kind != "pauses" && kind != "analyzers") add("cluster", get.cluster);
    if (kind == "incidents" || kind == "executions" || kind == "history") add("namespace", get.ns);
    add(kind == "patterns" ? "status" : kind == "warnings" ? "outcome" : "state", get.state);
    if (kind != "executions") add("class", get.fault_class);
    add("workflow", get.workflow);
    add("actor", get.actor);
    add(kind == "audit" ? "verb" : "action", get.action);
    add("since", get.since);
    add("until", get.until);
    add("correlation", get.correlation);
    if (kind == "incidents" && !get.all && get.state.empty()) query.emplace_back("open", "true");
    return query;
}

int do_get(const Common& common, const GetOptions& get) {
    const Kind* kind = find_kind(get.kind);
    if (kind == nullptr) {
        std::string names;
        for (const Kind& each : kinds()) names += (names.empty() ? "" : ", ") + each.name;
        return report(Error{.message = "there is no kind \"" + get.kind + "\": " + names});
    }
    ApiSession session(common.server);
    const Style style = Style::for_stdout();
    const bool plain = common.output == "table" || common.output == "wide";
    const auto show = [&](const json::Array& items, bool headings) {
        if (plain)
            std::cout << table(*kind, items, common.output == "wide", headings, common.now(), style) << std::flush;
        else
            for (const auto& item : items) print(item, common.output);
    };
    if (!get.id.empty()) {
        if (!kind->single) return report(Error{.message = kind->name + " have no page of their own: list them"});
        auto item = session.get(kind->path + "/" + kube::percent_encode(get.id));
        if (!item) return report(item.error());
        show(json::Array{*item}, !get.no_headers);
        return 0;
    }
    const std::pair<const char*, const std::string*> searches[] = {
        {"--actor", &get.actor}, {"--action", &get.action}, {"--since", &get.since}, {"--until", &get.until}, {"--correlation", &get.correlation}};
    for (const auto& [name, value] : searches) {
        if (!value->empty() && kind->name != "history" && kind->name != "audit")
            return report(Error{.message = std::string(name) + " is for history and audit"});
    }
    auto items = session.list(kind->path, query_of(get, kind->name), get.limit);
    if (!items) return report(items.error());
    if (plain && items->empty() && !get.watch) {
        std::cout << "No " << kind->name << (kind->name == "incidents" && !get.all ? " open (--all shows ended ones)" : "") << ".\n";
        return 0;
    }
    if (plain || get.watch)
        show(*items, !get.no_headers);
    else
        print(json::Object{{"items", *items}}, common.output);
    if (!get.watch) return 0;
    if (kind->event.empty()) return report(Error{.message = kind->name + " cannot be watched"});
    auto ended = session.stream("/api/v1/stream", [&](std::string_view event, const json::Value& document) {
        if (event != kind->event) return true;
        if (!get.cluster.empty() && json::string_at(document, "cluster") != get.cluster) return true;
        show(json::Array{document}, false);
        return true;
    });
    return ended ? 0 : report(ended.error());
}

int show_list(const Common& common, const Kind& kind, const Query& query, std::size_t limit, bool headings) {
    ApiSession session(common.server);
    auto items = session.list(kind.path, query, limit);
    if (!items) return report(items.error());
    if (common.output != "table" && common.output != "wide") {
        print(json::Object{{"items", *items}}, common.output);
        return 0;
    }
    if (items->empty())
        std::cout << "No " << kind.name << " yet.\n";
    else
        std::cout << table(kind, *items, common.output == "wide", headings, common.now(), Style::for_stdout()) << std::flush;
    return 0;
}

int do_describe(const Common& common, const std::string& name, const std::string& id) {
    const Kind* kind = find_kind(name);
    if (kind == nullptr || !kind->single)
        return report(
            Error{.message = "incidents, executions, clusters, workflows, patterns and dead-letters can be described, not \"" + name + "\""});
    ApiSession session(common.server);
    auto item = session.get(kind->path + "/" + kube::percent_encode(id));
    if (!item) return report(item.error());
    if (common.output == "json")
        print(*item, "json");
    else
        std::cout << describe(*item);
    return 0;
}

int do_post(const Common& common, const std::string& path, const json::Value& body, const std::string& done) {
    ApiSession session(common.server);
    auto answer = session.post(path, body);
    if (!answer) return report(answer.error());
    if (common.output == "json" || common.output == "yaml")
        print(*answer, common.output);
    else
        std::cout << done << "\n";
    return 0;
}

json::Value param_value(const std::string& text) {
    const auto parsed = json::parse_yaml(text);
    return parsed ? parsed->value : json::Value(boost::json::string_view(text));
}

}  // namespace

void add_commands(CLI::App& app, int& exit_code) {
    auto common = std::make_shared<Common>();
    common->server.server = env("KUBERNAUT_SERVER", "http://127.0.0.1:8080");
    common->server.token = env("KUBERNAUT_TOKEN");

    auto get_options = std::make_shared<GetOptions>();
    auto* get = app.add_subcommand(
        "get",
        "List incidents, executions, clusters, workflows, actions, assessments, approvals, signals, history, audit, dead-letters, patterns, warnings, analyzers or pauses");
    get->add_option("kind", get_options->kind, "what to list")->required();
    get->add_option("id", get_options->id, "only this one");
    get->add_option("-c,--cluster", get_options->cluster, "only of this cluster");
    get->add_option("-n,--namespace", get_options->ns, "only of this namespace");
    get->add_option("--state", get_options->state, "only in these states, separated by commas");
    get->add_option("--class", get_options->fault_class, "only of this fault class");
    get->add_option("--workflow", get_options->workflow, "only of this workflow");
    get->add_option("--actor", get_options->actor, "history, audit: only what this person (or kubernaut) did");
    get->add_option("--action", get_options->action, "history: only this action; audit: only this verb");
    get->add_option("--since", get_options->since, "history, audit: from this time on (RFC 3339)");
    get->add_option("--until", get_options->until, "history, audit: before this time (RFC 3339)");
    get->add_option("--correlation", get_options->correlation, "history, audit: only of this incident, execution or action id");
    get->add_option("--limit", get_options->limit, "at most so many")->capture_default_str();
    get->add_flag("-A,--all", get_options->all, "incidents: ended ones as well");
    get->add_flag("-w,--watch", get_options->watch, "go on with changes as they come");
    get->add_flag("--no-headers", get_options->no_headers, "no heading line");
    add_output(*get, *common);
    add_server_options(*get, *common);
    get->callback([=, &exit_code] { exit_code = do_get(*common, *get_options); });

    struct Two {
        std::string a, b;
    };
    auto names = std::make_shared<Two>();
    auto* describe_command = app.add_subcommand("describe", "Show everything about one incident, execution, cluster or workflow");
    describe_command->add_option("kind", names->a, "incident, execution, cluster or workflow")->required();
    describe_command->add_option("id", names->b, "its id")->required();
    add_output(*describe_command, *common);
    add_server_options(*describe_command, *common);
    describe_command->callback([=, &exit_code] { exit_code = do_describe(*common, names->a, names->b); });

    auto* why_command = app.add_subcommand("why", "Tell the story of an incident: evidence, candidates, decision, and why nothing else was done");
    why_command->add_option("incident", names->a, "incident id")->required();
    add_output(*why_command, *common);
    add_server_options(*why_command, *common);
    why_command->callback([=, &exit_code] {
        ApiSession session(common->server);
        auto incident = session.get("/api/v1/incidents/" + kube::percent_encode(names->a));
        if (!incident)
            exit_code = report(incident.error());
        else if (common->output == "json" || common->output == "yaml")
            print(*incident, common->output);
        else
            std::cout << why(*incident, Style::for_stdout(), common->now());
    });

    for (const bool granted : {true, false}) {
        auto* vote = app.add_subcommand(granted ? "approve" : "reject",
                                        granted ? "Agree to a plan that waits for a person" : "Refuse a plan that waits for a person");
        vote->add_option("approval", names->a, "approval id (get approvals)")->required();
        vote->add_option("--comment", names->b, "why");
        add_output(*vote, *common);
        add_server_options(*vote, *common);
        vote->callback([=, &exit_code] {
            exit_code = do_post(*common, "/api/v1/approvals/" + kube::percent_encode(names->a) + (granted ? "/grant" : "/reject"),
                                json::Object{{"comment", names->b}}, granted ? "approved" : "rejected");
        });
    }

    auto* cancel = app.add_subcommand("cancel", "Cancel an execution after its call in flight; what was done is taken back");
    cancel->add_option("execution", names->a, "execution id")->required();
    add_output(*cancel, *common);
    add_server_options(*cancel, *common);
    cancel->callback([=, &exit_code] {
        exit_code = do_post(*common, "/api/v1/executions/" + kube::percent_encode(names->a) + "/cancel", json::Object{}, "cancel requested");
    });

    auto* replay =
        app.add_subcommand("replay", "Put a dead letter back to work: an execution goes on where it stopped, a notification is tried again");
    replay->add_option("id", names->a, "execution or notification id (get dead-letters)")->required();
    add_output(*replay, *common);
    add_server_options(*replay, *common);
    replay->callback([=, &exit_code] {
        exit_code = do_post(*common, "/api/v1/dead-letters/" + kube::percent_encode(names->a) + "/replay", json::Object{}, "replayed");
    });
    auto* purge = app.add_subcommand("purge", "Forget a dead letter; the history of its execution stays");
    purge->add_option("id", names->a, "execution or notification id (get dead-letters)")->required();
    add_server_options(*purge, *common);
    purge->callback([=, &exit_code] {
        ApiSession session(common->server);
        auto done = session.remove("/api/v1/dead-letters/" + kube::percent_encode(names->a), {});
        if (!done)
            exit_code = report(done.error());
        else
            std::cout << "purged\n";
    });

    struct PauseOptions {
        std::string scope, name, reason, length;
    };
    auto pause_options = std::make_shared<PauseOptions>();
    const auto split = [](const std::string& name) {
        const auto slash = name.find('/');
        return std::pair(name.substr(0, slash), slash == std::string::npos ? std::string{} : name.substr(slash + 1));
    };
    auto* pause = app.add_subcommand("pause", "Stop all changes: pause fleet | cluster NAME | namespace CLUSTER/NAME");
    pause->add_option("scope", pause_options->scope, "fleet, cluster or namespace")
        ->required()
        ->check(CLI::IsMember({"fleet", "cluster", "namespace"}));
    pause->add_option("name", pause_options->name, "cluster, or cluster/namespace");
    pause->add_option("--reason", pause_options->reason, "why");
    pause->add_option("--for", pause_options->length, "end by itself after this, such as 2h");
    add_output(*pause, *common);
    add_server_options(*pause, *common);
    pause->callback([=, &exit_code] {
        const auto [cluster, ns] = split(pause_options->name);
        exit_code = do_post(*common, "/api/v1/pauses",
                            json::Object{{"scope", pause_options->scope},
                                         {"cluster", cluster},
                                         {"namespace", ns},
                                         {"reason", pause_options->reason},
                                         {"for", pause_options->length}},
                            "paused: " + pause_options->scope + " " + pause_options->name);
    });
    auto* resume = app.add_subcommand("resume", "Go on: resume fleet | cluster NAME | namespace CLUSTER/NAME");
    resume->add_option("scope", pause_options->scope, "fleet, cluster or namespace")
        ->required()
        ->check(CLI::IsMember({"fleet", "cluster", "namespace"}));
    resume->add_option("name", pause_options->name, "cluster, or cluster/namespace");
    add_server_options(*resume, *common);
    resume->callback([=, &exit_code] {
        const auto [cluster, ns] = split(pause_options->name);
        Query query{{"scope", pause_options->scope}};
        if (!cluster.empty()) query.emplace_back("cluster", cluster);
        if (!ns.empty()) query.emplace_back("namespace", ns);
        ApiSession session(common->server);
        auto done = session.remove("/api/v1/pauses", query);
        if (!done)
            exit_code = report(done.error());
        else
            std::cout << "resumed: " << pause_options->scope << " " << pause_options->name << "\n";
    });

    struct RunOptions {
        std::string workflow, target, reason;
        std::vector<std::string> params;
        bool dry_run = false;
    };
    auto run_options = std::make_shared<RunOptions>();
    auto* run = app.add_subcommand("run", "Run a workflow by hand, through all guardrails");
    run->add_option("workflow", run_options->workflow, "workflow id (get workflows)")->required();
    run->add_option("--target", run_options->target, "cluster/namespace/Kind.group/name, such as eu1/shop/Deployment.apps/cart")->required();
    run->add_option("--param", run_options->params, "name=value; repeatable");
    run->add_option("--reason", run_options->reason, "why");
    run->add_flag("--dry-run", run_options->dry_run, "send every call as a server-side dry run");
    add_output(*run, *common);
    add_server_options(*run, *common);
    run->callback([=, &exit_code] {
        json::Object params;
        for (const auto& param : run_options->params) {
            const auto equals = param.find('=');
            if (equals == std::string::npos) {
                exit_code = report(Error{.message = "--param " + param + ": name=value expected"});
                return;
            }
            params[param.substr(0, equals)] = param_value(param.substr(equals + 1));
        }
        ApiSession session(common->server);
        auto started = session.post("/api/v1/executions", json::Object{{"workflow", run_options->workflow},
                                                                       {"target", run_options->target},
                                                                       {"params", std::move(params)},
                                                                       {"dry_run", run_options->dry_run},
                                                                       {"reason", run_options->reason}});
        if (!started)
            exit_code = report(started.error());
        else if (common->output == "json" || common->output == "yaml")
            print(*started, common->output);
        else
            std::cout << "started " << json::string_at(*started, "id") << (run_options->dry_run ? " (dry run)" : "")
                      << "; follow it with: kubernaut describe execution " << json::string_at(*started, "id") << "\n";
    });

    auto* patterns = app.add_subcommand(
        "patterns", "What repeats in the history and in measurements: patterns list | describe ID | explain ID | warnings | analyzers");
    patterns->require_subcommand(1);
    struct PatternOptions {
        GetOptions get;
        std::string kind, status, subject, outcome, id;
        bool shadow = false;
    };
    auto pattern_options = std::make_shared<PatternOptions>();
    for (const char* name : {"list", "warnings", "analyzers"}) {
        const std::string what = name;
        const bool patterns_themselves = what == "list", warnings = what == "warnings";
        auto* list = patterns->add_subcommand(name, patterns_themselves ? "Patterns, the most confident first"
                                                    : warnings          ? "Early warnings and what became of them, newest first"
                                                                        : "How the analyzers did in the last run");
        if (what != "analyzers") {
            list->add_option("-c,--cluster", pattern_options->get.cluster, "only of this cluster; _fleet for those over all clusters");
            list->add_option("--limit", pattern_options->get.limit, "at most so many")->capture_default_str();
        }
        if (patterns_themselves) {
            list->add_option("--kind", pattern_options->kind,
                             "forecast, recurrence, family, chain, burst, trend, season, change_point, anomaly, duration or rate");
            list->add_option("--status", pattern_options->status, "new, confirmed, fading or retired, separated by commas");
            list->add_option("--subject", pattern_options->subject, "what it is about");
            list->add_flag("--shadow", pattern_options->shadow, "those of analyzers in shadow instead");
        }
        if (warnings)
            list->add_option("--outcome", pattern_options->outcome, "open, came_true, averted, false_alarm or unknown, separated by commas");
        list->add_flag("--no-headers", pattern_options->get.no_headers, "no heading line");
        add_output(*list, *common);
        add_server_options(*list, *common);
        list->callback([=, &exit_code] {
            Query query;
            const auto add = [&](const char* key, const std::string& value) {
                if (!value.empty()) query.emplace_back(key, value);
            };
            if (what != "analyzers") add("cluster", pattern_options->get.cluster);
            add("kind", pattern_options->kind);
            add("status", pattern_options->status);
            add("subject", pattern_options->subject);
            add("outcome", pattern_options->outcome);
            if (pattern_options->shadow) query.emplace_back("shadow", "true");
            exit_code = show_list(*common, *find_kind(patterns_themselves ? "patterns" : what), query, pattern_options->get.limit,
                                  !pattern_options->get.no_headers);
        });
    }
    for (const bool explained : {false, true}) {
        auto* one = patterns->add_subcommand(explained ? "explain" : "describe",
                                             explained ? "Tell what a pattern claims, what it rests on, how far to trust it, and what came of it"
                                                       : "Show everything about one pattern");
        one->add_option("id", pattern_options->id, "pattern id (patterns list)")->required();
        add_output(*one, *common);
        add_server_options(*one, *common);
        one->callback([=, &exit_code] {
            if (!explained) {
                exit_code = do_describe(*common, "patterns", pattern_options->id);
                return;
            }
            ApiSession session(common->server);
            auto pattern = session.get("/api/v1/patterns/" + kube::percent_encode(pattern_options->id));
            if (!pattern)
                exit_code = report(pattern.error());
            else if (common->output == "json" || common->output == "yaml")
                print(*pattern, common->output);
            else
                std::cout << explain_pattern(*pattern, Style::for_stdout(), common->now());
        });
    }

    auto* audit = app.add_subcommand("audit", "The audit chain of a running hub");
    audit->require_subcommand(1);
    auto* verify = audit->add_subcommand("verify", "Walk the hash chains and tell the first break");
    verify->add_option("-c,--cluster", names->a, "only this cluster's chain");
    add_output(*verify, *common);
    add_server_options(*verify, *common);
    verify->callback([=, &exit_code] {
        ApiSession session(common->server);
        Query query;
        if (!names->a.empty()) query.emplace_back("cluster", names->a);
        auto check = session.get("/api/v1/audit/verify", query);
        if (!check) {
            exit_code = report(check.error());
            return;
        }
        const bool intact = json::bool_at(*check, "intact").value_or(false);
        if (common->output == "json" || common->output == "yaml")
            print(*check, common->output);
        else if (intact)
            std::cout << "intact: " << json::int_at(*check, "records").value_or(0) << " records\n";
        else
            std::cout << "BROKEN at " << json::string_at(*check, "first_break") << "\n";
        if (!intact) exit_code = 1;
    });
}

}  // namespace kn::client
