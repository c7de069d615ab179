#include <iostream>
#include <memory>

#include "client/render.hpp"
#include "commands.hpp"

namespace kn::app {
namespace {

std::string words_of(const CLI::App& app) {
    std::string words;
    for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) words += command->get_name() + " ";
    return words;
}

std::string options_of(const CLI::App& app) {
    std::string words;
    for (const auto* option : app.get_options()) {
        for (const auto& name : option->get_lnames()) words += "--" + name + " ";
    }
    return words;
}

/// Commands, their options, and the kinds of get and describe; made from the parser itself so that it cannot lag behind.
std::string bash(const CLI::App& app) {
    std::string kinds;
    for (const auto& kind : client::kinds()) kinds += kind.name + " ";
    std::string out =
        "_kubernaut() {\n  local cur=${COMP_WORDS[COMP_CWORD]} cmd=${COMP_WORDS[1]}\n"
        "  if [ \"$COMP_CWORD\" -eq 1 ]; then COMPREPLY=($(compgen -W \"" +
        words_of(app) + "\" -- \"$cur\")); return; fi\n  case $cmd in\n";
    for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
        std::string words = options_of(*command) + words_of(*command);
        if (command->get_name() == "get" || command->get_name() == "describe") words += kinds;
        if (command->get_name() == "pause" || command->get_name() == "resume") words += "fleet cluster namespace ";
        out += "    " + command->get_name() + ") COMPREPLY=($(compgen -W \"" + words + "\" -- \"$cur\"));;\n";
    }
    return out + "  esac\n}\ncomplete -F _kubernaut kubernaut\n";
}

std::string fish(const CLI::App& app) {
    std::string out = "complete -c kubernaut -f\n";
    for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
        out += "complete -c kubernaut -n __fish_use_subcommand -a " + command->get_name() + " -d '" + command->get_description() + "'\n";
        for (const auto* option : command->get_options()) {
            for (const auto& name : option->get_lnames())
                out += "complete -c kubernaut -n '__fish_seen_subcommand_from " + command->get_name() + "' -l " + name + "\n";
        }
    }
    for (const auto& kind : client::kinds()) out += "complete -c kubernaut -n '__fish_seen_subcommand_from get describe' -a " + kind.name + "\n";
    return out;
}

}  // namespace

void add_completion(CLI::App& app, int& exit_code) {
    auto shell = std::make_shared<std::string>();
    auto* command = app.add_subcommand("completion", "Print shell completion: source <(kubernaut completion bash)");
    command->add_option("shell", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
    command->callback([shell, &app, &exit_code] {
        if (*shell == "fish")
            std::cout << fish(app);
        else if (*shell == "zsh")
            std::cout << "autoload -U +X bashcompinit && bashcompinit\n" << bash(app);
        else
            std::cout << bash(app);
        exit_code = 0;
    });
}

}  // namespace kn::app
