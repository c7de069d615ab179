#include "kubernaut/analytics/numerics/distributions.hpp"

#include <algorithm>
#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/erf.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <numbers>
#include <numeric>

namespace kn::analytics {

namespace {
// Series far out in a tail end in 0 or 1, never in an exception.
using Policy = boost::math::policies::policy<boost::math::policies::domain_error<boost::math::policies::ignore_error>,
                                             boost::math::policies::overflow_error<boost::math::policies::ignore_error>,
                                             boost::math::policies::evaluation_error<boost::math::policies::ignore_error>,
                                             boost::math::policies::promote_double<false>>;
}  // namespace

double normal_tail(double z) { return 0.5 * std::erfc(z / std::numbers::sqrt2); }

double normal_two_sided(double z) { return std::erfc(std::abs(z) / std::numbers::sqrt2); }

double normal_quantile(double p) { return -std::numbers::sqrt2 * boost::math::erfc_inv(2 * p, Policy{}); }

double f_tail(double f, double d1, double d2) {
    if (!(f > 0)) return 1;
    return boost::math::ibeta(d2 / 2, d1 / 2, d2 / (d2 + d1 * f), Policy{});
}

double student_two_sided(double t, double freedom) { return f_tail(t * t, 1, freedom); }

double chi_square_tail(double x, double freedom) { return x > 0 ? boost::math::gamma_q(freedom / 2, x / 2, Policy{}) : 1; }

double poisson_tail(double k, double mean) {
    if (k <= 0) return 1;
    return mean > 0 ? boost::math::gamma_p(k, mean, Policy{}) : 0;
}

double binomial_tail(double k, double n, double share) {
    if (k <= 0) return 1;
    if (k > n || share <= 0) return 0;
    return share >= 1 ? 1 : boost::math::ibeta(k, n - k + 1, share, Policy{});
}

std::vector<double> false_discovery_q(std::span<const double> p_values) {
    std::vector<std::size_t> order(p_values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return p_values[a] < p_values[b]; });
    std::vector<double> out(p_values.size(), 1.0);
    double least = 1;
    for (std::size_t rank = order.size(); rank-- > 0;) {
        least = std::min(least, p_values[order[rank]] * static_cast<double>(order.size()) / static_cast<double>(rank + 1));
        out[order[rank]] = least;
    }
    return out;
}

}  // namespace kn::analytics
