#pragma once

#include <map>
#include <string>
#include <string_view>

#include "kubernaut/base/time.hpp"
#include "kubernaut/kube/request.hpp"

namespace kn::kube {

/// How fast one identity may ask one API server. There is no limit until the server refuses for overload (429 of API priority and fairness); then the
/// priority level that the request fell into gets half of the rate at which it was served, and more every second until nothing is refused any more.
/// Levels are told apart by the header X-Kubernetes-PF-PriorityLevel-UID; which requests fall into which is learned from every answer.
/// Loop thread only.
class AdaptiveRate {
public:
    /// When a request may leave; takes that place in the queue.
    SteadyTime reserve(const Request& request, SteadyTime now);
    /// Every answer is told.
    void heard(const Request& request, const Response& response, SteadyTime now);
    /// Requests a second that the level of this request may do now; 0: no limit.
    [[nodiscard]] double limit_of(const Request& request) const;

private:
    struct Level {
        double rate = 0;        ///< requests a second; 0: no limit
        double known_good = 0;  ///< what was served in the second before it was refused last
        SteadyTime next{};      ///< the next free place
        SteadyTime cut{}, grown{};
        SteadyTime window{};  ///< answers are counted in windows of a second
        int in_window = 0, before = 0;
    };
    Level& level_of(const Request& request);
    static void turn_window(Level& level, SteadyTime now);
    static void grow(Level& level, SteadyTime now);
    void refused(Level& level, const Response& response, SteadyTime now);

    std::map<std::string, std::string, std::less<>> level_names_;  ///< by kind of request
    std::map<std::string, Level, std::less<>> levels_;
};

}  // namespace kn::kube
