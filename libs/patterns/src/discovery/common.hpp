#pragma once

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "kubernaut/patterns/discovery/analyzers.hpp"

namespace kn::patterns {

inline double seconds_of(Instant t) { return static_cast<double>(to_millis(t)) / 1000; }
inline Instant instant_of(double seconds) { return from_millis(static_cast<std::int64_t>(seconds * 1000)); }

template <class... Values> std::string worded(const char* form, Values... values) {
    std::array<char, 400> text{};
    std::snprintf(text.data(), text.size(), form, values...);
    return text.data();
}

/// Incidents that are the same trouble, in order of time.
struct EventList {
    std::string cluster, subject, fault_class;
    std::vector<double> times;  ///< seconds since 1970
    std::vector<std::string> ids;
    [[nodiscard]] std::string name() const { return fault_class + " at " + subject; }
};
std::vector<EventList> by_subject(const History& history, std::size_t least);

Pattern make_pattern(PatternKind kind, const std::string& analyzer, std::string cluster, std::string subject, std::string key, std::string claim);
/// The last 20.
std::vector<std::string> evidence_of(std::span<const std::string> ids);

}  // namespace kn::patterns
