#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kubernaut/base/result.hpp"
#include "kubernaut/base/time.hpp"

namespace kn::testing {

/// A program of the test's own, ended by its own process id: with this object, or with the test.
class Process {
public:
    struct Options {
        std::string output;                              ///< file that its standard output and error are appended to; "" = /dev/null
        std::string folder;                              ///< where it runs; "" = here
        std::map<std::string, std::string> environment;  ///< beside that of the test
    };
    /// `words[0]` is a path.
    static Result<Process> start(std::vector<std::string> words, Options options);
    Process(Process&& other) noexcept;
    Process& operator=(Process&& other) noexcept;
    ~Process();

    [[nodiscard]] pid_t pid() const { return pid_; }
    /// False once it has ended; then exit_code() is known.
    [[nodiscard]] bool running();
    /// Exit status, or minus the signal that ended it.
    [[nodiscard]] int exit_code() const { return exit_code_; }
    void signal(int number) const;
    /// SIGKILL, and waits until it is gone.
    void kill();
    /// Waits for its end: deadline_exceeded when it goes on.
    Result<int> wait(Duration limit);

private:
    explicit Process(pid_t pid) : pid_(pid) {}
    void reaped(int status);
    pid_t pid_ = 0;
    int exit_code_ = 0;
};

struct Finished {
    int exit_code = 0;
    std::string out, err;
};
/// Runs a program to its end; killed (deadline_exceeded) after `limit`.
Result<Finished> run(std::vector<std::string> words, std::map<std::string, std::string> environment = {}, Duration limit = std::chrono::minutes{1});

/// A port that is free on 127.0.0.1 at this moment.
int free_port();
/// $KUBERNAUT_BIN, or the path that the build knows.
std::string kubernaut_binary(std::string built);

/// The whole text of a file; "" when there is none.
std::string read_file(const std::string& path);
void write_file(const std::string& path, std::string_view text);

}  // namespace kn::testing
