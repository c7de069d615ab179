#include "exec_plugin.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

namespace kn::kube::http {
namespace {

using SteadyClock = std::chrono::steady_clock;

class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    ~Fd() { reset(); }
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        reset();
        fd_ = std::exchange(other.fd_, -1);
        return *this;
    }
    [[nodiscard]] int get() const { return fd_; }
    void reset() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }

private:
    int fd_ = -1;
};

Result<std::pair<Fd, Fd>> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(ErrorCode::resource_exhausted, std::string("pipe: ") + std::strerror(errno));
    return std::pair(Fd(ends[0]), Fd(ends[1]));
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (auto& text : texts) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

Result<pid_t> spawn(const PluginCommand& command, int out, int err) {
    std::vector<std::string> arguments{command.program};
    arguments.insert(arguments.end(), command.arguments.begin(), command.arguments.end());
    std::vector<std::string> environment;
    for (const auto& [name, value] : command.environment) environment.push_back(name + "=" + value);
    auto argv = pointers(arguments);
    auto envp = pointers(environment);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, err, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, ordinary;
    sigemptyset(&none);
    sigemptyset(&ordinary);
    for (const int signal : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&ordinary, signal);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &ordinary);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    pid_t pid = -1;
    const int code = ::posix_spawnp(&pid, command.program.c_str(), &actions, &attributes, argv.data(), envp.data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (code != 0) return fail(ErrorCode::failed_precondition, "cannot start '" + command.program + "': " + std::strerror(code));
    return pid;
}

/// A child that is certainly gone, with its whole group, when this ends.
class Child {
public:
    explicit Child(pid_t pid) : pid_(pid), exit_fd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}
    ~Child() {
        ::kill(-pid_, SIGKILL);
        if (!status_) {
            int status = 0;
            ::waitpid(pid_, &status, 0);
        }
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    /// Readable when the child has ended; -1 on kernels without pidfd, where the caller must look from time to time.
    [[nodiscard]] int exit_fd() const { return exit_fd_.get(); }
    bool ended() {
        int status = 0;
        if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
        return status_.has_value();
    }
    [[nodiscard]] int status() const { return status_.value_or(-1); }

private:
    pid_t pid_;
    Fd exit_fd_;
    std::optional<int> status_;
};

/// Reads what is there without blocking. False at the end of the pipe.
bool drain(int fd, std::string& into, std::size_t limit) {
    std::array<char, 8192> buffer;
    while (into.size() <= limit) {
        const auto count = ::read(fd, buffer.data(), buffer.size());
        if (count > 0) {
            into.append(buffer.data(), static_cast<std::size_t>(count));
            continue;
        }
        if (count < 0 && errno == EINTR) continue;
        return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }
    return true;
}

void set_nonblocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

std::string with_stderr(std::string message, std::string_view error_text) {
    const auto said = redact(error_text);
    return said.empty() ? message : message + ": " + said;
}

}  // namespace

std::string redact(std::string_view text) {
    constexpr std::size_t longest_word = 24, longest = 300;
    std::string out;
    std::size_t at = 0;
    while (at < text.size() && out.size() < longest) {
        const auto start = text.find_first_not_of(" \t\r\n", at);
        if (start == std::string_view::npos) break;
        const auto end = std::min(text.find_first_of(" \t\r\n", start), text.size());
        if (!out.empty()) out += ' ';
        const auto word = text.substr(start, end - start);
        const bool readable = word.size() <= longest_word || (word.front() == '/' && word.size() <= 120);  // paths may be long
        for (const char c : readable ? word : std::string_view("[redacted]")) out += static_cast<unsigned char>(c) < 32 ? '?' : c;
        at = end;
    }
    return out.substr(0, longest);
}

Result<std::string> run_plugin(const PluginCommand& command) {
    const auto give_up = SteadyClock::now() + command.timeout;
    KN_TRY(auto out_pipe, make_pipe());
    KN_TRY(auto err_pipe, make_pipe());
    KN_TRY(const pid_t pid, spawn(command, out_pipe.second.get(), err_pipe.second.get()));
    Child child(pid);
    out_pipe.second.reset();
    err_pipe.second.reset();
    set_nonblocking(out_pipe.first.get());
    set_nonblocking(err_pipe.first.get());

    constexpr std::size_t max_errors = 4096;
    std::string output, errors;
    bool out_open = true, err_open = true;
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(give_up - SteadyClock::now());
        if (left.count() <= 0)
            return fail(ErrorCode::deadline_exceeded, "the plug-in did not end within " + std::to_string(command.timeout.count()) + " ms");
        std::array<pollfd, 4> fds{pollfd{out_open ? out_pipe.first.get() : -1, POLLIN, 0}, pollfd{err_open ? err_pipe.first.get() : -1, POLLIN, 0},
                                  pollfd{child.exit_fd(), POLLIN, 0}, pollfd{command.stop_fd, POLLIN, 0}};
        const int wait_ms = static_cast<int>(child.exit_fd() >= 0 ? left.count() : std::min<std::int64_t>(left.count(), 20));
        ::poll(fds.data(), fds.size(), wait_ms);
        if (fds[3].revents != 0) return fail(ErrorCode::cancelled, "given up");
        // Looked at before draining: what the child wrote before its end is then in the pipe.
        const bool ended = child.ended();
        if (out_open) out_open = drain(out_pipe.first.get(), output, command.max_output);
        if (output.size() > command.max_output) {
            return fail(ErrorCode::resource_exhausted, "the plug-in wrote more than " + std::to_string(command.max_output) + " bytes");
        }
        if (err_open) err_open = drain(err_pipe.first.get(), errors, max_errors);
        if (errors.size() > max_errors) {
            errors.resize(max_errors);
            err_pipe.first.reset();  // the rest of the complaints is not wanted
            err_open = false;
        }
        if (ended) break;
    }
    const int status = child.status();
    if (WIFSIGNALED(status))
        return fail(ErrorCode::unavailable, with_stderr("the plug-in was killed by signal " + std::to_string(WTERMSIG(status)), errors));
    if (WEXITSTATUS(status) != 0) {
        return fail(ErrorCode::unauthenticated, with_stderr("the plug-in ended with code " + std::to_string(WEXITSTATUS(status)), errors));
    }
    return output;
}

}  // namespace kn::kube::http
