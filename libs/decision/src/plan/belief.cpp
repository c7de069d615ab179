#include <algorithm>
#include <cmath>
#include <map>

#include "kubernaut/decision/planner.hpp"

namespace kn::decision {
namespace {

// Continued fraction of the incomplete beta function (Lentz), Press et al., Numerical Recipes, 3rd ed., 6.4.
double beta_fraction(double a, double b, double x) {
    constexpr double tiny = 1e-300, eps = 1e-14;
    const double sum = a + b, up = a + 1, down = a - 1;
    double c = 1, d = 1 - sum * x / up;
    if (std::abs(d) < tiny) d = tiny;
    d = 1 / d;
    double h = d;
    for (int m = 1; m <= 10'000; ++m) {
        const double m2 = 2.0 * m;
        double term = m * (b - m) * x / ((down + m2) * (a + m2));
        d = 1 + term * d;
        if (std::abs(d) < tiny) d = tiny;
        c = 1 + term / c;
        if (std::abs(c) < tiny) c = tiny;
        d = 1 / d;
        h *= d * c;
        term = -(a + m) * (sum + m) * x / ((a + m2) * (up + m2));
        d = 1 + term * d;
        if (std::abs(d) < tiny) d = tiny;
        c = 1 + term / c;
        if (std::abs(c) < tiny) c = tiny;
        d = 1 / d;
        const double step = d * c;
        h *= step;
        if (std::abs(step - 1) < eps) break;
    }
    return h;
}

double beta_cdf(double a, double b, double x) {
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x));
    return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double prior_mean(std::string_view workflow) {
    static const std::map<std::string_view, double> means{
        {"raise-memory", 0.80},          {"rollback-deployment", 0.75}, {"rollback-statefulset", 0.75}, {"rollback-daemonset", 0.75},
        {"rollback-helm-release", 0.75}, {"raise-hpa-max", 0.70},       {"add-capacity", 0.70},         {"raise-cpu", 0.70},
        {"expand-volume", 0.70},         {"graceful-restart", 0.60},    {"restart-dns", 0.60},          {"drain-node", 0.60},
        {"relieve-node", 0.60}};
    const auto found = means.find(workflow);
    return found == means.end() ? 0.5 : found->second;
}

}  // namespace

double beta_quantile(double a, double b, double q) {
    double low = 0, high = 1;
    while (high - low > 1e-10) {
        const double middle = (low + high) / 2;
        (beta_cdf(a, b, middle) < q ? low : high) = middle;
    }
    return (low + high) / 2;
}

Belief with_family(const Belief& belief, double good, double bad) {
    const double a = good + family_strength * belief.mean, b = bad + family_strength * (1 - belief.mean);
    return {.mean = a / (a + b), .q10 = beta_quantile(a, b, 0.1), .n_eff = belief.n_eff + good + bad};
}

Belief belief_of(const std::vector<Posterior>& posteriors, std::string_view workflow, std::string_view fault_class, const ClusterId& cluster,
                 Environment environment) {
    struct Sums {
        double a = 0, b = 0;
    } fleet, env, own;
    const std::string env_scope = "_env/" + std::string{to_string(environment)};
    for (const auto& p : posteriors) {
        if (p.workflow != workflow || p.fault_class != fault_class) continue;
        auto* sums = p.scope.str() == "_fleet" ? &fleet : p.scope.str() == env_scope ? &env : p.scope == cluster ? &own : nullptr;
        if (sums != nullptr) sums->a += p.a, sums->b += p.b;
    }
    // Each level leaves out what the level below adds itself.
    fleet = {std::max(0.0, fleet.a - env.a), std::max(0.0, fleet.b - env.b)};
    env = {std::max(0.0, env.a - own.a), std::max(0.0, env.b - own.b)};
    const double mu0 = prior_mean(workflow);
    const double mu_fleet = (fleet.a + 4 * mu0) / (fleet.a + fleet.b + 4);
    const double mu_env = (env.a + 12 * mu_fleet) / (env.a + env.b + 12);
    const double a = own.a + 8 * mu_env, b = own.b + 8 * (1 - mu_env);
    Belief out;
    out.mean = a / (a + b);
    out.q10 = beta_quantile(std::max(a, 1e-6), std::max(b, 1e-6), 0.10);
    out.n_eff = own.a + own.b + env.a + env.b + fleet.a + fleet.b;
    return out;
}

}  // namespace kn::decision
