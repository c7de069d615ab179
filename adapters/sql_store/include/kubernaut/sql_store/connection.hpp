#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "kubernaut/base/result.hpp"
#include "kubernaut/base/strong_id.hpp"
#include "kubernaut/base/time.hpp"
#include "kubernaut/domain/enums.hpp"

// The small piece of SQL that SQLite and PostgreSQL have in common: `$1` parameters, ON CONFLICT, RETURNING. The stores are written once over it.
namespace kn::sql {

/// Text without what PostgreSQL refuses in a text column: NUL and bytes that are not UTF-8 become U+FFFD.
std::string clean_text(std::string_view text);

struct Bytes {
    std::string data;
};

/// One parameter. Times are milliseconds, enums their names, absent optionals NULL.
class Param {
public:
    using Value = std::variant<std::monostate, std::int64_t, double, std::string, Bytes>;
    Param(std::nullptr_t) {}
    Param(std::integral auto number) : value_(static_cast<std::int64_t>(number)) {}
    Param(double number) : value_(number) {}
    Param(const char* text) : value_(clean_text(text)) {}
    Param(std::string_view text) : value_(clean_text(text)) {}
    Param(const std::string& text) : value_(clean_text(text)) {}
    Param(Bytes bytes) : value_(std::move(bytes)) {}
    Param(Instant at) : value_(to_millis(at)) {}
    template <class Tag> Param(const StrongId<Tag>& id) : Param(id.str()) {}
    template <class E>
        requires std::is_enum_v<E>
    Param(E word) : value_(std::string(to_string(word))) {}
    template <class T> Param(const std::optional<T>& maybe) {
        if (maybe) *this = Param(*maybe);
    }
    [[nodiscard]] const Value& value() const { return value_; }

private:
    Value value_;
};
using Params = std::vector<Param>;

struct Statement {
    std::string sql;
    Params params;
};

/// A result: cells as text, NULL as nothing.
class Rows {
public:
    class Row {
    public:
        Row(const Rows& rows, std::size_t index) : rows_(&rows), index_(index) {}
        [[nodiscard]] bool is_null(std::size_t column) const { return !cell(column); }
        [[nodiscard]] std::string_view text(std::size_t column) const {
            const auto& found = cell(column);
            return found ? std::string_view(*found) : std::string_view{};
        }
        [[nodiscard]] std::string string(std::size_t column) const { return std::string(text(column)); }
        [[nodiscard]] std::int64_t integer(std::size_t column) const {
            const std::string_view digits = text(column);
            std::int64_t number = 0;
            std::from_chars(digits.data(), digits.data() + digits.size(), number);
            return number;
        }
        [[nodiscard]] double number(std::size_t column) const {
            const std::string_view digits = text(column);
            double value = 0;
            std::from_chars(digits.data(), digits.data() + digits.size(), value);
            return value;
        }
        [[nodiscard]] std::optional<Instant> time(std::size_t column) const {
            return is_null(column) ? std::nullopt : std::optional(from_millis(integer(column)));
        }

    private:
        [[nodiscard]] const std::optional<std::string>& cell(std::size_t column) const { return rows_->cells_[index_ * rows_->columns_ + column]; }
        const Rows* rows_;
        std::size_t index_;
    };

    Rows() = default;
    explicit Rows(std::size_t columns) : columns_(columns) {}
    void push(std::optional<std::string> cell) { cells_.push_back(std::move(cell)); }
    [[nodiscard]] std::size_t size() const { return columns_ == 0 ? 0 : cells_.size() / columns_; }
    [[nodiscard]] bool empty() const { return cells_.empty(); }
    Row operator[](std::size_t index) const { return {*this, index}; }

private:
    friend class Row;
    std::size_t columns_ = 0;
    std::vector<std::optional<std::string>> cells_;
};

enum class Dialect : std::uint8_t { sqlite, postgres };

/// `reason` of an error after which the whole transaction may be run again: serialization failure, deadlock, lock timeout.
inline constexpr std::string_view retry_transaction = "retry_transaction";

/// A connection inside one transaction.
class SqlConnection {
public:
    virtual ~SqlConnection() = default;
    [[nodiscard]] virtual Dialect dialect() const = 0;
    /// All statements in order; on PostgreSQL in one round trip. The first error ends it, and then the transaction can only be rolled back.
    virtual Result<std::vector<Rows>> run(std::span<const Statement> statements) = 0;

    Result<Rows> query(std::string sql, Params params = {}) {
        const Statement statement{std::move(sql), std::move(params)};
        KN_TRY(auto results, run({&statement, 1}));
        return std::move(results.front());
    }
};

/// Statements collected for one round trip, and then their results by the index that add() gave.
class Batch {
public:
    std::size_t add(std::string sql, Params params) {
        statements_.push_back({std::move(sql), std::move(params)});
        return statements_.size() - 1;
    }
    Result<> run(SqlConnection& connection) {
        results_.clear();
        if (statements_.empty()) return {};
        KN_TRY(results_, connection.run(statements_));
        return {};
    }
    const Rows& operator[](std::size_t index) const { return results_[index]; }

private:
    std::vector<Statement> statements_;
    std::vector<Rows> results_;
};

/// Rows that another transaction has locked are passed over (SQLite has one writer, so there are none).
inline std::string_view skip_locked(const SqlConnection& connection) {
    return connection.dialect() == Dialect::postgres ? " FOR UPDATE SKIP LOCKED" : "";
}
inline std::string_view for_update(const SqlConnection& connection) { return connection.dialect() == Dialect::postgres ? " FOR UPDATE" : ""; }

}  // namespace kn::sql
