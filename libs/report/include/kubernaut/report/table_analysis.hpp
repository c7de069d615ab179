#pragma once

#include <string>
#include <vector>

#include "kubernaut/analytics/series/correlation.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/patterns/analysis/series_analysis.hpp"
#include "kubernaut/tabular/time_table.hpp"

namespace kn::report {

/// Rows, or series, that are alike.
struct Group {
    std::string shared;                ///< what sets it apart, in words; "" when nothing does in short
    std::vector<std::string> members;  ///< names of series, or "line 17"; at most 20
    std::size_t size = 0;
    double share = 0;
};
struct Groups {
    bool of_rows = false;  ///< rows of a table without time; else its series
    bool sought = false;
    double confidence = 0;  ///< how well they are apart, 0 .. 1
    std::string method;
    std::vector<Group> groups;
    std::string said;  ///< why there are none
};

struct TableAnalysis {
    std::string source;  ///< the file's name
    std::string layout, time_column, time_form;
    tabular::Zone zone;
    std::vector<tabular::Note> notes;
    std::vector<patterns::SeriesAnalysis> series;
    std::vector<analytics::series::LagCorrelation> pairs;  ///< indices into `series`
    Groups groups;
    std::size_t left_out = 0;  ///< series beyond most_series
};

struct TableOptions {
    patterns::AnalysisOptions series{};
    bool groups = true, pairs = true;
    std::size_t most_series = 500;
    unsigned threads = 1;  ///< series are analysed side by side; the answer is the same for any number
};

/// Never fails as a whole: a series that cannot be analysed says so itself.
TableAnalysis analyze_table(const tabular::TimeTable& table, std::string source, const tabular::Zone& zone, const TableOptions& options);

}  // namespace kn::report
