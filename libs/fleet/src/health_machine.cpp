#include "kubernaut/fleet/health_machine.hpp"

namespace kn::fleet {

void HealthMachine::on_probe(Probe result, SteadyTime at) {
    switch (result) {
        case Probe::success:
            failures_ = 0;
            if (successes_++ == 0) first_success_ = at;
            last_success_ = at;
            break;
        case Probe::auth_failed:
            // Answered, so it is reachable; but we may do nothing there.
            failures_ = 0;
            successes_ = 0;
            last_success_ = at;
            verdict_ = ClusterVerdict::unknown;
            reason_ = auth_failed;
            return;
        case Probe::failure:
            ++failures_;
            successes_ = 0;
            break;
    }
    decide(at);
}

void HealthMachine::on_tick(SteadyTime at) { decide(at); }

void HealthMachine::decide(SteadyTime at) {
    const bool silent = !last_success_ || at - *last_success_ >= limits_.silence;
    if (failures_ >= limits_.lost_after && silent) {
        verdict_ = ClusterVerdict::lost;
        reason_ = "no answer to " + std::to_string(failures_) + " probes and no success on any signal";
        was_lost_ = true;
        return;
    }
    if (failures_ >= limits_.suspect_after) {
        if (verdict_ != ClusterVerdict::lost) {
            verdict_ = ClusterVerdict::suspect;
            reason_ = std::to_string(failures_) + " probes in a row failed";
        }
        return;
    }
    if (successes_ == 0) return;
    const bool first_verdict = verdict_ == ClusterVerdict::unknown && !was_lost_ && reason_ != auth_failed;
    const Duration span = was_lost_ ? limits_.healthy_span_after_lost : limits_.healthy_span;
    if (first_verdict || (successes_ >= limits_.healthy_successes && at - *first_success_ >= span)) {
        verdict_ = ClusterVerdict::healthy;
        reason_ = "answers";
        was_lost_ = false;
    }
}

void SuspicionMachine::on_look(std::size_t healthy_before, std::size_t turned_bad, SteadyTime at) {
    const bool suspicious = healthy_before >= least_clusters && static_cast<double>(turned_bad) > share * static_cast<double>(healthy_before);
    if (suspicious) {
        isolated_ = true;
        normal_since_.reset();
        return;
    }
    if (!isolated_) return;
    if (turned_bad > 0) {
        normal_since_.reset();
        return;
    }
    if (!normal_since_) normal_since_ = at;
    if (at - *normal_since_ >= recover) isolated_ = false;
}

}  // namespace kn::fleet
