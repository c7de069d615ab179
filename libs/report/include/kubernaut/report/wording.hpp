#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/report/table_analysis.hpp"

namespace kn::report {

/// "1234", "0.0123", "4.56 M"
std::string number(double value);
/// "12 %", "0.3 %"
std::string percent(double share);
/// "40 minutes", "3.5 hours"
std::string span(double seconds);

/// How moments are written: wall-clock times of a zone as precise as the step needs, or row numbers.
class Clock {
public:
    Clock(const tabular::Zone& zone, double step, bool rows) : zone_(zone), step_(step), rows_(rows) {}
    [[nodiscard]] std::string moment(double seconds) const;
    /// The place within a season: "14:00", "Tuesday 14:00".
    [[nodiscard]] std::string phase(double seconds, double season) const;
    [[nodiscard]] bool rows() const { return rows_; }
    [[nodiscard]] const tabular::Zone& zone() const { return zone_; }

private:
    tabular::Zone zone_;
    double step_;
    bool rows_;
};
Clock clock_for(const TableAnalysis& table, const patterns::SeriesAnalysis& series);

struct Finding {
    std::string_view kind;  ///< "trend", "season", "calendar", "change", "forecast", "limit", "anomaly", "data"
    std::string text;
    bool notable = true;  ///< false: that there is none of it
};
/// What was found in a series, in sentences, the most important first; at most ten anomalies and ten changes.
std::vector<Finding> findings(const patterns::SeriesAnalysis& series, const Clock& clock);

}  // namespace kn::report
