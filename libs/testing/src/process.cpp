#include "kubernaut/testing/process.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "kubernaut/testing/temp_dir.hpp"

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace kn::testing {
namespace {

struct Outputs {
    std::string out, err;
};

Result<pid_t> spawn(const std::vector<std::string>& words, const Outputs& outputs, const std::string& folder,
                    const std::map<std::string, std::string>& extra) {
    // Everything is made before the fork: the child of a program with threads may not allocate.
    std::vector<std::string> variables;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string text = *entry;
        if (!extra.contains(text.substr(0, text.find('=')))) variables.push_back(text);
    }
    for (const auto& [name, value] : extra) variables.push_back(name + "=" + value);
    std::vector<char*> argv, envp;
    for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    for (const auto& variable : variables) envp.push_back(const_cast<char*>(variable.c_str()));
    argv.push_back(nullptr);
    envp.push_back(nullptr);
    const auto open_output = [](const std::string& path) {
        return ::open(path.empty() ? "/dev/null" : path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    };
    const int out = open_output(outputs.out), err = open_output(outputs.err), in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (access(words[0].c_str(), X_OK) != 0) return fail(ErrorCode::not_found, "there is no program " + words[0]);
    const pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(in, 0);
        dup2(out, 1);
        dup2(err, 2);
        if (!folder.empty() && chdir(folder.c_str()) != 0) _exit(126);
        execve(argv[0], argv.data(), envp.data());
        _exit(127);
    }
    for (const int fd : {out, err, in}) ::close(fd);
    if (pid < 0) return fail(ErrorCode::unavailable, "no new process");
    return pid;
}

}  // namespace

Result<Process> Process::start(std::vector<std::string> words, Options options) {
    KN_TRY(const pid_t pid, spawn(words, {options.output, options.output}, options.folder, options.environment));
    return Process(pid);
}

Process::Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, 0)), exit_code_(other.exit_code_) {}

Process& Process::operator=(Process&& other) noexcept {
    if (this != &other) {
        kill();
        pid_ = std::exchange(other.pid_, 0);
        exit_code_ = other.exit_code_;
    }
    return *this;
}

Process::~Process() { kill(); }

void Process::reaped(int status) {
    pid_ = 0;
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool Process::running() {
    int status = 0;
    if (pid_ > 0 && waitpid(pid_, &status, WNOHANG) == pid_) reaped(status);
    return pid_ > 0;
}

void Process::signal(int number) const {
    if (pid_ > 0) ::kill(pid_, number);
}

void Process::kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    int status = 0;
    waitpid(pid_, &status, 0);
    reaped(status);
}

Result<int> Process::wait(Duration limit) {
    if (pid_ <= 0) return exit_code_;
    const int handle = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
    pollfd waiting{.fd = handle, .events = POLLIN, .revents = 0};
    const int ended = poll(&waiting, 1, static_cast<int>(limit.count()));
    ::close(handle);
    if (ended != 1 || running()) return fail(ErrorCode::deadline_exceeded, "the process has not ended");
    return exit_code_;
}

Result<Finished> run(std::vector<std::string> words, std::map<std::string, std::string> environment, Duration limit) {
    const TempDir dir;
    KN_TRY(const pid_t pid, spawn(words, {dir.path() + "/out", dir.path() + "/err"}, "", environment));
    Finished finished;
    int status = 0;
    const int handle = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    pollfd waiting{.fd = handle, .events = POLLIN, .revents = 0};
    const bool ended = poll(&waiting, 1, static_cast<int>(limit.count())) == 1;
    ::close(handle);
    if (!ended) ::kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    finished.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    finished.out = read_file(dir.path() + "/out");
    finished.err = read_file(dir.path() + "/err");
    if (!ended) return fail(ErrorCode::deadline_exceeded, words[0] + " has not ended; it said: " + finished.out + finished.err);
    return finished;
}

int free_port() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    const bool ok =
        bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0;
    ::close(fd);
    return ok ? ntohs(address.sin_port) : 0;
}

std::string kubernaut_binary(std::string built) {
    const char* named = std::getenv("KUBERNAUT_BIN");
    return named != nullptr && *named != '\0' ? named : std::move(built);
}

std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const std::string& path, std::string_view text) { std::ofstream(path, std::ios::binary | std::ios::trunc) << text; }

}  // namespace kn::testing
