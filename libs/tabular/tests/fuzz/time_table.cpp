// Whatever the bytes: a table whose series are in order, or an error; the same for both formats.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kubernaut/tabular/time_table.hpp"
#include "kubernaut/tabular/time_text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace kn::tabular;
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
    TableOptions options;
    options.format = static_cast<Format>(data[0] % 3);
    options.limits = {.max_bytes = 1U << 20U, .max_rows = 20'000, .max_columns = 500, .max_cells = 200'000};
    if ((data[0] & 0x10U) != 0) options.zone = Zone::fixed(3600, "+01:00");
    if (const auto table = read_time_table(text, options)) {
        for (const auto& series : table->series) {
            if (series.times.size() != series.values.size() || series.times.empty()) std::abort();
            for (std::size_t i = 1; i < series.times.size(); ++i)
                if (!(series.times[i] > series.times[i - 1])) std::abort();
            for (const double value : series.values)
                if (std::isinf(value)) std::abort();
        }
        for (const auto& note : table->notes) (void)to_text(note);
    }
    if (const auto zone = Zone::from_tzif(text, "fuzz")) {
        (void)zone->offset_at(1'700'000'000);
        (void)zone->to_utc(static_cast<std::int64_t>(size) * 100'000'000);
    }
    const std::string_view one[] = {text};
    (void)find_time_form(one);
    return 0;
}
