#pragma once

#include <memory>
#include <optional>
#include <string>

#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/base/time.hpp"
#include "kubernaut/kube/request.hpp"

namespace kn::kube {

/// The body of an answer that arrives over time: a watch or a followed log. Destroying it closes the stream.
class Stream {
public:
    virtual ~Stream() = default;
    /// Status and headers; the body of a non-200 answer is read with next() like any other.
    [[nodiscard]] virtual const Response& head() const = 0;
    /// The next bytes, cut anywhere; nullopt at the clean end. deadline_exceeded: silence until then, the stream stays usable.
    virtual async::Task<Result<std::optional<std::string>>> next(Deadline deadline) = 0;
};

/// How requests reach one API server under one identity. An HTTP error status is a Response, not an Error; an Error means that no answer came, and
/// its `applied` says whether the request may have taken effect. Transports repeat nothing but reads.
class Transport {
public:
    virtual ~Transport() = default;
    virtual async::Task<Result<Response>> send(Request request, Deadline deadline) = 0;
    virtual async::Task<Result<std::unique_ptr<Stream>>> open(Request request, Deadline connect_deadline) = 0;
};

}  // namespace kn::kube
