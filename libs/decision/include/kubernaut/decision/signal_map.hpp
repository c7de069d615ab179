#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/result.hpp"
#include "kubernaut/domain/enums.hpp"

namespace kn::decision {

/// What an alert, event reason or watch finding usually means.
struct SignalMeaning {
    std::string name;
    std::string target_label;          ///< "pod", "deployment", "node", ...; "" = from the labels
    std::vector<std::string> classes;  ///< most specific first; "image.*" is every class of that family
    std::string default_workflow;
    std::string family;  ///< of the correlation key before diagnosis
    Severity severity = Severity::warning;
    bool ignored = false;  ///< Watchdog, InfoInhibitor
};

/// catalog/signals.yaml: the alert map and the default aliases. Immutable.
class SignalMap {
public:
    static Result<SignalMap> parse(std::string_view yaml, std::string_view origin);
    static Result<SignalMap> builtin();
    /// The name that an alias stands for; the name itself otherwise.
    [[nodiscard]] std::string canonical(std::string_view name) const;
    /// nullptr for a name that the map does not know: all classes are tried.
    [[nodiscard]] const SignalMeaning* find(std::string_view name) const;
    [[nodiscard]] bool ignored(std::string_view name) const;
    [[nodiscard]] std::size_t size() const { return meanings_.size(); }

private:
    std::map<std::string, SignalMeaning, std::less<>> meanings_;
    std::map<std::string, std::string, std::less<>> aliases_;
};

}  // namespace kn::decision
