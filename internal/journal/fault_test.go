package journal_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/peal-dev/peal/internal/journal"
	"github.com/peal-dev/peal/internal/journal/journaltest"
)

const enospc = syscall.ENOSPC

func seeded(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, 7)) }

// fails has one kind of operation fail.
func fails(d *journaltest.Disk, op journaltest.Operation, err error) {
	d.Fault(func(o journaltest.Operation, _ string) error {
		if o == op {
			return err
		}
		return nil
	})
}

// TestFullDisk: an append fails clearly, at whatever it fails, the next one after there is room succeeds, and what was
// refused is not there when the journal is opened again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	for _, op := range []journaltest.Operation{journaltest.Write, journaltest.Create, journaltest.Reserve} {
		t.Run(string(op), func(t *testing.T) {
			t.Parallel()
			d := journaltest.NewDisk()
			j, _ := open(t, small(d))
			var kept []string
			refused := 0
			for i := range 300 {
				full := i/20%2 == 1
				d.Fault(nil)
				if full {
					fails(d, op, fmt.Errorf("%s: %w", op, enospc))
				}
				_, err := j.Append(t.Context(), journal.OnDisk, []byte(record(i)))
				switch {
				case err == nil:
					kept = append(kept, record(i))
				case full && errors.Is(err, journal.ErrFull) && errors.Is(err, enospc):
					refused++
				default:
					t.Fatalf("number %d: %v", i, err)
				}
			}
			if refused == 0 || len(kept) < 100 {
				t.Fatalf("%d kept, %d refused", len(kept), refused)
			}
			d.Fault(nil)
			_ = j.Close()
			if _, found := open(t, small(d)); !slices.Equal(found, kept) {
				t.Errorf("%d are there, %d were kept", len(found), len(kept))
			}
		})
	}
}

// TestDiskThatFillsUp: the system takes a part of a write, which may be whole records.
func TestDiskThatFillsUp(t *testing.T) {
	t.Parallel()
	for room := range int64(120) {
		d := journaltest.NewDisk()
		j, _ := open(t, small(d))
		put(t, j, "first")
		_ = j.Close()
		b := d.Bytes(dir + "/0000000000000000.seg")
		used := int64(len(strings.TrimRight(string(b), "\x00")))
		d.Limit(used + room)
		j, _ = open(t, small(d)) // on a disk that is full already
		kept := []string{"first"}
		for i := range 6 {
			text := fmt.Sprintf("some text of %d bytes", i)
			_, err := j.Append(t.Context(), journal.OnDisk, []byte(text))
			if err == nil {
				kept = append(kept, text)
			} else if !errors.Is(err, journal.ErrFull) {
				t.Fatalf("with %d bytes left: %v", room, err)
			}
		}
		if len(kept) == 7 {
			t.Fatalf("with %d bytes left all were kept", room)
		}
		d.Kill()
		j, found := open(t, small(d))
		if !slices.Equal(found, kept) {
			t.Fatalf("with %d bytes left %q were kept, %q are there", room, kept, found)
		}
		d.Limit(0)
		put(t, j, "room again")
		_ = j.Close()
	}
}

// TestFailureEndsTheWriter: after a failed write or fsync nothing is taken, what is there can be read, and opening it again
// tells what is there.
func TestFailureEndsTheWriter(t *testing.T) {
	t.Parallel()
	for _, op := range []journaltest.Operation{journaltest.Write, journaltest.Sync} {
		d := journaltest.NewDisk()
		j, _ := open(t, small(d))
		at := put(t, j, "safe")
		fails(d, op, syscall.EIO)
		for range 2 {
			if _, err := j.Append(t.Context(), journal.OnDisk, []byte("x")); !errors.Is(err, journal.ErrFailed) || !errors.Is(err, syscall.EIO) {
				t.Fatalf("%s: %v", op, err)
			}
			d.Fault(nil) // as the kernel does: the second fsync succeeds
		}
		if b, err := j.Read(at, nil); err != nil || string(b) != "safe" || !j.Stats().Failed {
			t.Errorf("%s: %q, %v", op, b, err)
		}
		if err := j.Close(); !errors.Is(err, journal.ErrFailed) {
			t.Errorf("%s: closed with %v", op, err)
		}
		d.LosePower(seeded(2))
		j, found := open(t, small(d))
		if len(found) == 0 || found[0] != "safe" {
			t.Errorf("%s: found %q", op, found)
		}
		put(t, j, "again")
	}
}

// TestFailedRead: what cannot be read is an error, and no reason to cut anything.
func TestFailedRead(t *testing.T) {
	t.Parallel()
	d := journaltest.NewDisk()
	j, _ := open(t, small(d))
	at := put(t, j, "x")
	fails(d, journaltest.Read, syscall.EIO)
	if _, err := j.Read(at, nil); !errors.Is(err, syscall.EIO) {
		t.Errorf("%v", err)
	}
	_ = j.Close()
	var damage *journal.DamageError
	if _, err := journal.Open(dir, small(d), nil); !errors.Is(err, syscall.EIO) || errors.As(err, &damage) {
		t.Errorf("a disk that cannot be read is no damage, and nothing is cut: %v", err)
	}
	d.Fault(nil)
	if _, found := open(t, small(d)); len(found) != 1 {
		t.Errorf("found %q", found)
	}
}

// TestTornEnd cuts the last turn, which was never acknowledged, everywhere.
func TestTornEnd(t *testing.T) {
	t.Parallel()
	whole := 0
	for cut := 0; ; cut += 3 {
		d := journaltest.NewDisk()
		j, _ := open(t, small(d))
		put(t, j, "first")
		last := put(t, j, strings.Repeat("last", 20))
		d.Kill()
		if cut > 100 {
			break
		}
		name := dir + "/0000000000000000.seg"
		for i := int(last) + cut; i < int(last)+200; i++ {
			d.Damage(name, int64(i), func(byte) byte { return 0 })
		}
		j, found := open(t, small(d))
		r := j.Recovery()
		if len(found) == 2 { // the zeros that fill up the record
			whole++
			continue
		}
		if fmt.Sprint(found) != "[first]" || r.End > last || cut > 8 && (r.Torn == 0 || r.Torn > int64(cut)+24) {
			t.Fatalf("cut at byte %d of %d: found %q, %+v", cut, last, found, r)
		}
		put(t, j, "next")
		_ = j.Close()
		if _, found := open(t, small(d)); fmt.Sprint(found) != "[first next]" {
			t.Fatalf("cut at byte %d and written again: found %q", cut, found)
		}
	}
	if whole > 6 {
		t.Errorf("%d cuts had no effect", whole)
	}
}

// TestDamage changes each byte of a journal that was closed. It is never skipped: Open says where, and Salvage saves all
// other records.
func TestDamage(t *testing.T) {
	t.Parallel()
	build := func() (*journaltest.Disk, []journal.Position) {
		d := journaltest.NewDisk()
		j, _ := open(t, small(d))
		var at []journal.Position
		for i := range 30 {
			at = append(at, put(t, j, record(i)))
		}
		_ = j.Close()
		return d, at
	}
	d, _ := build()
	names, _ := d.List(dir)
	if len(names) < 2 {
		t.Fatal("one segment only")
	}
	for i, name := range names {
		text := strings.TrimRight(string(d.Bytes(dir+"/"+name)), "\x00")
		for offset := 0; offset < len(text); offset += 7 {
			if i+1 == len(names) && offset > len(text)-16 {
				break // the mark at the very end, which nothing vouches for
			}
			d, at := build()
			d.Damage(dir+"/"+name, int64(offset), func(b byte) byte { return b ^ 0x40 })
			_, err := journal.Open(dir, small(d), func(journal.Position, []byte) error { return nil })
			var damage *journal.DamageError
			if !errors.As(err, &damage) {
				t.Fatalf("byte %d of %s is changed, and it opens: %v", offset, name, err)
			}
			if damage.Segment != name || damage.Offset > int64(offset) || damage.Offset < int64(offset)-340 && offset > 32 {
				t.Fatalf("byte %d of %s is changed, the error says %v", offset, name, err)
			}
			saved := salvage(t, d)
			if missing := len(at) - len(saved); missing > 1 || missing == 1 && offset < 32 {
				t.Fatalf("byte %d of %s is changed, %d records are not saved", offset, name, missing)
			}
			for n := range saved {
				if !strings.Contains(strings.Join(records(30), "\n"), saved[n]) {
					t.Fatalf("saved %q", saved[n])
				}
			}
		}
	}
}

// two is a disk of two directories: the damaged one, and one to save to.
type two struct {
	*journaltest.Disk
	to *journaltest.Disk
}

func (d two) pick(path string) *journaltest.Disk {
	if strings.HasPrefix(path, "/saved") {
		return d.to
	}
	return d.Disk
}
func (d two) Lock(dir string) (io.Closer, error)       { return d.pick(dir).Lock(dir) }
func (d two) List(dir string) ([]string, error)        { return d.pick(dir).List(dir) }
func (d two) Create(path string) (journal.File, error) { return d.pick(path).Create(path) }
func (d two) Open(path string) (journal.File, error)   { return d.pick(path).Open(path) }
func (d two) Rename(from, to string) error             { return d.pick(from).Rename(from, to) }
func (d two) Remove(path string) error                 { return d.pick(path).Remove(path) }
func (d two) SyncDir(dir string) error                 { return d.pick(dir).SyncDir(dir) }

// salvage returns what can be saved of the journal in dir.
func salvage(t *testing.T, d *journaltest.Disk) (saved []string) {
	t.Helper()
	both := two{d, journaltest.NewDisk()}
	found, err := journal.Salvage(t.Context(), dir, "/saved", small(both))
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open("/saved", small(both), func(_ journal.Position, b []byte) error {
		saved = append(saved, string(b))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil || found.Records != len(saved) {
		t.Fatalf("%d saved, %d are there: %v", found.Records, len(saved), err)
	}
	return saved
}

func TestSalvageWithoutASegment(t *testing.T) {
	t.Parallel()
	d := journaltest.NewDisk()
	j, _ := open(t, small(d))
	for i := range 100 {
		put(t, j, record(i))
	}
	_ = j.Close()
	names, _ := d.List(dir)
	d.Delete(dir + "/" + names[2])
	var damage *journal.DamageError
	if _, err := journal.Open(dir, small(d), func(journal.Position, []byte) error { return nil }); !errors.As(err, &damage) || damage.Segment != names[1] {
		t.Fatalf("a segment is missing: %v", err)
	}
	saved := salvage(t, d)
	if len(saved) < 70 || len(saved) > 95 || saved[0] != record(0) || saved[len(saved)-1] != record(99) {
		t.Errorf("%d saved", len(saved))
	}
	both := two{d, d}
	if _, err := journal.Salvage(t.Context(), dir, dir, small(both)); err == nil {
		t.Error("saved into the damaged directory")
	}
}
