package logtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// Model is a store as it should be, for tests that compare: it knows what was acknowledged, and trims like a policy of count
// and age says. It is for one goroutine.
type Model struct {
	rng    *rand.Rand
	topics map[string]*modelTopic
}

type modelTopic struct {
	policy eventlog.Policy
	items  []eventlog.Item // all there ever were
	sizes  []int           // of the batches
	start  message.Offset
	ended  bool
	floor  int // how many items were trimmed by Trim
	keys   map[string]eventlog.Appended
	seq    map[string]uint64
}

// NewModel returns a model of an empty store whose steps are told by seed.
func NewModel(seed uint64) *Model {
	return &Model{rng: rand.New(rand.NewPCG(seed, 11)), topics: map[string]*modelTopic{}}
}

func (m *Model) name() string { return fmt.Sprint("topic ", m.rng.IntN(4)) }

// Step does something to the store by chance, and checks how that is answered.
func (m *Model) Step(t *testing.T, s eventlog.Store) {
	t.Helper()
	name := m.name()
	p := &eventlog.Policy{Count: 5 + m.rng.IntN(20), Age: -1, Bytes: -1}
	known := m.topics[name]
	if known == nil {
		topic := topicOf(t, s, name, p)
		m.topics[name] = &modelTopic{policy: *p, start: bounds(t, topic).Top, keys: map[string]eventlog.Appended{}, seq: map[string]uint64{}}
		return
	}
	switch n := m.rng.IntN(100); {
	case n < 80:
		m.append(t, s, name)
	case n < 84:
		if m.rng.IntN(3) == 0 {
			if err := s.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			delete(m.topics, name)
		}
	case n < 90:
		topicOf(t, s, name, p)
		known.policy = *p
		known.trimmed()
	case n < 95 && len(known.items) > 0:
		i := m.rng.IntN(len(known.items))
		if err := topicOf(t, s, name, nil).Trim(t.Context(), known.items[i].Offset); err != nil {
			t.Fatal(err)
		}
		known.trim(func(last, _ int) bool { return last <= i })
	default:
		time.Sleep(time.Duration(m.rng.IntN(3)) * time.Millisecond) // in a bubble
	}
}

// trim trims whole batches from the front while while says so, of the index of the last item and how many are left.
func (m *modelTopic) trim(while func(last, left int) bool) {
	at := 0
	for _, size := range m.sizes {
		if at >= m.floor {
			if !while(at+size-1, len(m.items)-at) {
				return
			}
			m.floor = at + size
		}
		at += size
	}
}

// trimmed trims by count.
func (m *modelTopic) trimmed() {
	m.trim(func(_, left int) bool { return left > m.policy.Count })
}

func (m *Model) append(t *testing.T, s eventlog.Store, name string) {
	t.Helper()
	known, topic := m.topics[name], topicOf(t, s, name, nil)
	b := &eventlog.Batch{Durability: eventlog.Durability(m.rng.IntN(2)), End: m.rng.IntN(200) == 0}
	for range 1 + m.rng.IntN(3) {
		b.Items = append(b.Items, eventlog.Item{Data: make([]byte, m.rng.IntN(300))})
		for i := range b.Items[len(b.Items)-1].Data {
			b.Items[len(b.Items)-1].Data[i] = byte(m.rng.Uint32())
		}
	}
	if m.rng.IntN(3) == 0 {
		b.Key = fmt.Sprint("key ", m.rng.IntN(30))
	}
	if m.rng.IntN(3) == 0 {
		b.Producer = fmt.Sprint("producer ", m.rng.IntN(2))
		b.Seq = known.seq[b.Producer]
	}
	a, err := topic.Append(t.Context(), b)
	if first, was := known.keys[b.Key]; was {
		if err != nil || !a.Duplicate || a.First != first.First || a.Last != first.Last {
			t.Fatalf("%s: key %q got %+v first, now %+v, %v", name, b.Key, first, a, err)
		}
		return
	}
	if known.ended {
		if !errors.Is(err, eventlog.ErrEnded) {
			t.Fatalf("%s has ended: %v", name, err)
		}
		return
	}
	if err != nil || a.Duplicate {
		t.Fatalf("%s: %+v, %v", name, a, err)
	}
	if b.Key != "" {
		known.keys[b.Key] = a
	}
	if b.Producer != "" {
		known.seq[b.Producer]++
	}
	o, prev := a.First, known.top()
	for _, item := range b.Items {
		item.Offset, item.Prev = o, prev
		known.items = append(known.items, item)
		prev = o
		o.Seq++
	}
	if prev != a.Last {
		t.Fatalf("%s: the last item is %v, appended was %+v", name, prev, a)
	}
	known.sizes = append(known.sizes, len(b.Items))
	known.ended = b.End
	known.trimmed()
}

func (m *modelTopic) top() message.Offset {
	if len(m.items) == 0 {
		return m.start
	}
	return m.items[len(m.items)-1].Offset
}

// Compare fails t unless the store has what the model says.
func (m *Model) Compare(t *testing.T, s eventlog.Store) {
	t.Helper()
	var want []string
	for name := range m.topics {
		want = append(want, name)
	}
	slices.Sort(want)
	if got, err := s.Topics(t.Context()); err != nil || !slices.Equal(got, want) {
		t.Fatalf("topics %q, want %q: %v", got, want, err)
	}
	for _, name := range want {
		known, topic := m.topics[name], topicOf(t, s, name, nil)
		kept := known.items[known.floor:]
		floor := known.start
		if known.floor > 0 {
			floor = known.items[known.floor-1].Offset
		}
		b := bounds(t, topic)
		if b.Floor != floor || b.Top != known.top() || b.Count != len(kept) || b.Ended != known.ended {
			t.Fatalf("%s: bounds %+v, want %v to %v with %d, ended: %v", name, b, floor, known.top(), len(kept), known.ended)
		}
		same := func(a, b eventlog.Item) bool {
			return a.Offset == b.Offset && a.Prev == b.Prev && string(a.Data) == string(b.Data)
		}
		if got := readFrom(t, topic, floor, 1000); !slices.EqualFunc(got, kept, same) {
			t.Fatalf("%s: %d items, want %d", name, len(got), len(kept))
		}
		if known.floor > 1 {
			notCovered(t, topic, known.items[known.floor-2].Offset)
		}
		if len(kept) > 0 {
			i := m.rng.IntN(len(kept))
			if got := readFrom(t, topic, kept[i].Offset, 1000); !slices.EqualFunc(got, kept[i+1:], same) {
				t.Fatalf("%s: %d items behind number %d, want %d", name, len(got), i, len(kept)-i-1)
			}
		}
	}
}

// model compares after random steps.
func model(t *testing.T, s *world) {
	m := NewModel(1)
	for i := range 500 {
		m.Step(t, s)
		if i%50 == 0 {
			m.Compare(t, s)
		}
	}
	m.Compare(t, s)
}
