package filelog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
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
