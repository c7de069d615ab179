#include <iostream>

#include "analyze/command.hpp"
#include "bench/patterns.hpp"
#include "client/commands.hpp"
#include "commands.hpp"

int main(int argc, char** argv) {
    CLI::App app{"Kubernaut closes the loop from alert to verified fix on Kubernetes clusters."};
    app.name("kubernaut");
    app.set_version_flag("--version", std::string("kubernaut ") + kn::app::version);
    app.require_subcommand(1);
    app.option_defaults()->always_capture_default(false);
    int exit_code = 0;
    kn::app::add_serve(app, exit_code);
    kn::app::add_demo(app, exit_code);
    kn::app::add_sim(app, exit_code);
    kn::app::add_bench(app, exit_code);
    kn::app::add_bench_patterns(app, exit_code);
    kn::app::add_analyze(app, exit_code);
    kn::app::add_config(app, exit_code);
    kn::client::add_commands(app, exit_code);
    kn::app::add_completion(app, exit_code);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const int code = app.exit(error);
        return code == 0 ? 0 : 2;  // help and version are no errors
    } catch (const std::exception& error) {
        std::cerr << "error: " << error.what() << "\n";
        return 1;
    }
    return exit_code;
}
