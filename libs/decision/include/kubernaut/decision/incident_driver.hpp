#pragma once

#include <memory>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/decision/classifier.hpp"
#include "kubernaut/decision/evidence.hpp"
#include "kubernaut/decision/options.hpp"
#include "kubernaut/decision/planner.hpp"
#include "kubernaut/ports/cluster_gateway.hpp"
#include "kubernaut/ports/family_advisor.hpp"
#include "kubernaut/ports/gatekeeper.hpp"
#include "kubernaut/ports/notifier.hpp"
#include "kubernaut/ports/registry_store.hpp"
#include "kubernaut/ports/wakeups.hpp"

namespace kn::decision {

/// Drives every incident from open to its end: diagnosis, cause, plan, gates, approval, execution, verification. Level-triggered over
/// IncidentStore::due: woken by Wakeups::incidents and at least once a second. It may be killed at any instruction: the next turn starts from what is stored.
class IncidentDriver {
public:
    IncidentDriver(async::EventLoop& loop, RandomSource& random, ports::Stores stores, ports::ClusterGateway& gateway, EvidenceCollector& evidence,
                   const Classifier& classifier, const Planner& planner, WorkflowLookup workflows, ports::Gatekeeper& gatekeeper,
                   ports::Notifier& notifier, ports::Wakeups& wakeups, ports::LiveFeed& feed, DecisionOptions options);
    /// Who knows what worked in like cases; nobody by default. Outlives the driver.
    void set_advisor(const ports::FamilyAdvisor* advisor);
    void set_options(DecisionOptions options);
    ~IncidentDriver();
    IncidentDriver(const IncidentDriver&) = delete;
    IncidentDriver& operator=(const IncidentDriver&) = delete;

    void start();
    void stop();
    async::Task<> join();
    /// One pass over what is due; how many incidents were moved. For tests.
    async::Task<Result<int>> run_once();

    /// What would be planned for a target now: the `analyze` and `simulate` commands. Nothing is stored or changed.
    struct Analysis {
        Diagnosis diagnosis;
        PlanResult plan;
    };
    async::Task<Result<Analysis>> analyze(ObjectRef target, std::vector<std::string> alerts, Deadline deadline);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace kn::decision
