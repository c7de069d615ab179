#include <algorithm>
#include <array>
#include <bitset>
#include <charconv>

#include "common/text.hpp"
#include "controllers/controller.hpp"

namespace kn::sim {
namespace {

/// The five fields of a schedule, in UTC. Minutes, hours, days of month, months, days of week (0 = Sunday).
class Schedule {
public:
    static std::optional<Schedule> parse(std::string_view text) {
        static const std::map<std::string, std::string, std::less<>> names{{"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},
                                                                           {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
                                                                           {"@monthly", "0 0 1 * *"},  {"@yearly", "0 0 1 1 *"}};
        if (const auto named = names.find(text); named != names.end()) text = named->second;
        std::vector<std::string> fields;
        for (auto& word : split(text, ' ')) {
            if (!word.empty()) fields.push_back(std::move(word));
        }
        if (fields.size() != 5) return std::nullopt;
        static constexpr std::array<std::pair<int, int>, 5> ranges{{{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 7}}};
        Schedule out;
        for (std::size_t i = 0; i < 5; ++i) {
            if (!fill(fields[i], ranges[i].first, ranges[i].second, out.fields_[i])) return std::nullopt;
        }
        if (out.fields_[4][7]) out.fields_[4][0] = true;
        out.any_day_ = fields[2].starts_with('*');
        out.any_weekday_ = fields[4].starts_with('*');
        return out;
    }
    /// The first time after `from`, within two years.
    [[nodiscard]] std::optional<Instant> after(Instant from) const {
        auto minute = std::chrono::floor<std::chrono::minutes>(from) + 1min;
        for (const auto end = minute + std::chrono::hours{24 * 731}; minute < end;) {
            const auto day = std::chrono::floor<std::chrono::days>(minute);
            const std::chrono::year_month_day date{day};
            const bool by_day = fields_[2][static_cast<unsigned>(date.day())], by_weekday = fields_[4][std::chrono::weekday{day}.c_encoding()];
            const bool day_ok = any_day_ && any_weekday_ ? true : any_day_ ? by_weekday : any_weekday_ ? by_day : by_day || by_weekday;
            if (!fields_[3][static_cast<unsigned>(date.month())] || !day_ok) {
                minute = day + std::chrono::days{1};
                continue;
            }
            const auto of_day = static_cast<std::size_t>((minute - day).count());
            if (!fields_[1][of_day / 60]) {
                minute = day + std::chrono::hours{of_day / 60 + 1};
                continue;
            }
            if (fields_[0][of_day % 60]) return Instant{minute};
            minute += 1min;
        }
        return std::nullopt;
    }

private:
    static bool fill(std::string_view field, int low, int high, std::bitset<60>& out) {
        for (const auto& part : split(field, ',')) {
            std::string range = part;
            int step = 1, from = low, to = high;
            if (const auto slash = range.find('/'); slash != std::string::npos) {
                if (std::from_chars(range.data() + slash + 1, range.data() + range.size(), step).ec != std::errc{} || step < 1) return false;
                range.resize(slash);
            }
            if (range != "*") {
                const auto dash = range.find('-');
                if (std::from_chars(range.data(), range.data() + range.size(), from).ec != std::errc{}) return false;
                to = from;
                if (dash != std::string::npos && std::from_chars(range.data() + dash + 1, range.data() + range.size(), to).ec != std::errc{})
                    return false;
                if (dash == std::string::npos && part.contains('/')) to = high;
            }
            if (from < low || to > high || from > to) return false;
            for (int i = from; i <= to; i += step) out[static_cast<std::size_t>(i)] = true;
        }
        return true;
    }
    std::array<std::bitset<60>, 5> fields_{};
    bool any_day_ = true, any_weekday_ = true;
};

class CronJobController final : public Controller {
public:
    explicit CronJobController(ControllerContext& context) : Controller(context, "cronjob-controller") {}
    void wire() override {
        watch_own(r::cron_jobs);
        watch_owned(r::jobs, "CronJob");
    }
    Task<Result<Duration>> reconcile(std::string key) override;

private:
    Task<Result<>> trim(std::vector<ObjectPtr> jobs, std::int64_t keep);
};

bool has(const Value& job, std::string_view type) {
    const auto condition = kube::condition_of(job, type);
    return condition && condition->status == "True";
}

Task<Result<Duration>> CronJobController::reconcile(std::string key) {
    const auto cron = find(r::cron_jobs, key);
    if (cron == nullptr || kube::is_deleting(*cron)) co_return Duration{};
    const std::string ns(kube::namespace_of(*cron));
    std::vector<ObjectPtr> active, good, bad;
    for (const auto& job : owned(r::jobs, *cron)) (has(*job, "Complete") ? good : has(*job, "Failed") ? bad : active).push_back(job);
    KN_CO_CHECK(co_await trim(good, json::int_at(*cron, "spec", "successfulJobsHistoryLimit").value_or(3)));
    KN_CO_CHECK(co_await trim(bad, json::int_at(*cron, "spec", "failedJobsHistoryLimit").value_or(1)));

    json::Object status = json::object_at(*cron, "status");
    const auto write = [&] {
        json::Array list;
        for (const auto& job : active) {
            list.push_back(json::Object{
                {"apiVersion", "batch/v1"}, {"kind", "Job"}, {"namespace", ns}, {"name", kube::name_of(*job)}, {"uid", kube::uid_of(*job)}});
        }
        if (list.empty())
            status.erase("active");
        else
            status["active"] = std::move(list);
        for (const auto& job : good) {
            const auto done = json::string_at(*job, "status", "completionTime");
            const auto* last = status.if_contains("lastSuccessfulTime");
            if (last == nullptr || json::view(last->get_string()) < done) status["lastSuccessfulTime"] = done;
        }
    };
    write();
    const auto schedule = Schedule::parse(json::string_at(*cron, "spec", "schedule"));
    if (!schedule) note(*cron, true, "UnparseableSchedule", "unparseable schedule: " + std::string(json::string_at(*cron, "spec", "schedule")));
    if (!schedule || json::bool_at(*cron, "spec", "suspend").value_or(false)) {
        KN_CO_CHECK(co_await writer_.status(r::cron_jobs, cron, std::move(status)));
        co_return Duration{};
    }
    const Instant since = kube::time_at(*cron, "status", "lastScheduleTime").value_or(kube::creation_time(*cron).value_or(now()));
    auto due = schedule->after(since);
    std::optional<Instant> last;
    int missed = 0;
    while (due && *due <= now()) {
        last = due;
        due = schedule->after(*due);
        if (++missed == 101)
            note(*cron, true, "TooManyMissedTimes", "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew");
        if (missed > 100'000) break;
    }
    const Duration next = due ? *due - now() : Duration{};
    if (last) {
        const auto policy = json::string_at(*cron, "spec", "concurrencyPolicy");
        const auto starting = json::int_at(*cron, "spec", "startingDeadlineSeconds");
        if (starting && *last + std::chrono::seconds{*starting} < now()) {
            note(*cron, true, "MissSchedule", "Missed scheduled time to start a job: " + format_rfc3339(*last));
        } else if (policy == "Forbid" && !active.empty()) {
            note(*cron, false, "JobAlreadyActive", "Not starting job because prior execution is running and concurrency policy is Forbid");
            KN_CO_CHECK(co_await writer_.status(r::cron_jobs, cron, std::move(status)));
            co_return next;
        } else {
            if (policy == "Replace") {
                for (const auto& job : active) KN_CO_CHECK(co_await writer_.remove(r::jobs, job));
                active.clear();
            }
            json::Object metadata{{"name", std::string(kube::name_of(*cron)) + "-" + std::to_string(to_millis(*last) / 60'000)},
                                  {"namespace", ns},
                                  {"ownerReferences", json::Array{controller_ref(r::cron_jobs, *cron)}}};
            for (const auto part : {"labels", "annotations"}) {
                if (const auto* each = json::at(*cron, "spec", "jobTemplate", "metadata", part)) metadata[part] = *each;
            }
            auto made = co_await writer_.create(r::jobs, ns,
                                                json::Object{{"apiVersion", "batch/v1"},
                                                             {"kind", "Job"},
                                                             {"metadata", std::move(metadata)},
                                                             {"spec", json::object_at(*cron, "spec", "jobTemplate", "spec")}});
            if (!made && made.error().code != ErrorCode::already_exists) {
                note(*cron, true, "FailedCreate", "Error creating job: " + made.error().message);
                co_return fail(std::move(made).error());
            }
            if (made) {
                note(*cron, false, "SuccessfulCreate", "Created job " + std::string(kube::name_of(*made)));
                active.push_back(std::make_shared<const Value>(*std::move(made)));
            }
        }
        status["lastScheduleTime"] = seconds_time(*last);
        write();
    }
    KN_CO_CHECK(co_await writer_.status(r::cron_jobs, cron, std::move(status)));
    co_return next;
}

Task<Result<>> CronJobController::trim(std::vector<ObjectPtr> jobs, std::int64_t keep) {
    std::ranges::sort(jobs, {}, [](const ObjectPtr& job) { return kube::creation_time(*job).value_or(Instant{}); });
    for (std::size_t i = 0; i + static_cast<std::size_t>(keep) < jobs.size(); ++i) KN_CO_CHECK(co_await writer_.remove(r::jobs, jobs[i]));
    co_return Result<>{};
}

}  // namespace

std::unique_ptr<Controller> make_cron_job_controller(ControllerContext& context) { return std::make_unique<CronJobController>(context); }

}  // namespace kn::sim
