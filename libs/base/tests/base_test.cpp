#include <gtest/gtest.h>

#include "kubernaut/base/hash.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/base/time.hpp"

namespace kn {
namespace {

TEST(Time, ReadsEveryOffsetAndWritesUtc) {
    EXPECT_EQ(format_rfc3339(parse_rfc3339("2026-11-24T16:06:49.1239+02:00").value()), "2026-11-24T14:06:49.123Z");
    EXPECT_EQ(format_rfc3339(parse_rfc3339("2024-02-29T00:00:00Z").value()), "2024-02-29T00:00:00Z");
    for (const char* bad : {"", "2026", "2026-13-01T00:00:00Z", "2025-02-29T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z"}) {
        EXPECT_FALSE(parse_rfc3339(bad)) << bad;
    }
}

TEST(Time, DurationsRoundTrip) {
    for (const char* text : {"250ms", "30s", "5m", "1h30m", "7d", "0s", "1m1s1ms"}) {
        EXPECT_EQ(format_duration(parse_duration(text).value()), text);
    }
    EXPECT_EQ(parse_duration("0.5s").value(), 500ms);
    for (const char* bad : {"", "5", "-5s", "5y", "s", "1e300h"}) EXPECT_FALSE(parse_duration(bad)) << bad;
}

TEST(Ids, SortByTimeAndCarryIt) {
    SeededRandom random(1);
    const std::string early = make_id("inc_", from_millis(1'000), random), late = make_id("inc_", from_millis(2'000'000'000'000), random);
    EXPECT_LT(early, late);
    EXPECT_EQ(early.size(), 30U);
    EXPECT_EQ(id_time(late), from_millis(2'000'000'000'000));
}

TEST(Ids, DerivedOnesAreTheSameAfterACrash) {
    EXPECT_EQ(derive_id("act_", from_millis(5), {"exe_1", "s", "1"}), derive_id("act_", from_millis(5), {"exe_1", "s", "1"}));
    EXPECT_NE(derive_id("act_", from_millis(5), {"ab", "c"}), derive_id("act_", from_millis(5), {"a", "bc"}));
}

TEST(Hash, KnownVectors) {
    EXPECT_EQ(to_hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(base64_encode("any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw==");
    EXPECT_EQ(base64_decode("YW55IGNhcm5hbCBwbGVhcw").bytes, "any carnal pleas");
    EXPECT_FALSE(base64_decode("a=b").ok);
    EXPECT_TRUE(equal_constant_time("secret", "secret"));
    EXPECT_FALSE(equal_constant_time("secret", "secre"));
}

Result<int> half(int n) {
    if (n % 2 != 0) return fail(ErrorCode::invalid_argument, "odd", "n");
    return n / 2;
}
Result<int> quarter(int n) {
    KN_TRY(const int once, half(n));
    KN_TRY(const int twice, half(once));
    return twice;
}
TEST(Result, TryPassesTheErrorOn) {
    EXPECT_EQ(quarter(8).value(), 2);
    EXPECT_EQ(quarter(6).error().describe(), "invalid_argument: n: odd");
}

}  // namespace
}  // namespace kn
