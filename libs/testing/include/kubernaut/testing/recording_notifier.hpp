#pragma once

#include <string>
#include <vector>

#include "kubernaut/ports/notifier.hpp"

namespace kn::testing {

/// Takes every message and tells nobody.
class RecordingNotifier final : public ports::Notifier {
public:
    async::Task<Result<>> send(ports::Notification notification, Deadline) override {
        sent.push_back(std::move(notification));
        co_return Result<>{};
    }
    [[nodiscard]] std::vector<std::string> kinds() const {
        std::vector<std::string> all;
        for (const auto& each : sent) all.push_back(each.kind);
        return all;
    }
    std::vector<ports::Notification> sent;
};

}  // namespace kn::testing
