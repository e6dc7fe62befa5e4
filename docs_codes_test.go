package peal_test

import (
	"go/ast"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// errorCodes returns the texts of the constants called Code… of some packages: what clients may be sent.
func errorCodes(sources []source, dirs ...string) (codes []string) {
	for _, s := range sources {
		if s.isTest() || !slices.Contains(dirs, s.dir()) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			for i, value := range spec.Values {
				literal, ok := value.(*ast.BasicLit)
				if !ok || literal.Kind != token.STRING || !strings.HasPrefix(spec.Names[i].Name, "Code") {
					continue
				}
				if text, err := strconv.Unquote(literal.Value); err == nil {
					codes = append(codes, text)
				}
			}
			return true
		})
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

var codeInTable = regexp.MustCompile("(?m)^\\| `([a-z_]+)`")

// reasonsOfSessions returns the words under which package engineio counts refusals: its names, and its messages.
func reasonsOfSessions(sources []source) (reasons []string) {
	name, message := regexp.MustCompile(`^[A-Z]+(_[A-Z]+)+$`), "codeMessages"
	for _, s := range sources {
		if s.isTest() || s.dir() != "engineio" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			within := func(n ast.Node, meant func(string) bool) {
				ast.Inspect(n, func(n ast.Node) bool {
					if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
						if text, err := strconv.Unquote(literal.Value); err == nil && meant(text) {
							reasons = append(reasons, strings.ToLower(strings.ReplaceAll(text, " ", "_")))
						}
					}
					return true
				})
			}
			switch n := n.(type) {
			case *ast.ValueSpec:
				if n.Names[0].Name == message {
					within(n, func(string) bool { return true })
				}
			case *ast.BasicLit:
				within(n, name.MatchString)
			}
			return true
		})
	}
	slices.Sort(reasons)
	return slices.Compact(reasons)
}

func TestReasonsOfRefusedSessionsAreDocumented(t *testing.T) {
	t.Parallel()
	sources, err := load(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	reasons, page := reasonsOfSessions(sources), readDocument(t, "docs/errors.md").prose
	if len(reasons) < 15 {
		t.Fatalf("found only %q", reasons)
	}
	for _, reason := range reasons {
		if !strings.Contains(page, "`"+reason+"`") && reason != "too_many_connections" { // which is always counted more exactly
			t.Errorf("docs/errors.md does not list %q, as which a session may be refused", reason)
		}
	}
}

func TestErrorCodesAreDocumented(t *testing.T) {
	t.Parallel()
	sources, err := load(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	want := errorCodes(sources, "eventlog", "eventlog/streamhttp", "gateway", "socketio", "sse")
	var got []string
	for _, match := range codeInTable.FindAllStringSubmatch(readDocument(t, "docs/errors.md").prose, -1) {
		got = append(got, match[1])
	}
	slices.Sort(got)
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("docs/errors.md lists\n%v, the code has\n%v", got, want)
	}
}
