package gateway_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Whoever meets a code must find it in the documentation.
func TestEveryCodeIsDocumented(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := 0
	for _, source := range []string{"errors.go", "../sse/error.go", "../socketio/errors.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || !strings.HasPrefix(spec.Names[0].Name, "Code") {
				return true
			}
			literal, ok := spec.Values[0].(*ast.BasicLit)
			if !ok {
				return true // another package's code by another name
			}
			code, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			codes++
			if !strings.Contains(string(document), "`"+code+"`") {
				t.Errorf("%s: the code %s is not in docs/errors.md", source, code)
			}
			return true
		})
	}
	if codes < 15 {
		t.Errorf("only %d codes found", codes)
	}
}
