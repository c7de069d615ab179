#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/result.hpp"

namespace kn::tabular {

enum class Format : std::uint8_t { automatic, csv, ndjson };

/// Something odd about the input, for the person who reads the report.
struct Note {
    std::size_t line = 0;   ///< of the first place, from 1; 0 = the whole input
    std::size_t count = 1;  ///< places
    std::string what;
};
/// "line 17: 3 cells are no numbers"
std::string to_text(const Note& note);

struct ReadLimits {
    std::size_t max_bytes = 1U << 30U;
    std::size_t max_rows = 5'000'000;
    std::size_t max_columns = 10'000;
    std::size_t max_cells = 50'000'000;
};

/// Named columns and rows of text. Cells point into the text that was read, which must outlive this.
struct Records {
    Format format = Format::csv;
    std::vector<std::string> columns;
    std::vector<std::size_t> lines;       ///< of each row, from 1
    std::vector<std::string_view> cells;  ///< rows x columns; empty = missing
    std::vector<Note> notes;
    bool decimal_comma = false;           ///< numbers are written 3,14
    std::deque<std::string> unescaped{};  ///< cells that are not in the text as they are meant

    [[nodiscard]] std::size_t rows() const { return lines.size(); }
    [[nodiscard]] std::string_view cell(std::size_t row, std::size_t column) const { return cells[row * columns.size() + column]; }
};

/// CSV (RFC 4180, with comma, semicolon, tab or pipe; a header, or columns named c1, c2, ...; lines that begin with # left out) or one JSON
/// object a line (nested ones flattened to "a.b", arrays to "a.0"). Rows with too few or too many cells, and lines that are no JSON, are noted.
/// invalid_argument: nothing in it, no line of JSON could be read, an open quote; resource_exhausted: over a limit.
Result<Records> read_records(std::string_view text, Format format, const ReadLimits& limits = {});

/// A cell as a number; NaN when it is empty or a word for nothing ("NA", "null", "-"). `ok` is false when it is neither.
double cell_number(std::string_view cell, bool decimal_comma, bool& ok);

}  // namespace kn::tabular
