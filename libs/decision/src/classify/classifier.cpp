#include "kubernaut/decision/classifier.hpp"
#include "has.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace kn::decision {
namespace {

constexpr double unknown_ceiling = 0.60;  // a class with a required fact unknown may not be acted on alone
constexpr double named_by_alert = 0.5;    // logit: the alert map lists the class
constexpr double not_named = -0.2;        // a known alert that does not list it

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

struct Scored {
    const FaultClass* fault = nullptr;
    Candidate candidate;
    std::string first_plan;
    std::size_t alert_rank = 1000;
    bool relevant = false;
};

bool names(std::string_view pattern, std::string_view fault_class) {
    return pattern == fault_class || (pattern.ends_with(".*") && fault_class.starts_with(pattern.substr(0, pattern.size() - 1)));
}

std::string join(const std::vector<std::string>& parts) {
    std::string out;
    for (const auto& part : parts) out += (out.empty() ? "" : ", ") + part;
    return out;
}

Scored score(const FaultClass& fault, const FactView& view, std::string_view kind, std::size_t alert_rank, bool alerts_known) {
    Scored out;
    out.fault = &fault;
    out.alert_rank = alert_rank;
    auto& c = out.candidate;
    c.fault_class = fault.name;
    if (!fault.kinds.empty() && !has(fault.kinds, kind)) {
        c.excluded = true;
        c.why_not = "not a fault of a " + std::string{kind};
        return out;
    }
    const auto judge = [&](Truth truth, const std::string& text) {
        (truth == Truth::yes ? c.for_facts : truth == Truth::no ? c.against_facts : c.unknown_facts).push_back(text);
    };
    bool no = false, unknown = false;
    for (const auto& condition : fault.required) {
        const auto truth = condition.evaluate(view);
        judge(truth, condition.text());
        no = no || truth == Truth::no;
        unknown = unknown || truth == Truth::unknown;
        out.relevant = out.relevant || truth == Truth::yes;
    }
    for (const auto& group : fault.any) {
        bool yes = false, open = false;
        std::vector<std::string> texts;
        for (const auto& condition : group) {
            const auto truth = condition.evaluate(view);
            yes = yes || truth == Truth::yes;
            open = open || truth == Truth::unknown;
            texts.push_back(condition.text());
        }
        const auto truth = yes ? Truth::yes : open ? Truth::unknown : Truth::no;
        judge(truth, "any of: " + join(texts));
        no = no || truth == Truth::no;
        unknown = unknown || truth == Truth::unknown;
    }
    if (no) {
        c.excluded = true;
        c.why_not = "not so: " + join(c.against_facts);
        return out;
    }
    for (const auto& exclusion : fault.excluding) {
        if (exclusion.condition.evaluate(view) != Truth::yes) continue;
        c.excluded = true;
        c.against_facts.push_back(exclusion.condition.text());
        c.why_not = exclusion.why.empty() ? exclusion.condition.text() : exclusion.why;
        out.relevant = true;
        return out;
    }
    double logit = fault.prior + (alert_rank < 1000 ? named_by_alert : alerts_known ? not_named : 0);
    for (const auto& support : fault.supporting) {
        if (support.condition.evaluate(view) != Truth::yes) continue;
        logit += support.weight;
        (support.weight >= 0 ? c.for_facts : c.against_facts).push_back(support.why.empty() ? support.condition.text() : support.why);
    }
    // Rounded so that the last bits of a platform's exp() cannot move a decision.
    c.p = std::round(logistic(logit) * 1e4) / 1e4;
    // The less of what must hold is known, the less it may claim.
    const auto must = static_cast<double>(fault.required.size() + fault.any.size());
    if (unknown) c.p = std::min(c.p, std::round(unknown_ceiling * (must - static_cast<double>(c.unknown_facts.size())) / must * 1e4) / 1e4);
    out.relevant = true;
    for (const auto& plan : fault.plans) {
        if (std::ranges::any_of(plan.when, [&](const Condition& w) { return w.evaluate(view) != Truth::yes; })) continue;
        out.first_plan = plan.workflow;
        break;
    }
    return out;
}

}  // namespace

Result<Condition> Condition::parse(std::string_view text) {
    KN_TRY(auto program, expr::compile(text));
    Condition condition;
    condition.program_ = std::move(program);
    return condition;
}

Truth Condition::evaluate(const FactView& facts) const {
    const auto answer = expr::test(program_, facts.environment());
    if (!answer || !*answer) return Truth::unknown;
    return **answer ? Truth::yes : Truth::no;
}

Classifier::Classifier(const FaultCatalog& faults, const SignalMap& signals, DecisionOptions options)
    : faults_(&faults), signals_(&signals), options_(options) {}

Diagnosis Classifier::diagnose(const FactSet& facts, std::string_view kind, const std::vector<std::string>& alerts, Instant now) const {
    const FactView view(facts, now);
    std::set<std::string> canonical;
    for (const auto& alert : alerts) canonical.insert(signals_->canonical(alert));
    std::vector<const SignalMeaning*> meanings;
    for (const auto& name : canonical) {
        if (const auto* meaning = signals_->find(name); meaning != nullptr && !meaning->classes.empty()) meanings.push_back(meaning);
    }
    std::vector<Scored> scored;
    for (const auto& fault : faults_->classes()) {
        std::size_t rank = 1000;
        for (const auto* meaning : meanings) {
            for (std::size_t i = 0; i < meaning->classes.size(); ++i) {
                if (names(meaning->classes[i], fault.name)) rank = std::min(rank, i);
            }
        }
        auto each = score(fault, view, kind, rank, !meanings.empty());
        if (each.relevant || rank < 1000) scored.push_back(std::move(each));
    }
    std::ranges::sort(scored, [](const Scored& a, const Scored& b) {
        if (a.candidate.excluded != b.candidate.excluded) return b.candidate.excluded;
        if (a.candidate.p != b.candidate.p) return a.candidate.p > b.candidate.p;
        if (a.alert_rank != b.alert_rank) return a.alert_rank < b.alert_rank;
        if (a.fault->required.size() != b.fault->required.size()) return a.fault->required.size() > b.fault->required.size();
        return a.fault->name < b.fault->name;
    });
    const auto live = static_cast<std::size_t>(std::ranges::count_if(scored, [](const Scored& s) { return !s.candidate.excluded; }));
    // Within the margin of the best, probability does not decide but the alert map's order, then how much each class had to prove.
    if (live > 1) {
        std::size_t best = 0;
        for (std::size_t i = 1; i < live; ++i) {
            if (scored[0].candidate.p - scored[i].candidate.p >= options_.margin) break;
            const auto key = [](const Scored& s) {
                return std::tuple(s.alert_rank, -static_cast<std::int64_t>(s.fault->required.size()), std::string_view{s.fault->name});
            };
            if (key(scored[i]) < key(scored[best])) best = i;
        }
        std::rotate(scored.begin(), scored.begin() + static_cast<std::ptrdiff_t>(best), scored.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    Diagnosis out;
    out.made_at = now;
    out.facts = facts.list();
    if (live > 0) {
        const auto& top = scored.front();
        out.p = top.candidate.p;
        out.margin = top.candidate.p;
        for (std::size_t i = 1; i < live; ++i) {
            if (scored[i].first_plan == top.first_plan) continue;
            out.margin = top.candidate.p - scored[i].candidate.p;
            break;
        }
        out.margin = std::round(out.margin * 1e4) / 1e4;
        if (out.p >= options_.p_ask) out.fault_class = top.fault->name;
        for (std::size_t i = 1; i < live; ++i) {
            auto& c = scored[i].candidate;
            c.why_not = c.unknown_facts.empty() ? "less likely" : "not known: " + join(c.unknown_facts);
        }
        if (out.fault_class.empty()) {
            auto& c = scored.front().candidate;
            c.why_not = "not likely enough" + (c.unknown_facts.empty() ? std::string{} : "; not known: " + join(c.unknown_facts));
        }
    }
    for (auto& each : scored) out.candidates.push_back(std::move(each.candidate));
    return out;
}

Truth Classifier::still_there(std::string_view fault_class, const FactSet& facts) const {
    const auto* fault = faults_->find(fault_class);
    if (fault == nullptr) return Truth::unknown;
    const FactView view(facts, {});
    const auto& conditions = fault->evidence.empty() ? fault->required : fault->evidence;
    bool unknown = false;
    for (const auto& condition : conditions) {
        const auto truth = condition.evaluate(view);
        if (truth == Truth::no) return Truth::no;
        unknown = unknown || truth == Truth::unknown;
    }
    return unknown ? Truth::unknown : Truth::yes;
}

}  // namespace kn::decision
