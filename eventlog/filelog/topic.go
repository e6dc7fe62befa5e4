package filelog

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/eventlog/internal/ledger"
	"github.com/peal-dev/peal/internal/journal"
	"github.com/peal-dev/peal/message"
)

// topic is a topic whose spans are records of the journal.
type topic struct {
	*ledger.Topic[journal.Position]
	s    *Store
	name string

	stated  atomic.Uint64 // position of the latest record with its state
	leaving bool          // its deletion is being written; of the journal's goroutine
}

var _ eventlog.Topic = (*topic)(nil)

// Append implements [eventlog.Topic].
func (t *topic) Append(ctx context.Context, b *eventlog.Batch) (eventlog.Appended, error) {
	if err := b.Check(); err != nil {
		return eventlog.Appended{}, err
	}
	size := len(t.name) + len(b.Key) + len(b.Producer)
	for i := range b.Items {
		size += int(b.Items[i].Size()) + 8*(1+len(b.Items[i].Attachments))
	}
	if size > t.s.options.MaxBatch {
		return eventlog.Appended{}, fmt.Errorf("%w: the batch has %d bytes, at most %d are taken", eventlog.ErrInvalid, size, t.s.options.MaxBatch)
	}
	if t.s.journal.Stats().Bytes >= t.s.options.Bytes {
		t.s.needRoom()
		return eventlog.Appended{}, fmt.Errorf("%w: topic %q: the store takes at most %d bytes", eventlog.ErrStoreFull, t.name, t.s.options.Bytes)
	}
	d := journal.OnDisk
	if b.Durability == eventlog.OS {
		d = journal.InOS
	}
	a := &appending{t: t, b: b}
	if err := t.s.journal.Submit(ctx, d, size, a); err != nil {
		return eventlog.Appended{}, fmt.Errorf("filelog: append to topic %q: %w", t.name, translate(err))
	}
	return a.step.Appended, nil
}

// readTries is how often Read looks for a batch that is written again elsewhere while it reads.
const readTries = 10

// maxRead is how many bytes are returned at once, unless the first batch has more.
const maxRead = 4 << 20

// Read implements [eventlog.Topic]. It returns fewer than n items when they are large.
func (t *topic) Read(ctx context.Context, after message.Offset, n int) ([]eventlog.Item, error) {
	t.Topic.Trim(message.Offset{}, time.Now())
	for try := 1; ; try++ {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("filelog: read topic %q: %w", t.name, err)
		}
		items, err := t.read(after, n)
		if errors.Is(err, journal.ErrGone) && try < readTries {
			continue // it was written again behind the end meanwhile, or trimmed: the next look tells
		}
		if err != nil {
			return nil, fmt.Errorf("filelog: read topic %q: %w", t.name, translate(err))
		}
		return items, nil
	}
}

func (t *topic) read(after message.Offset, n int) (items []eventlog.Item, err error) {
	spans, skip, err := t.Find(after, n)
	if err != nil {
		return nil, err
	}
	bytes := int64(0)
	for _, s := range spans {
		if bytes += s.Bytes; bytes > maxRead && len(items) > skip {
			break
		}
		record, err := t.s.journal.Read(s.At, nil) // the items keep it
		if err != nil {
			return nil, err
		}
		_, e, err := parseEntry(record)
		if err == nil && (e.past.First != s.First || len(e.items) != s.N) {
			err = errors.New("another batch is in its place")
		}
		if err != nil {
			return nil, fmt.Errorf("batch %s at position %d: %w", s.First, s.At, err)
		}
		items = append(items, e.items...)
	}
	return items[skip:], nil
}

// Bounds implements [eventlog.Topic].
func (t *topic) Bounds(context.Context) (eventlog.TopicBounds, error) {
	t.Topic.Trim(message.Offset{}, time.Now())
	return t.Topic.Bounds()
}

// Trim implements [eventlog.Topic].
func (t *topic) Trim(ctx context.Context, floor message.Offset) error {
	if !t.Topic.Trim(floor, time.Now()) {
		_, err := t.Topic.Bounds()
		return err
	}
	if err := t.s.journal.Submit(ctx, journal.OnDisk, 0, &statement{s: t.s, name: t.name, only: t}); err != nil {
		return fmt.Errorf("filelog: trim topic %q: %w", t.name, translate(err))
	}
	return nil
}

// appending is a batch on its way into the journal.
type appending struct {
	t    *topic
	b    *eventlog.Batch
	step *ledger.Step
}

// Append implements [journal.Record].
func (a *appending) Append(dst []byte) ([]byte, error) {
	if a.t.leaving {
		return dst, eventlog.ErrDeleted
	}
	var err error
	if a.step, err = a.t.Begin(a.b, time.Now()); err != nil || a.step.Appended.Duplicate {
		return dst, err
	}
	return appendEntry(dst, a.t.name, a.b, a.step), nil
}

// Done implements [journal.Record].
func (a *appending) Done(at journal.Position, err error) {
	if err != nil {
		a.t.Undo(a.step)
		return
	}
	a.t.Commit(a.step, at)
	a.t.s.reached(a.step.Appended.Last)
}

// statement writes the state of a topic, which is made if there is none.
type statement struct {
	s      *Store
	name   string
	policy *eventlog.Policy // nil leaves it
	only   *topic           // if not nil, nothing is written unless it is this

	t    *topic
	made bool
}

// Append implements [journal.Record].
func (r *statement) Append(dst []byte) ([]byte, error) {
	r.s.mu.Lock()
	r.t = r.s.topics[r.name]
	latest := r.s.latest
	r.s.mu.Unlock()
	if r.t != nil && r.t.leaving || r.only != nil && r.t != r.only {
		return dst, eventlog.ErrDeleted
	}
	if r.t == nil {
		r.t = &topic{Topic: ledger.New[journal.Position](r.policy.WithDefaults(), latest, time.Now()), s: r.s, name: r.name}
		r.made = true
		r.s.add(r.t)
	}
	state := r.t.State()
	if r.policy != nil {
		state.Policy = r.policy.WithDefaults()
	}
	fit(&state, r.s.options.SegmentSize/2)
	return appendState(dst, r.name, state), nil
}

// Done implements [journal.Record].
func (r *statement) Done(at journal.Position, err error) {
	switch {
	case err == nil:
		r.t.stated.Store(uint64(at))
		if r.policy != nil {
			r.t.SetPolicy(r.policy.WithDefaults(), time.Now())
		}
	case r.made:
		r.s.remove(r.t)
		r.t.Leave(eventlog.ErrDeleted)
	}
}

// deletion deletes a topic.
type deletion struct{ t *topic }

// Append implements [journal.Record].
func (r *deletion) Append(dst []byte) ([]byte, error) {
	if r.t.leaving {
		return dst, nil
	}
	if _, err := r.t.Topic.Bounds(); err != nil {
		return dst, nil // it is deleted
	}
	r.t.leaving = true
	return appendDeletion(dst, r.t.name), nil
}

// Done implements [journal.Record].
func (r *deletion) Done(_ journal.Position, err error) {
	if err != nil {
		r.t.leaving = false
		return
	}
	r.t.s.remove(r.t)
	r.t.Leave(eventlog.ErrDeleted)
}
