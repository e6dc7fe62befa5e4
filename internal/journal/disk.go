package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Disk is what a journal asks of the operating system. Nil in [Options] means that of this machine; tests put faults in its
// place (package journaltest). Names are paths.
type Disk interface {
	// Lock takes the directory for this process, making it if needed, or fails with ErrLocked. Close gives it back, and so
	// does the end of the process.
	Lock(dir string) (io.Closer, error)
	// List returns the names of the files in dir, in order.
	List(dir string) ([]string, error)
	// Create makes a file, empty whatever was there.
	Create(path string) (File, error)
	// Open opens a file for reading and writing.
	Open(path string) (File, error)
	Rename(from, to string) error
	Remove(path string) error
	// SyncDir makes durable which files dir has.
	SyncDir(dir string) error
}

// File is an open file of a [Disk].
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	// Resize cuts the file or fills it up with zeros, which need not have a place on the disk yet.
	Resize(size int64) error
	// Reserve fills the file up with zeros that have their place on the disk, as far as the file system can.
	Reserve(size int64) error
	// Sync returns when everything that was written and the size are on the disk.
	Sync() error
	// SyncData is Sync for what was written within the size.
	SyncData() error
}

// machine is the Disk of this machine.
type machine struct{}

const lockName = "LOCK"

// Lock implements [Disk].
func (m machine) Lock(dir string) (io.Closer, error) {
	if err := m.makeDir(dir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// makeDir makes a directory that survives a loss of power: it is durable with the directory that it is in.
func (m machine) makeDir(dir string) error {
	_, err := os.Stat(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	above := filepath.Dir(dir)
	if above != dir {
		if err := m.makeDir(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return m.SyncDir(above)
}

// List implements [Disk].
func (machine) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names, err
}

// Create implements [Disk].
func (machine) Create(path string) (File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	return opened(f, err)
}

// Open implements [Disk].
func (machine) Open(path string) (File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	return opened(f, err)
}

func opened(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return file{f}, nil
}

// Rename implements [Disk].
func (machine) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements [Disk].
func (machine) Remove(path string) error { return os.Remove(path) }

// file is a File of this machine.
type file struct{ *os.File }

// Size implements [File].
func (f file) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Resize implements [File].
func (f file) Resize(size int64) error { return f.Truncate(size) }

// segmentName is the file of the segment at base. Names sort like positions.
func segmentName(base Position) string { return fmt.Sprintf("%016x.seg", uint64(base)) }

// unborn is the file of a segment whose head is not durable yet.
const unborn = "next.tmp"

func isSegment(name string) bool { return filepath.Ext(name) == ".seg" }
