#include <iostream>
#include <memory>

#include "commands.hpp"
#include "kubernaut/config/config.hpp"
#include "kubernaut/json/json.hpp"
#include "settings.hpp"

namespace kn::app {

void add_config(CLI::App& app, int& exit_code) {
    auto file = std::make_shared<std::string>();
    auto key = std::make_shared<std::string>();
    auto output = std::make_shared<std::string>("table");
    auto* command = app.add_subcommand("config", "Check, explain or print settings");
    command->require_subcommand(1);

    auto* check = command->add_subcommand("check", "Read a settings file and the environment; tell everything that is wrong, with line and path");
    check->add_option("file,-c,--config", *file, "settings file");
    check->callback([file, &exit_code] {
        const auto environment = environment_of_process();
        const auto settings = load_settings(*file, environment);
        if (!settings) {
            exit_code = 1;
            return;
        }
        if (const auto options = hub_options(*settings, environment); !options) {
            std::cerr << "error: " << options.error().field << ": " << options.error().message << "\n";
            exit_code = 1;
            return;
        }
        std::cout << (file->empty() ? "defaults and environment" : *file) << ": ok, " << settings->clusters.size() << " cluster(s)\n";
    });

    auto* explain = command->add_subcommand("explain", "Every setting with its value and meaning; or those below a path");
    explain->add_option("path", *key, "such as guard.budgets");
    explain->add_option("-c,--config", *file, "show the values of this file");
    explain->add_option("-o,--output", *output, "table or json")->check(CLI::IsMember({"table", "json"}));
    explain->callback([file, key, output, &exit_code] {
        const auto settings = load_settings(*file, environment_of_process());
        if (!settings) {
            exit_code = 1;
            return;
        }
        json::Array all;
        for (const auto& doc : config::explain(*settings)) {
            if (!key->empty() && doc.path != *key && !doc.path.starts_with(*key + ".")) continue;
            if (*output == "json") {
                all.push_back(
                    json::Object{{"path", doc.path}, {"type", doc.type}, {"value", json::parse(doc.value).value_or(nullptr)}, {"help", doc.help}});
            } else {
                std::cout << doc.path << " = " << doc.value << "\n    " << doc.help << " (" << doc.type << ")\n";
                all.push_back(nullptr);
            }
        }
        if (all.empty()) {
            std::cerr << "error: there is no setting " << *key << "\n";
            exit_code = 1;
        } else if (*output == "json") {
            std::cout << json::dump_pretty(all) << "\n";
        }
    });

    auto* defaults = command->add_subcommand("default", "Print a settings file with all defaults");
    defaults->callback([] { std::cout << config::default_yaml(); });
}

}  // namespace kn::app
