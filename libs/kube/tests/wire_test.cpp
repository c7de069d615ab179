// Recorded exchanges with real API servers, where the folder with the recordings is at hand (it is no part of this repository).
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/status.hpp"
#include "kubernaut/kube/watch.hpp"

namespace kn::kube {
namespace {

namespace fs = std::filesystem;

struct Recording {
    std::string name, request_line;
    Method method = Method::get;
    Response response;
};

std::string_view take_line(std::string_view& text) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

/// The first answer in a file; nullopt when there is none (a WebSocket, several exchanges).
std::optional<Recording> read_recording(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    Recording out;
    out.name = path.stem().string();
    std::string_view rest = text;
    while (!rest.empty() && !rest.starts_with("HTTP/")) {
        const auto line = take_line(rest);
        if (!line.starts_with(">>> ") || !out.request_line.empty()) continue;
        out.request_line = line.substr(4);
        if (line.starts_with(">>> POST")) out.method = Method::post;
        if (line.starts_with(">>> PUT")) out.method = Method::put;
        if (line.starts_with(">>> PATCH")) out.method = Method::patch;
        if (line.starts_with(">>> DELETE")) out.method = Method::del;
    }
    const auto status_line = take_line(rest);
    if (status_line.size() < 12) return std::nullopt;
    out.response.status = std::atoi(std::string(status_line.substr(status_line.find(' ') + 1, 3)).c_str());
    for (auto line = take_line(rest); !line.empty(); line = take_line(rest)) {
        const auto colon = line.find(": ");
        if (colon == std::string_view::npos) continue;
        std::string header(line.substr(0, colon));
        for (char& c : header) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        out.response.headers.emplace_back(std::move(header), line.substr(colon + 2));
    }
    // Some recordings were shortened: what stands before that note is whole but for its last line.
    out.response.body = rest.substr(0, rest.find("\n... (cut:"));
    return out;
}

class WireTest : public testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        const char* named = std::getenv("KN_KUBE_WIRE");
        const fs::path folder = fs::path(named == nullptr ? "../shared/kube-wire" : named) / GetParam();
        std::error_code ec;
        if (!fs::is_directory(folder, ec)) GTEST_SKIP() << "no recordings of real API servers at " << folder << " (set KN_KUBE_WIRE)";
        for (const auto& entry : fs::directory_iterator(folder)) {
            if (entry.path().extension() != ".txt") continue;
            if (auto recording = read_recording(entry.path())) recordings.emplace(recording->name, *std::move(recording));
        }
        ASSERT_GT(recordings.size(), 100U);
    }
    Error error_of(const std::string& prefix) {
        const auto found = recordings.lower_bound(prefix);
        EXPECT_TRUE(found != recordings.end() && found->first.starts_with(prefix)) << prefix;
        return found == recordings.end() ? Error{} : error_from(found->second.response, found->second.method);
    }
    std::map<std::string, Recording> recordings;
};

TEST_P(WireTest, EveryRefusalBecomesAnErrorWithCodeReasonAndEffect) {
    struct Case {
        const char* name;
        ErrorCode code;
        const char* reason;
        Applied applied = Applied::no;
    };
    using enum ErrorCode;
    const std::vector<Case> cases = {
        {"a09", not_found, ""},
        {"a10", not_found, "NotFound"},
        {"b01", not_found, "NotFound"},
        {"b02", unauthenticated, "Unauthorized"},
        {"b04", permission_denied, "Forbidden"},
        {"b09", already_exists, "AlreadyExists"},
        {"b10", aborted, "Conflict"},
        {"b12", aborted, "Conflict"},
        {"b13", invalid_argument, "Invalid"},
        {"b20", unimplemented, "UnsupportedMediaType"},
        {"b22", unimplemented, "MethodNotAllowed"},
        {"b23", invalid_argument, "RequestEntityTooLarge"},
        {"b28", invalid_argument, "BadRequest"},
        {"b31", permission_denied, "Forbidden"},
        {"b35", failed_precondition, "NamespaceTerminating"},
        {"c09", unavailable, "ResourceVersionTooLarge"},
        {"c10", failed_precondition, "Expired"},
        {"c12", unavailable, ""},
        {"e09", invalid_argument, "Invalid"},
        {"e16", unimplemented, "UnsupportedMediaType"},
        {"f03", failed_precondition, "FieldManagerConflict"},
        {"f09", failed_precondition, "FieldManagerConflict"},
        {"f11", unavailable, "", Applied::maybe},
        {"i01", resource_exhausted, "DisruptionBudget"},
        {"i03", not_found, "NotFound"},
        {"i04", unavailable, "", Applied::maybe},
        {"k06", invalid_argument, "BadRequest"},
        {"k20", unavailable, ""},
        {"l02", unavailable, ""},
        {"l06", invalid_argument, "Invalid"},
        {"l07", unavailable, "InternalError", Applied::maybe},
        {"l08", deadline_exceeded, "Timeout"},
        {"l10", invalid_argument, ""},
        {"m01", failed_precondition, "Expired"},
        {"m03", failed_precondition, "Expired"},
    };
    for (const auto& c : cases) {
        const auto error = error_of(c.name);
        EXPECT_EQ(error.code, c.code) << c.name << " " << error.describe();
        if (std::string_view(c.name) != "l08") EXPECT_EQ(error.reason, c.reason) << c.name;
        EXPECT_EQ(error.applied, c.applied) << c.name;
    }
    EXPECT_EQ(error_of("c09").retry_after, 1s);
    EXPECT_EQ(error_of("i01").retry_after, std::nullopt);
}

TEST_P(WireTest, EveryErrorHasAMessageAndEveryOtherBodyIsReadable) {
    for (const auto& [name, recording] : recordings) {
        if (recording.response.status >= 400) {
            EXPECT_FALSE(error_from(recording.response, recording.method).message.empty()) << name;
        }
    }
}

TEST_P(WireTest, EveryRecordedWatchDecodes) {
    int watches = 0;
    for (const auto& [name, recording] : recordings) {
        const bool websocket = name.contains("websocket");
        if (!recording.request_line.contains("watch=1") || recording.response.status != 200 || websocket) continue;
        WatchDecoder decoder;
        const auto events = decoder.feed(recording.response.body);
        ASSERT_TRUE(events) << name << ": " << events.error().describe();
        ++watches;
        for (const auto& event : *events) {
            if (event.type == WatchEventType::error) {
                EXPECT_EQ(error_from_status(event.object).reason, "Expired") << name;
            } else if (event.type == WatchEventType::bookmark) {
                EXPECT_FALSE(resource_version_of(event.object).empty()) << name;
            }
        }
    }
    EXPECT_GT(watches, 10);
}

TEST_P(WireTest, WarningsAreRead) {
    for (const auto* name : {"b29", "b30", "b33"}) {
        const auto found = recordings.lower_bound(name);
        ASSERT_TRUE(found != recordings.end());
        const auto warnings = found->second.response.warnings();
        ASSERT_FALSE(warnings.empty()) << found->first;
        EXPECT_EQ(warnings[0].find("299"), std::string::npos);
    }
}

INSTANTIATE_TEST_SUITE_P(RealServers, WireTest, testing::Values("1.32", "1.36"),
                         [](const auto& info) { return "v" + std::string(1, info.param[0]) + std::string(info.param).substr(2); });

}  // namespace
}  // namespace kn::kube
