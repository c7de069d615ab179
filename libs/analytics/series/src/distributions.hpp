#pragma once

namespace kn::analytics::series::detail {

double normal_tail(double z);                        ///< P(Z > z)
double normal_quantile(double p);                    ///< p in (0, 1)
double f_tail(double f, double d1, double d2);       ///< P(F > f)
double student_two_sided(double t, double freedom);  ///< P(|T| > |t|)
double chi_square_tail(double x, double freedom);    ///< P(X > x)
double poisson_tail(double k, double mean);          ///< P(N >= k)

}  // namespace kn::analytics::series::detail
