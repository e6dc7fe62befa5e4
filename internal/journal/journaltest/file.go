package journaltest

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
)

// file is an open file.
type file struct {
	d    *Disk
	path string
	c    *content
	life int
}

var errDead = errors.New("journaltest: the process that opened the file is dead")

// enter locks the disk for an operation, unless that is to fail.
func (f *file) enter(op Operation) error {
	f.d.mu.Lock()
	err := f.d.ask(op, f.path)
	if f.life != f.d.life {
		err = errDead
	}
	if err != nil {
		f.d.mu.Unlock()
	}
	return err
}

// ReadAt implements [io.ReaderAt].
func (f *file) ReadAt(b []byte, offset int64) (int, error) {
	if err := f.enter(Read); err != nil {
		return 0, err
	}
	defer f.d.mu.Unlock()
	if offset >= int64(len(f.c.now)) {
		return 0, io.EOF
	}
	n := copy(b, f.c.now[offset:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements [io.WriterAt]. A full disk takes a part.
func (f *file) WriteAt(b []byte, offset int64) (int, error) {
	if err := f.enter(Write); err != nil {
		return 0, err
	}
	defer f.d.mu.Unlock()
	err := f.grow(offset + int64(len(b)))
	n := copy(f.c.now[min(offset, int64(len(f.c.now))):], b)
	if f.c.dirty == nil {
		f.c.dirty = map[int64]bool{}
	}
	for s := offset / sector; s*sector < offset+int64(n); s++ {
		f.c.dirty[s] = true
	}
	return n, err
}

// grow makes the file larger, as far as there is room.
func (f *file) grow(size int64) (err error) {
	more := size - int64(len(f.c.now))
	if more <= 0 {
		return nil
	}
	if f.d.capacity > 0 {
		if room := max(f.d.capacity-f.d.used(), 0); room < more {
			more, err = room, fmt.Errorf("journaltest: %w", syscall.ENOSPC)
		}
	}
	f.c.now = append(f.c.now, make([]byte, more)...)
	return err
}

// Close implements [io.Closer].
func (f *file) Close() error { return nil }

// Size implements [journal.File].
func (f *file) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.c.now)), nil
}

// Resize implements [journal.File]. What is cut is gone at once.
func (f *file) Resize(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.life != f.d.life {
		return errDead
	}
	if size <= int64(len(f.c.now)) {
		f.c.now = f.c.now[:size:size]
		return nil
	}
	return f.grow(size)
}

// Reserve implements [journal.File].
func (f *file) Reserve(size int64) error {
	if err := f.enter(Reserve); err != nil {
		return err
	}
	defer f.d.mu.Unlock()
	return f.grow(size)
}

// Sync implements [journal.File].
func (f *file) Sync() error {
	if err := f.enter(Sync); err != nil {
		return err
	}
	defer f.d.mu.Unlock()
	f.c.safe = slices.Clone(f.c.now)
	f.c.dirty = nil
	return nil
}

// SyncData implements [journal.File].
func (f *file) SyncData() error { return f.Sync() }
