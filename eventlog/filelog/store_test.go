package filelog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/eventlog/logtest"
	"github.com/peal-dev/peal/internal/journal/journaltest"
	"github.com/peal-dev/peal/message"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	goleak.VerifyTestMain(m)
}

const dir = "/d"

// small has segments that are soon full.
func small(d *journaltest.Disk) *Options {
	return &Options{SegmentSize: 8 << 10, Bytes: 1 << 20, disk: d}
}

func open(t testing.TB, o *Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	t.Run("Disk", func(t *testing.T) {
		logtest.RunStore(t, func(t *testing.T) eventlog.Store {
			s, err := Open(t.TempDir(), &Options{SegmentSize: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			return s
		})
	})
	t.Run("SmallSegments", func(t *testing.T) {
		logtest.RunStore(t, func(t *testing.T) eventlog.Store {
			return open(t, &Options{SegmentSize: 160 << 10, disk: journaltest.NewDisk()})
		})
	})
}

// TestModel compares with the model through closing, SIGKILL, segments that are given back and what a policy trims. A
// process that dies has handed everything to the system, so all that was acknowledged is there.
func TestModel(t *testing.T) {
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) {
			d := journaltest.NewDisk()
			m, rng := logtest.NewModel(seed), rand.New(rand.NewPCG(seed, 3))
			s := open(t, small(d))
			for range 40 {
				for range rng.IntN(60) {
					m.Step(t, s)
				}
				m.Compare(t, s)
				switch rng.IntN(4) {
				case 0:
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					s = open(t, small(d))
				case 1:
					d.Kill()
					_ = s.Close() // of a dead process
					s = open(t, small(d))
				case 2:
					time.Sleep(2 * keepEvery)
					synctest.Wait()
				}
				m.Compare(t, s)
			}
			if n := s.Stats().Segments; n < 2 || n > 30 {
				t.Errorf("%d segments in the end", n)
			}
			_ = s.Close()
		})
	}
}

// TestPowerLoss: what was acknowledged as durable is there after the machine has died, what is there is a beginning of what
// was appended, and the fences and keys are those of it.
func TestPowerLoss(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			d, rng := journaltest.NewDisk(), rand.New(rand.NewPCG(seed, 5))
			var all []string // that were appended, in their order
			for life := range 5 {
				s := open(t, small(d))
				topic, err := s.Topic(t.Context(), "t", &eventlog.Policy{Count: -1})
				if err != nil {
					t.Fatal(err)
				}
				items, err := topic.Read(t.Context(), message.Offset{}, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				var found []string
				for _, i := range items {
					found = append(found, string(i.Data))
				}
				if len(found) > len(all) || !slices.Equal(found, all[:len(found)]) {
					t.Fatalf("seed %d, life %d: %d items are there, %d were appended", seed, life, len(found), len(all))
				}
				if first, last := slices.Index(all, "durable"), len(all)-1-slices.Index(reversed(all), "durable"); first >= 0 && last >= len(found) {
					t.Fatalf("seed %d, life %d: number %d was durable, %d are there", seed, life, last, len(found))
				}
				all = found
				for i := range rng.IntN(40) {
					text, durability := "durable", eventlog.Disk
					if rng.IntN(3) > 0 {
						text, durability = fmt.Sprint(life, i, strings.Repeat("x", rng.IntN(400))), eventlog.OS
					}
					b := &eventlog.Batch{Items: []eventlog.Item{{Data: []byte(text)}}, Durability: durability, Producer: "p", Epoch: uint64(life), Seq: uint64(i)}
					if _, err := topic.Append(t.Context(), b); err != nil {
						t.Fatal(err)
					}
					all = append(all, text)
				}
				d.LosePower(rng)
				_ = s.Close()
			}
		})
	}
}

func reversed(s []string) []string {
	r := slices.Clone(s)
	slices.Reverse(r)
	return r
}

// TestStaysSmall: the directory takes about what the topics keep, though one of them is never trimmed and another was
// forgotten at the beginning.
func TestStaysSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := journaltest.NewDisk()
		s := open(t, small(d))
		idle, err := s.Topic(t.Context(), "idle", &eventlog.Policy{Age: -1})
		if err != nil {
			t.Fatal(err)
		}
		b := &eventlog.Batch{Items: []eventlog.Item{{Data: []byte("first")}}, Key: "k", Producer: "p"}
		kept, err := idle.Append(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		busy, err := s.Topic(t.Context(), "busy", &eventlog.Policy{Count: 20})
		if err != nil {
			t.Fatal(err)
		}
		most := int64(0)
		for i := range 3000 {
			if _, err := busy.Append(t.Context(), &eventlog.Batch{Items: []eventlog.Item{{Data: make([]byte, 300)}}}); err != nil {
				t.Fatal(err)
			}
			if i%50 == 0 {
				time.Sleep(keepEvery)
				synctest.Wait()
				most = max(most, d.Used())
			}
		}
		if most > 100_000 {
			t.Errorf("the files took %d bytes for 20 items of 300", most)
		}
		for range 2 {
			items, err := idle.Read(t.Context(), message.Offset{}, 10)
			if err != nil || len(items) != 1 || string(items[0].Data) != "first" || items[0].Offset != kept.First {
				t.Fatalf("the idle topic has %v, %v", items, err)
			}
			if again, err := idle.Append(t.Context(), b); err != nil || !again.Duplicate || again.First != kept.First {
				t.Errorf("its key: %+v, %v", again, err)
			}
			b.Key = ""
			if again, err := idle.Append(t.Context(), b); err != nil || !again.Duplicate {
				t.Errorf("its producer: %+v, %v", again, err)
			}
			b.Key = "k"
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, small(d))
			if idle, err = s.Topic(t.Context(), "idle", nil); err != nil {
				t.Fatal(err)
			}
		}
		_ = s.Close()
	})
}

// TestNoPartialReplay: what was trimmed and given back is not covered after the store was opened again, though no record says
// that it was trimmed.
func TestNoPartialReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := journaltest.NewDisk()
		s := open(t, small(d))
		topic, err := s.Topic(t.Context(), "t", &eventlog.Policy{Count: 5})
		if err != nil {
			t.Fatal(err)
		}
		var offsets []message.Offset
		for i := range 400 {
			a, err := topic.Append(t.Context(), &eventlog.Batch{Items: []eventlog.Item{{Data: make([]byte, 100)}}})
			if err != nil {
				t.Fatal(err)
			}
			offsets = append(offsets, a.Last)
			if i%60 == 0 {
				time.Sleep(keepEvery)
			}
		}
		for range 3 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, small(d))
			if topic, err = s.Topic(t.Context(), "t", nil); err != nil {
				t.Fatal(err)
			}
			for i, o := range offsets {
				_, err := topic.Read(t.Context(), o, 10)
				var e *eventlog.OffsetError
				if refused := errors.As(err, &e); refused != (i < 394) {
					t.Fatalf("number %d of 400: %v", i, err)
				}
			}
		}
		_ = s.Close()
	})
}

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
