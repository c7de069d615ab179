#include "kubernaut/kube/list_decoder.hpp"

#include <gtest/gtest.h>

#include <random>

#include "kubernaut/base/ids.hpp"
#include "kubernaut/kube/packed.hpp"

namespace kn::kube {
namespace {

struct Items final : ItemSink {
    explicit Items(bool packed = false) : packed_(packed) {}
    [[nodiscard]] bool wants_packed() const override { return packed_; }
    void add(json::Value item) override { items.push_back(std::move(item)); }
    void add(PackedItem item) override {
        items.push_back(unpack(item.bytes));
        packed.push_back(std::move(item));
    }
    void rewind(std::size_t count) override { items.resize(count); }
    std::vector<json::Value> items;
    std::vector<PackedItem> packed;

private:
    bool packed_;
};

/// Any JSON value, seldom deep.
json::Value any_value(SeededRandom& random, int depth) {
    const auto text = [&random] {
        static constexpr const char* pieces[] = {"name", "f:spec", "v1", "items", "\"", "\\", "\n", "é", "😀", "metadata", "x", ""};
        std::string out;
        for (auto n = random.next() % 5; n > 0; --n) out += pieces[random.next() % std::size(pieces)];
        return out;
    };
    switch (random.next() % (depth > 0 ? 9 : 7)) {
        case 0: return nullptr;
        case 1: return random.next() % 2 == 0;
        case 2: return static_cast<std::int64_t>(random.next()) >> random.next() % 64;
        case 3: return random.next() | 1ULL << 63U;
        case 4: return static_cast<double>(static_cast<std::int64_t>(random.next() % 1'000'000)) / 8;
        case 5: return json::Value(std::string(random.next() % 300, 'l'));
        case 6: return json::Value(text());
        case 7: {
            json::Array out;
            for (auto n = random.next() % 40; n > 0; --n) out.push_back(any_value(random, depth - 1));
            return out;
        }
        default: {
            json::Object out;
            for (auto n = random.next() % 40; n > 0; --n) out[text()] = any_value(random, depth - 1);
            return out;
        }
    }
}

std::uint64_t seed_of_run() {
    const char* named = std::getenv("KN_SEED");
    const auto seed = named != nullptr ? std::strtoull(named, nullptr, 10) : std::random_device{}();
    std::cout << "seed " << seed << "\n";
    return seed;
}

TEST(ListDecoder, GivesTheItemsHoweverTheBytesAreCutAndWhereverTheyLie) {
    SeededRandom random(seed_of_run());
    for (int round = 0; round < 40; ++round) {
        json::Array items;
        for (auto n = random.next() % 8; n > 0; --n) items.push_back(any_value(random, 3));
        const json::Object metadata{{"resourceVersion", "7"}, {"items", json::Array{"not an item"}}};
        json::Object list{{"kind", "PodList"}};
        if (round % 2 == 0) list["metadata"] = metadata;
        list["items"] = items;
        if (round % 2 == 1) list["metadata"] = metadata;
        const auto text = json::dump(list) + (round % 3 == 0 ? "\n" : "");
        for (const bool packed : {false, true}) {
            Items got(packed);
            ListDecoder decoder(got);
            decoder.begin();
            for (std::size_t at = 0; at < text.size();) {
                const auto piece = std::min<std::size_t>(1 + random.next() % (round % 4 == 0 ? 7 : 5000), text.size() - at);
                ASSERT_TRUE(decoder.data(std::string_view(text).substr(at, piece)));
                at += piece;
            }
            const auto rest = decoder.finish();
            ASSERT_TRUE(rest) << rest.error().describe();
            EXPECT_EQ(*json::at(*rest, "metadata"), json::Value(metadata));
            EXPECT_EQ(got.items, std::vector<json::Value>(items.begin(), items.end())) << text;
        }
    }
}

TEST(ListDecoder, AnAnswerThatBrokeOffAndComesAgainCountsOnce) {
    Items got;
    ListDecoder decoder(got);
    EXPECT_TRUE(decoder.untouched());
    decoder.begin();
    ASSERT_TRUE(decoder.data(R"({"items":[{"a":1},{"a":2}],"metadata":{"continue":"t"}})"));
    ASSERT_TRUE(decoder.finish());
    decoder.begin();
    ASSERT_TRUE(decoder.data(R"({"items":[{"a":3},{"a":)"));
    decoder.begin();  // the second page again
    ASSERT_TRUE(decoder.data(R"({"items":[{"a":3},{"a":4}]})"));
    ASSERT_TRUE(decoder.finish());
    ASSERT_EQ(got.items.size(), 4U);
    EXPECT_EQ(json::int_at(got.items[3], "a"), 4);
}

TEST(ListDecoder, WhatIsNoListIsAnError) {
    for (const std::string text : {"", "<html>", R"({"items":[{"a":1})", R"({"items":[1,]})", R"({"items":[]} x)", R"({"items":null)"}) {
        for (const bool packed : {false, true}) {
            Items got(packed);
            ListDecoder decoder(got);
            decoder.begin();
            const auto fed = decoder.data(text);
            if (fed) {
                EXPECT_FALSE(decoder.finish()) << text;
            } else {
                EXPECT_EQ(fed.error().reason, invalid_body) << text;
            }
        }
    }
    Items got;
    ListDecoder decoder(got);
    decoder.begin();
    ASSERT_TRUE(decoder.data(R"({"items":null,"metadata":{"resourceVersion":"3"}})")) << "an empty list may be null";
    const auto rest = decoder.finish();
    ASSERT_TRUE(rest);
    EXPECT_EQ(json::string_at(*rest, "metadata", "resourceVersion"), "3");
    EXPECT_TRUE(got.items.empty());
}

TEST(ListDecoder, ItemsGetTheirKindBackAndPackedOnesWhatTheyAreFoundBy) {
    const std::string text =
        R"({"kind":"PodList","items":[{"metadata":{"name":"a","namespace":"n","ownerReferences":[{"uid":"u1"},{"uid":"u2"}]}},{"kind":"Odd","metadata":{"name":"b"}},7,)"
        R"({"metadata":{"name":"c"},"huge":123456789012345678901234567890}]})";
    Items objects, packed(true);
    for (auto* got : {&objects, &packed}) {
        ListDecoder decoder(*got, "Pod", "v1");
        decoder.begin();
        ASSERT_TRUE(decoder.data(text));
        ASSERT_TRUE(decoder.finish());
        ASSERT_EQ(got->items.size(), 4U);
        EXPECT_EQ(json::string_at(got->items[0], "kind"), "Pod");
        EXPECT_EQ(json::string_at(got->items[0], "apiVersion"), "v1");
        EXPECT_EQ(json::string_at(got->items[1], "kind"), "Odd");
        EXPECT_TRUE(got->items[2].is_int64());
    }
    EXPECT_EQ(objects.items, packed.items);
    EXPECT_EQ(packed.packed[0].ns, "n");
    EXPECT_EQ(packed.packed[0].name, "a");
    EXPECT_EQ(packed.packed[0].owners, (std::vector<std::string>{"u1", "u2"}));
}

TEST(Packed, ComesBackAsItWas) {
    SeededRandom random(seed_of_run());
    for (int round = 0; round < 500; ++round) {
        const auto value = any_value(random, 4);
        const auto packed = pack(value);
        EXPECT_EQ(unpack(packed), value) << json::dump(value);
        EXPECT_EQ(json::dump(unpack(packed)), json::dump(value)) << "keys in their order";
        EXPECT_EQ(pack(unpack(packed)), packed);
    }
}

}  // namespace
}  // namespace kn::kube
