#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace kn::analytics::series {

struct OnlineChangeOptions {
    double threshold = 30;       ///< of the statistic (twice a log likelihood ratio) for an alarm; 30 is about one false alarm in 1e5 points
    double clip = 4;             ///< deviations: what lies further from the running level counts as this far, so that one outlier is no change
    std::uint32_t warm_up = 30;  ///< points before the first alarm
};

struct OnlineChange {
    std::uint64_t index = 0;  ///< the first point of the new regime, counted from the first push
    double before = 0;        ///< mean since the last change
    double after = 0;
    double statistic = 0;
};

/// Change of the mean in a stream, over all windows at once: FOCuS (Romano, Eckley, Fearnhead, Rigaill 2023) for unknown means before and after. The
/// places that can win are the corners of the convex hulls of the running sum, of which there are O(log n); each point costs that many steps.
/// The noise is learned from differences, its autocorrelation widens the threshold. After an alarm it starts again at the change. A plain value: copy
/// or store it. Not finite values are passed over (but counted).
class OnlineChangeDetector {
public:
    explicit OnlineChangeDetector(OnlineChangeOptions options = {}) : options_(options) {}
    std::optional<OnlineChange> push(double value);
    [[nodiscard]] std::size_t candidates() const { return upper_.size() + lower_.size(); }
    [[nodiscard]] double noise() const;

private:
    struct Corner {
        double count = 0;  ///< points of this regime before the corner
        double sum = 0;    ///< of them, about the first one
        std::uint64_t index = 0;
    };
    void restart(std::uint64_t index, double level);
    void extend(std::vector<Corner>& hull, double sign);

    OnlineChangeOptions options_;
    std::vector<Corner> upper_, lower_;
    double count_ = 0, sum_ = 0, origin_ = 0, level_ = 0;
    double last_ = 0, last_difference_ = 0, square_ = 0, product_ = 0, weight_ = 0;
    std::uint64_t seen_ = 0;
    bool has_last_ = false, has_difference_ = false;
};

}  // namespace kn::analytics::series
