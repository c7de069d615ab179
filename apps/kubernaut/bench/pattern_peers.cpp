#include "bench/pattern_peers.hpp"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <memory>

#include "kubernaut/json/json.hpp"

namespace kn::app {
namespace {
std::string quoted(const std::string& word) {
    std::string out = "'";
    for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}
}  // namespace

Peers::Peers(std::filesystem::path folder, unsigned threads) : folder_(std::move(folder)), threads_(threads) {
    for (const char* needed : {"bin/python3", "measure.py"})
        if (!std::filesystem::exists(folder_ / needed))
            missing_ = "no peers in " + folder_.string() + " (`make peers` installs them; --peers names another folder)";
}

std::vector<PeerTime> Peers::measure(const std::string& kind, analytics::MatrixView data) const {
    const auto failed = [&](std::string why) { return std::vector<PeerTime>{{.name = kind, .seconds = 0, .why = std::move(why)}}; };
    if (!missing_.empty()) return failed(missing_);
    std::error_code error;
    const auto file = std::filesystem::temp_directory_path(error) / ("kubernaut-bench-" + std::to_string(::getpid()) + ".bin");
    {
        std::ofstream out(file, std::ios::binary);
        for (std::size_t r = 0; r < data.rows; ++r)
            out.write(reinterpret_cast<const char*>(data.data + r * data.stride), static_cast<std::streamsize>(data.cols * sizeof(double)));
        if (!out) return failed("cannot write " + file.string());
    }
    // A peer that compiles itself on a busy machine must not hold up the rest for ever.
    const std::string command = "timeout 900 " + quoted((folder_ / "bin/python3").string()) + " " + quoted((folder_ / "measure.py").string()) + " " +
                                kind + " " + quoted(file.string()) + " " + std::to_string(data.rows) + " " + std::to_string(data.cols) + " " +
                                std::to_string(threads_) + " 2>/dev/null";
    std::string said;
    {
        const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
        std::array<char, 4096> part{};
        for (std::size_t n = 0; pipe && (n = std::fread(part.data(), 1, part.size(), pipe.get())) > 0;) said.append(part.data(), n);
    }
    std::filesystem::remove(file, error);
    const auto answer = json::parse(said);
    if (!answer || !answer->is_array()) return failed("its Python said nothing that can be read");
    std::vector<PeerTime> times;
    for (const json::Value& one : answer->get_array()) {
        PeerTime& time = times.emplace_back();
        time.name = json::string_at(one, "name");
        time.seconds = json::double_at(one, "seconds").value_or(0);
        time.why = json::string_at(one, "why");
    }
    return times;
}

}  // namespace kn::app
