package streamhttp

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// fork says what a stream has from another one (section 4.2 of the protocol). Nothing is copied: the topics of the source are
// read, up to where it was forked, and kept as long as the fork is there.
type fork struct {
	From     string    `json:"from"` // name of the source
	At       string    `json:"at,omitempty"`
	Sub      uint64    `json:"sub,omitempty"`
	Resolved string    `json:"resolved"` // At, or the tail if that is empty
	Segments []segment `json:"segments"`
}

// maxSegments bounds of how many streams a fork has parts. Each fork keeps the list of them.
const maxSegments = 64

// segment is a part of a topic, as the catalog has it: what lies behind Begin up to Upto, of which only Cut bytes if that is
// not zero.
type segment struct {
	Topic string `json:"topic"`
	Begin string `json:"begin"`
	Upto  string `json:"upto"`
	Cut   uint64 `json:"cut,omitempty"`
}

// upto returns the offset of the last inherited item, or zero.
func (f *fork) upto() message.Offset {
	if len(f.Segments) == 0 {
		return message.Offset{}
	}
	o, _ := parseOffset(f.Segments[len(f.Segments)-1].Upto)
	return o
}

// part is a segment that can be read. The last of a stream has no end.
type part struct {
	topic       eventlog.Topic
	begin, upto message.Offset
	cut         uint64
}

func (s *segment) part(t eventlog.Topic) part {
	p := part{topic: t, cut: s.Cut}
	p.begin, _ = parseOffset(s.Begin)
	p.upto, _ = parseOffset(s.Upto)
	return p
}

// items returns items behind after, at most about n, and whether they are of the last part. Where one part ends within them,
// the rest is for the next call.
func (st *stream) items(ctx context.Context, after message.Offset, n int) ([]eventlog.Item, error) {
	for i, p := range st.parts {
		last := i == len(st.parts)-1
		if !last && after.Compare(p.upto) >= 0 {
			continue
		}
		from := after
		if i > 0 && after.Compare(st.parts[i-1].upto) <= 0 {
			from = p.begin
		}
		items, err := p.topic.Read(ctx, from, n)
		if err != nil || last {
			return items, err
		}
		items = slices.Clone(items) // for the cut
		for len(items) > 0 && items[len(items)-1].Offset.Compare(p.upto) > 0 {
			items = items[:len(items)-1]
		}
		if len(items) == 0 {
			continue
		}
		if end := &items[len(items)-1]; p.cut > 0 && end.Offset == p.upto {
			end.Data = end.Data[:min(p.cut, uint64(len(end.Data)))]
		}
		return items, nil
	}
	return nil, nil
}

// wait returns when there is something behind after, which is at the end or beyond the last inherited item.
func (st *stream) wait(ctx context.Context, after message.Offset) error {
	if after.Compare(st.begin) < 0 {
		after = st.begin
	}
	return st.topic.Wait(ctx, after)
}

// newFork works out what a fork of source has: at is empty for the tail, sub goes beyond.
func newFork(ctx context.Context, source *stream, at string, sub uint64) (*fork, error) {
	b, err := source.bounds(ctx)
	if err != nil {
		return nil, err
	}
	tail := source.tail(b)
	f := &fork{From: source.Name, At: at, Sub: sub}
	upto := tail
	if at != "" {
		var ok bool
		if upto, ok = parseOffset(at); !ok {
			return nil, &Error{http.StatusBadRequest, CodeInvalidOffset, headerForkOffset + " is not an offset of this server"}
		}
		if upto.Compare(tail) > 0 {
			return nil, &Error{http.StatusBadRequest, CodeInvalidOffset, headerForkOffset + " is behind the end of the stream"}
		}
	}
	f.Resolved = formatOffset(upto)
	var cut uint64
	if sub > 0 {
		if upto, cut, err = source.beyond(ctx, upto, sub); err != nil {
			return nil, err
		}
	}
	if f.Segments = source.upto(upto, cut); len(f.Segments) > maxSegments {
		return nil, invalid("a stream has parts of at most %d others; fork one that has fewer", maxSegments)
	}
	return f, nil
}

// beyond returns the place sub beyond after: messages of a JSON stream, or bytes of the next item of another one.
func (st *stream) beyond(ctx context.Context, after message.Offset, sub uint64) (upto message.Offset, cut uint64, err error) {
	overshoot := &Error{http.StatusBadRequest, CodeInvalidOffset, headerForkSubOffset + " goes beyond the data"}
	for {
		items, err := st.items(ctx, after, catalogBatch)
		if err != nil {
			return upto, 0, err
		}
		if len(items) == 0 {
			return upto, 0, overshoot
		}
		if !isJSON(st.ContentType) {
			size := uint64(len(items[0].Data))
			if sub > size {
				return upto, 0, overshoot
			}
			if sub == size {
				sub = 0
			}
			return items[0].Offset, sub, nil
		}
		if sub <= uint64(len(items)) {
			return items[sub-1].Offset, 0, nil
		}
		sub -= uint64(len(items))
		after = items[len(items)-1].Offset
	}
}

// upto returns the segments of a stream up to an offset.
func (st *stream) upto(o message.Offset, cut uint64) (segments []segment) {
	if o.IsZero() {
		return nil
	}
	own := segment{Topic: st.Topic, Begin: formatOffset(st.begin)}
	chain := []segment{own}
	if st.Fork != nil {
		chain = append(slices.Clone(st.Fork.Segments), own)
	}
	for _, s := range chain {
		if end, ok := parseOffset(s.Upto); ok && end.Compare(o) < 0 {
			segments = append(segments, s)
			continue
		}
		if s.Upto != formatOffset(o) || cut > 0 {
			s.Upto, s.Cut = formatOffset(o), cut
		}
		return append(segments, s)
	}
	return segments
}

// later makes a new topic whose offsets are behind o, and returns where it begins. Topics begin at the time of day, which may
// be the millisecond of o, or before that if the clock was put back: it waits then, within ctx, for as long as clockWait.
func (h *Handler) later(ctx context.Context, o message.Offset) (name string, t eventlog.Topic, begin message.Offset, err error) {
	name = newTopicName()
	for {
		t, err = h.store.Topic(ctx, name, h.opts.Policy)
		if err != nil {
			return "", nil, begin, err
		}
		b, err := t.Bounds(ctx)
		if err != nil {
			return "", nil, begin, err
		}
		if b.Floor.Compare(o) > 0 {
			return name, t, b.Floor, nil
		}
		if err := h.store.Delete(ctx, name); err != nil {
			return "", nil, begin, err
		}
		if time.Until(time.UnixMilli(int64(o.Ms))) > clockWait {
			return "", nil, begin, errClock
		}
		if err := pauseUntil(ctx, o.Ms+1); err != nil {
			return "", nil, begin, errors.Join(errClock, err)
		}
	}
}

// clockWait is how far the clock may be behind an offset.
const clockWait = time.Second

var errClock = &Error{http.StatusServiceUnavailable, eventlog.CodeStoreBusy, "the clock of the server is behind the items of the stream; try again"}
