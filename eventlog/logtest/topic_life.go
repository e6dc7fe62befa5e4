package logtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

func retention(t *testing.T, s *world) {
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

func age(t *testing.T, s *world) {
	topic, forever := topicOf(t, s, "t", &eventlog.Policy{Age: time.Hour}), topicOf(t, s, "u", &eventlog.Policy{Age: -1, Count: -1, Bytes: -1})
	first := appendTo(t, topic, batchOf("a"))
	appendTo(t, forever, batchOf("z"))
	s.pass(50 * time.Minute)
	appendTo(t, topic, batchOf("b"))
	has(t, topic, "a", "b")
	s.pass(20 * time.Minute)
	has(t, topic, "b")
	if b := bounds(t, topic); b.Floor != first.Last || b.Count != 1 {
		t.Errorf("the bounds are %+v", b)
	}
	s.pass(time.Hour)
	has(t, topic)
	if b := bounds(t, topic); b.Floor != b.Top || b.Bytes != 0 {
		t.Errorf("the bounds are %+v", b)
	}
	s.pass(1000 * time.Hour)
	has(t, forever, "z")
}

func topicTrim(t *testing.T, s *world) {
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
func follow(t *testing.T, s *world) {
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

func waiting(t *testing.T, s *world) {
	topic := topicOf(t, s, "t", nil)
	ctx, cancel := context.WithTimeout(t.Context(), s.patience)
	defer cancel()
	began := time.Now()
	if _, err := eventlog.Follow(topic, message.Offset{}).Next(ctx); !errors.Is(err, context.DeadlineExceeded) || !s.distant && time.Since(began) != s.patience {
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

func deletion(t *testing.T, s *world) {
	topic := topicOf(t, s, "t", nil)
	last := appendTo(t, topic, batchOf("old")).Last
	waits := make(chan error, 1)
	go func() {
		_, err := eventlog.Follow(topic, last).Next(t.Context())
		waits <- err
	}()
	s.settle()
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

func names(t *testing.T, s *world) {
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

func policies(t *testing.T, s *world) {
	topic := topicOf(t, s, "t", &eventlog.Policy{Count: 5})
	for i := range 7 {
		appendTo(t, topicOf(t, s, "t", nil), batchOf(fmt.Sprint(i)))
	}
	has(t, topic, "2", "3", "4", "5", "6")
	topicOf(t, s, "t", &eventlog.Policy{Count: 2})
	has(t, topic, "5", "6")
}

func appendAtOnce(t *testing.T, s *world) {
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

func storeClosed(t *testing.T, s *world) {
	topic := topicOf(t, s, "t", nil)
	waits := make(chan error, 1)
	go func() {
		_, err := eventlog.Follow(topic, message.Offset{}).Next(t.Context())
		waits <- err
	}()
	s.settle()
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
