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
	_, err := fmt.Fprintln(io.out, version())
	return err
}

// version is the line that tells which binary this is.
func version() string {
	version, revision := "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				revision = " " + setting.Value
			}
		}
	}
	return fmt.Sprintf("peal %s%s %s %s/%s", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
