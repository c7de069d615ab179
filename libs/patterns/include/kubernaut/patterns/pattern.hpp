#pragma once

#include <string>
#include <string_view>

#include "kubernaut/domain/pattern.hpp"

namespace kn::patterns {

using kn::Pattern;
using kn::PatternKind;
using kn::PatternStatus;
using kn::Provenance;
using kn::TimeWindow;

std::string pattern_id(PatternKind kind, std::string_view scope, std::string_view subject, std::string_view key);

}  // namespace kn::patterns
