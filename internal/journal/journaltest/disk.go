package journaltest

import (
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"

	"github.com/peal-dev/peal/internal/journal"
)

// sector is what a disk writes whole or not at all.
const sector = 512

// Operation is what a fault can befall.
type Operation string

// The operations.
const (
	Create  Operation = "create"
	Reserve Operation = "reserve"
	Write   Operation = "write"
	Sync    Operation = "sync"
	SyncDir Operation = "syncdir"
	Rename  Operation = "rename"
	Remove  Operation = "remove"
	Read    Operation = "read"
)

// Disk is a [journal.Disk] in memory that knows what is durable. Create it with [NewDisk]. It is safe for concurrent use.
type Disk struct {
	mu       sync.Mutex
	names    map[string]*content // as processes see them
	durable  map[string]*content // as they are after a loss of power
	changes  []change            // of names, since SyncDir
	locked   bool
	capacity int64 // of all files together; 0 means no bound
	fault    func(Operation, string) error
	life     int // files that were opened before a loss of power do not work after it
}

type change struct {
	name string
	to   *content // nil when the name is removed
}

// content is a file.
type content struct {
	now   []byte
	safe  []byte         // what is on the disk
	dirty map[int64]bool // sectors that were written since Sync
}

// NewDisk returns an empty disk.
func NewDisk() *Disk {
	return &Disk{names: map[string]*content{}, durable: map[string]*content{}}
}

// Fault has f asked before each operation on the file of that name, without its directory: an error is what the operation
// fails with, after nothing was done. Nil ends it. f must not call the disk.
func (d *Disk) Fault(f func(Operation, string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = f
}

// Limit bounds what all files together may take, in bytes. 0 means no bound.
func (d *Disk) Limit(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.capacity = bytes
}

// Used returns what all files together take, in bytes.
func (d *Disk) Used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used()
}

func (d *Disk) used() (n int64) {
	for _, c := range d.names {
		n += int64(len(c.now))
	}
	return n
}

// Kill is the end of the process: its lock is gone, its files are closed, and the operating system has what was written.
func (d *Disk) Kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.life++
	d.locked = false
}

// LosePower is the end of the machine: of what was not made durable some sectors and some names are there, by chance.
func (d *Disk) LosePower(rng *rand.Rand) {
	d.Kill()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.changes[:rng.IntN(len(d.changes)+1)] { // a file system keeps their order
		c.apply(d.durable)
	}
	d.changes = nil
	all := map[*content]bool{}
	for _, c := range d.durable {
		all[c] = true
	}
	for c := range all {
		c.losePower(rng)
	}
	d.names = map[string]*content{}
	for name, c := range d.durable {
		d.names[name] = c
	}
}

func (c *content) losePower(rng *rand.Rand) {
	size := len(c.safe)
	if rng.IntN(2) == 0 {
		size = len(c.now)
	}
	after := make([]byte, size)
	copy(after, c.safe)
	for _, s := range slices.Sorted(keys(c.dirty)) {
		from, to := min(int(s)*sector, size), min(int(s+1)*sector, size, len(c.now))
		if from < to && rng.IntN(2) == 0 {
			copy(after[from:to], c.now[from:to])
		}
	}
	c.now, c.safe, c.dirty = after, slices.Clone(after), nil
}

func keys(m map[int64]bool) func(func(int64) bool) {
	return func(yield func(int64) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// Damage changes a byte of a file for good.
func (d *Disk) Damage(path string, offset int64, change func(byte) byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.names[path]
	c.now[offset] = change(c.now[offset])
	c.safe = slices.Clone(c.now)
}

// Delete deletes a file for good.
func (d *Disk) Delete(path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.names, path)
	delete(d.durable, path)
}

// Bytes returns what is in a file.
func (d *Disk) Bytes(path string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.names[path].now)
}

// ask returns what an operation fails with: the process may be dead, or it is to fail.
func (d *Disk) ask(op Operation, path string) error {
	if !d.locked {
		return errDead
	}
	if d.fault == nil {
		return nil
	}
	return d.fault(op, filepath.Base(path))
}

func (c change) apply(names map[string]*content) {
	if c.to == nil {
		delete(names, c.name)
	} else {
		names[c.name] = c.to
	}
}

func (d *Disk) change(name string, to *content) {
	c := change{name, to}
	c.apply(d.names)
	d.changes = append(d.changes, c)
}

// Lock implements [journal.Disk].
func (d *Disk) Lock(string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked {
		return nil, journal.ErrLocked
	}
	d.locked = true
	return &holder{d, d.life}, nil
}

type holder struct {
	d    *Disk
	life int
}

// Close gives the lock back.
func (h *holder) Close() error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if h.life == h.d.life {
		h.d.locked = false
	}
	return nil
}

// List implements [journal.Disk].
func (d *Disk) List(dir string) (names []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for path := range d.names {
		if filepath.Dir(path) == dir {
			names = append(names, filepath.Base(path))
		}
	}
	slices.Sort(names)
	return names, nil
}

// Create implements [journal.Disk].
func (d *Disk) Create(path string) (journal.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ask(Create, path); err != nil {
		return nil, err
	}
	c := &content{}
	d.change(path, c)
	return &file{d, path, c, d.life}, nil
}

// Open implements [journal.Disk].
func (d *Disk) Open(path string) (journal.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.names[path]
	if c == nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return &file{d, path, c, d.life}, nil
}

// Rename implements [journal.Disk].
func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ask(Rename, from); err != nil {
		return err
	}
	c := d.names[from]
	d.change(to, c)
	d.change(from, nil)
	return nil
}

// Remove implements [journal.Disk].
func (d *Disk) Remove(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ask(Remove, path); err != nil {
		return err
	}
	d.change(path, nil)
	return nil
}

// SyncDir implements [journal.Disk].
func (d *Disk) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ask(SyncDir, dir); err != nil {
		return err
	}
	for _, c := range d.changes {
		c.apply(d.durable)
	}
	d.changes = nil
	return nil
}
