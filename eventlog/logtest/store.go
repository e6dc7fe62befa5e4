package logtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// NewStore makes an empty store. The suite closes it. It is called in synctest bubbles.
type NewStore func(t *testing.T) eventlog.Store

// RunStore holds the stores that fresh makes to what package eventlog asks of a store of topics.
func RunStore(t *testing.T, fresh NewStore) {
	for name, test := range map[string]func(t *testing.T, s eventlog.Store){
		"Order": topicOrder, "Content": topicContent, "Batches": batches, "Keys": keys, "Producers": producers, "End": end,
		"Retention": retention, "Age": age, "Trim": topicTrim, "Follow": follow, "Deadlines": waiting, "Deletion": deletion,
		"Names": names, "Policies": policies, "Concurrent": appendAtOnce, "Closed": storeClosed, "Model": model,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := fresh(t)
				defer func() {
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				}()
				test(t, s)
			})
		})
	}
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

func topicOrder(t *testing.T, s eventlog.Store) {
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
			time.Sleep(time.Millisecond)
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

func topicContent(t *testing.T, s eventlog.Store) {
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

func batches(t *testing.T, s eventlog.Store) {
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

func keys(t *testing.T, s eventlog.Store) {
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
	time.Sleep(eventlog.KeyAge - time.Minute)
	if again := keyed("k", "x"); !again.Duplicate || again.First != first.First {
		t.Errorf("after nearly a day, and trimmed: %+v", again)
	}
	time.Sleep(2 * time.Minute)
	if a := keyed("k", "six"); a.Duplicate {
		t.Errorf("after a day: %+v", a)
	}
	has(t, topic, "five", "six")
}

func producers(t *testing.T, s eventlog.Store) {
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

func end(t *testing.T, s eventlog.Store) {
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
	synctest.Wait()
	appendTo(t, empty, &eventlog.Batch{End: true})
	if err := <-waits; !errors.Is(err, eventlog.ErrEnded) {
		t.Errorf("a reader who waits when the topic ends: %v", err)
	}
}

func retention(t *testing.T, s eventlog.Store) {
	topic := topicOf(t, s, "count", &eventlog.Policy{Count: 10})
	var offsets []message.Offset
	for i := range 30 {
		offsets = append(offsets, appendTo(t, topic, batchOf(fmt.Sprint(i))).Last)
	}
	if b := bounds(t, topic); b.Count != 10 || b.Floor != offsets[19] || b.Top != offsets[29] {
		t.Fatalf("the bounds are %+v", b)
	}
	if got := readFrom(t, topic, offsets[19], 100); len(got) != 10 || got[0].Prev != offsets[19] {
		t.Fatalf("behind the floor there are %q", texts(got))
	}
	notCovered(t, topic, offsets[18])
	topic = topicOf(t, s, "bytes", &eventlog.Policy{Bytes: 1000})
	for range 30 {
		appendTo(t, topic, batchOf(string(make([]byte, 90))))
		if b := bounds(t, topic); b.Bytes > 1000 || b.Count == 0 {
			t.Fatalf("the bounds are %+v", b)
		}
	}
	if b := bounds(t, topic); b.Count != 11 {
		t.Fatalf("the bounds are %+v", b)
	}
	for _, b := range []*eventlog.Batch{batchOf(string(make([]byte, 1001)))} {
		if _, err := topic.Append(t.Context(), b); eventlog.CodeOf(err) != eventlog.CodeInvalidBatch {
			t.Errorf("more than the topic keeps: %v", err)
		}
	}
}

func age(t *testing.T, s eventlog.Store) {
	topic, forever := topicOf(t, s, "t", &eventlog.Policy{Age: time.Hour}), topicOf(t, s, "u", &eventlog.Policy{Age: -1, Count: -1, Bytes: -1})
	first := appendTo(t, topic, batchOf("a"))
	appendTo(t, forever, batchOf("z"))
	time.Sleep(50 * time.Minute)
	appendTo(t, topic, batchOf("b"))
	has(t, topic, "a", "b")
	time.Sleep(20 * time.Minute)
	has(t, topic, "b")
	if b := bounds(t, topic); b.Floor != first.Last || b.Count != 1 {
		t.Errorf("the bounds are %+v", b)
	}
	time.Sleep(time.Hour)
	has(t, topic)
	if b := bounds(t, topic); b.Floor != b.Top || b.Bytes != 0 {
		t.Errorf("the bounds are %+v", b)
	}
	time.Sleep(1000 * time.Hour)
	has(t, forever, "z")
}

func topicTrim(t *testing.T, s eventlog.Store) {
	topic := topicOf(t, s, "t", nil)
	var offsets []message.Offset
	for i := range 10 {
		offsets = append(offsets, appendTo(t, topic, batchOf(fmt.Sprint(i))).Last)
	}
	if err := topic.Trim(t.Context(), offsets[6]); err != nil {
		t.Fatal(err)
	}
	has(t, topic, "7", "8", "9")
	notCovered(t, topic, offsets[5])
	if err := topic.Trim(t.Context(), offsets[3]); err != nil {
		t.Fatal(err)
	}
	if b := bounds(t, topic); b.Floor != offsets[6] {
		t.Errorf("the floor went back: %+v", b)
	}
	if err := topic.Trim(t.Context(), offsets[9]); err != nil {
		t.Fatal(err)
	}
	if b := bounds(t, topic); b.Floor != offsets[9] || b.Top != offsets[9] || b.Count != 0 {
		t.Errorf("the bounds are %+v", b)
	}
	if a := appendTo(t, topic, batchOf("next")); a.Last.Compare(offsets[9]) <= 0 {
		t.Errorf("%v follows %v", a.Last, offsets[9])
	}
}

// follow has readers that begin while others append: each gets everything behind where it began, once, in order.
func follow(t *testing.T, s eventlog.Store) {
	topic := topicOf(t, s, "t", nil)
	const count = 300
	var all sync.WaitGroup
	for r := range 4 {
		all.Go(func() {
			b, err := topic.Bounds(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			cursor, last := eventlog.Follow(topic, b.Top), b.Top
			for {
				items, err := cursor.Next(t.Context())
				if errors.Is(err, eventlog.ErrEnded) {
					break
				}
				if err != nil {
					t.Errorf("reader %d: %v", r, err)
					return
				}
				for _, item := range items {
					if item.Prev != last {
						t.Errorf("reader %d: %v says that %v is before it, that was %v", r, item.Offset, item.Prev, last)
						return
					}
					last = item.Offset
				}
				if cursor.Offset() != last {
					t.Errorf("the cursor is at %v, its last item at %v", cursor.Offset(), last)
				}
			}
		})
	}
	var writers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			for i := range count / 3 {
				if _, err := topic.Append(t.Context(), batchOf(fmt.Sprint(w, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	appendTo(t, topic, &eventlog.Batch{End: true})
	all.Wait()
}

func waiting(t *testing.T, s eventlog.Store) {
	topic := topicOf(t, s, "t", nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	if _, err := eventlog.Follow(topic, message.Offset{}).Next(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
		t.Errorf("nothing to read: %v after %v", err, time.Since(began))
	}
	if _, err := topic.Append(ctx, batchOf("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("append when the time is over: %v", err)
	}
	if _, err := topic.Read(ctx, message.Offset{}, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("read when the time is over: %v", err)
	}
	if _, err := s.Topic(ctx, "new", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a topic when the time is over: %v", err)
	}
	has(t, topic)
}

func deletion(t *testing.T, s eventlog.Store) {
	topic := topicOf(t, s, "t", nil)
	last := appendTo(t, topic, batchOf("old")).Last
	waits := make(chan error, 1)
	go func() {
		_, err := eventlog.Follow(topic, last).Next(t.Context())
		waits <- err
	}()
	synctest.Wait()
	for range 2 {
		if err := s.Delete(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-waits; !errors.Is(err, eventlog.ErrDeleted) || eventlog.CodeOf(err) != eventlog.CodeTopicDeleted {
		t.Errorf("a reader who waits: %v", err)
	}
	if _, err := topic.Append(t.Context(), batchOf("x")); !errors.Is(err, eventlog.ErrDeleted) {
		t.Errorf("append: %v", err)
	}
	again := topicOf(t, s, "t", nil)
	if b := bounds(t, again); b.Floor.Compare(last) <= 0 {
		t.Errorf("the new topic begins at %v, the old one ended at %v", b.Floor, last)
	}
	has(t, again)
	appendTo(t, again, batchOf("new"))
	has(t, again, "new")
	notCovered(t, again, last)
}

func names(t *testing.T, s eventlog.Store) {
	for _, name := range []string{"b", "a", "ü/..\x00", string(make([]byte, 255))} {
		topicOf(t, s, name, nil)
	}
	for _, name := range []string{"", string(make([]byte, 256))} {
		if _, err := s.Topic(t.Context(), name, nil); eventlog.CodeOf(err) != eventlog.CodeInvalidBatch {
			t.Errorf("a name of %d bytes: %v", len(name), err)
		}
	}
	if got, err := s.Topics(t.Context()); err != nil || len(got) != 4 || got[1] != "a" || got[2] != "b" {
		t.Errorf("topics %.40q, %v", got, err)
	}
}

func policies(t *testing.T, s eventlog.Store) {
	topic := topicOf(t, s, "t", &eventlog.Policy{Count: 5})
	for i := range 7 {
		appendTo(t, topicOf(t, s, "t", nil), batchOf(fmt.Sprint(i)))
	}
	has(t, topic, "2", "3", "4", "5", "6")
	topicOf(t, s, "t", &eventlog.Policy{Count: 2})
	has(t, topic, "5", "6")
}

func appendAtOnce(t *testing.T, s eventlog.Store) {
	var all sync.WaitGroup
	const topics, writers, each = 3, 8, 20
	for w := range writers {
		all.Go(func() {
			for i := range each {
				topic, err := s.Topic(t.Context(), fmt.Sprint(i%topics), nil)
				if err == nil {
					b := batchOf(fmt.Sprint(w, " ", i), "")
					b.Producer, b.Seq, b.Durability = fmt.Sprint(w), uint64(i/topics), eventlog.Durability(i%2)
					_, err = topic.Append(t.Context(), b)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	found := map[string]bool{}
	for i := range topics {
		items := readFrom(t, topicOf(t, s, fmt.Sprint(i), nil), message.Offset{}, 1000)
		next := map[string]int{}
		for n := 0; n < len(items); n += 2 {
			var w string
			var number int
			if _, err := fmt.Sscan(string(items[n].Data), &w, &number); err != nil || number != next[w]*topics+i || len(items[n+1].Data) > 0 {
				t.Fatalf("topic %d has %q at %d: %v", i, items[n].Data, n, err)
			}
			next[w]++
			found[string(items[n].Data)] = true
		}
	}
	if len(found) != writers*each {
		t.Errorf("%d of %d are there", len(found), writers*each)
	}
}

func storeClosed(t *testing.T, s eventlog.Store) {
	topic := topicOf(t, s, "t", nil)
	waits := make(chan error, 1)
	go func() {
		_, err := eventlog.Follow(topic, message.Offset{}).Next(t.Context())
		waits <- err
	}()
	synctest.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, appended := topic.Append(t.Context(), batchOf("x"))
	_, made := s.Topic(t.Context(), "u", nil)
	_, listed := s.Topics(t.Context())
	for what, err := range map[string]error{"a reader who waits": <-waits, "append": appended, "topic": made, "topics": listed, "delete": s.Delete(t.Context(), "t")} {
		if !errors.Is(err, eventlog.ErrStoreClosed) || eventlog.CodeOf(err) != eventlog.CodeStoreClosed {
			t.Errorf("%s: %v", what, err)
		}
	}
}
