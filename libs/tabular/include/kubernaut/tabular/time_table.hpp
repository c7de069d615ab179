#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/result.hpp"
#include "kubernaut/tabular/records.hpp"
#include "kubernaut/tabular/zone.hpp"

namespace kn::tabular {

/// One series in order of time, each time once.
struct TimedSeries {
    std::string name;
    std::vector<double> times;   ///< seconds since 1970 (or row numbers), strictly ascending
    std::vector<double> values;  ///< NaN = missing
};

enum class Layout : std::uint8_t {
    wide,     ///< one row a moment, one column a series
    long_,    ///< one row a moment and series, named by columns of text
    no_time,  ///< no column of times: rows are evenly spaced, time = row number from 0
};
std::string_view to_string(Layout layout);

struct TableOptions {
    Format format = Format::automatic;
    std::string time_column;                  ///< "" = found
    std::vector<std::string> value_columns;   ///< empty = every column of numbers
    std::vector<std::string> series_columns;  ///< empty = found; else the table is long and these name its series
    Zone zone{};                              ///< for times without an offset
    std::size_t max_series = 10'000;
    ReadLimits limits{};
};

/// A column of text, for grouping rows.
struct TextColumn {
    std::string name;
    std::vector<std::string_view> values;
};

struct TimeTable {
    Records records;  ///< as read, with the notes of the reader
    Layout layout = Layout::wide;
    std::string time_column, time_form;  ///< "" without time
    std::vector<std::string> series_columns, value_columns;
    std::vector<TimedSeries> series;  ///< in the order of their first row or column
    std::vector<Note> notes;          ///< everything odd, the reader's too
};

/// Reads, finds the time column (by its content, then its name), tells wide from long, puts rows in order, drops what is told twice (the later
/// line wins) and notes each kind of oddity with its first line. `text` must outlive the answer.
/// invalid_argument: no column of numbers, a column that was asked for is missing or holds something else; and what read_records refuses.
Result<TimeTable> read_time_table(std::string_view text, const TableOptions& options = {});

/// Sorts by time, the later place winning where a time comes twice (a known value wins over a missing one). How much was odd:
struct OrderFindings {
    std::size_t unsorted = 0, first_unsorted = none;     ///< places whose time is before the one above
    std::size_t duplicates = 0, first_duplicate = none;  ///< places dropped
    std::size_t conflicts = 0, first_conflict = none;    ///< of these, with another value
    static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
};
OrderFindings put_in_order(TimedSeries& series);

}  // namespace kn::tabular
