package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/peal-dev/peal/gateway"
)

// versionCommand is `peal version`.
type versionCommand struct{}

// Run prints one line.
func (versionCommand) Run(io streams) error {
	_, err := fmt.Fprintln(io.out, version())
	return err
}

// version is the line that tells which binary this is.
func version() string {
	revision := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				revision = " " + setting.Value
			}
		}
	}
	return fmt.Sprintf("peal %s%s %s %s/%s", gateway.Version(), revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
