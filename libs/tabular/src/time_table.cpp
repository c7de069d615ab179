#include "kubernaut/tabular/time_table.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>

#include "kubernaut/tabular/time_text.hpp"

namespace kn::tabular {
namespace {

enum class Kind : std::uint8_t { empty, numbers, text };

struct ColumnFacts {
    Kind kind = Kind::empty;
    std::size_t known = 0, bad = 0, first_bad = 0;  // bad: no numbers in a column of numbers
};

/// At most 400 cells, evenly taken.
std::vector<std::string_view> sample_of(const Records& records, std::size_t column) {
    std::vector<std::string_view> sample;
    const std::size_t step = std::max<std::size_t>(1, records.rows() / 400);
    for (std::size_t r = 0; r < records.rows(); r += step)
        if (!records.cell(r, column).empty()) sample.push_back(records.cell(r, column));
    return sample;
}

ColumnFacts facts_of(const Records& records, std::size_t column) {
    ColumnFacts facts;
    for (std::size_t r = 0; r < records.rows(); ++r) {
        bool ok = false;
        const double value = cell_number(records.cell(r, column), records.decimal_comma, ok);
        if (!ok) {
            if (facts.bad++ == 0) facts.first_bad = r;
        } else if (std::isfinite(value)) {
            ++facts.known;
        }
    }
    if (facts.known == 0 && facts.bad == 0)
        facts.kind = Kind::empty;
    else
        facts.kind = facts.bad * 2 > facts.known ? Kind::text : Kind::numbers;
    return facts;
}

std::string lowered(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

/// 2: called as times are; 1: the name holds such a word; 0: not.
int name_rank(std::string_view name) {
    const std::string n = lowered(name);
    for (const char* word : {"time", "timestamp", "date", "datetime", "ts", "@timestamp", "_time", "t", "ds", "zeit", "datum", "epoch"})
        if (n == word) return 2;
    for (const char* word : {"time", "date", "stamp"})
        if (n.find(word) != std::string::npos) return 1;
    return 0;
}

bool is_epoch(TimeForm form) { return form >= TimeForm::epoch_seconds; }

struct TimeColumn {
    std::size_t column = 0;
    FoundForm form;
};

std::optional<TimeColumn> find_time_column(const Records& records) {
    std::optional<TimeColumn> best;
    double best_score = 0;
    for (std::size_t c = 0; c < records.columns.size(); ++c) {
        const auto sample = sample_of(records, c);
        const auto form = find_time_form(sample);
        if (!form || form->share < 0.5) continue;
        const int rank = name_rank(records.columns[c]);
        double score = form->share + 0.4 * rank;
        if (is_epoch(form->form)) {
            // Numbers that could be epochs are also how bytes look: without a name they must also go up.
            double last = 0;
            std::size_t ups = 0, count = 0;
            for (const auto text : sample) {
                const auto time = parse_time(text, form->form, Zone{});
                if (!time) continue;
                if (count++ > 0 && *time >= last) ++ups;
                last = *time;
            }
            const double rising = count > 1 ? static_cast<double>(ups) / static_cast<double>(count - 1) : 1;
            if (rank == 0 && (rising < 0.95 || form->share < 0.95)) continue;
            score -= 0.3;
        }
        if (score > best_score + 1e-9) best_score = score, best = TimeColumn{c, *form};
    }
    return best;
}

Result<std::size_t> column_named(const Records& records, const std::string& name) {
    const auto place = std::find(records.columns.begin(), records.columns.end(), name);
    if (place != records.columns.end()) return static_cast<std::size_t>(place - records.columns.begin());
    std::string known;
    for (std::size_t i = 0; i < records.columns.size() && i < 20; ++i) known += (i > 0 ? ", " : "") + records.columns[i];
    if (records.columns.size() > 20) known += ", ...";
    return fail(ErrorCode::invalid_argument, "there is no column \"" + name + "\"; there are: " + known);
}

/// Builds the series of one table.
class Builder {
public:
    Builder(TimeTable& table, const TableOptions& options) : table_(table), records_(table.records), options_(options) {}

    Result<> build() {
        KN_CHECK(choose_time());
        KN_CHECK(choose_values());
        KN_CHECK(choose_keys());
        KN_CHECK(fill());
        finish();
        return {};
    }

private:
    void note(std::size_t line, std::size_t count, std::string what) {
        table_.notes.push_back({.line = line, .count = count, .what = std::move(what)});
    }

    Result<> choose_time() {
        std::optional<TimeColumn> found;
        if (!options_.time_column.empty()) {
            KN_TRY(const std::size_t column, column_named(records_, options_.time_column));
            const auto form = find_time_form(sample_of(records_, column));
            if (!form) {
                std::string example;
                for (const auto text : sample_of(records_, column))
                    if (example.empty()) example = std::string(text.substr(0, 60));
                return fail(ErrorCode::invalid_argument,
                            "column \"" + options_.time_column + "\" holds no times that can be read; for example \"" + example + "\"");
            }
            found = TimeColumn{column, *form};
        } else {
            found = find_time_column(records_);
        }
        if (!found) {
            table_.layout = Layout::no_time;
            note(0, 1, "no column of times was found: rows are taken as evenly spaced (--time-column names one)");
            return {};
        }
        time_ = found->column;
        table_.time_column = records_.columns[found->column];
        table_.time_form = std::string(to_string(found->form.form));
        if (found->form.ambiguous)
            note(0, 1, "day and month in \"" + table_.time_column + "\" could be the other way round; taken as " + table_.time_form);
        times_.resize(records_.rows(), std::numeric_limits<double>::quiet_NaN());
        std::size_t bad = 0, first = 0;
        for (std::size_t r = 0; r < records_.rows(); ++r) {
            const auto time = parse_time(records_.cell(r, *time_), found->form.form, options_.zone);
            if (time)
                times_[r] = *time;
            else if (bad++ == 0)
                first = r;
        }
        if (bad == records_.rows()) return fail(ErrorCode::invalid_argument, "no time in column \"" + table_.time_column + "\" could be read");
        if (bad > 0)
            note(records_.lines[first], bad, "a row was left out: \"" + std::string(records_.cell(first, *time_).substr(0, 40)) + "\" is no time");
        return {};
    }

    Result<> choose_values() {
        facts_.resize(records_.columns.size());
        for (std::size_t c = 0; c < records_.columns.size(); ++c)
            if (c != time_) facts_[c] = facts_of(records_, c);
        if (!options_.value_columns.empty()) {
            for (const auto& name : options_.value_columns) {
                KN_TRY(const std::size_t column, column_named(records_, name));
                if (facts_[column].known == 0) return fail(ErrorCode::invalid_argument, "column \"" + name + "\" holds no numbers");
                values_.push_back(column);
            }
        } else {
            for (std::size_t c = 0; c < records_.columns.size(); ++c)
                if (c != time_ && facts_[c].kind == Kind::numbers &&
                    std::find(options_.series_columns.begin(), options_.series_columns.end(), records_.columns[c]) == options_.series_columns.end())
                    values_.push_back(c);
        }
        if (values_.empty())
            return fail(ErrorCode::invalid_argument, time_ ? "beside the times there is no column of numbers" : "there is no column of numbers");
        for (const std::size_t c : values_) {
            table_.value_columns.push_back(records_.columns[c]);
            if (facts_[c].bad > 0)
                note(records_.lines[facts_[c].first_bad], facts_[c].bad,
                     "\"" + std::string(records_.cell(facts_[c].first_bad, c).substr(0, 40)) + "\" in column \"" + records_.columns[c] +
                         "\" is no number and counts as missing");
        }
        return {};
    }

    /// A table is long when its times repeat and columns of text tell the rows of one time apart.
    Result<> choose_keys() {
        if (!options_.series_columns.empty()) {
            for (const auto& name : options_.series_columns) {
                KN_TRY(const std::size_t column, column_named(records_, name));
                keys_.push_back(column);
            }
            if (time_) table_.layout = Layout::long_;
        } else if (time_) {
            std::vector<std::size_t> texts;
            for (std::size_t c = 0; c < records_.columns.size(); ++c)
                if (c != time_ && facts_[c].kind == Kind::text && texts.size() < 16) texts.push_back(c);
            std::vector<double> sorted = times_;
            std::erase_if(sorted, [](double t) { return !std::isfinite(t); });
            std::sort(sorted.begin(), sorted.end());
            const auto distinct = static_cast<std::size_t>(std::unique(sorted.begin(), sorted.end()) - sorted.begin());
            if (!texts.empty() && distinct * 5 < sorted.size() * 4) {
                keys_ = fewest_keys(texts);
                table_.layout = Layout::long_;
            }
        }
        for (const std::size_t c : keys_) table_.series_columns.push_back(records_.columns[c]);
        return {};
    }

    std::string key_of(std::size_t row, const std::vector<std::size_t>& columns) const {
        std::string key;
        for (const std::size_t c : columns) {
            if (!key.empty()) key += ' ';
            key += records_.cell(row, c);
        }
        return key.empty() ? "(no name)" : key;
    }

    /// Columns of text, one after the other, each only when it tells more rows of one time apart than the ones before.
    std::vector<std::size_t> fewest_keys(const std::vector<std::size_t>& texts) const {
        const auto collisions = [&](const std::vector<std::size_t>& columns) {
            std::vector<std::pair<double, std::string>> seen;
            const std::size_t rows = std::min<std::size_t>(records_.rows(), 20'000);
            for (std::size_t r = 0; r < rows; ++r)
                if (std::isfinite(times_[r])) seen.emplace_back(times_[r], key_of(r, columns));
            std::sort(seen.begin(), seen.end());
            std::size_t same = 0;
            for (std::size_t i = 1; i < seen.size(); ++i) same += seen[i] == seen[i - 1] ? 1 : 0;
            return same;
        };
        std::vector<std::size_t> chosen;
        std::size_t now = std::numeric_limits<std::size_t>::max();
        while (now > 0 && chosen.size() < texts.size()) {
            std::size_t best = 0, least = now;
            for (const std::size_t c : texts) {
                if (std::find(chosen.begin(), chosen.end(), c) != chosen.end()) continue;
                auto with = chosen;
                with.push_back(c);
                const std::size_t left = collisions(with);
                if (left < least) best = c, least = left;
            }
            if (least == now) break;
            chosen.push_back(best);
            now = least;
        }
        return chosen.empty() ? texts : chosen;
    }

    Result<> fill() {
        std::map<std::pair<std::string, std::size_t>, std::size_t> place_of;
        for (std::size_t r = 0; r < records_.rows(); ++r) {
            const double time = time_ ? times_[r] : static_cast<double>(r);
            if (!std::isfinite(time)) continue;
            const std::string key = keys_.empty() ? std::string{} : key_of(r, keys_);
            for (const std::size_t c : values_) {
                const auto [place, fresh] = place_of.try_emplace({key, c}, table_.series.size());
                if (fresh) {
                    if (table_.series.size() >= options_.max_series)
                        return fail(ErrorCode::resource_exhausted, "there are more than " + std::to_string(options_.max_series) + " series",
                                    "line " + std::to_string(records_.lines[r]));
                    table_.series.push_back({.name = keys_.empty()         ? records_.columns[c]
                                                     : values_.size() == 1 ? key
                                                                           : key + " " + records_.columns[c],
                                             .times = {},
                                             .values = {}});
                    lines_.emplace_back();
                }
                bool ok = false;
                table_.series[place->second].times.push_back(time);
                table_.series[place->second].values.push_back(cell_number(records_.cell(r, c), records_.decimal_comma, ok));
                lines_[place->second].push_back(records_.lines[r]);
            }
        }
        if (table_.series.empty()) return fail(ErrorCode::invalid_argument, "no row has a time");
        return {};
    }

    void finish() {
        // What is true of all columns of a wide table is told once.
        std::map<std::string, std::pair<std::size_t, std::size_t>> told;
        const auto tell = [&](const std::string& what, std::size_t line, std::size_t count) {
            auto& [first, most] = told.try_emplace(what, line, 0).first->second;
            first = std::min(first, line);
            most = table_.layout == Layout::long_ ? most + count : std::max(most, count);
        };
        for (std::size_t s = 0; s < table_.series.size(); ++s) {
            TimedSeries& series = table_.series[s];
            const OrderFindings odd = put_in_order(series);
            if (odd.unsorted > 0) tell("a row's time is before the one above; rows were put in order", lines_[s][odd.first_unsorted], odd.unsorted);
            if (odd.duplicates > odd.conflicts)
                tell("a time comes twice with the same value; one was kept", lines_[s][odd.first_duplicate], odd.duplicates - odd.conflicts);
            if (odd.conflicts > 0)
                tell("a time comes twice with different values; the later line was kept", lines_[s][odd.first_conflict], odd.conflicts);
        }
        for (const auto& [what, found] : told) note(found.first, found.second, what);
    }

    TimeTable& table_;
    const Records& records_;
    const TableOptions& options_;
    std::optional<std::size_t> time_;
    std::vector<double> times_;
    std::vector<ColumnFacts> facts_;
    std::vector<std::size_t> values_, keys_;
    std::vector<std::vector<std::size_t>> lines_;
};

}  // namespace

std::string_view to_string(Layout layout) {
    switch (layout) {
        case Layout::wide: return "wide";
        case Layout::long_: return "long";
        case Layout::no_time: return "no time";
    }
    return "unknown";
}

OrderFindings put_in_order(TimedSeries& series) {
    OrderFindings odd;
    const std::size_t n = series.times.size();
    for (std::size_t i = 1; i < n; ++i)
        if (series.times[i] < series.times[i - 1] && odd.unsorted++ == 0) odd.first_unsorted = i;
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    if (odd.unsorted > 0)
        std::sort(order.begin(), order.end(),
                  [&](std::size_t a, std::size_t b) { return std::pair(series.times[a], a) < std::pair(series.times[b], b); });
    std::vector<double> times, values;
    times.reserve(n);
    values.reserve(n);
    for (const std::size_t i : order) {
        const double value = series.values[i];
        if (times.empty() || series.times[i] != times.back()) {
            times.push_back(series.times[i]);
            values.push_back(value);
            continue;
        }
        ++odd.duplicates;
        odd.first_duplicate = std::min(odd.first_duplicate, i);
        const double kept = values.back();
        if (std::isfinite(kept) && std::isfinite(value) && kept != value) {
            ++odd.conflicts;
            odd.first_conflict = std::min(odd.first_conflict, i);
        }
        if (std::isfinite(value)) values.back() = value;
    }
    series.times = std::move(times);
    series.values = std::move(values);
    return odd;
}

Result<TimeTable> read_time_table(std::string_view text, const TableOptions& options) {
    TimeTable table;
    KN_TRY(table.records, read_records(text, options.format, options.limits));
    table.notes = table.records.notes;
    KN_CHECK(Builder(table, options).build());
    return table;
}

}  // namespace kn::tabular
