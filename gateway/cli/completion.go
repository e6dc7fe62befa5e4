package cli

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCommand is `peal completion`.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help says how to use the script.
func (completionCommand) Help() string {
	return `For the shell that runs, or in the file that it reads when it starts:

  source <(peal completion bash)
  source <(peal completion zsh)
  peal completion fish | source`
}

// Run prints the script, which knows all commands and flags and asks nobody.
func (c completionCommand) Run(streams streams, k *kong.Kong) error {
	script := bashCompletion
	switch c.Shell {
	case "zsh":
		script = zshCompletion
	case "fish":
		script = fishCompletion
	}
	_, err := fmt.Fprint(streams.out, script(k.Model))
	return err
}

// completedFlags are the flags of a command that one can give it, --help and --version included.
func completedFlags(command *kong.Node) (flags []*kong.Flag) {
	for _, group := range command.AllFlags(true) {
		flags = append(flags, group...)
	}
	return flags
}

// choices are the values a flag or an argument can have, if they are few and known.
func choices(value *kong.Value) []string {
	if value.Enum != "" {
		return value.EnumSlice()
	}
	if list := value.Tag.Get("choices"); list != "" {
		return strings.Split(list, ",")
	}
	return nil
}

// operands are the words that can follow a command, without flags.
func operands(app *kong.Application, command *kong.Node) (words []string) {
	if command.Name == "help" {
		return names(app.Children)
	}
	for _, argument := range command.Positional {
		words = append(words, choices(argument)...)
	}
	return words
}

func names(commands []*kong.Node) (names []string) {
	for _, command := range commands {
		names = append(names, command.Name)
	}
	return names
}

func isFile(flag *kong.Flag) bool { return flag.PlaceHolder == "FILE" }

// bashCompletion is one function: first the values of the flag before the cursor, then the flags of the command.
func bashCompletion(app *kong.Application) string {
	var b strings.Builder
	b.WriteString("# Completes peal. Load it with: source <(peal completion bash)\n_peal() {\n" +
		"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=\n" +
		"\tcase ${COMP_WORDS[1]}:$prev in\n")
	for _, command := range app.Children {
		for _, flag := range completedFlags(command) {
			switch list := choices(flag.Value); {
			case flag.IsBool():
			case len(list) > 0:
				fmt.Fprintf(&b, "\t%s:--%s) words=%q ;;\n", command.Name, flag.Name, strings.Join(list, " "))
			case isFile(flag):
				fmt.Fprintf(&b, "\t%s:--%s) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", command.Name, flag.Name)
			default:
				fmt.Fprintf(&b, "\t%s:--%s) return ;;\n", command.Name, flag.Name)
			}
		}
	}
	b.WriteString("\tesac\n\tif [ -z \"$words\" ]; then\n\t\tcase $COMP_CWORD:${COMP_WORDS[1]} in\n")
	fmt.Fprintf(&b, "\t\t1:*) words=%q ;;\n", strings.Join(append(names(app.Children), "--help", "--version"), " "))
	for _, command := range app.Children {
		words := operands(app, command)
		for _, flag := range completedFlags(command) {
			words = append(words, "--"+flag.Name)
		}
		fmt.Fprintf(&b, "\t\t*:%s) words=%q ;;\n", command.Name, strings.Join(words, " "))
	}
	b.WriteString("\t\tesac\n\tfi\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -F _peal peal\n")
	return b.String()
}

// zshCompletion is the function for bash, which zsh can run.
func zshCompletion(app *kong.Application) string {
	return "# Completes peal. Load it with: source <(peal completion zsh)\n" +
		"(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -u }\n" +
		"autoload -Uz bashcompinit && bashcompinit\n" + bashCompletion(app)
}

// fishCompletion is one line for each command, flag and value.
func fishCompletion(app *kong.Application) string {
	var b strings.Builder
	b.WriteString("# Completes peal. Load it with: peal completion fish | source\ncomplete -c peal -f\n")
	quote := func(text string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
	}
	for _, flag := range app.Flags {
		fmt.Fprintf(&b, "complete -c peal -n __fish_use_subcommand -l %s -d %s\n", flag.Name, quote(flag.Help))
	}
	for _, command := range app.Children {
		fmt.Fprintf(&b, "complete -c peal -n __fish_use_subcommand -a %s -d %s\n", command.Name, quote(command.Help))
	}
	for _, command := range app.Children {
		when := quote("__fish_seen_subcommand_from " + command.Name)
		if words := operands(app, command); len(words) > 0 {
			fmt.Fprintf(&b, "complete -c peal -n %s -a %s\n", when, quote(strings.Join(words, " ")))
		}
		for _, flag := range completedFlags(command) {
			fmt.Fprintf(&b, "complete -c peal -n %s -l %s -d %s", when, flag.Name, quote(flag.Help))
			switch list := choices(flag.Value); {
			case flag.IsBool():
			case len(list) > 0:
				fmt.Fprintf(&b, " -x -a %s", quote(strings.Join(list, " ")))
			case isFile(flag):
				b.WriteString(" -r -F")
			default:
				b.WriteString(" -x")
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}
