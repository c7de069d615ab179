// WebSocket frames and the channels of exec, without sockets.
#include "kubernaut/kube/exec.hpp"

#include <gtest/gtest.h>

namespace kn::kube {
namespace {

/// As a server sends: unmasked.
std::string frame(unsigned first, std::string payload) {
    std::string out{static_cast<char>(first)};
    if (payload.size() < 126)
        out += static_cast<char>(payload.size());
    else
        out += std::string{126, static_cast<char>(payload.size() >> 8U), static_cast<char>(payload.size())};
    return out + payload;
}

TEST(WebSocket, FramesAreReadHoweverTheyAreCut) {
    const std::string stream = frame(0x82, "\x01hello") + frame(0x89, "ping") + frame(0x02, "\x01half") + frame(0x89, "between") +
                               frame(0x80, "whole") + frame(0x82, std::string(300, 'x')) + frame(0x88, "");
    const std::vector<WsMessage> expected = {
        {WsOpcode::binary, "\x01hello"},           {WsOpcode::ping, "ping"}, {WsOpcode::ping, "between"}, {WsOpcode::binary, "\x01halfwhole"},
        {WsOpcode::binary, std::string(300, 'x')}, {WsOpcode::close, ""}};
    for (std::size_t step = 1; step <= stream.size(); ++step) {
        WsDecoder decoder;
        std::vector<WsMessage> seen;
        for (std::size_t at = 0; at < stream.size(); at += step) {
            auto some = decoder.feed(std::string_view(stream).substr(at, step));
            ASSERT_TRUE(some) << some.error().describe();
            seen.insert(seen.end(), some->begin(), some->end());
        }
        EXPECT_EQ(seen, expected) << "in steps of " << step;
    }
}

TEST(WebSocket, WhatAServerMayNotSendIsAnError) {
    for (const auto& bad :
         {frame(0xC2, "x"), std::string("\x82\x81") + "abcdx", frame(0x80, "lone"), frame(0x8B, "x"), frame(0x09, "fragmented ping"),
          std::string("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10), std::string("\x89\x7e\x01\x00", 4)}) {
        WsDecoder decoder;
        EXPECT_FALSE(decoder.feed(bad)) << testing::PrintToString(bad);
    }
}

TEST(WebSocket, AClientMasksAndUsesTheShortestLength) {
    EXPECT_EQ(ws_encode(WsOpcode::binary, "abc", 0), std::string("\x82\x83\0\0\0\0abc", 9));
    EXPECT_EQ(ws_encode(WsOpcode::text, "ab", 0x01020304),
              std::string("\x81\x82\x01\x02\x03\x04", 6) + static_cast<char>('a' ^ 1) + static_cast<char>('b' ^ 2));
    EXPECT_EQ(static_cast<unsigned char>(ws_encode(WsOpcode::binary, std::string(126, 'x'), 0)[1]), 0x80U | 126U);
    EXPECT_EQ(static_cast<unsigned char>(ws_encode(WsOpcode::binary, std::string(65536, 'x'), 0)[1]), 0x80U | 127U);
}

WsMessage binary(std::string payload) { return {WsOpcode::binary, std::move(payload)}; }

TEST(Exec, OutputIsKeptApartAndTheStatusEndsIt) {
    ExecChannels channels(8);
    EXPECT_FALSE(channels.on(binary("")).value());
    EXPECT_FALSE(channels.on(binary("\x01")).value()) << "the empty frame that comes first";
    EXPECT_FALSE(channels.on(binary("\x01out")).value());
    EXPECT_FALSE(channels
                     .on(binary("\x02"
                                "err"))
                     .value());
    EXPECT_FALSE(channels.on(binary("\x01 and too much")).value());
    EXPECT_TRUE(channels.on(binary("\x03{\"status\":\"Success\"}")).value());
    EXPECT_EQ(channels.result().out, "out and ");
    EXPECT_EQ(channels.result().err, "err");
    EXPECT_TRUE(channels.result().truncated);
    EXPECT_EQ(channels.result().exit_code, 0);
}

TEST(Exec, AnExitCodeIsAResultAndEveryOtherFailureAnError) {
    ExecChannels failed(8);
    EXPECT_TRUE(failed
                    .on(binary("\x03"
                               R"({"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"42"}]}})"))
                    .value());
    EXPECT_EQ(failed.result().exit_code, 42);
    ExecChannels broken(8);
    const auto error =
        broken.on(binary("\x03"
                         R"({"status":"Failure","reason":"InternalError","code":500,"message":"no kubelet"})"));
    ASSERT_FALSE(error);
    EXPECT_EQ(error.error().code, ErrorCode::unavailable);
    EXPECT_EQ(error.error().applied, Applied::maybe);
    EXPECT_FALSE(ExecChannels(8).on(binary("\x03not json")));
}

}  // namespace
}  // namespace kn::kube
