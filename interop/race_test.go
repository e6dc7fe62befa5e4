//go:build race

package interop_test

// raceFlags are those of go build by which programs are built as the test is.
var raceFlags = []string{"-race"}
