package peal_test

import (
	"fmt"
	"go/ast"
	"maps"
	"strings"
)

// testsWaitForEvents forbids letting time pass in tests in the hope that something has happened meanwhile: a sleep, a
// receive from a timer, a timer whose end is no failure, a spin. Inside a synctest bubble a sleep takes no time and is
// exact, so there it is the right tool. Benchmarks may spin, as waking up is not what they measure.
func testsWaitForEvents(sources []source) (breaches []string) {
	for _, files := range byPackage(sources) {
		bubbles := bubbleFunctions(files)
		for _, s := range files {
			if !s.isTest() {
				continue
			}
			for _, decl := range s.file.Decls {
				breaches = append(breaches, waits(s, decl, bubbles)...)
			}
		}
	}
	return breaches
}

// waits returns what one declaration waits for that is no event.
func waits(s source, decl ast.Decl, bubbles map[string]bool) (breaches []string) {
	breach := func(n ast.Node, what string) {
		breaches = append(breaches, fmt.Sprintf("%s %s: wait for the event itself, or run the test in a synctest bubble", s.at(n.Pos()), what))
	}
	benchmark := takes(decl, "testing", "B")
	timers := timersOf(decl)
	outsideBubbles(decl, withLocals(decl, bubbles), func(n ast.Node) {
		switch n := n.(type) {
		case *ast.CallExpr:
			if calls(n, "time", "Sleep") {
				breach(n, "sleeps")
			}
			if calls(n, "runtime", "Gosched") && !benchmark {
				breach(n, "spins")
			}
		case *ast.ExprStmt:
			if fromTimer(n.X, timers) {
				breach(n, "sleeps on a timer")
			}
		case *ast.CommClause:
			if received, ok := n.Comm.(*ast.ExprStmt); ok && fromTimer(received.X, timers) && !fails(n.Body) {
				breach(n, "is content when its time is over")
			}
		}
	})
	return breaches
}

// outsideBubbles visits what runs on the clock of the machine: all but what is handed to a function that starts a bubble.
func outsideBubbles(root ast.Node, bubbles map[string]bool, visit func(ast.Node)) {
	ast.Inspect(root, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && startsBubble(call, bubbles) {
			return false
		}
		if clause, ok := n.(*ast.CommClause); ok { // its receive is judged with its body, not as a statement
			visit(clause)
			for _, statement := range clause.Body {
				outsideBubbles(statement, bubbles, visit)
			}
			return false
		}
		if n != nil {
			visit(n)
		}
		return true
	})
}

// startsBubble reports whether a call runs the functions it is given in a synctest bubble.
func startsBubble(call *ast.CallExpr, bubbles map[string]bool) bool {
	if calls(call, "synctest", "Test") {
		return true
	}
	name, ok := call.Fun.(*ast.Ident)
	return ok && bubbles[name.Name]
}

// bubbleFunctions names the functions of a package's tests that hand a function they were given on to a bubble.
func bubbleFunctions(files []source) map[string]bool {
	bubbles := map[string]bool{}
	for before := -1; before != len(bubbles); {
		before = len(bubbles)
		for _, s := range files {
			for _, decl := range s.file.Decls {
				if d, ok := decl.(*ast.FuncDecl); ok && s.isTest() && d.Recv == nil && handsOn(d.Type, d.Body, bubbles) {
					bubbles[d.Name.Name] = true
				}
			}
		}
	}
	return bubbles
}

// withLocals adds the variables of a function that hold such a function.
func withLocals(decl ast.Decl, bubbles map[string]bool) map[string]bool {
	all := maps.Clone(bubbles)
	ast.Inspect(decl, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == 1 && len(a.Rhs) == 1 {
			name, named := a.Lhs[0].(*ast.Ident)
			literal, is := a.Rhs[0].(*ast.FuncLit)
			if named && is && handsOn(literal.Type, literal.Body, bubbles) {
				all[name.Name] = true
			}
		}
		return true
	})
	return all
}

// handsOn reports whether a function calls one of its parameters inside a bubble, and nowhere else.
func handsOn(signature *ast.FuncType, body *ast.BlockStmt, bubbles map[string]bool) bool {
	given := map[string]bool{}
	for _, field := range signature.Params.List {
		if _, ok := field.Type.(*ast.FuncType); ok {
			for _, name := range field.Names {
				given[name.Name] = true
			}
		}
	}
	if len(given) == 0 || body == nil {
		return false
	}
	used := func(within func(ast.Node, func(ast.Node))) (found bool) {
		within(body, func(n ast.Node) {
			id, ok := n.(*ast.Ident)
			found = found || ok && given[id.Name]
		})
		return found
	}
	everywhere := used(func(root ast.Node, visit func(ast.Node)) {
		ast.Inspect(root, func(n ast.Node) bool { visit(n); return true })
	})
	outside := used(func(root ast.Node, visit func(ast.Node)) { outsideBubbles(root, bubbles, visit) })
	return everywhere && !outside
}

// timersOf names the variables of a function that hold the channel of a timer.
func timersOf(decl ast.Decl) map[string]bool {
	timers := map[string]bool{}
	ast.Inspect(decl, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == 1 && len(a.Rhs) == 1 && calls(a.Rhs[0], "time", "After") {
			if name, ok := a.Lhs[0].(*ast.Ident); ok {
				timers[name.Name] = true
			}
		}
		return true
	})
	return timers
}

// fromTimer reports whether an expression receives from a timer.
func fromTimer(e ast.Expr, timers map[string]bool) bool {
	receive, ok := e.(*ast.UnaryExpr)
	if !ok {
		return false
	}
	if name, ok := receive.X.(*ast.Ident); ok {
		return timers[name.Name]
	}
	return calls(receive.X, "time", "After")
}

// fails reports whether statements end a test, or say what is wrong: by a method such as Fatal or Errorf.
func fails(body []ast.Stmt) (found bool) {
	for _, statement := range body {
		ast.Inspect(statement, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				name := strings.ToLower(sel.Sel.Name)
				found = found || strings.HasPrefix(name, "fatal") || strings.HasPrefix(name, "error")
			}
			return true
		})
	}
	return found
}

// takes reports whether a function has a parameter of type *pkg.name.
func takes(decl ast.Decl, pkg, name string) bool {
	d, ok := decl.(*ast.FuncDecl)
	if !ok {
		return false
	}
	for _, field := range d.Type.Params.List {
		star, ok := field.Type.(*ast.StarExpr)
		if !ok {
			continue
		}
		if sel, ok := star.X.(*ast.SelectorExpr); ok && sel.Sel.Name == name {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == pkg {
				return true
			}
		}
	}
	return false
}
