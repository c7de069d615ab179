#pragma once

#include <string>

#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/domain/enums.hpp"
#include "kubernaut/domain/keys.hpp"

namespace kn::ports {

struct Notification {
    std::string kind;                  ///< incident_opened, incident_escalated, incident_resolved, approval_asked, execution_done, execution_failed, ...
    std::string key;                   ///< incident + kind + version: the receiver may drop repeats
    ClusterId cluster;
    std::string ns, title, text;
    Severity severity = Severity::info;
};

class Notifier {
public:
    virtual ~Notifier() = default;
    /// Returns once the message is accepted for delivery; never blocks a remediation on a channel.
    virtual async::Task<Result<>> send(Notification notification, Deadline deadline) = 0;
};

}  // namespace kn::ports
