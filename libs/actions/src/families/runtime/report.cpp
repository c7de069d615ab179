#include <algorithm>

#include "core/redact.hpp"
#include "families/families.hpp"
#include "kubernaut/kube/object.hpp"
#include "pods/pods.hpp"

namespace kn::actions {
namespace {

constexpr std::size_t max_output = 200 * 1024;  ///< the engine stores at most 256 KiB a step
constexpr std::size_t max_pods = 5;
constexpr std::size_t max_events = 40;

/// Grows until the budget is used up, then says so.
class Report {
public:
    void add(std::string key, json::Value value) {
        const auto size = json::dump(value).size() + key.size();
        if (used_ + size > max_output) {
            cut_ = true;
            return;
        }
        used_ += size;
        parts_[key] = std::move(value);
    }
    json::Value take() {
        if (cut_) parts_["truncated"] = true;
        return json::Value(std::move(parts_));
    }

private:
    json::Object parts_;
    std::size_t used_ = 0;
    bool cut_ = false;
};

/// What could not be read is part of the report; it never fails as a whole for that.
json::Value unreadable(const Error& error) {
    json::Object made;
    made["error"] = std::string(to_string(error.code)) + (error.reason.empty() ? "" : " " + error.reason);
    return json::Value(std::move(made));
}

class CollectDiagnostics final : public BaseAction {
public:
    explicit CollectDiagnostics(Shared& shared) : BaseAction("collect_diagnostics", shared) {}

    Task<Result<ActionOutcome>> execute(const ActionContext& context) override {
        KN_CO_TRY(auto values, validate_params(spec().params, context.params));
        const Params params(std::move(values));
        Report report;
        report.add("collected_at", json::Value(format_rfc3339(context.clock->now())));
        const auto subject = co_await read_object(context, context.target.key);
        if (!subject && !may_report(subject.error())) co_return fail(subject.error());
        report.add("target", subject ? redact_object(subject->live) : unreadable(subject.error()));
        co_await add_events(context, report, context.target.key.name);
        if (subject) {
            if (const auto owners = co_await owners_of(context, *subject)) {
                json::Array list;
                for (const auto& owner : *owners) list.push_back(redact_object(owner.live));
                report.add("owners", json::Value(std::move(list)));
            }
            if (has_pods(subject->key.kind)) co_await add_pods(context, params, *subject, report);
        }
        auto output = report.take();
        co_return ActionOutcome{.output = std::move(output), .post_image = nullptr, .calls = {}};
    }
    /// Reading twice does no harm.
    Task<Result<AppliedCheck>> applied_already(const ActionContext&) override { co_return AppliedCheck::not_applied; }
    Task<Result<bool>> verify(const ActionContext&) override { co_return true; }

protected:
    Task<Result<Prepared>> plan(const ActionContext& context, const Params&) override {
        co_return Prepared{.pre_image = nullptr, .writes = {}, .request_digest = {}, .summary = "collect diagnostics of " + context.target.key.str()};
    }

private:
    static bool may_report(const Error& error) { return error.code == ErrorCode::not_found || error.code == ErrorCode::permission_denied; }
    static bool has_pods(std::string_view kind) {
        return kind == "Pod" || kind == "Deployment" || kind == "StatefulSet" || kind == "DaemonSet" || kind == "ReplicaSet" || kind == "Job" ||
               kind == "PersistentVolumeClaim";
    }

    static Task<> add_events(const ActionContext& context, Report& report, std::string name) {
        const auto listed = co_await context.client->list(kube::resources::events_core, context.target.key.ns,
                                                          {.field_selector = "involvedObject.name=" + name}, call_deadline(context));
        if (!listed) {
            report.add("events:" + name, unreadable(listed.error()));
            co_return;
        }
        json::Array events;
        for (const auto& event : listed->items) {
            json::Object line;
            line["type"] = json::string_at(event, "type"), line["reason"] = json::string_at(event, "reason");
            line["message"] = redact_text(json::string_at(event, "message").substr(0, 1024));
            line["count"] = json::int_at(event, "count").value_or(1);
            const auto last = json::string_at(event, "lastTimestamp");
            line["last"] = last.empty() ? json::string_at(event, "eventTime") : last;
            events.emplace_back(std::move(line));
        }
        std::ranges::sort(events, std::greater{}, [](const json::Value& event) { return std::string(json::string_at(event, "last")); });
        if (events.size() > max_events) events.resize(max_events);
        report.add("events:" + name, json::Value(std::move(events)));
    }

    static Task<> add_pods(const ActionContext& context, const Params& params, const Subject& subject, Report& report) {
        auto pods = co_await pods_of(context, subject);
        if (!pods) {
            report.add("pods", unreadable(pods.error()));
            co_return;
        }
        // The troubled ones first: there is room for a few only.
        std::ranges::sort(*pods, {},
                          [](const json::Value& pod) { return std::tuple(!is_crashing(pod), is_ready(pod), std::string(kube::name_of(pod))); });
        if (pods->size() > max_pods) pods->resize(max_pods);
        for (const auto& pod : *pods) {
            const std::string name(kube::name_of(pod));
            if (subject.key.kind != "Pod") {
                report.add("pod:" + name, redact_object(pod));
                co_await add_events(context, report, name);
            }
            for (const auto* status : kube::container_statuses(pod)) {
                const std::string container(json::string_at(*status, "name"));
                co_await add_log(context, params, report, name, container, false);
                if (json::int_at(*status, "restartCount").value_or(0) > 0) co_await add_log(context, params, report, name, container, true);
            }
        }
    }

    static Task<> add_log(const ActionContext& context, const Params& params, Report& report, std::string pod, std::string container, bool previous) {
        const kube::LogOptions options{.container = container,
                                       .previous = previous,
                                       .tail_lines = static_cast<int>(params.integer("lines").value_or(100)),
                                       .limit_bytes = static_cast<int>(params.integer("bytes").value_or(16384))};
        const auto text = co_await context.client->logs(context.target.key.ns, pod, options, call_deadline(context));
        // A container that has not started has no log: an ordinary answer.
        report.add((previous ? "previous-log:" : "log:") + pod + "/" + container, text ? json::Value(redact_text(*text)) : unreadable(text.error()));
    }
};

class Notify final : public BaseAction {
public:
    explicit Notify(Shared& shared) : BaseAction("notify", shared) {}

    Task<Result<ActionOutcome>> execute(const ActionContext& context) override {
        KN_CO_TRY(auto values, validate_params(spec().params, context.params));
        const Params params(std::move(values));
        const auto place = context.target.key.str();
        ports::Notification note;
        note.kind = params.text("kind");
        // The receiver drops repeats of one key: that is what makes a second send harmless.
        note.key = context.id.str() + ":" + note.kind;
        note.cluster = context.target.key.cluster;
        note.ns = context.target.key.ns;
        note.title = params.has("title") ? params.text("title") : place + (context.fault_class.empty() ? "" : ": " + context.fault_class);
        note.text = params.has("text") ? params.text("text") : note.title;
        note.severity = parse_enum<Severity>(params.text("severity")).value_or(Severity::info);
        json::Object output;
        output["title"] = note.title, output["sent"] = !context.dry_run;
        if (!context.dry_run) KN_CO_CHECK(co_await shared().notifier->send(std::move(note), context.deadline));
        co_return ActionOutcome{.output = json::Value(std::move(output)), .post_image = nullptr, .calls = {}};
    }
    Task<Result<AppliedCheck>> applied_already(const ActionContext&) override { co_return AppliedCheck::not_applied; }
    Task<Result<bool>> verify(const ActionContext&) override { co_return true; }

protected:
    Task<Result<Prepared>> plan(const ActionContext& context, const Params&) override {
        co_return Prepared{.pre_image = nullptr, .writes = {}, .request_digest = {}, .summary = "tell people about " + context.target.key.str()};
    }
};

class AnnotateTarget final : public PatchAction {
public:
    explicit AnnotateTarget(Shared& shared) : PatchAction("annotate_target", shared) {}

protected:
    Task<Result<Change>> change(const ActionContext& context, const Params& params) override {
        const auto key = params.text("key");
        constexpr std::string_view prefix = "kubernaut.io/";
        const auto name = std::string_view(key).substr(std::min(key.size(), prefix.size()));
        const bool valid =
            key.starts_with(prefix) && !name.empty() && name.size() <= 63 && std::isalnum(static_cast<unsigned char>(name.front())) != 0 &&
            std::isalnum(static_cast<unsigned char>(name.back())) != 0 &&
            std::ranges::all_of(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.'; });
        if (!valid) co_return bad_param("key", "must be a name under kubernaut.io/");
        KN_CO_TRY(auto subject, co_await read_subject(context, spec(), params.text("object")));
        Change made{.summary = "set annotation " + key + " on " + place_text(subject.key), .type = kube::PatchType::merge};
        made.fields.push_back(
            {.path = {"metadata", "annotations", key}, .after = params.has("value") ? json::Value(params.text("value")) : json::Value(nullptr)});
        made.subject = std::move(subject);
        co_return made;
    }
};

}  // namespace

void add_report_actions(ActionList& list, Shared& shared) {
    list.push_back(std::make_unique<CollectDiagnostics>(shared));
    list.push_back(std::make_unique<Notify>(shared));
    list.push_back(std::make_unique<AnnotateTarget>(shared));
}

}  // namespace kn::actions
