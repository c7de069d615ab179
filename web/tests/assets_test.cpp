#include "kubernaut/web/assets.hpp"

#include <gtest/gtest.h>

#include <regex>
#include <string>

namespace {

using kn::web::asset;

TEST(Assets, AnUnknownPathIsNoFile) {
    EXPECT_FALSE(asset("/no-such-file.js"));
    EXPECT_FALSE(asset(""));
    EXPECT_FALSE(asset("/../index.html"));
}

TEST(Assets, EveryFileThatThePageNamesIsInTheBinaryWithItsTypeAndHash) {
    const auto page = asset("/index.html");
    if (!page) GTEST_SKIP() << "web/dist was not built";
    EXPECT_EQ(page->content_type, "text/html; charset=utf-8");
    const std::string html(page->bytes);
    const std::regex link(R"re((?:src|href)="\./([^"]+)")re");
    int found = 0;
    for (std::sregex_iterator at(html.begin(), html.end(), link), end; at != end; ++at) {
        const auto file = asset("/" + (*at)[1].str());
        ASSERT_TRUE(file) << (*at)[1].str();
        EXPECT_FALSE(file->bytes.empty());
        EXPECT_NE(file->content_type, "application/octet-stream");
        EXPECT_EQ(file->etag.size(), 34U);
        EXPECT_NE(file->etag, page->etag);
        ++found;
    }
    EXPECT_GE(found, 3) << "script, style and icon";
}

TEST(Assets, ThePageHasNothingInlineAndNothingFromElsewhere) {
    const auto page = asset("/index.html");
    if (!page) GTEST_SKIP() << "web/dist was not built";
    const std::string html(page->bytes);
    EXPECT_EQ(html.find("http"), std::string::npos);
    EXPECT_EQ(html.find("<style"), std::string::npos);
    EXPECT_FALSE(std::regex_search(html, std::regex(R"(<script(?![^>]*\ssrc=))")));
}

}  // namespace
