#include "kubernaut/tabular/records.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "kubernaut/json/json.hpp"

namespace kn::tabular {
namespace {

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
    return text;
}

bool same_word(std::string_view a, std::string_view lower) {
    return a.size() == lower.size() &&
           std::equal(a.begin(), a.end(), lower.begin(), [](char x, char y) { return (x >= 'A' && x <= 'Z' ? x - 'A' + 'a' : x) == y; });
}

/// Adds to a note of the same words rather than one a line.
class Notes {
public:
    explicit Notes(std::vector<Note>& out) : out_(out) {}
    void add(std::size_t line, const std::string& what) {
        const auto [place, fresh] = where_.try_emplace(what, out_.size());
        if (fresh)
            out_.push_back({.line = line, .count = 1, .what = what});
        else
            ++out_[place->second].count;
    }

private:
    std::vector<Note>& out_;
    std::map<std::string, std::size_t> where_;
};

/// The character outside quotes that cuts the first lines into the same number of cells, at least two.
char find_delimiter(std::string_view text) {
    constexpr std::array<char, 4> candidates{',', ';', '\t', '|'};
    std::array<std::vector<std::size_t>, 4> counts;
    std::array<std::size_t, 4> in_line{};
    bool quoted = false, comment = false, line_start = true;
    std::size_t lines = 0;
    for (const char c : text) {
        if (line_start) comment = c == '#';
        line_start = false;
        if (c == '"' && !comment) quoted = !quoted;
        if (c == '\n' && !quoted) {
            if (!comment)
                for (std::size_t i = 0; i < 4; ++i) counts[i].push_back(in_line[i]);
            in_line = {};
            line_start = true;
            if (++lines == 50) break;
            continue;
        }
        if (quoted || comment) continue;
        for (std::size_t i = 0; i < 4; ++i) in_line[i] += c == candidates[i] ? 1 : 0;
    }
    if (!line_start && !comment)
        for (std::size_t i = 0; i < 4; ++i) counts[i].push_back(in_line[i]);
    std::size_t best = 0, best_score = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        if (counts[i].empty() || counts[i][0] == 0) continue;
        const auto same = static_cast<std::size_t>(std::count(counts[i].begin(), counts[i].end(), counts[i][0]));
        const std::size_t score = 1 + same * 1000 / counts[i].size();
        if (score > best_score) best = i, best_score = score;
    }
    return candidates[best];
}

/// Cuts the text into rows of cells. Quotes may hold delimiters and line breaks.
class CsvReader {
public:
    CsvReader(std::string_view text, char delimiter, std::deque<std::string>& unescaped)
        : text_(text), delimiter_(delimiter), unescaped_(unescaped) {}

    /// False at the end. `line` is where the row began.
    Result<bool> next(std::vector<std::string_view>& cells, std::size_t& line) {
        for (;;) {
            cells.clear();
            if (at_ >= text_.size()) return false;
            line = line_;
            if (text_[at_] == '#') {
                at_ = std::min(text_.find('\n', at_), text_.size() - 1) + 1;
                ++line_;
                continue;
            }
            for (;;) {
                KN_TRY(const std::string_view cell, read_cell());
                cells.push_back(cell);
                if (at_ >= text_.size()) break;
                const char end = text_[at_++];
                if (end == '\n') {
                    ++line_;
                    break;
                }
            }
            if (cells.size() > 1 || !cells[0].empty()) return true;
        }
    }

private:
    Result<std::string_view> read_cell() {
        std::size_t begin = at_;
        while (begin < text_.size() && text_[begin] == ' ') ++begin;
        if (begin < text_.size() && text_[begin] == '"') return quoted_cell(begin + 1);
        const std::size_t from = at_;
        while (at_ < text_.size() && text_[at_] != delimiter_ && text_[at_] != '\n') ++at_;
        return trimmed(text_.substr(from, at_ - from));
    }
    Result<std::string_view> quoted_cell(std::size_t begin) {
        const std::size_t first_line = line_;
        std::size_t end = begin;
        bool doubled = false;
        for (;; ++end) {
            if (end >= text_.size()) return fail(ErrorCode::invalid_argument, "a quote is never closed", "line " + std::to_string(first_line));
            if (text_[end] == '\n') ++line_;
            if (text_[end] != '"') continue;
            if (end + 1 >= text_.size() || text_[end + 1] != '"') break;
            doubled = true;
            ++end;
        }
        std::string_view cell = text_.substr(begin, end - begin);
        if (doubled) {
            std::string& plain = unescaped_.emplace_back();
            for (std::size_t i = 0; i < cell.size(); ++i) {
                plain += cell[i];
                if (cell[i] == '"') ++i;
            }
            cell = plain;
        }
        at_ = end + 1;  // what stands between the quote and the delimiter is no part of the cell
        while (at_ < text_.size() && text_[at_] != delimiter_ && text_[at_] != '\n') ++at_;
        return cell;
    }

    std::string_view text_;
    char delimiter_;
    std::deque<std::string>& unescaped_;
    std::size_t at_ = 0, line_ = 1;
};

bool looks_like_data(std::string_view cell) {
    bool ok = false;
    const double value = cell_number(cell, false, ok);
    if (ok && std::isfinite(value)) return true;
    // "2026-01-05T..." or "05.01.2026": digits and punctuation first.
    return cell.size() >= 6 && cell[0] >= '0' && cell[0] <= '9' && cell.find_first_of("-/.:") != std::string_view::npos &&
           cell.find_first_of("-/.:") <= 4;
}

void name_columns(Records& out, const std::vector<std::string_view>& header, bool named) {
    std::map<std::string, std::size_t, std::less<>> uses;
    std::set<std::string> taken;
    for (std::size_t i = 0; i < header.size(); ++i) {
        const std::string base = named && !header[i].empty() ? std::string(header[i]) : "c" + std::to_string(i + 1);
        std::string name = base;
        for (std::size_t& again = uses[base]; !taken.insert(name).second; name = base + "_" + std::to_string(again)) {
            if (again == 0) out.notes.push_back({.line = 1, .count = 1, .what = "two columns are called \"" + base + "\""});
            again = std::max<std::size_t>(2, again + 1);
        }
        out.columns.push_back(std::move(name));
    }
}

Result<Records> read_csv(std::string_view text, const ReadLimits& limits) {
    Records out;
    const char delimiter = find_delimiter(text);
    CsvReader reader(text, delimiter, out.unescaped);
    std::vector<std::string_view> cells;
    std::size_t line = 0;
    KN_TRY(bool more, reader.next(cells, line));
    if (!more) return fail(ErrorCode::invalid_argument, "the input is empty");
    if (cells.size() > limits.max_columns)
        return fail(ErrorCode::resource_exhausted,
                    "the first line has " + std::to_string(cells.size()) + " cells; at most " + std::to_string(limits.max_columns) + " are read");
    const bool named = std::none_of(cells.begin(), cells.end(), looks_like_data);
    name_columns(out, cells, named);
    if (!named) out.notes.push_back({.line = line, .count = 1, .what = "there is no header; columns are called c1, c2, ..."});
    const std::size_t width = out.columns.size();
    Notes notes(out.notes);
    if (named) {
        KN_TRY(more, reader.next(cells, line));
    }
    std::size_t with_comma = 0, with_point = 0;
    while (more) {
        if (out.rows() >= limits.max_rows || out.cells.size() + width > limits.max_cells)
            return fail(ErrorCode::resource_exhausted,
                        "there are more than " + std::to_string(out.rows()) + " rows of " + std::to_string(width) + " cells",
                        "line " + std::to_string(line));
        if (cells.size() < width) notes.add(line, "a row has fewer cells than the header; the rest counts as missing");
        if (cells.size() > width) notes.add(line, "a row has more cells than the header; the rest is left out");
        for (std::size_t i = 0; i < width; ++i) {
            out.cells.push_back(i < cells.size() ? cells[i] : std::string_view{});
            if (delimiter != ',' && i < cells.size() && cells[i].find_first_not_of("+-0123456789.,eE") == std::string_view::npos) {
                if (cells[i].find(',') != std::string_view::npos)
                    ++with_comma;
                else if (cells[i].find('.') != std::string_view::npos)
                    ++with_point;
            }
        }
        out.lines.push_back(line);
        KN_TRY(more, reader.next(cells, line));
    }
    out.decimal_comma = with_comma > with_point;
    if (out.rows() == 0) return fail(ErrorCode::invalid_argument, "there is a header but no row");
    return out;
}

void flatten(const json::Value& value, const std::string& name, int depth, std::vector<std::pair<std::string, std::string>>& out) {
    const auto below = [&](std::string_view key) { return name.empty() ? std::string(key) : name + "." + std::string(key); };
    if (const auto* object = value.if_object(); object != nullptr && depth < 8) {
        for (const auto& [key, child] : *object) flatten(child, below({key.data(), key.size()}), depth + 1, out);
    } else if (const auto* array = value.if_array(); array != nullptr && depth < 8 && array->size() <= 64) {
        for (std::size_t i = 0; i < array->size(); ++i) flatten((*array)[i], below(std::to_string(i)), depth + 1, out);
    } else if (const auto* text = value.if_string(); text != nullptr) {
        out.emplace_back(name, std::string(text->data(), text->size()));
    } else if (value.is_null()) {
        out.emplace_back(name, "");
    } else if (value.is_bool()) {
        out.emplace_back(name, value.get_bool() ? "true" : "false");
    } else if (value.is_number()) {
        std::array<char, 40> digits{};
        char* end = digits.data();
        if (const auto* whole = value.if_int64())
            end = std::to_chars(digits.data(), digits.data() + digits.size(), *whole).ptr;
        else if (const auto* large = value.if_uint64())
            end = std::to_chars(digits.data(), digits.data() + digits.size(), *large).ptr;
        else
            end = std::to_chars(digits.data(), digits.data() + digits.size(), value.get_double()).ptr;
        out.emplace_back(name, std::string(digits.data(), end));
    }
}

Result<Records> read_ndjson(std::string_view text, const ReadLimits& limits) {
    Records out;
    out.format = Format::ndjson;
    Notes notes(out.notes);
    std::map<std::string, std::size_t, std::less<>> column_of;
    struct Cell {
        std::size_t row, column;
        std::string_view text;
    };
    std::vector<Cell> cells;
    std::vector<std::pair<std::string, std::string>> pairs;
    std::string first_error;
    std::size_t line = 0;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const auto one = trimmed(text.substr(at, end - at));
        at = end + 1;
        ++line;
        if (one.empty()) continue;
        const auto value = json::parse(one, {.max_bytes = 16U << 20U, .max_depth = 32});
        if (!value || !value->is_object()) {
            if (first_error.empty()) first_error = "line " + std::to_string(line) + ": " + (value ? "no JSON object" : value.error().message);
            notes.add(line, "a line is no JSON object and was left out");
            continue;
        }
        pairs.clear();
        flatten(*value, "", 0, pairs);
        if (out.rows() >= limits.max_rows)
            return fail(ErrorCode::resource_exhausted, "there are more than " + std::to_string(limits.max_rows) + " lines",
                        "line " + std::to_string(line));
        for (auto& [name, content] : pairs) {
            const auto [place, fresh] = column_of.try_emplace(name, out.columns.size());
            if (fresh) {
                if (out.columns.size() >= limits.max_columns)
                    return fail(ErrorCode::resource_exhausted, "there are more than " + std::to_string(limits.max_columns) + " different keys",
                                "line " + std::to_string(line));
                out.columns.push_back(name);
            }
            if (content.empty()) continue;
            cells.push_back({out.rows(), place->second, out.unescaped.emplace_back(std::move(content))});
        }
        out.lines.push_back(line);
        if (cells.size() > limits.max_cells || out.rows() * out.columns.size() > limits.max_cells)
            return fail(ErrorCode::resource_exhausted, "there are more than " + std::to_string(limits.max_cells) + " cells",
                        "line " + std::to_string(line));
    }
    if (out.rows() == 0)
        return fail(ErrorCode::invalid_argument,
                    first_error.empty() ? "the input is empty" : "no line could be read as JSON; the first trouble: " + first_error);
    if (out.columns.empty()) return fail(ErrorCode::invalid_argument, "the JSON objects are all empty");
    out.cells.resize(out.rows() * out.columns.size());
    for (const Cell& cell : cells) out.cells[cell.row * out.columns.size() + cell.column] = cell.text;
    return out;
}

}  // namespace

std::string to_text(const Note& note) {
    std::string text;
    if (note.line > 0) text = (note.count > 1 ? "from line " : "line ") + std::to_string(note.line) + ": ";
    text += note.what;
    if (note.count > 1) text += " (" + std::to_string(note.count) + " times)";
    return text;
}

double cell_number(std::string_view cell, bool decimal_comma, bool& ok) {
    ok = true;
    constexpr double nothing = std::numeric_limits<double>::quiet_NaN();
    cell = trimmed(cell);
    if (cell.empty()) return nothing;
    for (const std::string_view word : {"nan", "na", "n/a", "null", "none", "nil", "-", "?", "missing"})
        if (same_word(cell, word)) return nothing;
    if (same_word(cell, "true")) return 1;
    if (same_word(cell, "false")) return 0;
    const char* begin = cell.data() + (cell.front() == '+' ? 1 : 0);
    const char* end = cell.data() + cell.size();
    double value = 0;
    if (const auto [stop, error] = std::from_chars(begin, end, value); error == std::errc{} && stop == end)
        return std::isfinite(value) ? value : nothing;
    if (decimal_comma) {
        std::string plain;
        for (const char c : cell)
            if (c != '.') plain += c == ',' ? '.' : c;
        if (const auto [stop, error] = std::from_chars(plain.data(), plain.data() + plain.size(), value);
            error == std::errc{} && stop == plain.data() + plain.size() && std::isfinite(value))
            return value;
    }
    ok = false;
    return nothing;
}

Result<Records> read_records(std::string_view text, Format format, const ReadLimits& limits) {
    if (text.size() > limits.max_bytes)
        return fail(ErrorCode::resource_exhausted,
                    "the input has " + std::to_string(text.size()) + " bytes; at most " + std::to_string(limits.max_bytes) + " are read");
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    if (text.find('\0') < std::min<std::size_t>(text.size(), 4096))
        return fail(ErrorCode::invalid_argument, "this is no text: neither CSV nor lines of JSON (unpack it first?)");
    if (format == Format::automatic) {
        const auto first = text.find_first_not_of(" \t\r\n");
        format = first != std::string_view::npos && text[first] == '{' ? Format::ndjson : Format::csv;
    }
    return format == Format::ndjson ? read_ndjson(text, limits) : read_csv(text, limits);
}

}  // namespace kn::tabular
