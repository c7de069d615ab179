#include "kubernaut/testing/postgres_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "kubernaut/base/time.hpp"
#include "kubernaut/testing/temp_dir.hpp"

namespace kn::testing {
namespace {

namespace fs = std::filesystem;

/// The folder with initdb: on Debian /usr/lib/postgresql/<version>/bin, which is not in PATH. The newest one.
std::string find_binaries() {
    std::vector<std::string> found;
    std::error_code ignored;
    for (const auto& version : fs::directory_iterator("/usr/lib/postgresql", ignored)) {
        const fs::path bin = version.path() / "bin";
        if (fs::exists(bin / "initdb") && fs::exists(bin / "postgres")) found.push_back(bin.string());
    }
    std::ranges::sort(found);
    if (!found.empty()) return found.back();
    for (const char* place : {"/usr/local/bin", "/usr/bin"}) {
        if (fs::exists(fs::path(place) / "initdb") && fs::exists(fs::path(place) / "postgres")) return place;
    }
    return {};
}

/// initdb refuses root: the server's own user, else nobody.
const passwd* unprivileged_user() {
    if (geteuid() != 0) return nullptr;
    if (const passwd* user = getpwnam("postgres")) return user;
    return getpwnam("nobody");
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

/// Starts a program with its output in a file, as `user` when given; it ends with us.
pid_t spawn(const std::vector<std::string>& words, const std::string& output, const passwd* user, const std::string& folder) {
    const pid_t pid = fork();
    if (pid != 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int fd = open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
    dup2(fd, 1);
    dup2(fd, 2);
    if (user != nullptr && (setgroups(0, nullptr) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0)) _exit(126);
    if (user != nullptr) prctl(PR_SET_PDEATHSIG, SIGKILL);  // changing the user has cleared it
    if (chdir(folder.c_str()) != 0) _exit(126);
    std::vector<char*> argv;
    for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    execv(argv[0], argv.data());
    _exit(127);
}

bool ends_well(pid_t pid) {
    int status = 0;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string content_of(const std::string& path) {
    std::ifstream in(path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

}  // namespace

struct PostgresServer::Parts {
    TempDir dir;
    std::string binaries = find_binaries();
    const passwd* user = unprivileged_user();
    Disk disk = Disk::unflushed;
    int port = 0;
    pid_t pid = 0;
    int outputs = 0;
    [[nodiscard]] std::string data() const { return dir.path() + "/data"; }
    [[nodiscard]] std::string log() const { return dir.path() + "/log"; }
    [[nodiscard]] std::string program(const char* name) const { return binaries + "/" + name; }
};

PostgresServer::PostgresServer() : parts_(std::make_unique<Parts>()) {}

PostgresServer::~PostgresServer() { kill(); }

Result<std::unique_ptr<PostgresServer>> PostgresServer::start(Disk disk) {
    std::unique_ptr<PostgresServer> server(new PostgresServer());
    Parts& parts = *server->parts_;
    parts.disk = disk;
    if (parts.binaries.empty()) return fail(ErrorCode::not_found, "PostgreSQL is not installed (apt-get install postgresql)");
    if (parts.user != nullptr && chown(parts.dir.path().c_str(), parts.user->pw_uid, parts.user->pw_gid) != 0) {
        return fail(ErrorCode::internal, "cannot give the folder to " + std::string(parts.user->pw_name));
    }
    const std::vector<std::string> initdb = {parts.program("initdb"), "-D",       parts.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8",
                                             "--locale=C.UTF-8",      "--no-sync"};
    if (!ends_well(spawn(initdb, parts.log(), parts.user, parts.dir.path())))
        return fail(ErrorCode::internal, "initdb failed: " + content_of(parts.log()));
    parts.port = free_port();
    KN_CHECK(server->run());
    return server;
}

Result<> PostgresServer::run() {
    Parts& parts = *parts_;
    parts.pid = spawn(
        {parts.program("postgres"), "-D", parts.data(), "-k", parts.dir.path(), "-p", std::to_string(parts.port), "-c", "listen_addresses=127.0.0.1",
         "-c", "max_connections=60", "-c", "shared_buffers=64MB", "-c", parts.disk == Disk::flushed ? "fsync=on" : "fsync=off"},
        parts.log(), parts.user, parts.dir.path());
    // pg_isready waits for us; the loop only bounds how often it is asked.
    for (int tried = 0; tried < 150; ++tried) {
        const std::vector<std::string> ask = {parts.program("pg_isready"), "-h", parts.dir.path(), "-p", std::to_string(parts.port), "-t", "2", "-q"};
        if (ends_well(spawn(ask, parts.log(), nullptr, parts.dir.path()))) return {};
        int status = 0;
        if (waitpid(parts.pid, &status, WNOHANG) == parts.pid) {
            parts.pid = 0;
            break;
        }
        poll(nullptr, 0, 100);
    }
    return fail(ErrorCode::unavailable, "PostgreSQL did not start: " + content_of(parts.log()));
}

void PostgresServer::kill() {
    if (parts_->pid == 0) return;
    ::kill(parts_->pid, SIGQUIT);  // immediate shutdown: the children end as well, the data stays as after a power cut
    waitpid(parts_->pid, nullptr, 0);
    parts_->pid = 0;
}

Result<> PostgresServer::restart() {
    kill();
    return run();
}

std::string PostgresServer::url(const std::string& database) const {
    std::string host;
    for (const char c : parts_->dir.path()) c == '/' ? host += "%2F" : host += c;
    return "postgres://postgres@" + host + ":" + std::to_string(parts_->port) + "/" + database;
}

std::string PostgresServer::tcp_url(const std::string& database) const {
    return "postgres://postgres@127.0.0.1:" + std::to_string(parts_->port) + "/" + database;
}

Result<std::string> PostgresServer::psql(const std::string& database, const std::string& sql) {
    const std::string output = parts_->dir.path() + "/psql." + std::to_string(++parts_->outputs);
    const bool ok = ends_well(
        spawn({parts_->program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url(database), "-c", sql}, output, nullptr, "/"));
    const std::string text = content_of(output);
    if (!ok) return fail(ErrorCode::internal, "psql: " + text);
    return text;
}

Result<std::string> PostgresServer::create_database(const std::string& name) {
    KN_TRY(const std::string done, psql("postgres", "CREATE DATABASE \"" + name + "\""));
    (void)done;
    return url(name);
}

}  // namespace kn::testing
