//go:build !linux

package journal

// Reserve implements [File], with holes.
func (f file) Reserve(size int64) error { return f.Truncate(size) }

// SyncData implements [File].
func (f file) SyncData() error { return f.Sync() }
