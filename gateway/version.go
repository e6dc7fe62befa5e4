package gateway

import "runtime/debug"

// Version returns the version of this binary as Go's build knows it, such as v1.2.0; "(devel)" if it was built from a
// checkout, "unknown" if nothing is known.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}
