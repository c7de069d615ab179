#include <algorithm>

#include "controllers/controller.hpp"

namespace kn::sim {
namespace {

class JobController final : public Controller {
public:
    explicit JobController(ControllerContext& context) : Controller(context, "job-controller") {}
    void wire() override {
        watch_own(r::jobs);
        watch_owned(r::pods, "Job");
    }
    Task<Result<Duration>> reconcile(std::string key) override;

private:
    Task<Result<>> finish(ObjectPtr job, json::Object status, bool failed, std::string reason, std::string message, std::vector<ObjectPtr> active);
};

bool finished(const Value& job) {
    for (const auto type : {"Complete", "Failed"}) {
        const auto condition = kube::condition_of(job, type);
        if (condition && condition->status == "True") return true;
    }
    return false;
}

Instant finished_at(const Value& pod, Instant otherwise) {
    Instant last{};
    for (const auto* status : kube::container_statuses(pod))
        last = std::max(last, kube::time_at(*status, "state", "terminated", "finishedAt").value_or(Instant{}));
    return last == Instant{} ? otherwise : last;
}

Task<Result<Duration>> JobController::reconcile(std::string key) {
    const auto job = find(r::jobs, key);
    if (job == nullptr || kube::is_deleting(*job)) co_return Duration{};
    if (finished(*job)) {
        const auto ttl = json::int_at(*job, "spec", "ttlSecondsAfterFinished");
        if (!ttl) co_return Duration{};
        Instant end = kube::time_at(*job, "status", "completionTime").value_or(Instant{});
        for (const auto& condition : json::array_at(*job, "status", "conditions"))
            end = std::max(end, kube::time_at(condition, "lastTransitionTime").value_or(Instant{}));
        const Instant due = end + std::chrono::seconds{*ttl};
        if (due > now()) co_return due - now();
        KN_CO_CHECK(co_await writer_.remove(r::jobs, job));
        co_return Duration{};
    }
    const std::int64_t parallelism = json::int_at(*job, "spec", "parallelism").value_or(1);
    const auto completions = json::int_at(*job, "spec", "completions");
    const std::int64_t limit = json::int_at(*job, "spec", "backoffLimit").value_or(6);
    std::vector<ObjectPtr> active;
    std::int64_t succeeded = 0, failed = 0, ready = 0;
    Instant last_failure{};
    for (const auto& pod : owned(r::pods, *job)) {
        const auto phase = json::string_at(*pod, "status", "phase");
        if (phase == "Succeeded") {
            ++succeeded;
        } else if (phase == "Failed") {
            ++failed;
            last_failure = std::max(last_failure, finished_at(*pod, now()));
        } else if (!kube::is_deleting(*pod)) {
            active.push_back(pod);
            ready += pod_ready(*pod);
            // With restartPolicy OnFailure the restarts of running pods count.
            if (json::string_at(*pod, "spec", "restartPolicy") == "OnFailure") {
                for (const auto* status : kube::container_statuses(*pod)) failed += json::int_at(*status, "restartCount").value_or(0);
            }
        }
    }
    // Pods that somebody cleaned away keep counting.
    succeeded = std::max(succeeded, json::int_at(*job, "status", "succeeded").value_or(0));
    failed = std::max(failed, json::int_at(*job, "status", "failed").value_or(0));

    json::Object status = json::object_at(*job, "status");
    const bool suspended = json::bool_at(*job, "spec", "suspend").value_or(false);
    if (!status.contains("startTime") && !suspended) status["startTime"] = seconds_time(now());
    const auto set_counts = [&](std::int64_t running) {
        status["active"] = running;
        if (running == 0) status.erase("active");
        if (succeeded > 0) status["succeeded"] = succeeded;
        if (failed > 0) status["failed"] = failed;
        status["ready"] = ready;
        status["terminating"] = 0;
        status["uncountedTerminatedPods"] = json::Object{};
    };
    set_counts(static_cast<std::int64_t>(active.size()));
    const std::int64_t needed = completions.value_or(1);
    if ((completions || succeeded > 0) && succeeded >= needed) {
        KN_CO_CHECK(co_await finish(job, std::move(status), false, "CompletionsReached", "Reached expected number of succeeded pods", active));
        co_return Duration{1s};
    }
    if (failed > limit) {
        KN_CO_CHECK(co_await finish(job, std::move(status), true, "BackoffLimitExceeded", "Job has reached the specified backoff limit", active));
        co_return Duration{1s};
    }
    Duration again{};
    if (const auto deadline = json::int_at(*job, "spec", "activeDeadlineSeconds"); deadline && !suspended) {
        const Instant due = parse_rfc3339(json::view(status["startTime"].get_string())).value_or(now()) + std::chrono::seconds{*deadline};
        if (due <= now()) {
            KN_CO_CHECK(co_await finish(job, std::move(status), true, "DeadlineExceeded", "Job was active longer than specified deadline", active));
            co_return Duration{};
        }
        again = due - now();
    }
    std::int64_t wanted = suspended ? 0 : std::min(parallelism, completions ? needed - succeeded : parallelism);
    if (failed > 0 && static_cast<std::int64_t>(active.size()) < wanted) {
        const Instant due = last_failure + std::min<Duration>(6min, 10s * (1LL << std::min<std::int64_t>(failed - 1, 10)));
        if (due > now()) {
            again = earlier_wait(again, due - now());
            wanted = static_cast<std::int64_t>(active.size());
        }
    }
    std::optional<Error> failure;
    for (auto i = static_cast<std::int64_t>(active.size()); i < wanted; ++i) {
        auto pod = pod_from_template(*json::at(*job, "spec", "template"), r::jobs, *job);
        auto& metadata = pod["metadata"].as_object();
        metadata["name"] = std::string(kube::name_of(*job)) + "-" + random_suffix(context_.random);
        json::Object labels = json::object_at(pod["metadata"], "labels");
        for (const auto& [label, value] :
             {std::pair{"batch.kubernetes.io/job-name", kube::name_of(*job)}, std::pair{"job-name", kube::name_of(*job)},
              std::pair{"batch.kubernetes.io/controller-uid", kube::uid_of(*job)}, std::pair{"controller-uid", kube::uid_of(*job)}}) {
            labels[label] = value;
        }
        metadata["labels"] = std::move(labels);
        auto made = co_await writer_.create(r::pods, std::string(kube::namespace_of(*job)), std::move(pod));
        if (!made) {
            note(*job, true, "FailedCreate", "Error creating: " + made.error().message);
            failure = std::move(made).error();
            break;
        }
        note(*job, false, "SuccessfulCreate", "Created pod: " + std::string(kube::name_of(*made)));
        set_counts(i + 1);
    }
    KN_CO_CHECK(co_await writer_.status(r::jobs, job, std::move(status)));
    if (failure) co_return fail(*std::move(failure));
    co_return again;
}

Task<Result<>> JobController::finish(ObjectPtr job, json::Object status, bool failed, std::string reason, std::string message,
                                     std::vector<ObjectPtr> active) {
    for (const auto& pod : active) KN_CO_CHECK(co_await writer_.remove(r::pods, pod));
    status.erase("active");
    json::Array conditions = json::array_at(*job, "status", "conditions");
    set_condition(conditions, failed ? "FailureTarget" : "SuccessCriteriaMet", "True", reason, message, now());
    set_condition(conditions, failed ? "Failed" : "Complete", "True", reason, message, now());
    status["conditions"] = std::move(conditions);
    if (!failed) status["completionTime"] = seconds_time(now());
    note(*job, failed, failed ? reason : "Completed", failed ? message : "Job completed");
    co_return co_await writer_.status(r::jobs, job, std::move(status));
}

}  // namespace

std::unique_ptr<Controller> make_job_controller(ControllerContext& context) { return std::make_unique<JobController>(context); }

}  // namespace kn::sim
