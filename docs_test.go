package peal_test

import (
	"bytes"
	"go/format"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// document is one Markdown file, taken apart as far as these tests need.
type document struct {
	levels []string // "#", "##", … in order
	blocks []block
	prose  string // everything but the code blocks
}

type block struct{ language, text string }

func parseDocument(text string) document {
	var d document
	var prose strings.Builder
	var open *block
	for line := range strings.Lines(text) {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && open == nil:
			open = &block{language: strings.TrimSpace(fence)}
		case isFence:
			d.blocks = append(d.blocks, *open)
			open = nil
		case open != nil:
			open.text += line
		default:
			if marks, _, ok := strings.Cut(line, " "); ok && marks != "" && strings.Trim(marks, "#") == "" {
				d.levels = append(d.levels, marks)
			}
			prose.WriteString(line)
		}
	}
	d.prose = prose.String()
	return d
}

func readDocument(t *testing.T, name string) document {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return parseDocument(string(text))
}

func TestParseDocument(t *testing.T) {
	t.Parallel()
	d := parseDocument("# A\ntext\n```go\n# not a heading\n```\n## B\n#no\n")
	if got := strings.Join(d.levels, " "); got != "# ##" {
		t.Errorf("levels %q", got)
	}
	if len(d.blocks) != 1 || d.blocks[0] != (block{"go", "# not a heading\n"}) {
		t.Errorf("blocks %q", d.blocks)
	}
	if d.prose != "# A\ntext\n## B\n#no\n" {
		t.Errorf("prose %q", d.prose)
	}
}

// The Chinese README is the same document: a section or a command changed in one must change in the other.
func TestReadmesAreEqual(t *testing.T) {
	t.Parallel()
	english, chinese := readDocument(t, "README.md"), readDocument(t, "README.zh-CN.md")
	if !slices.Equal(english.levels, chinese.levels) {
		t.Errorf("headings differ:\n%v\n%v", english.levels, chinese.levels)
	}
	if !slices.Equal(english.blocks, chinese.blocks) {
		t.Errorf("code blocks differ:\n%q\n%q", english.blocks, chinese.blocks)
	}
	rows := func(d document) int { return strings.Count("\n"+d.prose, "\n|") }
	if rows(english) != rows(chinese) {
		t.Errorf("table rows differ: %d and %d", rows(english), rows(chinese))
	}
}

// markdownFiles lists the documents that belong to the project.
func markdownFiles(t *testing.T) []string {
	t.Helper()
	tree := os.DirFS(".")
	var names []string
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return enter(name)
		}
		if path.Ext(name) == ".md" {
			names = append(names, name)
		}
		return nil
	})
	if err != nil || len(names) == 0 {
		t.Fatalf("found %v, %v", names, err)
	}
	return names
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinksResolve(t *testing.T) {
	t.Parallel()
	for _, name := range markdownFiles(t) {
		for _, match := range link.FindAllStringSubmatch(readDocument(t, name).prose, -1) {
			target, _, _ := strings.Cut(match[1], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), target)); err != nil {
				t.Errorf("%s links to %s, which does not exist", name, match[1])
			}
		}
	}
}

// The programs in the README are compiled, and every Go block is formatted as gofmt would.
func TestReadmeGoCompiles(t *testing.T) {
	t.Parallel()
	programs := 0
	for _, b := range readDocument(t, "README.md").blocks {
		if b.language != "go" {
			continue
		}
		formatted, err := format.Source([]byte(b.text))
		if err != nil {
			t.Errorf("%v in\n%s", err, b.text)
		} else if !bytes.Equal(formatted, []byte(b.text)) {
			t.Errorf("not formatted:\n%s", b.text)
		}
		if !strings.HasPrefix(b.text, "package main") {
			continue
		}
		programs++
		file := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
	if programs == 0 {
		t.Error("the README has no whole program")
	}
}

var (
	flagInTable = regexp.MustCompile("(?m)^\\| `(--[a-z-]+)`")
	flagInHelp  = regexp.MustCompile(`(?m)^\s+(?:-\w, )?(--(?:\[no-\])?[a-z-]+)`)
	target      = regexp.MustCompile(`\bmake ([a-z]+)\b`)
)

func TestReadmeListsTheFlags(t *testing.T) {
	t.Parallel()
	help, err := exec.CommandContext(t.Context(), "go", "run", "./cmd/peal", "serve", "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, help)
	}
	var want []string
	for _, match := range flagInHelp.FindAllStringSubmatch(string(help), -1) {
		name := strings.Replace(match[1], "[no-]", "", 1)
		if name != "--help" && name != "--version" {
			want = append(want, name)
		}
	}
	var got []string
	for _, match := range flagInTable.FindAllStringSubmatch(readDocument(t, "README.md").prose, -1) {
		got = append(got, match[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("the table of flags in the README has\n%v, but peal serve --help has\n%v", got, want)
	}
}

func TestDocumentedTargetsExist(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "README.zh-CN.md", "CONTRIBUTING.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		matches := target.FindAllStringSubmatch(string(text), -1)
		if len(matches) == 0 {
			t.Errorf("%s names no make target", name)
		}
		for _, match := range matches {
			if !bytes.Contains(makefile, []byte("\n"+match[1]+":")) {
				t.Errorf("%s names `make %s`, which the Makefile does not have", name, match[1])
			}
		}
	}
}

// Lock files must not say where a package was downloaded from: every machine has its own registry.
func TestLockFilesNameNoRegistry(t *testing.T) {
	t.Parallel()
	locks, err := filepath.Glob("*/package-lock.json")
	if err != nil || len(locks) == 0 {
		t.Fatalf("lock files %v, %v", locks, err)
	}
	for _, name := range locks {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(`"resolved"`)) {
			t.Errorf(`%s has "resolved" lines: npm config set omit-lockfile-registry-resolved=true, and write it anew`, name)
		}
	}
}

func TestModuleIsWhole(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if regexp.MustCompile(`(?m)^(replace|exclude)\b|^\s+.* => `).Match(text) {
		t.Error("go.mod replaces or excludes modules: users of the library would not get the same")
	}
}

// In a workspace every module is built with the newest version that any of them asks for. What tests and measurements
// need must not change what they test: what users get by go.mod.
func TestWorkspaceBuildsWhatUsersGet(t *testing.T) {
	t.Parallel()
	list := func(workspace string) []string {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if .Version}}{{.Path}} {{.Version}}{{end}}{{end}}", "./...")
		cmd.Env = append(os.Environ(), "GOWORK="+workspace)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		slices.Sort(lines)
		return slices.Compact(lines)
	}
	alone, together := list("off"), list("")
	if len(alone) < 2 || !slices.Equal(alone, together) {
		t.Errorf("alone, go.mod builds with\n%v, in go.work with\n%v: ask for the newer versions in go.mod", alone, together)
	}
}
