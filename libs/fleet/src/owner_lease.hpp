#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "kubernaut/async/clock.hpp"
#include "kubernaut/async/task.hpp"
#include "kubernaut/kube/client.hpp"

namespace kn::fleet {

using async::Task;

/// Who may change one cluster: the Lease kubernaut-system/kubernaut-owner in the cluster itself, so that two installations that know nothing of each other
/// never both act on it. Its leaseTransitions is the epoch. Another holder's Lease counts as given up when it has not been renewed for its duration
/// by our own clock: two machines' wall clocks are never compared.
class OwnerLease {
public:
    static constexpr Duration duration = 30s, renew_every = 10s;
    /// A read this recent need not be repeated before a write.
    static constexpr Duration fresh = 2s;

    OwnerLease(std::shared_ptr<kube::Client> client, async::Clock& clock) : client_(std::move(client)), clock_(clock) {}

    void set_owner(std::string owner) { owner_ = std::move(owner); }
    /// Takes the Lease when it is free, renews it when it is ours. failed_precondition with reason other_owner while another holds it, no_fence when
    /// the cluster does not let us hold one.
    Task<Result<>> keep(Deadline deadline);
    /// Is it ours now, under the epoch under which it was taken? The same errors.
    Task<Result<>> check(Deadline deadline);
    [[nodiscard]] std::int64_t epoch() const { return epoch_; }

private:
    Task<Result<>> create(Deadline deadline);
    Task<Result<>> write(const json::Value& lease, bool take_over, Deadline deadline);
    void learn(const json::Value& lease);

    std::shared_ptr<kube::Client> client_;
    async::Clock& clock_;
    std::string owner_;
    std::int64_t epoch_ = 0;
    std::optional<SteadyTime> read_at_;  ///< when it was last seen to be ours
    std::string others_version_;         ///< resourceVersion of another holder's Lease ...
    SteadyTime others_seen_at_{};        ///< ... and since when it has not changed
};

}  // namespace kn::fleet
