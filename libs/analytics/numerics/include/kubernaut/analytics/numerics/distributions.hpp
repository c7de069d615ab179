#pragma once

#include <span>
#include <vector>

namespace kn::analytics {

// Tails of distributions. Far out they end in 0 or 1, never in an error.

double normal_tail(double z);                            ///< P(Z > z)
double normal_two_sided(double z);                       ///< P(|Z| > |z|)
double normal_quantile(double p);                        ///< p in (0, 1)
double f_tail(double f, double d1, double d2);           ///< P(F > f)
double student_two_sided(double t, double freedom);      ///< P(|T| > |t|)
double chi_square_tail(double x, double freedom);        ///< P(X > x)
double poisson_tail(double k, double mean);              ///< P(N >= k)
double binomial_tail(double k, double n, double share);  ///< P(N >= k) of n trials that succeed with probability `share`

/// Benjamini, Hochberg 1995: q-values of p-values, in the same order. O(n log n).
std::vector<double> false_discovery_q(std::span<const double> p_values);

}  // namespace kn::analytics
