package filelog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/internal/journal/journaltest"
	"github.com/peal-dev/peal/message"
)

// TestFull: a full disk, and a store that has as much as it may, refuse with a code; when there is room they go on, and what
// was refused never was.
func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := journaltest.NewDisk()
		s := open(t, small(d))
		topic, err := s.Topic(t.Context(), "t", &eventlog.Policy{Count: -1, Bytes: -1})
		if err != nil {
			t.Fatal(err)
		}
		var kept []string
		put := func(i int) error {
			text := fmt.Sprint(i, strings.Repeat("x", 200))
			b := &eventlog.Batch{Items: []eventlog.Item{{Data: []byte(text)}}, Producer: "p", Seq: uint64(len(kept))}
			_, err := topic.Append(t.Context(), b)
			if err == nil {
				kept = append(kept, text)
			}
			return err
		}
		full := func() {
			t.Helper()
			refused := 0
			for i := range 6000 {
				if err := put(i); err != nil {
					if !errors.Is(err, eventlog.ErrStoreFull) || eventlog.CodeOf(err) != eventlog.CodeStoreFull {
						t.Fatalf("number %d: %v", i, err)
					}
					if refused++; refused == 20 {
						return
					}
				}
			}
			t.Fatal("it is never full")
		}
		d.Limit(d.Used() + 20_000)
		full()
		d.Limit(0)
		full() // Options.Bytes
		if len(kept) < 1000 {
			t.Errorf("%d kept", len(kept))
		}
		b, err := topic.Bounds(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := topic.Trim(t.Context(), b.Top); err != nil {
			t.Fatal(err)
		}
		_ = put(0) // asks for room
		kept = kept[:len(kept):len(kept)]
		synctest.Wait()
		before := len(kept)
		if err := put(1); err != nil {
			t.Fatalf("with room again: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, small(d))
		if topic, err = s.Topic(t.Context(), "t", nil); err != nil {
			t.Fatal(err)
		}
		items, err := topic.Read(t.Context(), message.Offset{}, 10)
		if err != nil || len(items) != 1 || string(items[0].Data) != kept[before] {
			t.Errorf("%d items, %v", len(items), err)
		}
		_ = s.Close()
	})
}

// TestFailed: after a failed fsync a store takes nothing more, says so, and can be read.
func TestFailed(t *testing.T) {
	d := journaltest.NewDisk()
	s := open(t, small(d))
	topic, err := s.Topic(t.Context(), "t", nil)
	if err != nil {
		t.Fatal(err)
	}
	put := func() error {
		_, err := topic.Append(t.Context(), &eventlog.Batch{Items: []eventlog.Item{{Data: []byte("x")}}})
		return err
	}
	if err := put(); err != nil {
		t.Fatal(err)
	}
	d.Fault(func(op journaltest.Operation, _ string) error {
		if op == journaltest.Sync {
			return syscall.EIO
		}
		return nil
	})
	for range 2 {
		if err := put(); !errors.Is(err, eventlog.ErrStoreFailed) || eventlog.CodeOf(err) != eventlog.CodeStoreFailed {
			t.Errorf("%v", err)
		}
		d.Fault(nil)
	}
	if items, err := topic.Read(t.Context(), message.Offset{}, 10); err != nil || len(items) != 1 || !s.Stats().Failed {
		t.Errorf("%v, %v", items, err)
	}
	if err := s.Close(); !errors.Is(err, eventlog.ErrStoreFailed) {
		t.Errorf("closed with %v", err)
	}
}

// TestDamageAndSalvage: a damaged store does not open, and says where; what is saved of a topic begins behind the damage, so
// that no reader is given a part.
func TestDamageAndSalvage(t *testing.T) {
	path := t.TempDir()
	s, err := Open(path+"/a", &Options{SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path+"/a", nil); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	var last message.Offset
	for i := range 30 {
		for _, name := range []string{"t", "u"} {
			topic, err := s.Topic(t.Context(), name, nil)
			if err != nil {
				t.Fatal(err)
			}
			a, err := topic.Append(t.Context(), &eventlog.Batch{Items: []eventlog.Item{{Data: fmt.Appendf(nil, "%s %d", name, i)}}})
			if err != nil {
				t.Fatal(err)
			}
			last = a.Last
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file := path + "/a/0000000000000000.seg"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(b), "t 10")
	b[at] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var damage *DamageError
	if _, err := Open(path+"/a", nil); !errors.As(err, &damage) || damage.Offset > int64(at) || damage.Offset < int64(at)-100 || !strings.Contains(err.Error(), "0000000000000000.seg") {
		t.Fatalf("byte %d is damaged: %v", at, err)
	}
	saved, err := Salvage(t.Context(), path+"/a", path+"/b", &Options{SegmentSize: 1 << 20})
	if err != nil || saved.Records != 61 || saved.Lost == 0 || saved.Lost > 100 {
		t.Fatalf("%+v, %v", saved, err)
	}
	s, err = Open(path+"/b", &Options{SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"t": 19, "u": 30} {
		topic, err := s.Topic(t.Context(), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		items, err := topic.Read(t.Context(), message.Offset{}, 100)
		if err != nil || len(items) != want || string(items[want-1].Data) != name+" 29" {
			t.Errorf("topic %s has %d items, %v", name, len(items), err)
		}
		if name == "u" && items[29].Offset != last {
			t.Errorf("the last is at %v, was at %v", items[29].Offset, last)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestUncertain: one whose time is over while the disk works asks again with its key, and has it once.
func TestUncertain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := journaltest.NewDisk()
		s := open(t, small(d))
		topic, err := s.Topic(t.Context(), "t", nil)
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		d.Fault(func(op journaltest.Operation, _ string) error {
			if op == journaltest.Sync {
				<-release
			}
			return nil
		})
		b := &eventlog.Batch{Items: []eventlog.Item{{Data: []byte("x")}}, Key: "k"}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := topic.Append(ctx, b); !errors.Is(err, eventlog.ErrUncertain) || eventlog.CodeOf(err) != eventlog.CodeStoreUncertain || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if items, err := topic.Read(t.Context(), message.Offset{}, 10); err != nil || len(items) > 0 {
			t.Errorf("read before it is durable: %v, %v", items, err)
		}
		close(release)
		a, err := topic.Append(t.Context(), b)
		if err != nil || !a.Duplicate {
			t.Errorf("%+v, %v", a, err)
		}
		if items, err := topic.Read(t.Context(), message.Offset{}, 10); err != nil || len(items) != 1 || items[0].Offset != a.First {
			t.Errorf("%v, %v", items, err)
		}
		_ = s.Close()
	})
}
