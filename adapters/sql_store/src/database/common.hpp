#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/ids.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/domain/codec.hpp"
#include "kubernaut/ports/incident_store.hpp"
#include "kubernaut/sql_store/database.hpp"

namespace kn::sql {

using async::Task;

/// What every store needs. Lives as long as the stores.
struct Context {
    SqlDatabase& database;
    StoreOptions options;
    async::Clock& clock;
    RandomSource& random;
};

inline constexpr std::string_view fleet_scope = "_fleet";

/// ",a,b,c,": the words of the states for which `allowed` holds; matched in SQL by `$n LIKE '%,' || state || ',%'`, which both databases know.
template <class E> std::string words_where(const std::function<bool(E)>& allowed) {
    std::string out = ",";
    for (const auto& [value, name] : EnumNames<E>::entries) {
        if (allowed(value)) (out += name) += ',';
    }
    return out;
}
/// The states from which `to` may follow.
template <class E> std::string words_before(E to) {
    return words_where<E>([to](E from) { return may_change(from, to); });
}
template <class E> std::string words_of(const std::vector<E>& list) {
    std::string out = ",";
    for (const E each : list) (out += to_string(each)) += ',';
    return out;
}

template <class T> std::string document(const T& value) { return json::dump(to_json(value)); }

/// A stored document; an unreadable one is `internal` with the row's name.
template <class T> Result<T> read_document(std::string_view text, std::string_view what) {
    auto value = json::parse(text);
    if (!value) return fail(ErrorCode::internal, "unreadable row of " + std::string(what) + ": " + value.error().describe());
    auto read = from_json<T>(*value);
    if (!read) return fail(ErrorCode::internal, "unreadable row of " + std::string(what) + ": " + read.error().describe());
    return read;
}

/// Reads all rows with `read`; in lists one unreadable row must not hide the others, so it is logged and left out.
template <class T, class Read> std::vector<T> read_rows(const Rows& rows, Read read) {
    std::vector<T> out;
    out.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        Result<T> value = read(rows[i]);
        if (value)
            out.push_back(std::move(*value));
        else
            log::error("row left out", {{"why", value.error().message}});
    }
    return out;
}

/// A SELECT put together from optional conditions.
class Select {
public:
    explicit Select(std::string head) : sql_(std::move(head)) {}
    /// `condition` has '?' where the parameter goes.
    void where(std::string_view condition, Param value) {
        params_.push_back(std::move(value));
        add(condition, "$" + std::to_string(params_.size()));
    }
    void where(std::string_view condition) { add(condition, ""); }
    /// Newest first from the cursor on, one row more than the page holds.
    Result<> page(const ports::Page& page, std::string_view time, std::string_view id);
    void order(std::string_view clause) { sql_ += clause; }
    void limit(std::int64_t count) {
        params_.emplace_back(count);
        sql_ += " LIMIT $" + std::to_string(params_.size());
    }
    Result<Rows> run(SqlConnection& connection) { return connection.query(std::move(sql_), std::move(params_)); }

private:
    void add(std::string_view condition, const std::string& parameter) {
        sql_ += first_ ? " WHERE " : " AND ";
        first_ = false;
        for (const char c : condition) c == '?' ? sql_ += parameter : sql_ += c;
    }
    std::string sql_;
    Params params_;
    bool first_ = true;
};

std::string make_cursor(Instant at, std::string_view id);
/// Cuts the row too many off and makes the cursor from the last item of the page.
template <class T, class Key> ports::PageOf<T> make_page(std::vector<T> items, const ports::Page& page, Key key) {
    ports::PageOf<T> out{std::move(items), {}};
    if (page.limit > 0 && out.items.size() > static_cast<std::size_t>(page.limit)) {
        out.items.resize(static_cast<std::size_t>(page.limit));
        const auto [at, id] = key(out.items.back());
        out.next = make_cursor(at, id);
    }
    return out;
}

}  // namespace kn::sql
