package interop_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// binaries is where the programs under test are built.
var binaries string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "peal-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
	binaries = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// Each program is built once, when the first test asks for it, with the race detector if the test has it: a race that only real
// peers provoke is found here or not at all. Without it they have the speed that users have.
var (
	pealBinary   = sync.OnceValues(func() (string, error) { return build("peal", "..", "./cmd/peal") })
	serverBinary = sync.OnceValues(func() (string, error) { return build("server", ".", "./server") })
	goPeerBinary = sync.OnceValues(func() (string, error) { return build("gopeer", ".", "./gopeer") })
)

// build builds a package of the module in a directory.
func build(name, module, pkg string) (string, error) {
	path := filepath.Join(binaries, name)
	cmd := exec.Command("go", slices.Concat([]string{"build"}, raceFlags, []string{"-o", path, pkg})...)
	cmd.Dir = module
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	return path, nil
}

// built returns the path of a binary above or ends the test.
func built(t *testing.T, binary func() (string, error)) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
