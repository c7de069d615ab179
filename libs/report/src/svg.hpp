#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/report/wording.hpp"

namespace kn::report {

/// A plot as inline SVG: colours come from the page's classes, so that it follows light and dark. Times on x, values on y.
class Chart {
public:
    struct Box {
        double width = 960, height = 260;
    };
    Chart(const Clock& clock, Box box) : clock_(clock), box_(box) {}

    // Each also widens the axes to hold it. NaN breaks a line. `klass` is a CSS class of the page.
    void line(std::span<const double> times, std::span<const double> values, std::string_view klass);
    void band(std::span<const double> times, std::span<const double> low, std::span<const double> high, std::string_view klass);
    void dot(double time, double value, std::string_view klass, std::string tip);
    void rule(double time, std::string_view klass, std::string tip);    ///< upright
    void level(double value, std::string_view klass, std::string tip);  ///< lying
    /// x is a count of steps within a season, not a moment.
    void name_x(std::vector<std::pair<double, std::string>> ticks) { named_ = std::move(ticks); }

    [[nodiscard]] std::string svg(std::string_view label) const;

private:
    struct Stroke {
        std::vector<double> times, values, high;  // high: the other side of a band
        std::string klass;
    };
    struct Mark {
        double time, value;
        std::string klass, tip;
        enum class Kind : std::uint8_t { dot, rule, level } kind;
    };
    void hold(double time, double value);

    Clock clock_;
    Box box_;
    std::vector<Stroke> strokes_;
    std::vector<Mark> marks_;
    std::vector<std::pair<double, std::string>> named_;
    double from_ = 0, to_ = 0, low_ = 0, high_ = 0;
    bool any_ = false;
};

}  // namespace kn::report
