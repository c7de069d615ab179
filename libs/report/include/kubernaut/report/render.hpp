#pragma once

#include <string>

#include "kubernaut/json/json.hpp"
#include "kubernaut/report/table_analysis.hpp"

namespace kn::report {

/// For a terminal.
std::string to_text(const TableAnalysis& table);
/// Times in RFC 3339, UTC; rows as numbers where the table has no times.
json::Value to_json(const TableAnalysis& table);
/// One page that needs nothing else. At most 60 series get plots.
std::string to_html(const TableAnalysis& table);

/// & < > " ' as entities, control characters left out.
std::string escaped(std::string_view text);

}  // namespace kn::report
