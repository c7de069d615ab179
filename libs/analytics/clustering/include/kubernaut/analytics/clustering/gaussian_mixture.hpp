#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kubernaut/analytics/clustering/k_means.hpp"
#include "kubernaut/analytics/numerics/matrix.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics {

struct MixtureOptions {
    std::size_t components = 2;
    unsigned restarts = 4;
    unsigned max_steps = 200;
    double tolerance = 1e-5;         ///< stops when the mean log-likelihood gains less
    double ridge = 1e-5;             ///< added to each variance, as a share of the column's variance
    std::size_t most_rows = 20'000;  ///< rows drawn for the fit; all are labelled
    std::uint64_t seed = 1;
    unsigned threads = 1;
};

struct Mixture {
    std::vector<double> weights;     ///< k
    Matrix means;                    ///< k x cols
    std::vector<Label> labels;       ///< the most probable component of each row
    std::vector<double> membership;  ///< its probability
    double mean_log_likelihood = 0;  ///< a row, in units of the columns scaled to deviation 1
    double bic = 0;                  ///< Bayesian information criterion (Schwarz 1978); less is better
    bool converged = false;
};

/// A mixture of normal distributions with full covariances by expectation-maximisation (Dempster, Laird, Rubin 1977), started from k-means;
/// the likeliest of some restarts. Columns without spread are left out. O(rows x k x cols^2) a step. The same bits for any number of threads.
/// invalid_argument: no rows or columns, components = 0 or > rows, a value that is not finite, more than 64 columns.
Result<Mixture> gaussian_mixture(MatrixView rows, const MixtureOptions& options);

}  // namespace kn::analytics
