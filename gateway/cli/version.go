package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// versionCommand is `peal version`.
type versionCommand struct{}

// Run prints one line.
func (versionCommand) Run(io streams) error {
	version, revision := "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				revision = " " + setting.Value
			}
		}
	}
	_, err := fmt.Fprintf(io.out, "peal %s%s %s %s/%s\n", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
