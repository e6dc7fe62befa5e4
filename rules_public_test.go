package peal_test

import (
	"fmt"
	"go/ast"
	"path"
	"strconv"
	"strings"
)

// publicNamesPublic forbids a type of an internal package in what users see: they could neither name it nor look it up.
func publicNamesPublic(sources []source) (breaches []string) {
	for _, s := range sources {
		if s.isTest() || s.file.Name.Name == "main" || isInternal(s.dir()) {
			continue
		}
		internal := internalNames(s)
		for _, decl := range s.file.Decls {
			for _, seen := range visible(decl) {
				ast.Inspect(seen, func(n ast.Node) bool {
					if sel, ok := n.(*ast.SelectorExpr); ok {
						if pkg, ok := sel.X.(*ast.Ident); ok && internal[pkg.Name] {
							breaches = append(breaches, fmt.Sprintf("%s shows %s.%s, which users cannot name: give it a type of this package", s.at(sel.Pos()), pkg.Name, sel.Sel.Name))
						}
					}
					return true
				})
			}
		}
	}
	return breaches
}

func isInternal(dir string) bool { return strings.Contains("/"+dir+"/", "/internal/") }

// internalNames returns the names by which a file calls internal packages.
func internalNames(s source) map[string]bool {
	names := map[string]bool{}
	for _, spec := range s.file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil || !isInternal(imported) {
			continue
		}
		if spec.Name != nil {
			names[spec.Name.Name] = true
		} else {
			names[path.Base(imported)] = true
		}
	}
	return names
}

// visible returns the types that a declaration shows to users.
func visible(decl ast.Decl) (types []ast.Node) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && receiverExported(d) {
			types = append(types, d.Type)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.IsExported() {
					types = append(types, shown(spec.Type)...)
				}
			case *ast.ValueSpec:
				if spec.Type != nil && spec.Names[0].IsExported() {
					types = append(types, spec.Type)
				}
			}
		}
	}
	return types
}

// shown returns what of a type users see: of a struct its exported fields.
func shown(e ast.Expr) (types []ast.Node) {
	structure, ok := e.(*ast.StructType)
	if !ok {
		return []ast.Node{e}
	}
	for _, field := range structure.Fields.List {
		if len(field.Names) == 0 || field.Names[0].IsExported() {
			types = append(types, field.Type)
		}
	}
	return types
}
