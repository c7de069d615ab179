#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace kn::analytics {

class StateReader;
class StateWriter;

/// What a series usually is in each of `Count` slots of a cycle (168 hours of a week, 24 of a day): a center and a spread per slot by
/// Huber updates: an outlier of any size moves them by no more than three spreads' worth. 14 bytes a slot.
template <std::size_t Count> class SeasonSlots {
public:
    /// `slowest`: the smallest weight of a new value: 1/20 remembers about 20 visits of the slot.
    explicit SeasonSlots(double slowest = 0.05) : slowest_(slowest) {}

    [[nodiscard]] bool knows(std::size_t slot) const { return visits_[slot] > 0; }
    [[nodiscard]] std::uint32_t visits(std::size_t slot) const { return visits_[slot]; }
    [[nodiscard]] double center(std::size_t slot) const { return center_[slot]; }
    [[nodiscard]] double spread(std::size_t slot) const { return static_cast<double>(spread_[slot]); }

    /// `spread`: the typical error where the slot has too few visits to know its own.
    void learn(std::size_t slot, double value, double spread) {
        if (visits_[slot] == 0) {
            visits_[slot] = 1;
            center_[slot] = value;
            spread_[slot] = static_cast<float>(spread);
            return;
        }
        if (visits_[slot] < 60'000) ++visits_[slot];
        const double error = value - center_[slot], size = std::abs(error);
        const double usual = visits_[slot] < 8 ? std::max(static_cast<double>(spread_[slot]), spread) : static_cast<double>(spread_[slot]);
        const double cut = usual > 0 ? std::min(size, 3 * usual) : size;
        const double weight = std::max(1.0 / static_cast<double>(visits_[slot]), slowest_);
        center_[slot] += weight * std::copysign(cut, error);
        spread_[slot] += static_cast<float>(weight * ((usual > 0 ? std::min(size, 5 * usual) : size) - static_cast<double>(spread_[slot])));
    }
    /// Moves every center: the level of the series has changed, its cycle has not.
    void shift(double by) {
        for (double& c : center_) c += by;
    }
    void reset() { *this = SeasonSlots(slowest_); }

    template <class Out> void save(Out& out) const {
        out.put(slowest_);
        out.put(center_);
        out.put(spread_);
        out.put(visits_);
    }
    template <class In> void load(In& in) {
        in.get_into(slowest_);
        in.get_into(center_);
        in.get_into(spread_);
        in.get_into(visits_);
    }

private:
    double slowest_;
    std::array<double, Count> center_{};
    std::array<float, Count> spread_{};
    std::array<std::uint16_t, Count> visits_{};
};

}  // namespace kn::analytics
