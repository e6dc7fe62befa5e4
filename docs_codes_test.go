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

func TestErrorCodesAreDocumented(t *testing.T) {
	t.Parallel()
	sources, err := load(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	want := errorCodes(sources, "gateway", "socketio", "sse")
	var got []string
	for _, match := range codeInTable.FindAllStringSubmatch(readDocument(t, "docs/errors.md").prose, -1) {
		got = append(got, match[1])
	}
	slices.Sort(got)
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("docs/errors.md lists\n%v, the code has\n%v", got, want)
	}
}
