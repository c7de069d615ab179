#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace kn::analytics {

/// Rows of doubles somewhere else: row-major, `stride` values from one row to the next. Cheap to copy.
struct MatrixView {
    const double* data = nullptr;
    std::size_t rows = 0;
    std::size_t cols = 0;
    std::size_t stride = 0;

    [[nodiscard]] std::span<const double> row(std::size_t r) const { return {data + r * stride, cols}; }
    [[nodiscard]] double at(std::size_t r, std::size_t c) const { return data[r * stride + c]; }
};

/// Rows of doubles that belong to it: row-major, dense.
class Matrix {
public:
    Matrix() = default;
    Matrix(std::size_t rows, std::size_t cols, double fill = 0) : rows_(rows), cols_(cols), values_(rows * cols, fill) {}

    [[nodiscard]] std::size_t rows() const { return rows_; }
    [[nodiscard]] std::size_t cols() const { return cols_; }
    [[nodiscard]] std::span<double> row(std::size_t r) { return {values_.data() + r * cols_, cols_}; }
    [[nodiscard]] std::span<const double> row(std::size_t r) const { return {values_.data() + r * cols_, cols_}; }
    [[nodiscard]] double& at(std::size_t r, std::size_t c) { return values_[r * cols_ + c]; }
    [[nodiscard]] double at(std::size_t r, std::size_t c) const { return values_[r * cols_ + c]; }
    [[nodiscard]] MatrixView view() const { return {values_.data(), rows_, cols_, cols_}; }
    // NOLINTNEXTLINE(google-explicit-constructor): a matrix is a view of itself
    operator MatrixView() const { return view(); }

private:
    std::size_t rows_ = 0;
    std::size_t cols_ = 0;
    std::vector<double> values_;
};

}  // namespace kn::analytics
