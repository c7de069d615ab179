// Compiled once per vector unit by Highway, which also picks the best one at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels.cpp"  // NOLINT
#include <hwy/foreach_target.h>           // IWYU pragma: keep
#include <hwy/highway.h>

#include <limits>

#include "kubernaut/analytics/numerics/tiles.hpp"

HWY_BEFORE_NAMESPACE();
namespace kn::analytics::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Every loop adds Mul then Add, never MulAdd: units with and without fused multiply-add must agree to the bit. Vectors are capped at a
// tile, and the accumulators are arrays that the compiler unrolls (lanes <= 16).
template <class D, class T = hn::TFromD<D>>
HWY_INLINE void tile_distances(D d, const T* HWY_RESTRICT tile, std::size_t dims, const T* HWY_RESTRICT query, T* HWY_RESTRICT out) {
    const std::size_t lanes = hn::Lanes(d);
    std::size_t lane = 0;
    for (; lane + 4 * lanes <= tile_width; lane += 4 * lanes) {
        auto a0 = hn::Zero(d), a1 = a0, a2 = a0, a3 = a0;
        for (std::size_t j = 0; j < dims; ++j) {
            const auto q = hn::Set(d, query[j]);
            const T* at = tile + j * tile_width + lane;
            const auto x0 = hn::Sub(hn::LoadU(d, at), q), x1 = hn::Sub(hn::LoadU(d, at + lanes), q);
            const auto x2 = hn::Sub(hn::LoadU(d, at + 2 * lanes), q), x3 = hn::Sub(hn::LoadU(d, at + 3 * lanes), q);
            a0 = hn::Add(a0, hn::Mul(x0, x0));
            a1 = hn::Add(a1, hn::Mul(x1, x1));
            a2 = hn::Add(a2, hn::Mul(x2, x2));
            a3 = hn::Add(a3, hn::Mul(x3, x3));
        }
        hn::StoreU(a0, d, out + lane);
        hn::StoreU(a1, d, out + lane + lanes);
        hn::StoreU(a2, d, out + lane + 2 * lanes);
        hn::StoreU(a3, d, out + lane + 3 * lanes);
    }
    for (; lane < tile_width; lane += lanes) {
        auto sum = hn::Zero(d);
        for (std::size_t j = 0; j < dims; ++j) {
            const auto x = hn::Sub(hn::LoadU(d, tile + j * tile_width + lane), hn::Set(d, query[j]));
            sum = hn::Add(sum, hn::Mul(x, x));
        }
        hn::StoreU(sum, d, out + lane);
    }
}

HWY_ATTR void squared_distances_on(const double* tiles, std::size_t count, std::size_t dims, const double* query, double* out) {
    const hn::CappedTag<double, tile_width> d;
    for (std::size_t t = 0; t < count; ++t) tile_distances(d, tiles + t * dims * tile_width, dims, query, out + t * tile_width);
}

HWY_ATTR void nearest_two_on(const float* tile, std::size_t dims, const float* centers, std::size_t k, TileNearest& out) {
    const hn::CappedTag<float, tile_width> d;
    const hn::RebindToUnsigned<decltype(d)> du;
    const std::size_t lanes = hn::Lanes(d);
    const auto infinity = hn::Set(d, std::numeric_limits<float>::infinity());
    for (std::size_t lane = 0; lane < tile_width; lane += lanes) {
        auto best = infinity, second = infinity;
        auto index = hn::Zero(du);
        const auto consider = [&](auto sum, std::uint32_t c) HWY_ATTR {
            const auto nearer = hn::Lt(sum, best);
            second = hn::Min(second, hn::IfThenElse(nearer, best, sum));
            best = hn::IfThenElse(nearer, sum, best);
            index = hn::IfThenElse(hn::RebindMask(du, nearer), hn::Set(du, c), index);
        };
        std::size_t c = 0;
        for (; c + 4 <= k; c += 4) {  // four centers at a time, so that the additions do not wait for each other
            const float* p = centers + c * dims;
            auto a0 = hn::Zero(d), a1 = a0, a2 = a0, a3 = a0;
            for (std::size_t j = 0; j < dims; ++j) {
                const auto x = hn::LoadU(d, tile + j * tile_width + lane);
                const auto x0 = hn::Sub(x, hn::Set(d, p[j])), x1 = hn::Sub(x, hn::Set(d, p[dims + j]));
                const auto x2 = hn::Sub(x, hn::Set(d, p[2 * dims + j])), x3 = hn::Sub(x, hn::Set(d, p[3 * dims + j]));
                a0 = hn::Add(a0, hn::Mul(x0, x0));
                a1 = hn::Add(a1, hn::Mul(x1, x1));
                a2 = hn::Add(a2, hn::Mul(x2, x2));
                a3 = hn::Add(a3, hn::Mul(x3, x3));
            }
            const auto at = static_cast<std::uint32_t>(c);
            consider(a0, at);
            consider(a1, at + 1);
            consider(a2, at + 2);
            consider(a3, at + 3);
        }
        for (; c < k; ++c) {
            auto sum = hn::Zero(d);
            for (std::size_t j = 0; j < dims; ++j) {
                const auto x = hn::Sub(hn::LoadU(d, tile + j * tile_width + lane), hn::Set(d, centers[c * dims + j]));
                sum = hn::Add(sum, hn::Mul(x, x));
            }
            consider(sum, static_cast<std::uint32_t>(c));
        }
        hn::StoreU(best, d, out.best + lane);
        hn::StoreU(second, d, out.second + lane);
        hn::StoreU(index, du, out.index + lane);
    }
}

HWY_ATTR void lower_to_center_on(const float* tile, std::size_t dims, const float* center, float* best) {
    const hn::CappedTag<float, tile_width> d;
    const std::size_t lanes = hn::Lanes(d);
    for (std::size_t lane = 0; lane < tile_width; lane += lanes) {
        auto sum = hn::Zero(d);
        for (std::size_t j = 0; j < dims; ++j) {
            const auto x = hn::Sub(hn::LoadU(d, tile + j * tile_width + lane), hn::Set(d, center[j]));
            sum = hn::Add(sum, hn::Mul(x, x));
        }
        hn::StoreU(hn::Min(hn::LoadU(d, best + lane), sum), d, best + lane);
    }
}

}  // namespace kn::analytics::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kn::analytics {
HWY_EXPORT(squared_distances_on);
HWY_EXPORT(nearest_two_on);
HWY_EXPORT(lower_to_center_on);

void squared_distances(const double* tiles, std::size_t count, std::size_t dims, const double* query, double* out) {
    HWY_DYNAMIC_DISPATCH(squared_distances_on)(tiles, count, dims, query, out);
}
void nearest_two(const float* tile, std::size_t dims, const float* centers, std::size_t k, TileNearest& out) {
    HWY_DYNAMIC_DISPATCH(nearest_two_on)(tile, dims, centers, k, out);
}
void lower_to_center(const float* tile, std::size_t dims, const float* center, float* best) {
    HWY_DYNAMIC_DISPATCH(lower_to_center_on)(tile, dims, center, best);
}
void squared_to_assigned(const float* tile, std::size_t dims, const float* centers, const std::uint32_t* assigned, float* out) {
    for (std::size_t lane = 0; lane < tile_width; ++lane) {
        const float* center = centers + assigned[lane] * dims;
        float sum = 0;
        for (std::size_t j = 0; j < dims; ++j) {
            const float x = tile[j * tile_width + lane] - center[j];
            sum += x * x;
        }
        out[lane] = sum;
    }
}

std::vector<std::string> vector_units() {
    std::vector<std::string> names;
    for (auto left = static_cast<std::uint64_t>(hwy::SupportedTargets() & HWY_TARGETS); left != 0; left &= left - 1)
        names.emplace_back(hwy::TargetName(static_cast<std::int64_t>(left & (~left + 1))));
    return names;
}

bool use_vector_unit(const std::string& name) {
    hwy::SetSupportedTargetsForTest(0);
    bool found = name.empty();
    for (auto left = static_cast<std::uint64_t>(hwy::SupportedTargets() & HWY_TARGETS); left != 0; left &= left - 1) {
        const auto target = static_cast<std::int64_t>(left & (~left + 1));
        if (name != hwy::TargetName(target)) continue;
        hwy::SetSupportedTargetsForTest(target);
        found = true;
        break;
    }
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    return found;
}
}  // namespace kn::analytics
#endif
