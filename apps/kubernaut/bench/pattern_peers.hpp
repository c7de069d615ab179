#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "kubernaut/analytics/numerics/matrix.hpp"

namespace kn::app {

/// How long another library takes for the same data on this machine, now.
struct PeerTime {
    std::string name;  ///< with its version
    double seconds = 0;
    std::string why;  ///< not empty: it could not be measured
};

/// The Python libraries that `make peers` installs, beside which our speed is measured.
class Peers {
public:
    Peers(std::filesystem::path folder, unsigned threads);
    /// Empty when they can be asked; else what is missing, for a person.
    [[nodiscard]] const std::string& missing() const { return missing_; }
    /// `kind` as tools/peers/measure.py knows it. The data go through a file of their own, which is removed.
    [[nodiscard]] std::vector<PeerTime> measure(const std::string& kind, analytics::MatrixView data) const;

private:
    std::filesystem::path folder_;
    unsigned threads_;
    std::string missing_;
};

}  // namespace kn::app
