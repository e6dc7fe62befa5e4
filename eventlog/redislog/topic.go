package redislog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// errAnswer says that a script has answered what it never does: somebody else uses its keys.
var errAnswer = errors.New("redislog: what is under the topic's keys is none")

// lookAgain is after how long a reader who waits looks without being told: what Redis publishes may get lost.
const lookAgain = time.Second

// topic is one life of a topic: when it is deleted, it ends.
type topic struct {
	store *Store
	name  string
	life  string
	keys  []string
}

// ask runs a script on the topic and returns its answer, whose first element says what it is.
func (t *topic) ask(ctx context.Context, script string, run func() (any, error)) (what string, answer []any, err error) {
	reply, err := run()
	if err != nil {
		return "", nil, fmt.Errorf("redislog: %s %q: %w", script, t.name, err)
	}
	answer, _ = reply.([]any)
	if len(answer) == 0 {
		return "", nil, errAnswer
	}
	what, _ = answer[0].(string)
	if what == "deleted" {
		return "", nil, eventlog.ErrDeleted
	}
	return what, answer[1:], nil
}

// Append implements [eventlog.Topic].
func (t *topic) Append(ctx context.Context, b *eventlog.Batch) (eventlog.Appended, error) {
	if err := b.Check(); err != nil {
		return eventlog.Appended{}, err
	}
	args, err := t.arguments(b)
	if err != nil {
		return eventlog.Appended{}, err
	}
	what, answer, err := t.ask(ctx, "append to", func() (any, error) {
		if err := t.store.usable(ctx); err != nil {
			return nil, err
		}
		answer, err := t.store.redis.Run(ctx, appendScript, t.keys, args)
		return answer, t.store.uncertain(err)
	})
	if err != nil {
		return eventlog.Appended{}, err
	}
	text := func(i int) string {
		if i >= len(answer) {
			return ""
		}
		s, _ := answer[i].(string)
		return s
	}
	number := func(i int) uint64 {
		n, _ := strconv.ParseUint(text(i), 10, 64)
		return n
	}
	switch what {
	case "appended", "duplicate":
		first, ok1 := message.ParseOffset(text(0))
		last, ok2 := message.ParseOffset(text(1))
		if !ok1 || !ok2 {
			return eventlog.Appended{}, errAnswer
		}
		return eventlog.Appended{First: first, Last: last, Duplicate: what == "duplicate", Seq: number(2)}, nil
	case "fenced":
		return eventlog.Appended{}, &eventlog.FencedError{Producer: b.Producer, Epoch: b.Epoch, Current: number(0)}
	case "sequence":
		e := &eventlog.SequenceError{Producer: b.Producer, Seq: b.Seq, NewEpoch: text(1) == "1"}
		if text(0) != "" {
			e.Expected = number(0) + 1
		}
		return eventlog.Appended{}, e
	case "ended":
		return eventlog.Appended{}, eventlog.ErrEnded
	case "large":
		return eventlog.Appended{}, fmt.Errorf("%w: %d items are more than the topic keeps", eventlog.ErrInvalid, len(b.Items))
	default:
		return eventlog.Appended{}, errAnswer
	}
}

// arguments are those of the script that appends.
func (t *topic) arguments(b *eventlog.Batch) ([]string, error) {
	number := func(n uint64) string { return strconv.FormatUint(n, 10) }
	before, ends := "", "0"
	if b.Seq > 0 {
		before = number(b.Seq - 1)
	}
	if b.End {
		ends = "1"
	}
	size := int64(0)
	for i := range b.Items {
		size += b.Items[i].Size()
	}
	args := []string{t.life, t.store.clock(), b.Key, b.Producer, number(b.Epoch), number(b.Seq), before, ends, strconv.FormatInt(size, 10),
		strconv.FormatInt(eventlog.KeyAge.Milliseconds(), 10), strconv.Itoa(eventlog.MaxKeys), strconv.Itoa(eventlog.MaxProducers)}
	for i := range b.Items {
		item, err := encode(&b.Items[i])
		if err != nil {
			return nil, err
		}
		args = append(args, item)
	}
	return args, nil
}

// uncertain says what it means that an append was not answered.
func (s *Store) uncertain(err error) error {
	if err == nil || isAnswer(err) {
		return s.explain(err)
	}
	if err = s.explain(err); errors.Is(err, eventlog.ErrStoreClosed) {
		return err
	}
	return fmt.Errorf("%w: %w", eventlog.ErrUncertain, err)
}

// Read implements [eventlog.Topic].
func (t *topic) Read(ctx context.Context, after message.Offset, n int) ([]eventlog.Item, error) {
	from := ""
	if !after.IsZero() {
		from = after.String()
	}
	what, answer, err := t.ask(ctx, "read", func() (any, error) {
		return t.store.run(ctx, readScript, t.keys, t.life, t.store.clock(), from, strconv.Itoa(max(n, 1)))
	})
	switch {
	case err != nil:
		return nil, err
	case what == "uncovered":
		b, err := boundsOf(answer)
		if err != nil {
			return nil, err
		}
		return nil, &eventlog.OffsetError{After: after, Bounds: b.Bounds}
	case what != "items" || len(answer) != 2:
		return nil, errAnswer
	}
	text, _ := answer[0].(string)
	prev, ok := message.ParseOffset(text)
	entries, _ := answer[1].([]any)
	if !ok {
		return nil, errAnswer
	}
	items := make([]eventlog.Item, 0, len(entries))
	for _, e := range entries {
		item, err := decode(e)
		if err != nil {
			return nil, fmt.Errorf("redislog: read %q behind %s: %w", t.name, prev, err)
		}
		item.Prev, prev = prev, item.Offset
		items = append(items, item)
	}
	return items, nil
}

// Wait implements [eventlog.Topic].
func (t *topic) Wait(ctx context.Context, after message.Offset) error {
	channel := t.keys[len(t.keys)-1]
	w := t.store.watch.begin(channel)
	defer t.store.watch.end(channel, w)
	bounded, cancel := context.WithTimeout(ctx, lookAgain)
	w.heard(bounded)
	cancel()
	again := time.NewTimer(lookAgain)
	defer again.Stop()
	for {
		changed, top := t.store.watch.next(w)
		if top.Compare(after) > 0 { // of the topic, or of another that has its name by now: Read tells
			return nil
		}
		b, err := t.Bounds(ctx)
		switch {
		case errors.Is(err, eventlog.ErrStoreUnavailable) && ctx.Err() == nil: // it may be back soon
		case err != nil:
			return err
		case b.Ended || b.Top.Compare(after) > 0:
			return nil
		}
		select {
		case <-changed:
		case <-again.C:
			again.Reset(lookAgain)
		case <-t.store.closed:
			return eventlog.ErrStoreClosed
		case <-ctx.Done():
			return fmt.Errorf("redislog: wait for %q: %w", t.name, ctx.Err())
		}
	}
}

// Bounds implements [eventlog.Topic].
func (t *topic) Bounds(ctx context.Context) (eventlog.TopicBounds, error) {
	what, answer, err := t.ask(ctx, "look at", func() (any, error) {
		return t.store.run(ctx, boundsScript, t.keys, t.life, t.store.clock())
	})
	if err != nil {
		return eventlog.TopicBounds{}, err
	}
	if what != "bounds" {
		return eventlog.TopicBounds{}, errAnswer
	}
	return boundsOf(answer)
}

// boundsOf reads floor, top, items, bytes, and whether it has ended.
func boundsOf(answer []any) (b eventlog.TopicBounds, err error) {
	if len(answer) != 5 {
		return b, errAnswer
	}
	floor, _ := answer[0].(string)
	top, _ := answer[1].(string)
	count, _ := answer[2].(int64)
	size, _ := answer[3].(int64)
	var ok1, ok2 bool
	b.Floor, ok1 = message.ParseOffset(floor)
	b.Top, ok2 = message.ParseOffset(top)
	b.Count, b.Bytes, b.Ended = int(count), int(size), answer[4] == "1"
	if !ok1 || !ok2 {
		return b, errAnswer
	}
	return b, nil
}

// Trim implements [eventlog.Topic].
func (t *topic) Trim(ctx context.Context, floor message.Offset) error {
	_, _, err := t.ask(ctx, "trim", func() (any, error) {
		return t.store.run(ctx, trimScript, t.keys, t.life, t.store.clock(), floor.String())
	})
	return err
}
