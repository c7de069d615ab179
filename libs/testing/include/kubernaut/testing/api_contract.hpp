#pragma once

#include <memory>
#include <string>

#include "kubernaut/async/task.hpp"
#include "kubernaut/base/time.hpp"
#include "kubernaut/kube/client.hpp"

namespace kn::testing {

/// What a Kubernetes API server must do for a client, whichever server it is: identity and versions, preconditions, the four patch types, dry run,
/// selectors and pages, watches, scale, access reviews. Failures are GoogleTest expectations with the case's name. The client needs all rights; `ns` must
/// not exist and is deleted at the end.
async::Task<> api_contract(std::shared_ptr<kube::Client> client, std::string ns, Duration per_call);

}  // namespace kn::testing
