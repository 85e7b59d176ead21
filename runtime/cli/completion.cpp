// caesura completion: scripts for shells, made from the parser itself, so that they know what it knows.

#include <algorithm>
#include <map>
#include <set>

#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"

namespace caesura::cli {

namespace {

struct command_words {
  std::string path{};                           // "", "/runs", "/runs/list"
  std::set<std::string> words{};                // what may follow: commands and options
  std::map<std::string, std::string> values{};  // options that take a value, and the shell's words for it
  std::string argument{};                       // the shell's words for its argument
};

// What a value may be, as far as its type says: one of a set, or a directory; else nothing is offered.
std::string shell_words(const CLI::Option& option) {
  const auto type = option.get_type_name();
  const auto open = type.find('{');
  const auto close = type.find('}');
  if (open != std::string::npos && close != std::string::npos) {
    auto members = type.substr(open + 1, close - open - 1);
    std::replace(members.begin(), members.end(), ',', ' ');
    return "compgen -W '" + members + "'";
  }
  return type.find("DIRECTORY") != std::string::npos ? "compgen -d" : "";
}

void collect(const CLI::App& app, const std::string& path, const CLI::App* root, std::vector<command_words>& all) {
  command_words here{.path = path};
  for (const auto* one : {&app, root}) {
    if (one == nullptr) continue;
    for (const auto* option : one->get_options()) {
      if (option->get_positional()) here.argument = shell_words(*option);
      for (const auto& name : option->get_lnames()) {
        here.words.insert("--" + name);
        if (option->get_items_expected() != 0) here.values.emplace("--" + name, shell_words(*option));
      }
    }
  }
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  for (const auto* one : commands) here.words.insert(one->get_name());
  all.push_back(std::move(here));
  for (const auto* one : commands) collect(*one, path + "/" + one->get_name(), root == nullptr ? &app : root, all);
}

std::string bash_script(const CLI::App& app) {
  std::vector<command_words> all;
  collect(app, "", nullptr, all);
  std::string paths;
  std::string values;
  std::string words;
  for (const auto& one : all) {
    if (!one.path.empty()) paths += (paths.empty() ? "" : "|") + one.path;
    for (const auto& [option, shell] : one.values) {
      values += "    " + one.path + ":" + option + ") " + (shell.empty() ? "" : "COMPREPLY=($(" + shell + " -- \"$current\")); ") + "return ;;\n";
    }
    std::string list;
    for (const auto& word : one.words) list += (list.empty() ? "" : " ") + word;
    words += "    \"" + one.path + "\") words='" + list + "'";
    if (!one.argument.empty()) words += "; COMPREPLY=($(" + one.argument + " -- \"$current\"))";
    words += " ;;\n";
  }
  return "# bash completion of caesura; made by: caesura completion bash\n"
         "_caesura() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} path='' words='' i\n"
         "  COMPREPLY=()\n"
         "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
         "    case \"$path/${COMP_WORDS[i]}\" in\n"
         "      " + paths + ") path=\"$path/${COMP_WORDS[i]}\" ;;\n"
         "    esac\n"
         "  done\n"
         "  case \"$path:$previous\" in\n" + values +
         "  esac\n"
         "  case \"$path\" in\n" + words +
         "  esac\n"
         "  COMPREPLY+=($(compgen -W \"$words\" -- \"$current\"))\n"
         "}\n"
         "complete -F _caesura caesura\n";
}

}  // namespace

void add_completion(CLI::App& app, common& /*at*/) {
  auto* const command = app.add_subcommand("completion", "Print a completion script: source <(caesura completion bash)");
  const auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "Which shell")->check(CLI::IsMember({"bash"}))->required();
  command->callback([&app, shell] { print(bash_script(app)); });  // shell: what the parser writes into
}

}  // namespace caesura::cli
