// What the hub's own store must say at the end: every accepted alert belongs to an incident that has an outcome. Effects are not judged from here.
#include "crash_world.hpp"
#include "kubernaut/kube_http/http_transport.hpp"
#include "kubernaut/ports/execution_store.hpp"
#include "kubernaut/ports/incident_store.hpp"
#include "kubernaut/ports/signal_store.hpp"
#include "kubernaut/store/open_store.hpp"

namespace kn::chaos {
namespace {

constexpr Duration settle_limit = 2min;
constexpr int all_of_them = 1'000'000;

async::Task<Result<std::size_t>> open_incidents(kube::Transport& transport, const std::string& token, async::Clock& clock) {
    kube::Request request{.method = kube::Method::get, .path = "/api/v1/incidents", .query = {{"open", "true"}, {"limit", "500"}}};
    request.headers = {{"Authorization", "Bearer " + token}};
    KN_CO_TRY(const auto answer, co_await transport.send(std::move(request), clock.deadline_in(10s)));
    if (answer.status != 200) co_return fail(ErrorCode::internal, "GET incidents: " + std::to_string(answer.status) + " " + answer.body);
    KN_CO_TRY(const auto body, json::parse(answer.body));
    co_return json::array_at(body, "items").size();
}

}  // namespace

async::Task<Result<>> CrashWorld::judge_records(CrashReport& report) {
    async::Clock& clock = loop_.clock();
    kube::ConnectionConfig config;
    config.server = "http://127.0.0.1:" + std::to_string(port_);
    const auto transport = kube::make_http_transport(config, {}, loop_);
    const Deadline end = clock.deadline_in(settle_limit);
    while (true) {
        KN_CO_TRY(const auto open, co_await open_incidents(*transport, reader_token, clock));
        if ((open == 0 && sender_.waiting() == 0) || end.passed(clock.steady())) break;
        co_await async::sleep_for(clock, 1s);
    }
    scope_.cancel();
    co_await scope_.join();
    co_await sender_.stop();
    KN_CO_TRY(const int exit_code, hub_.stop());
    if (exit_code != 0) report.harmed.push_back("the hub ended with " + std::to_string(exit_code) + " after SIGTERM");

    KN_CO_TRY(const auto opened, open_store(store_url(), {.query_timeout = 30s}, loop_));
    auto stores = opened->ports();
    std::map<std::string, Incident> incidents;
    ports::Page page{.limit = 500, .cursor = {}};
    do {
        KN_CO_TRY(auto found, co_await stores.incidents.list({}, page, clock.deadline_in(30s)));
        for (auto& incident : found.items) incidents.emplace(incident.id.str(), std::move(incident));
        page.cursor = found.next;
    } while (!page.cursor.empty());
    report.incidents = static_cast<int>(incidents.size());
    KN_CO_TRY(const auto signals, co_await stores.signals.recent("", "", all_of_them, clock.deadline_in(30s)));
    std::map<std::string, const Signal*> by_alert;
    const auto name_of = [](std::string_view fingerprint, Instant starts, bool resolved) {
        return std::string(fingerprint) + " " + std::to_string(to_millis(starts)) + (resolved ? " resolved" : " firing");
    };
    for (const auto& signal : signals) by_alert.emplace(name_of(signal.alert_fp, signal.starts_at, signal.status == SignalStatus::resolved), &signal);
    std::map<std::string, int> outcomes;
    std::set<std::string> told;
    for (const auto& alert : sender_.accepted()) {
        const json::Value document = alert.to_json();
        const std::string name = name_of(json::string_at(document, "fingerprint"), alert.starts_at, alert.ends_at.has_value());
        const auto found = by_alert.find(name);
        const std::string what = alert.name + " of " +
                                 (alert.labels.contains("deployment") ? alert.labels.at("deployment")
                                  : alert.labels.contains("pod")      ? alert.labels.at("pod")
                                                                      : "?") +
                                 " (" + name + ")";
        if (found == by_alert.end()) {
            report.lost.push_back("accepted but not stored: " + what);
            continue;
        }
        const Signal& signal = *found->second;
        if (signal.status == SignalStatus::resolved && signal.state != SignalState::pending) continue;  // it closes its firing twin
        if (!signal.incident) {
            report.lost.push_back("without an incident, " + std::string(to_string(signal.state)) + " " + signal.error + ": " + what);
            continue;
        }
        const auto incident = incidents.find(signal.incident->str());
        if (incident == incidents.end())
            report.lost.push_back("its incident is not there: " + what);
        else if (told.insert(incident->first).second && (!is_terminal(incident->second.state) || incident->second.outcome == Outcome::none)) {
            const Incident& open = incident->second;
            std::string story;
            for (const auto& entry : open.story) story += "\n      " + format_rfc3339(entry.at) + " " + entry.kind + ": " + entry.text;
            report.lost.push_back("the incident of " + what + " is " + std::string(to_string(open.state)) + " with outcome " +
                                  std::string(to_string(open.outcome)) + ", " + open.state_reason + story);
        }
    }
    for (const auto& [id, incident] : incidents) {
        ++outcomes[std::string(to_string(incident.outcome))];
        if (incident.outcome != Outcome::escalated) continue;
        std::string tale = incident.target.key.str() + ": " + incident.alert_name + ", " + incident.fault_class + ", " + incident.state_reason;
        for (const auto& entry : incident.story) tale += "\n      " + format_rfc3339(entry.at) + " " + entry.kind + ": " + entry.text;
        report.escalated.push_back(std::move(tale));
    }
    for (const auto& [outcome, count] : outcomes) report.outcomes += (report.outcomes.empty() ? "" : ", ") + std::to_string(count) + " " + outcome;
    KN_CO_TRY(const auto dead, co_await stores.executions.dead_letters(clock.deadline_in(30s)));
    for (const auto& execution : dead)
        report.lost.push_back("given up as a dead letter: " + execution.plan.workflow + " on " + execution.plan.target.key.str() + ": " +
                              execution.error);
    KN_CO_TRY(const auto chain, co_await stores.registry.verify_audit("", clock.deadline_in(60s)));
    if (!chain.intact) report.harmed.push_back("the audit chain is broken: " + chain.first_break);
    opened->stop();
    co_return Result<>{};
}

}  // namespace kn::chaos
