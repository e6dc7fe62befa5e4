package logtest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// NewStore makes an empty store. The suite closes it. It is called in synctest bubbles.
type NewStore func(t *testing.T) eventlog.Store

// Distant is a store that lies outside of the process, and its clock.
type Distant struct {
	eventlog.Store
	// Pass lets a time pass on the store's clock, which stands still otherwise. It begins in the present.
	Pass func(time.Duration)
}

// RunStore holds the stores that fresh makes to what package eventlog asks of a store of topics.
func RunStore(t *testing.T, fresh NewStore) {
	for name, test := range storeTests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				run(t, &world{Store: fresh(t), pass: time.Sleep, settle: synctest.Wait, patience: time.Minute}, test)
			})
		})
	}
}

// RunDistant is RunStore for stores that no synctest bubble can hold.
func RunDistant(t *testing.T, fresh func(t *testing.T) Distant) {
	for name, test := range storeTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := fresh(t)
			run(t, &world{Store: d.Store, pass: d.Pass, settle: func() {}, patience: 200 * time.Millisecond, distant: true}, test)
		})
	}
}

var storeTests = map[string]func(t *testing.T, s *world){
	"Order": topicOrder, "Content": topicContent, "Batches": batches, "Keys": keys, "Producers": producers, "End": end,
	"Retention": retention, "Age": age, "Trim": topicTrim, "Follow": follow, "Deadlines": waiting, "Deletion": deletion,
	"Names": names, "Policies": policies, "Concurrent": appendAtOnce, "Closed": storeClosed, "Model": model,
}

// world is a store and the time it lives in.
type world struct {
	eventlog.Store
	pass     func(time.Duration)
	settle   func()        // waits until all goroutines wait, where that can be known
	patience time.Duration // of somebody who gives up
	distant  bool          // time goes on by itself
}

func run(t *testing.T, s *world, test func(t *testing.T, s *world)) {
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	test(t, s)
}

func topicOf(t *testing.T, s eventlog.Store, name string, p *eventlog.Policy) eventlog.Topic {
	t.Helper()
	topic, err := s.Topic(t.Context(), name, p)
	if err != nil {
		t.Fatal(err)
	}
	return topic
}

// batchOf has an item for each text.
func batchOf(texts ...string) *eventlog.Batch {
	b := &eventlog.Batch{}
	for _, text := range texts {
		b.Items = append(b.Items, eventlog.Item{Data: []byte(text)})
	}
	return b
}

func appendTo(t *testing.T, topic eventlog.Topic, b *eventlog.Batch) eventlog.Appended {
	t.Helper()
	a, err := topic.Append(t.Context(), b)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return a
}

func readFrom(t *testing.T, topic eventlog.Topic, after message.Offset, n int) []eventlog.Item {
	t.Helper()
	items, err := topic.Read(t.Context(), after, n)
	if err != nil {
		t.Fatalf("read after %v: %v", after, err)
	}
	return items
}

func bounds(t *testing.T, topic eventlog.Topic) eventlog.TopicBounds {
	t.Helper()
	b, err := topic.Bounds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func texts(items []eventlog.Item) (all []string) {
	for _, i := range items {
		all = append(all, string(i.Data))
	}
	return all
}

// has fails the test unless these are the texts of what is there.
func has(t *testing.T, topic eventlog.Topic, want ...string) {
	t.Helper()
	if got := texts(readFrom(t, topic, message.Offset{}, 1000)); !slices.Equal(got, want) {
		t.Fatalf("there is %q, want %q", got, want)
	}
}

// notCovered fails the test unless the topic says that it does not cover after.
func notCovered(t *testing.T, topic eventlog.Topic, after message.Offset) {
	t.Helper()
	items, err := topic.Read(t.Context(), after, 10)
	var e *eventlog.OffsetError
	if !errors.As(err, &e) || e.After != after || eventlog.CodeOf(err) != eventlog.CodeOffsetNotCovered {
		t.Fatalf("read after %v: %q and the error %v", after, texts(items), err)
	}
}

func topicOrder(t *testing.T, s *world) {
	topic := topicOf(t, s, "t", nil)
	b := bounds(t, topic)
	if b.Floor.IsZero() || b.Floor != b.Top || b.Count != 0 || b.Bytes != 0 || b.Ended {
		t.Fatalf("a new topic has the bounds %+v", b)
	}
	offsets := []message.Offset{b.Top}
	for i := range 120 {
		a := appendTo(t, topic, batchOf(fmt.Sprint(i)))
		if a.First != a.Last || a.First.Compare(offsets[i]) <= 0 || a.Duplicate {
			t.Fatalf("%+v follows %v", a, offsets[i])
		}
		offsets = append(offsets, a.First)
		if i%50 == 25 {
			s.pass(time.Millisecond)
		}
	}
	if b := bounds(t, topic); b.Top != offsets[120] || b.Floor != offsets[0] || b.Count != 120 {
		t.Fatalf("the bounds are %+v", b)
	}
	for _, from := range []int{0, 1, 60, 119, 120} {
		for _, n := range []int{1, 7, 1000} {
			got := readFrom(t, topic, offsets[from], n)
			if len(got) != min(n, 120-from) {
				t.Fatalf("%d items behind number %d of 120, at most %d", len(got), from, n)
			}
			for i, item := range got {
				if item.Offset != offsets[from+i+1] || item.Prev != offsets[from+i] || string(item.Data) != fmt.Sprint(from+i) {
					t.Fatalf("item %d behind number %d is %v behind %v: %q", i, from, item.Offset, item.Prev, item.Data)
				}
			}
		}
	}
	notCovered(t, topic, message.Offset{Ms: 1})
	notCovered(t, topic, message.Offset{Ms: offsets[120].Ms, Seq: offsets[120].Seq + 1})
}

func topicContent(t *testing.T, s *world) {
	topic := topicOf(t, s, "t", nil)
	large := make([]byte, 50_000)
	appendTo(t, topic, &eventlog.Batch{Items: []eventlog.Item{{Data: []byte(`["e",1]`), Attachments: [][]byte{{1, 2}, {}, large}}, {}}})
	got := readFrom(t, topic, message.Offset{}, 10)
	if len(got) != 2 || string(got[0].Data) != `["e",1]` || len(got[0].Attachments) != 3 || string(got[0].Attachments[0]) != "\x01\x02" ||
		len(got[0].Attachments[1]) != 0 || len(got[0].Attachments[2]) != len(large) || len(got[1].Data) != 0 || got[1].Attachments != nil {
		t.Fatalf("came back as %.200v", got)
	}
	if b := bounds(t, topic); b.Bytes < len(large) || b.Bytes > len(large)+1000 {
		t.Errorf("%d bytes are counted", b.Bytes)
	}
}

func batches(t *testing.T, s *world) {
	topic := topicOf(t, s, "t", nil)
	start := bounds(t, topic).Top
	a := appendTo(t, topic, batchOf("a", "b", "c"))
	appendTo(t, topic, batchOf("d"))
	all := readFrom(t, topic, start, 10)
	if len(all) != 4 || all[0].Offset != a.First || all[2].Offset != a.Last || a.First.Compare(a.Last) >= 0 {
		t.Fatalf("appended %+v, there is %+v", a, all)
	}
	for i, item := range all[1:] {
		if item.Prev != all[i].Offset {
			t.Errorf("%v says that %v is before it, that is %v", item.Offset, item.Prev, all[i].Offset)
		}
	}
	if got := texts(readFrom(t, topic, all[1].Offset, 10)); fmt.Sprint(got) != "[c d]" {
		t.Errorf("behind the second of a batch there is %q", got)
	}
	for _, bad := range []*eventlog.Batch{{}, {Items: batchOf("x").Items, Key: string(make([]byte, 256))}, {Items: batchOf("x").Items, Producer: string(make([]byte, 256))}} {
		if _, err := topic.Append(t.Context(), bad); eventlog.CodeOf(err) != eventlog.CodeInvalidBatch {
			t.Errorf("%.100v: %v", bad, err)
		}
	}
	has(t, topic, "a", "b", "c", "d")
}

func keys(t *testing.T, s *world) {
	topic := topicOf(t, s, "t", &eventlog.Policy{Age: -1, Count: 2})
	keyed := func(key, text string) eventlog.Appended {
		b := batchOf(text)
		b.Key = key
		return appendTo(t, topic, b)
	}
	first := keyed("k", "one")
	if again := keyed("k", "two"); !again.Duplicate || again.First != first.First || again.Last != first.Last {
		t.Fatalf("%+v, and with the same key %+v", first, again)
	}
	if other := keyed("l", "three"); other.Duplicate || other.First == first.First {
		t.Fatalf("another key: %+v", other)
	}
	elsewhere := topicOf(t, s, "u", nil)
	b := batchOf("x")
	b.Key = "k"
	if a := appendTo(t, elsewhere, b); a.Duplicate {
		t.Fatal("a key counts in another topic")
	}
	keyed("", "four")
	keyed("", "five")
	has(t, topic, "four", "five")
	s.pass(eventlog.KeyAge - time.Minute)
	if again := keyed("k", "x"); !again.Duplicate || again.First != first.First {
		t.Errorf("after nearly a day, and trimmed: %+v", again)
	}
	s.pass(2 * time.Minute)
	if a := keyed("k", "six"); a.Duplicate {
		t.Errorf("after a day: %+v", a)
	}
	has(t, topic, "five", "six")
}

func producers(t *testing.T, s *world) {
	topic := topicOf(t, s, "t", nil)
	send := func(epoch, seq uint64) (eventlog.Appended, error) {
		b := batchOf(fmt.Sprint(epoch, "/", seq))
		b.Producer, b.Epoch, b.Seq = "p", epoch, seq
		return topic.Append(t.Context(), b)
	}
	var last eventlog.Appended
	for seq := range uint64(3) {
		var err error
		if last, err = send(1, seq); err != nil || last.Duplicate || last.Seq != seq {
			t.Fatalf("number %d: %+v, %v", seq, last, err)
		}
	}
	if a, err := send(1, 2); err != nil || !a.Duplicate || a.First != last.First {
		t.Errorf("the last one again: %+v, %v", a, err)
	}
	if a, err := send(1, 0); err != nil || !a.Duplicate || a.Seq != 2 {
		t.Errorf("an old one again: %+v, %v", a, err)
	}
	var gap *eventlog.SequenceError
	if _, err := send(1, 4); !errors.As(err, &gap) || gap.Expected != 3 || gap.NewEpoch || eventlog.CodeOf(err) != eventlog.CodeProducerSequence {
		t.Errorf("a gap: %v", err)
	}
	if _, err := send(3, 1); !errors.As(err, &gap) || gap.Expected != 0 || !gap.NewEpoch {
		t.Errorf("an epoch that does not begin at 0: %v", err)
	}
	if _, err := send(3, 0); err != nil {
		t.Fatal(err)
	}
	var fenced *eventlog.FencedError
	if _, err := send(1, 3); !errors.As(err, &fenced) || fenced.Current != 3 || fenced.Epoch != 1 || eventlog.CodeOf(err) != eventlog.CodeProducerFenced {
		t.Errorf("a fenced producer: %v", err)
	}
	b := batchOf("other")
	b.Producer = "q"
	appendTo(t, topic, b)
	has(t, topic, "1/0", "1/1", "1/2", "3/0", "other")
}

func end(t *testing.T, s *world) {
	topic := topicOf(t, s, "t", nil)
	cursor := eventlog.Follow(topic, message.Offset{})
	late := eventlog.Follow(topic, bounds(t, topic).Top)
	appendTo(t, topic, batchOf("a"))
	b := batchOf("b")
	b.End, b.Key = true, "k"
	a := appendTo(t, topic, b)
	if bb := bounds(t, topic); !bb.Ended || bb.Top != a.Last {
		t.Errorf("the bounds are %+v", bb)
	}
	if _, err := topic.Append(t.Context(), batchOf("c")); !errors.Is(err, eventlog.ErrEnded) || eventlog.CodeOf(err) != eventlog.CodeTopicEnded {
		t.Errorf("appended to the end: %v", err)
	}
	if again := appendTo(t, topic, b); !again.Duplicate || again.Last != a.Last {
		t.Errorf("the end again: %+v", again)
	}
	for _, c := range []*eventlog.Cursor{cursor, late} {
		items, err := c.Next(t.Context())
		if err != nil || fmt.Sprint(texts(items)) != "[a b]" {
			t.Errorf("followed %q, %v", texts(items), err)
		}
		for range 2 {
			if items, err := c.Next(t.Context()); !errors.Is(err, eventlog.ErrEnded) {
				t.Errorf("behind the end: %q, %v", texts(items), err)
			}
		}
	}
	empty := topicOf(t, s, "empty", nil)
	waits := make(chan error, 1)
	go func() {
		_, err := eventlog.Follow(empty, message.Offset{}).Next(t.Context())
		waits <- err
	}()
	s.settle()
	appendTo(t, empty, &eventlog.Batch{End: true})
	if err := <-waits; !errors.Is(err, eventlog.ErrEnded) {
		t.Errorf("a reader who waits when the topic ends: %v", err)
	}
}
