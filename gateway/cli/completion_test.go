package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completers are scripts that load the completion of their first argument and print what it makes of each further one,
// a line that ends at the cursor: one line of words for each.
var completers = map[string][]string{
	"bash": {"--norc", "-euc", `source "$1"; shift
for line; do
	read -ra COMP_WORDS <<<"$line"; [[ $line == *" " ]] && COMP_WORDS+=("")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=(); _peal; echo "${COMPREPLY[*]-}"
done`, "-"},
	// Outside its line editor, zsh runs the function as that would, but chooses the words with the right beginning later.
	"zsh": {"-fc", `source "$1"; shift
emulate ksh
for line; do
	COMP_WORDS=(${=line}); [[ $line == *" " ]] && COMP_WORDS+=("")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=(); _peal
	echo "${(M)COMPREPLY[@]:#${COMP_WORDS[COMP_CWORD]}*}"
done`, "-"},
	"fish": {"--no-config", "-c", `source $argv[1]
for line in $argv[2..]; echo (complete -C $line | string split -f1 \t); end`},
}

// complete has a real shell complete lines.
func complete(t *testing.T, shell string, lines []string) [][]string {
	t.Helper()
	path, err := exec.LookPath(shell)
	if err != nil {
		t.Fatalf("%v: the completions are tried in the shells themselves; `make test` installs what is missing", err)
	}
	code, script, stderr := run(t, "completion", shell)
	if code != 0 || stderr != "" {
		t.Fatalf("completion %s: %d\n%s", shell, code, stderr)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "completion")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), path, slices.Concat(completers[shell], []string{file}, lines)...)
	command.Dir = dir
	command.Env = append(os.Environ(), "HOME="+dir)
	var failed strings.Builder
	command.Stderr = &failed
	out, err := command.Output()
	if err != nil || failed.Len() > 0 {
		t.Fatalf("%s: %v\n%s%s", shell, err, out, failed.String())
	}
	var words [][]string
	for line := range strings.Lines(string(out)) {
		words = append(words, strings.Fields(line))
	}
	if len(words) != len(lines) {
		t.Fatalf("%s printed %d lines for %d:\n%s", shell, len(words), len(lines), out)
	}
	return words
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	tests := []struct {
		line      string
		want, not string
	}{
		{"peal s", "serve sub", "pub"},
		{"peal serve --cl", "--cluster --cluster-key", "--room"},
		{"peal pub --r", "--room", "--cluster"},
		{"peal serve --log-level ", "debug info warn error", "--cluster"},
		{"peal bench --transport w", "websocket", "polling"},
		{"peal bench ", "idle fanout", "serve"},
		{"peal completion ", "bash zsh fish", "serve"},
		{"peal help s", "serve sub", "pub"},
		{"peal serve --config comp", "completion", "--config"},
		{"peal serve --listen ", "", "--cluster completion"},
		{"peal --v", "--version", "serve"},
	}
	var lines []string
	for _, test := range tests {
		lines = append(lines, test.line)
	}
	for shell := range completers {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			for i, got := range complete(t, shell, lines) {
				for _, word := range strings.Fields(tests[i].want) {
					if !slices.Contains(got, word) {
						t.Errorf("%q completes to %q, without %s", lines[i], got, word)
					}
				}
				for _, word := range strings.Fields(tests[i].not) {
					if slices.Contains(got, word) {
						t.Errorf("%q completes to %q, with %s", lines[i], got, word)
					}
				}
			}
		})
	}
}
