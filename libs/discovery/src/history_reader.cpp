#include "history_reader.hpp"

#include <algorithm>

#include "kubernaut/base/ids.hpp"

namespace kn::discovery {
namespace {

constexpr int page_size = 500;
constexpr Duration overlap = 10min;       // rows of other replicas whose clocks run behind
constexpr Duration verdict_lag = 25h;     // an assessment is judged again at the look for recurrence, a day later
constexpr std::size_t longest_word = 40;  // longer texts are names and messages
constexpr std::size_t most_columns = 96;

/// What is older than this is not read again: an incident that is open for so long is counted as it is.
constexpr Duration longest_open = std::chrono::days{7};

template <class Map> void bound(Map& rows, std::size_t most) {
    while (rows.size() > most) rows.erase(rows.begin());  // ids begin with the time: the first are the oldest
}

}  // namespace

void flatten_facts(const json::Object& facts, patterns::ExecutionRow& row) {
    for (const auto& [family, members] : facts) {
        const auto* object = members.if_object();
        if (object == nullptr) continue;
        for (const auto& [name, value] : *object) {
            if (row.traits.size() + row.numbers.size() >= most_columns) return;
            std::string column = std::string(family.data(), family.size()) + "." + std::string(name.data(), name.size());
            if (const auto* flag = value.if_bool())
                row.traits.emplace_back(std::move(column), *flag ? "yes" : "no");
            else if (const auto* text = value.if_string(); text != nullptr && !text->empty() && text->size() <= longest_word)
                row.traits.emplace_back(std::move(column), std::string(json::view(*text)));
            else if (const auto number = json::to_double(&value))
                row.numbers.emplace_back(std::move(column), *number);
        }
    }
}

std::string subject_of(const ObjectKey& key) { return (key.ns.empty() ? "" : key.ns + "/") + key.kind + "/" + key.name; }

void HistoryReader::mark_forecast(const std::string& incident, bool forecast_only) {
    if (forecast_only) {
        forecasts_.insert(incident);
        incidents_.erase(incident);
    } else if (forecasts_.erase(incident) > 0 && incidents_from_) {
        incidents_from_ = std::min(*incidents_from_, id_time(incident));  // it is history now: it is read again
    }
}

Task<Result<>> HistoryReader::refresh(DiscoveryOptions options) {
    const Instant now = loop_.clock().now();
    KN_CO_CHECK(co_await read_incidents(options, now));
    KN_CO_CHECK(co_await read_executions(options, now));
    KN_CO_CHECK(co_await read_verdicts(options, now));
    const Instant oldest = now - options.window;
    std::erase_if(incidents_, [&](const auto& entry) { return entry.second.opened < oldest; });
    std::erase_if(executions_, [&](const auto& entry) { return entry.second.row.started < oldest; });
    bound(incidents_, options.most_incidents);
    bound(executions_, options.most_executions);
    while (forecasts_.size() > options.most_incidents) forecasts_.erase(forecasts_.begin());
    co_return Result<>{};
}

/// Whether only early warnings speak of it: it must not confirm the pattern that opened it.
Task<Result<bool>> HistoryReader::forecast_only(Incident incident, Deadline deadline) {
    KN_CO_TRY(const auto signals, co_await stores_.signals.of_incident(incident.cluster, incident.id, 50, deadline));
    co_return !signals.empty() && std::ranges::all_of(signals, [](const Signal& signal) { return signal.source == SignalSource::pattern; });
}

Task<Result<>> HistoryReader::read_incidents(DiscoveryOptions options, Instant now) {
    async::Clock& clock = loop_.clock();
    const Instant from = std::max(incidents_from_.value_or(now - options.window), now - options.window);
    Instant unfinished = now - overlap;
    ports::Page page{.limit = page_size, .cursor = {}};
    std::size_t read = 0;
    for (bool done = false; !done;) {
        KN_CO_TRY(auto found, co_await stores_.incidents.list({}, page, clock.deadline_in(options.store_timeout)));
        for (const Incident& incident : found.items) {
            if (incident.opened_at < from || ++read > options.most_incidents) {
                done = true;
                break;
            }
            if (!is_terminal(incident.state) && incident.opened_at > now - longest_open) unfinished = std::min(unfinished, incident.opened_at);
            const std::string id = incident.id.str();
            if (forecasts_.contains(id)) {
                KN_CO_TRY(const bool still, co_await forecast_only(incident, clock.deadline_in(options.store_timeout)));
                if (!still) forecasts_.erase(id);
            }
            if (incident.state == IncidentState::duplicate || forecasts_.contains(id)) {
                incidents_.erase(id);
                continue;
            }
            incidents_[id] = {.id = id,
                              .cluster = incident.cluster.str(),
                              .environment = std::string(to_string(incident.environment)),
                              .fault_class = incident.fault_class.empty() ? "alert " + incident.alert_name : incident.fault_class,
                              .subject = subject_of(incident.target.key),
                              .opened = incident.opened_at};
        }
        page.cursor = found.next;
        done = done || page.cursor.empty();
    }
    incidents_from_ = unfinished;
    co_return Result<>{};
}

Task<Result<>> HistoryReader::read_executions(DiscoveryOptions options, Instant now) {
    async::Clock& clock = loop_.clock();
    const Instant from = std::max(executions_from_.value_or(now - options.window), now - options.window);
    Instant unfinished = now - overlap;
    ports::Page page{.limit = page_size, .cursor = {}};
    std::size_t read = 0;
    for (bool done = false; !done;) {
        KN_CO_TRY(auto found, co_await stores_.executions.list({}, page, clock.deadline_in(options.store_timeout)));
        for (const Execution& execution : found.items) {
            if (execution.created_at < from || ++read > options.most_executions) {
                done = true;
                break;
            }
            if (!is_terminal(execution.state)) {
                if (execution.created_at > now - longest_open) unfinished = std::min(unfinished, execution.created_at);
                continue;
            }
            // What never ran, and what only looked, tells nothing about what works.
            if (execution.dry_run || !execution.started_at || !execution.finished_at) continue;
            const std::string id = execution.id.str();
            if (executions_.contains(id)) continue;
            Kept kept;
            patterns::ExecutionRow& row = kept.row;
            row.id = id;
            row.cluster = execution.cluster.str();
            if (const auto* cluster = execution.context.if_contains("cluster"); cluster != nullptr)
                row.environment = std::string(json::string_at(*cluster, "environment"));
            row.workflow = execution.plan.workflow;
            row.fault_class = execution.plan.fault_class;
            row.subject = subject_of(execution.plan.target.key);
            row.started = *execution.started_at;
            row.seconds = std::chrono::duration<double>(*execution.finished_at - *execution.started_at).count();
            // One that did not reach its end did not help; whether the others did is for the assessment to say.
            kept.judged = execution.state != ExecutionState::succeeded;
            row.traits = {{"kind", execution.plan.target.key.kind}, {"environment", row.environment}};
            if (const auto* facts = execution.context.if_contains("facts"); facts != nullptr && facts->is_object())
                flatten_facts(facts->get_object(), row);
            executions_.emplace(id, std::move(kept));
        }
        page.cursor = found.next;
        done = done || page.cursor.empty();
    }
    executions_from_ = unfinished;
    co_return Result<>{};
}

Task<Result<>> HistoryReader::read_verdicts(DiscoveryOptions options, Instant now) {
    async::Clock& clock = loop_.clock();
    const Instant from = std::max(verdicts_from_.value_or(now - options.window), now - options.window);
    ports::Page page{.limit = page_size, .cursor = {}};
    std::size_t read = 0;
    for (bool done = false; !done;) {
        KN_CO_TRY(auto found, co_await stores_.learning.assessments({}, page, clock.deadline_in(options.store_timeout)));
        for (const Assessment& assessment : found.items) {
            if (assessment.action_at < from || ++read > options.most_executions) {
                done = true;
                break;
            }
            const auto execution = executions_.find(assessment.execution.str());
            if (execution == executions_.end() || !assessment.score || !assessment.attributable) continue;
            execution->second.row.succeeded = *assessment.score >= 0.5;
            execution->second.judged = true;
        }
        page.cursor = found.next;
        done = done || page.cursor.empty();
    }
    verdicts_from_ = now - verdict_lag - options.store_timeout;
    co_return Result<>{};
}

patterns::History HistoryReader::history() const {
    patterns::History out;
    out.incidents.reserve(incidents_.size());
    for (const auto& [id, row] : incidents_) out.incidents.push_back(row);
    for (const auto& [id, kept] : executions_)
        if (kept.judged) out.executions.push_back(kept.row);
    return out;
}

}  // namespace kn::discovery
