#pragma once

#include "database/common.hpp"
#include "kubernaut/ports/registry_store.hpp"

namespace kn::sql {

Result<ports::PageOf<ports::DeadLetter>> list_dead_letters(SqlConnection& connection, const ports::DeadLetterFilter& filter, const ports::Page& page);
Result<ports::DeadLetter> read_dead_letter(SqlConnection& connection, const std::string& id);
Result<> replay_dead_letter(SqlConnection& connection, const std::string& id, const AuditRecord& audit, Instant now);
Result<> purge_dead_letter(SqlConnection& connection, const std::string& id, const AuditRecord& audit);

}  // namespace kn::sql
