#include "testbed.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "kubernaut/json/json.hpp"

extern char** environ;

namespace kn::integration {
namespace fs = std::filesystem;

std::optional<std::string> Testbed::find_binary(std::string_view version) {
    const char* named = std::getenv("KUBERNAUT_TESTBED");
    fs::path place = named != nullptr && *named != '\0' ? fs::path(named) : fs::absolute("bin/kubernaut-testbed");  // tests run in the source tree
    if (!version.empty()) place = place.parent_path() / ("kubernaut-testbed-" + std::string(version));
    std::error_code ec;
    return fs::exists(place, ec) ? std::optional(place.string()) : std::nullopt;
}

Result<Testbed> Testbed::up(const std::string& binary, std::vector<std::string> arguments) {
    Testbed bed;
    std::string pattern = (fs::temp_directory_path() / "kn-testbed-XXXXXX").string();
    bed.folder_ = ::mkdtemp(pattern.data());
    std::vector<std::string> words{binary, "up", "--dir", bed.folder_, "--grace", "0s", "--remove"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::array<int, 2> to{}, from{};
    if (::pipe2(to.data(), O_CLOEXEC) != 0 || ::pipe2(from.data(), O_CLOEXEC) != 0) return fail(ErrorCode::internal, "pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    const int code = ::posix_spawn(&bed.pid_, binary.c_str(), &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(to[0]);
    ::close(from[1]);
    bed.in_ = to[1];
    bed.out_ = from[0];
    if (code != 0) return fail(ErrorCode::internal, "cannot start " + binary);
    while (true) {
        KN_TRY(const std::string line, bed.read_line(std::chrono::minutes{4}));
        const auto parsed = json::parse(line);
        if (!parsed) continue;
        if (!json::string_at(*parsed, "error").empty()) return fail(ErrorCode::unavailable, std::string(json::string_at(*parsed, "error")));
        if (json::bool_at(*parsed, "ready").value_or(false)) return bed;
        const auto text = [&](std::string_view key) { return std::string(json::string_at(*parsed, key)); };
        if (!text("cluster").empty())
            bed.clusters_.push_back({text("cluster"), text("server"), text("kubeconfig"), text("alice_token"), text("viewer_token"), text("pki")});
    }
}

Testbed::Testbed(Testbed&& other) noexcept
    : in_(std::exchange(other.in_, -1)),
      out_(std::exchange(other.out_, -1)),
      pid_(std::exchange(other.pid_, -1)),
      buffer_(std::move(other.buffer_)),
      folder_(std::exchange(other.folder_, {})),
      clusters_(std::move(other.clusters_)) {}

Testbed::~Testbed() {
    if (in_ >= 0) ::close(in_);  // it ends with its standard input
    if (pid_ > 0) {
        int status = 0;
        ::waitpid(pid_, &status, 0);
    }
    if (out_ >= 0) ::close(out_);
    std::error_code ec;
    if (!folder_.empty()) fs::remove_all(folder_, ec);
}

Result<std::string> Testbed::read_line(std::chrono::milliseconds limit) {
    while (true) {
        if (const auto end = buffer_.find('\n'); end != std::string::npos) {
            std::string line = buffer_.substr(0, end);
            buffer_.erase(0, end + 1);
            return line;
        }
        pollfd waiting{out_, POLLIN, 0};
        if (::poll(&waiting, 1, static_cast<int>(limit.count())) <= 0) return fail(ErrorCode::deadline_exceeded, "the testbed is silent");
        std::array<char, 4096> bytes;
        const auto count = ::read(out_, bytes.data(), bytes.size());
        if (count <= 0) return fail(ErrorCode::unavailable, "the testbed ended");
        buffer_.append(bytes.data(), static_cast<std::size_t>(count));
    }
}

Result<> Testbed::command(std::string_view text) {
    const std::string line = std::string(text) + "\n";
    if (::write(in_, line.data(), line.size()) < 0) return fail(ErrorCode::unavailable, "the testbed is gone");
    KN_TRY(const std::string answer, read_line(std::chrono::minutes{1}));
    const auto parsed = json::parse(answer);
    if (parsed && !json::string_at(*parsed, "error").empty()) return fail(ErrorCode::internal, answer);
    return {};
}

}  // namespace kn::integration
