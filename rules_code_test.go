package peal_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// exportedMeansDocumented wants a comment on every exported name, on methods of exported types as well. The names of a
// const or var group may share the comment of the group.
func exportedMeansDocumented(sources []source) (breaches []string) {
	for _, s := range sources {
		if s.isTest() || s.file.Name.Name == "main" {
			continue
		}
		missing := func(pos token.Pos, what string) {
			breaches = append(breaches, fmt.Sprintf("%s: %s has no doc comment: say what it does, its zero value, its errors and whether it may be used concurrently", s.at(pos), what))
		}
		for _, decl := range s.file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Doc == nil && d.Name.IsExported() && receiverExported(d) {
					missing(d.Pos(), "func "+d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					undocumented(d, spec, missing)
				}
			}
		}
	}
	return breaches
}

func undocumented(group *ast.GenDecl, spec ast.Spec, missing func(token.Pos, string)) {
	switch sp := spec.(type) {
	case *ast.TypeSpec:
		alone := group.Doc != nil && !group.Lparen.IsValid()
		if sp.Name.IsExported() && sp.Doc == nil && !alone {
			missing(sp.Pos(), "type "+sp.Name.Name)
		}
	case *ast.ValueSpec:
		if group.Doc != nil || sp.Doc != nil || sp.Comment != nil {
			return
		}
		for _, name := range sp.Names {
			if name.IsExported() {
				missing(name.Pos(), name.Name)
			}
		}
	}
}

// receiverExported reports whether a function is no method, or one of an exported type.
func receiverExported(d *ast.FuncDecl) bool {
	name := receiver(d)
	return name == "" || ast.IsExported(name)
}

// receiver returns the name of a method's type, or "" for a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	expr := d.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

// calls reports whether a node is a call of pkg.name.
func calls(n ast.Node, pkg, name string) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == pkg
}

// foreignDirective finds what golangci-lint would obey, which does not run here.
var foreignDirective = regexp.MustCompile(`^//\s*nolint\b`)

func directivesAreObeyed(sources []source) (breaches []string) {
	for _, s := range sources {
		for _, group := range s.file.Comments {
			for _, comment := range group.List {
				if foreignDirective.MatchString(comment.Text) {
					breaches = append(breaches, fmt.Sprintf("%s: a directive for a linter that does not run here: keep its reason, without the directive", s.at(comment.Pos())))
				}
			}
		}
	}
	return breaches
}

func testsAreNotSkipped(sources []source) (breaches []string) {
	for _, s := range sources {
		if !s.isTest() {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			for _, tester := range []string{"t", "b", "f", "tb"} {
				for _, name := range []string{"Skip", "Skipf", "SkipNow"} {
					if calls(n, tester, name) {
						breaches = append(breaches, fmt.Sprintf("%s skips: a skipped test proves nothing; let scripts/setup-tests bring what it needs", s.at(n.Pos())))
					}
				}
			}
			return true
		})
	}
	return breaches
}

var (
	openEnd   = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)
	withIssue = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\(#\d+\)`)
)

func openEndsHaveAnIssue(sources []source) (breaches []string) {
	for _, s := range sources {
		for _, group := range s.file.Comments {
			for _, comment := range group.List {
				if mark := openEnd.FindString(comment.Text); mark != "" && !withIssue.MatchString(comment.Text) {
					breaches = append(breaches, fmt.Sprintf("%s: a %s without an issue: finish it, or write %s(#number)", s.at(comment.Pos()), mark, mark))
				}
			}
		}
	}
	return breaches
}

// testFunctions returns the names of the top-level functions of a package's test files that start with a prefix.
func testFunctions(files []source, prefix string) (names []string) {
	for _, s := range files {
		if !s.isTest() {
			continue
		}
		for _, decl := range s.file.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok && d.Recv == nil && strings.HasPrefix(d.Name.Name, prefix) {
				names = append(names, d.Name.Name)
			}
		}
	}
	return names
}

// public reports whether a directory is a package that a user can import and that exports something.
func public(dir string, files []source) bool {
	if strings.Contains("/"+dir+"/", "/internal/") {
		return false
	}
	if top, _, _ := strings.Cut(dir, "/"); slices.Contains(leaves, top) {
		return false
	}
	return slices.ContainsFunc(files, func(s source) bool {
		return !s.isTest() && slices.ContainsFunc(s.file.Decls, exports)
	})
}

// exports reports whether a declaration gives a package's user something to hold on to.
func exports(decl ast.Decl) bool {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		return d.Recv == nil && d.Name.IsExported()
	case *ast.GenDecl:
		return slices.ContainsFunc(d.Specs, func(spec ast.Spec) bool {
			switch sp := spec.(type) {
			case *ast.TypeSpec:
				return sp.Name.IsExported()
			case *ast.ValueSpec:
				return slices.ContainsFunc(sp.Names, (*ast.Ident).IsExported)
			}
			return false
		})
	}
	return false
}

func publicMeansShown(sources []source) (breaches []string) {
	for dir, files := range byPackage(sources) {
		if public(dir, files) && len(testFunctions(files, "Example")) == 0 {
			breaches = append(breaches, fmt.Sprintf("%s has no Example: show its use in example_test.go", dir))
		}
	}
	return breaches
}

func testsLookForLeaks(sources []source) (breaches []string) {
	for dir, files := range byPackage(sources) {
		tests := slices.DeleteFunc(testFunctions(files, "Test"), func(name string) bool { return name == "TestMain" })
		if len(tests) == 0 {
			continue
		}
		found := false
		for _, s := range files {
			ast.Inspect(s.file, func(n ast.Node) bool {
				found = found || s.isTest() && calls(n, "goleak", "VerifyTestMain")
				return !found
			})
		}
		if !found {
			breaches = append(breaches, fmt.Sprintf("%s: its tests do not look for leaked goroutines: add func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }", dir))
		}
	}
	return breaches
}

// decodes reports whether a function takes bytes apart that a stranger sent: by its own name, or as a method of a type
// that is called a decoder or a reader.
func decodes(d *ast.FuncDecl) bool {
	if !d.Name.IsExported() || !receiverExported(d) {
		return false
	}
	for _, prefix := range []string{"Decode", "Parse", "Unmarshal", "Unmask"} {
		if strings.HasPrefix(d.Name.Name, prefix) {
			return true
		}
	}
	of := receiver(d)
	return d.Name.Name != "Reset" && (strings.HasSuffix(of, "Decoder") || strings.HasSuffix(of, "Reader"))
}

// decodersAreFuzzed wants every decoder of a codec package to be used in a test file that has a fuzz target.
func decodersAreFuzzed(sources []source) (breaches []string) {
	for dir, files := range byPackage(sources) {
		if !isCodec(dir) {
			continue
		}
		fuzzed := map[string]bool{}
		for _, s := range files {
			if len(testFunctions([]source{s}, "Fuzz")) == 0 {
				continue
			}
			ast.Inspect(s.file, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok {
					fuzzed[id.Name] = true
				}
				return true
			})
		}
		for _, s := range files {
			if s.isTest() {
				continue
			}
			for _, decl := range s.file.Decls {
				if d, ok := decl.(*ast.FuncDecl); ok && decodes(d) && !fuzzed[d.Name.Name] {
					breaches = append(breaches, fmt.Sprintf("%s: %s reads what a stranger sent and has no fuzz target: add one", s.at(d.Pos()), d.Name.Name))
				}
			}
		}
	}
	return breaches
}
