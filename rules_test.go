package peal_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const module = "github.com/peal-dev/peal"

// layers lists, for every package, the packages of this repository that it may import: the picture in
// docs/architecture.md, as a table. A name ending in "/..." stands for everything below it. Tests are free to look
// further down; they may not look up either, but there the compiler's ban on cycles is enough.
var layers = map[string][]string{
	".":        {},
	"cmd/peal": {"gateway/..."},
	"gateway":  {"adapter", "admission", "eventlog", "eventlog/filelog", "eventlog/memlog", "eventlog/streamhttp", "adapter/local", "adapter/mongodb", "adapter/postgres", "adapter/redispubsub", "adapter/redissharded", "adapter/redisstreams", "cluster", "engineio", "gateway/...", "internal/lograte", "internal/reuseport", "internal/service", "internal/tally", "internal/utf8text", "message", "origin", "socketio", "sse", "web"},
	"web":      {},

	"gateway/cli": {"bench/command", "gateway", "internal/reuseport", "internal/service", "sse", "web"},
	"bench":       {"bench/...", "internal/bench/..."}, // it measures servers from outside

	"socketio": {"adapter", "engineio", "eventlog", "message", "socketio/...", "internal/..."},
	"sse":      {"adapter", "admission", "eventlog", "sse/...", "message", "origin", "internal/jsonscan", "internal/lograte", "internal/netconn", "internal/service", "internal/tally", "internal/utf8text", "internal/wheel", "internal/workers"},

	"eventlog":             {"message"},
	"eventlog/filelog":     {"eventlog", "eventlog/internal/ledger", "message", "internal/journal", "internal/service"},
	"eventlog/redislog":    {"eventlog", "message", "internal/redisx"},
	"eventlog/memlog":      {"eventlog", "eventlog/internal/ledger", "message"},
	"eventlog/streamhttp":  {"eventlog", "internal/service", "internal/tally", "message"},
	"eventlog/groups":      {"eventlog", "message"},
	"eventlog/logtest":     {"eventlog", "message"},
	"adapter":              {"eventlog", "internal/service", "internal/tally", "message"},
	"adapter/adaptertest":  {"adapter", "message", "eventlog"},
	"adapter/local":        {"adapter", "adapter/nodewire", "adapter/internal/nodecluster", "adapter/internal/pealwire", "internal/service"},
	"adapter/mongodb":      {"adapter", "adapter/internal/...", "adapter/nodewire", "internal/lograte", "internal/rival", "internal/service"},
	"adapter/nodewire":     {"adapter", "adapter/internal/jsonpack", "message", "internal/jsonscan", "internal/utf8text"},
	"adapter/postgres":     {"adapter", "adapter/nodewire", "adapter/internal/...", "internal/lograte", "internal/service"},
	"adapter/redispubsub":  {"adapter", "adapter/internal/...", "message", "internal/jsonscan", "internal/redisx", "internal/service"},
	"adapter/redissharded": {"adapter", "adapter/nodewire", "adapter/internal/...", "internal/redisx", "internal/service"},
	"adapter/redisstreams": {"adapter", "adapter/nodewire", "adapter/internal/...", "internal/redisx", "internal/service", "internal/jsonscan", "message"},

	"eventlog/internal/ledger": {"eventlog", "message"},

	"adapter/internal/emitting":    {"adapter", "internal/service"},
	"adapter/internal/homes":       {},
	"adapter/internal/jsonpack":    {"internal/jsonscan", "internal/utf8text"},
	"adapter/internal/outbox":      {"adapter", "internal/service"},
	"adapter/internal/jsonbson":    {"adapter/internal/jsonpack", "internal/jsonscan", "internal/utf8text"},
	"adapter/internal/numbers":     {},
	"adapter/internal/pealwire":    {"adapter", "message"},
	"adapter/internal/recentrooms": {},
	"adapter/internal/reception":   {"adapter", "adapter/nodewire", "internal/lograte", "internal/service", "internal/tally"},
	"adapter/internal/nodecluster": {"adapter", "adapter/nodewire", "adapter/internal/homes", "adapter/internal/numbers", "adapter/internal/reception", "internal/service", "message"},

	"admission":         {},
	"cluster":           {"adapter", "message", "internal/lograte", "internal/netconn", "internal/service", "internal/tally"},
	"engineio":          {"admission", "engineio/...", "origin", "internal/front", "internal/lograte", "internal/service", "internal/tally", "internal/netconn", "internal/utf8text", "internal/wheel", "internal/wsproto"},
	"origin":            {},
	"engineio/eioproto": {"internal/utf8text"},
	"socketio/sioproto": {"message", "internal/jsonscan", "internal/utf8text"},
	"message":           {"internal/jsonscan", "internal/utf8text"},

	"internal/bench":      {"internal/bench/..."},
	"internal/faultproxy": {},
	"internal/front":      {"internal/workers"},
	"internal/journal":    {"internal/service"},
	"internal/jsonscan":   {"internal/utf8text"},
	"internal/lograte":    {},
	"internal/netconn":    {"internal/service", "internal/workers"},
	"internal/redisx":     {"internal/rival", "internal/service"},
	"internal/rival":      {"internal/service"},
	"internal/reuseport":  {},
	"internal/service":    {},
	"internal/tally":      {},
	"internal/testcerts":  {},
	"internal/testmongo":  {"internal/testserver"},
	"internal/testredis":  {"internal/testcerts", "internal/testserver"},
	"internal/testserver": {},
	"internal/utf8text":   {},
	"internal/wheel":      {},
	"internal/workers":    {},
	"internal/wsproto":    {},

	"internal/journal/journaltest": {"internal/journal"},
	"internal/testpostgres":        {"internal/testserver"},

	"examples": {"..."},
	"interop":  {"..."},
	"lab":      {"bench", "internal/bench/...", "internal/journal", "lab/..."},
}

// leaves are programs, measurements and tests about the whole; nothing may build on them.
var leaves = []string{"cmd", "examples", "interop", "lab"}

// source is one Go file of the repository.
type source struct {
	path  string // from the root, with slashes
	file  *ast.File
	set   *token.FileSet
	lines int
}

func (s source) dir() string     { return path.Dir(s.path) }
func (s source) isTest() bool    { return strings.HasSuffix(s.path, "_test.go") }
func (s source) generated() bool { return ast.IsGenerated(s.file) }

func (s source) at(pos token.Pos) string {
	return fmt.Sprintf("%s:%d", s.path, s.set.Position(pos).Line)
}

// imports returns the paths that the file imports.
func (s source) imports() []string {
	var paths []string
	for _, spec := range s.file.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

// load parses every Go file of the repository, whatever module it belongs to, leaving out what tools put there.
func load(tree fs.FS) ([]source, error) {
	var sources []source
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return enter(name)
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, text, parser.ParseComments)
		if err != nil {
			return err
		}
		sources = append(sources, source{path: name, file: file, set: set, lines: strings.Count(string(text), "\n")})
		return nil
	})
	return sources, err
}

// enter tells a walk whether a directory is ours.
func enter(dir string) error {
	if dir == "." {
		return nil
	}
	base := path.Base(dir)
	if strings.HasPrefix(base, ".") || base == "node_modules" || base == "testdata" || base == "bin" {
		return fs.SkipDir
	}
	return nil
}

// byPackage groups sources by directory.
func byPackage(sources []source) map[string][]source {
	packages := map[string][]source{}
	for _, s := range sources {
		packages[s.dir()] = append(packages[s.dir()], s)
	}
	return packages
}

// rules are what every commit must hold. Each returns one line per breach that says what to do.
var rules = map[string]func([]source) []string{
	"imports point down":           importsPointDown,
	"one way to Redis":             oneWayToRedis,
	"codecs are pure":              codecsArePure,
	"one package comment":          onePackageComment,
	"exported means documented":    exportedMeansDocumented,
	"files stay readable":          filesStayReadable,
	"names say something":          namesSaySomething,
	"logs go through slog":         logsGoThroughSlog,
	"tests wait for events":        testsWaitForEvents,
	"tests are not skipped":        testsAreNotSkipped,
	"open ends have an issue":      openEndsHaveAnIssue,
	"directives are obeyed":        directivesAreObeyed,
	"public means shown by use":    publicMeansShown,
	"public names public types":    publicNamesPublic,
	"tests look for leaks":         testsLookForLeaks,
	"decoders are fuzzed":          decodersAreFuzzed,
	"the table has no stale lines": tableIsComplete,
}

func TestRules(t *testing.T) {
	t.Parallel()
	sources, err := load(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) == 0 {
		t.Fatal("no Go file found: the rules would hold of nothing")
	}
	for name, check := range rules {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, breach := range check(sources) {
				t.Error(breach)
			}
		})
	}
}

// rowOf finds the line of the table for a package: its own, or that of the nearest directory above it.
func rowOf(dir string) (row string, allowed []string, ok bool) {
	for row = dir; ; row = path.Dir(row) {
		if allowed, ok = layers[row]; ok {
			return row, allowed, true
		}
		if row == "." || path.Dir(row) == "." {
			return "", nil, false
		}
	}
}

func covers(pattern, dir string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "..."); ok {
		return strings.HasPrefix(dir+"/", prefix)
	}
	return pattern == dir
}

func ours(importPath string) (dir string, ok bool) {
	return strings.CutPrefix(importPath, module+"/")
}

func importsPointDown(sources []source) (breaches []string) {
	for _, s := range sources {
		row, allowed, ok := rowOf(s.dir())
		if !ok {
			breaches = append(breaches, fmt.Sprintf("%s: package %s has no line in the table of layers: add it there and in docs/architecture.md", s.path, s.dir()))
			continue
		}
		for _, imported := range s.imports() {
			dir, ok := ours(imported)
			if !ok {
				continue
			}
			inside := dir == row || strings.HasPrefix(dir, row+"/")
			if top, _, _ := strings.Cut(dir, "/"); slices.Contains(leaves, top) && !inside {
				breaches = append(breaches, fmt.Sprintf("%s imports %s: nothing may build on it, move the shared part down", s.path, dir))
				continue
			}
			if s.isTest() || slices.ContainsFunc(allowed, func(p string) bool { return covers(p, dir) }) {
				continue
			}
			breaches = append(breaches, fmt.Sprintf("%s imports %s: %s may import %v; turn the dependency around or change the architecture on purpose", s.path, dir, row, allowed))
		}
	}
	return breaches
}

func oneWayToRedis(sources []source) (breaches []string) {
	for _, s := range sources {
		for _, imported := range s.imports() {
			if strings.HasPrefix(imported, "github.com/redis/") && s.dir() != "internal/redisx" {
				breaches = append(breaches, fmt.Sprintf("%s imports %s: go through internal/redisx, which holds the policy for connections", s.path, imported))
			}
		}
	}
	return breaches
}

func isCodec(dir string) bool {
	return strings.HasSuffix(path.Base(dir), "proto") || path.Base(dir) == "nodewire"
}

func codecsArePure(sources []source) (breaches []string) {
	for _, s := range sources {
		if !isCodec(s.dir()) || s.isTest() {
			continue
		}
		for _, imported := range s.imports() {
			top, _, _ := strings.Cut(imported, "/")
			if top == "net" || top == "os" || top == "syscall" || imported == "context" {
				breaches = append(breaches, fmt.Sprintf("%s imports %s: a codec takes and returns bytes, leave the I/O to the layer above", s.path, imported))
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				breaches = append(breaches, fmt.Sprintf("%s starts a goroutine: a codec takes and returns bytes", s.at(g.Pos())))
			}
			return true
		})
	}
	return breaches
}

func onePackageComment(sources []source) (breaches []string) {
	for dir, files := range byPackage(sources) {
		var with []string
		code := false
		for _, s := range files {
			if s.isTest() {
				continue
			}
			code = true
			if s.file.Doc != nil {
				with = append(with, s.path)
			}
		}
		if code && len(with) != 1 {
			breaches = append(breaches, fmt.Sprintf("%s: %d package comments %v: write exactly one, in doc.go", dir, len(with), with))
		}
	}
	return breaches
}

// maxLines is what a file may have, tests too.
const maxLines = 400

func filesStayReadable(sources []source) (breaches []string) {
	for _, s := range sources {
		if s.lines > maxLines && !s.generated() {
			breaches = append(breaches, fmt.Sprintf("%s has %d lines, more than %d: split it where its subject changes", s.path, s.lines, maxLines))
		}
	}
	return breaches
}

func namesSaySomething(sources []source) (breaches []string) {
	for dir := range byPackage(sources) {
		for _, name := range []string{"util", "utils", "common", "types", "helper", "helpers", "misc", "shared"} {
			if path.Base(dir) == name {
				breaches = append(breaches, fmt.Sprintf("%s: a package called %q says nothing: name it after what it provides", dir, name))
			}
		}
	}
	return breaches
}

// logsGoThroughSlog leaves the examples alone, where log.Fatal is what a Go reader expects.
func logsGoThroughSlog(sources []source) (breaches []string) {
	for _, s := range sources {
		if !s.isTest() && !covers("examples/...", s.dir()) && slices.Contains(s.imports(), "log") {
			breaches = append(breaches, fmt.Sprintf("%s imports log: use log/slog, with a logger that was handed in", s.path))
		}
	}
	return breaches
}

func tableIsComplete(sources []source) (breaches []string) {
	used := map[string]bool{}
	for _, s := range sources {
		row, _, _ := rowOf(s.dir())
		used[row] = true
	}
	for row := range layers {
		if !used[row] {
			breaches = append(breaches, fmt.Sprintf("the table of layers names %s, where no Go file is: remove the line", row))
		}
	}
	return breaches
}
