#include "kubernaut/analytics/series/fft.hpp"

#include <algorithm>
#include <complex>
#include <kissfft.hh>
#include <list>

#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::analytics::series {
namespace {
using Complex = std::complex<double>;

/// Twiddle factors cost as much as a transform, and one analysis asks for the same few lengths again and again.
const kissfft<double>& plan(std::size_t half) {
    struct Plan {
        std::size_t half;
        kissfft<double> fft;
    };
    thread_local std::list<Plan> plans;
    constexpr std::size_t kept = 4;
    const auto known = std::ranges::find(plans, half, &Plan::half);
    if (known != plans.end())
        plans.splice(plans.begin(), plans, known);
    else {
        plans.emplace_front(Plan{half, kissfft<double>(half, false)});
        if (plans.size() > kept) plans.pop_back();
    }
    return plans.front().fft;
}

/// The transform of `padded` real values (even length): length / 2 + 1 numbers.
std::vector<Complex> forward(const std::vector<double>& padded) {
    const std::size_t half = padded.size() / 2;
    std::vector<Complex> out(half + 1);
    plan(half).transform_real(padded.data(), out.data());
    out[half] = out[0].imag();  // the transform packs the last one there
    out[0] = out[0].real();
    return out;
}

std::vector<double> padded_about_mean(std::span<const double> values, std::size_t length) {
    std::vector<double> out(length, 0.0);
    const double center = mean(values);
    for (std::size_t i = 0; i < values.size(); ++i) out[i] = values[i] - center;
    return out;
}
}  // namespace

std::size_t fast_length(std::size_t n) {
    for (std::size_t length = std::max<std::size_t>(n + n % 2, 4);; length += 2) {
        std::size_t rest = length;
        for (const std::size_t factor : {2U, 3U, 5U})
            while (rest % factor == 0) rest /= factor;
        if (rest == 1) return length;
    }
}

Periodogram periodogram(std::span<const double> values) {
    Periodogram out{.length = fast_length(values.size()), .power = {}};
    if (values.empty()) return out;
    const auto transformed = forward(padded_about_mean(values, out.length));
    out.power.reserve(transformed.size());
    for (const auto& c : transformed) out.power.push_back(std::norm(c) / static_cast<double>(values.size()));
    return out;
}

std::vector<double> autocorrelation(std::span<const double> values, std::size_t max_lag) {
    std::vector<double> out(max_lag + 1, 0.0);
    out[0] = 1;
    if (values.size() < 2) return out;
    const std::size_t length = fast_length(values.size() + std::min(max_lag, values.size()));
    auto transformed = forward(padded_about_mean(values, length));
    // The power spectrum is real and even, so its inverse transform is (up to a factor) its forward transform.
    std::vector<double> power(length);
    for (std::size_t k = 0; k < transformed.size(); ++k) {
        power[k] = std::norm(transformed[k]);
        if (k > 0) power[length - k] = power[k];
    }
    transformed = forward(power);
    const double at_zero = transformed[0].real();
    if (!(at_zero > 0)) return out;
    for (std::size_t lag = 1; lag <= max_lag && lag < values.size(); ++lag)
        out[lag] = transformed[lag <= length / 2 ? lag : length - lag].real() / at_zero;
    return out;
}

std::vector<double> cross_products(std::span<const double> a, std::span<const double> b, std::size_t max_lag) {
    std::vector<double> out(2 * max_lag + 1, 0.0);
    const std::size_t n = std::min(a.size(), b.size());
    if (n == 0) return out;
    const std::size_t length = fast_length(n + std::min(max_lag, n));
    std::vector<double> left(length, 0.0), right(length, 0.0);
    std::copy_n(a.begin(), n, left.begin());
    std::copy_n(b.begin(), n, right.begin());
    const auto fa = forward(left), fb = forward(right);
    // c[lag] = sum_k conj(A) B e^{+i k lag}: a Hermitian spectrum P + iQ whose inverse is real; with real transforms only, the even part
    // comes from P and the odd part from Q.
    std::vector<double> even(length), odd(length);
    for (std::size_t k = 0; k < fa.size(); ++k) {
        const Complex product = std::conj(fa[k]) * fb[k];
        even[k] = product.real();
        odd[k] = product.imag();
        if (k > 0 && k < length - k) {
            even[length - k] = product.real();
            odd[length - k] = -product.imag();
        }
    }
    const auto te = forward(even), to = forward(odd);
    const double scale = 1.0 / (static_cast<double>(length) * static_cast<double>(n));
    for (std::size_t lag = 0; lag <= max_lag && lag < n; ++lag) {
        const std::size_t k = lag <= length / 2 ? lag : length - lag;
        const double sign = lag <= length / 2 ? 1.0 : -1.0;
        // The transform of an odd real sequence is purely imaginary; i times it has the sign of the lag.
        const double sum_even = te[k].real(), sum_odd = sign * to[k].imag();
        out[max_lag + lag] = (sum_even + sum_odd) * scale;
        out[max_lag - lag] = (sum_even - sum_odd) * scale;
    }
    return out;
}

}  // namespace kn::analytics::series
