package streamhttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// maxInteger is the greatest number of a producer: what is exact in JavaScript.
const maxInteger = 1<<53 - 1

// parseProducer reads who appends, into b. All three headers are there, or none.
func parseProducer(r *http.Request, b *eventlog.Batch) error {
	id, hasID := present(r, headerProducer)
	epoch, hasEpoch := present(r, headerProducerEpoch)
	seq, hasSeq := present(r, headerProducerSeq)
	if !hasID && !hasEpoch && !hasSeq {
		return nil
	}
	if !hasID || !hasEpoch || !hasSeq || id == "" {
		return invalid("%s, %s and %s come together", headerProducer, headerProducerEpoch, headerProducerSeq)
	}
	if len(id) > eventlog.MaxName {
		return invalid("%s has at most %d bytes", headerProducer, eventlog.MaxName)
	}
	var ok1, ok2 bool
	b.Producer = id
	b.Epoch, ok1 = number(epoch, maxInteger)
	b.Seq, ok2 = number(seq, maxInteger)
	if !ok1 || !ok2 {
		return invalid("%s and %s are numbers up to 2^53-1, without sign or leading zeros", headerProducerEpoch, headerProducerSeq)
	}
	return nil
}

// append is POST.
func (h *Handler) append(w http.ResponseWriter, r *http.Request, name string) error {
	ctx := r.Context()
	b := &eventlog.Batch{End: isTrue(r.Header.Get(headerClosed))}
	if err := parseProducer(r, b); err != nil {
		return err
	}
	if seq, _ := present(r, headerSeq); len(seq) > eventlog.MaxName {
		return invalid("%s has at most %d bytes", headerSeq, eventlog.MaxName)
	}
	st, err := h.lookup(ctx, name)
	if err != nil {
		return err
	}
	body, err := h.body(w, r)
	if err != nil {
		return err
	}
	st.use.touch(time.Now())
	if len(body) == 0 && !b.End {
		return invalid("there is nothing to append; to close the stream send %s: true", headerClosed)
	}
	bounds, err := st.bounds(ctx)
	if err != nil {
		return err
	}
	if !bounds.Ended && len(body) > 0 {
		if r.Header.Get("Content-Type") == "" {
			return invalid("Content-Type is missing")
		}
		if !sameType(r.Header.Get("Content-Type"), st.ContentType) {
			return errContentType
		}
	}
	if b.Items, err = messages(st.ContentType, body); err != nil && !bounds.Ended {
		return err
	}
	if len(body) > 0 && len(b.Items) == 0 && !bounds.Ended {
		return &Error{http.StatusBadRequest, CodeInvalidJSON, "the body has no messages"}
	}
	a, err := h.appendTo(ctx, r, st, b)
	setWriteDeadline(w, h.opts.WriteTimeout)
	return h.appended(ctx, w, st, b, a, err, len(body) == 0)
}

// appendTo appends b, in its place if the request has a Stream-Seq.
func (h *Handler) appendTo(ctx context.Context, r *http.Request, st *stream, b *eventlog.Batch) (eventlog.Appended, error) {
	if len(b.Items) == 0 && !b.End {
		return eventlog.Appended{}, errClosed // what cannot be read can only have come too late
	}
	seq, ok := present(r, headerSeq)
	if !ok {
		return st.topic.Append(ctx, b)
	}
	return st.seqs.append(ctx, st.topic, seq, b)
}

// appended answers an append.
func (h *Handler) appended(ctx context.Context, w http.ResponseWriter, st *stream, b *eventlog.Batch, a eventlog.Appended, failure error, onlyCloses bool) error {
	bounds, err := st.bounds(ctx)
	if err != nil {
		return errors.Join(failure, err)
	}
	header := w.Header()
	next := a.Last
	if next.IsZero() || a.Duplicate {
		next = st.tail(bounds)
	}
	if bounds.Ended {
		header.Set(headerClosed, "true")
	}
	late := bounds.Ended && a.Duplicate && a.Seq != b.Seq // the protocol takes none but the last again of a stream that is closed
	switch {
	case late || errors.Is(failure, eventlog.ErrEnded) && !(onlyCloses && b.Producer == ""):
		failure = errClosed
	case errors.Is(failure, eventlog.ErrEnded):
		failure = nil
	}
	if failure != nil {
		if bounds.Ended {
			header.Set(headerNext, formatOffset(next))
		}
		return failure
	}
	status := http.StatusNoContent
	if a.Duplicate {
		h.counts.duplicates.Add(1)
	} else {
		h.counts.appends.Add(1)
	}
	if b.Producer != "" {
		header.Set(headerProducerEpoch, strconv.FormatUint(b.Epoch, 10))
		header.Set(headerProducerSeq, strconv.FormatUint(a.Seq, 10))
		if !a.Duplicate && len(b.Items) > 0 {
			status = http.StatusOK
		}
	}
	header.Set(headerNext, formatOffset(next))
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	return nil
}

// sequences holds the appends of a stream to their Stream-Seq. What it knows is in the stream: each item that ends a batch
// with one has a note as its attachment.
type sequences struct {
	mu     sync.Mutex // one append at a time
	loaded bool
	last   string
	any    bool
	by     map[string]note // of each producer, its last batch with a Stream-Seq
}

// note is what an attachment tells.
type note struct {
	Seq      string `json:"seq"`
	Producer string `json:"producer,omitempty"`
	Epoch    uint64 `json:"epoch,omitempty"`
	N        uint64 `json:"n,omitempty"`
}

func (s *sequences) append(ctx context.Context, t eventlog.Topic, seq string, b *eventlog.Batch) (eventlog.Appended, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx, t); err != nil {
		return eventlog.Appended{}, err
	}
	if s.any && seq <= s.last {
		was, known := s.by[b.Producer]
		if b.Producer == "" || !known || b.Epoch > was.Epoch || b.Epoch == was.Epoch && b.Seq > was.N {
			if bounds, err := t.Bounds(ctx); err == nil && bounds.Ended {
				return eventlog.Appended{}, eventlog.ErrEnded
			}
			return eventlog.Appended{}, &Error{http.StatusConflict, CodeStreamSeq, "this " + headerSeq + " does not come behind the last one of the stream"}
		}
		// It was appended before, or is fenced: the topic says which.
	}
	n := note{Seq: seq, Producer: b.Producer, Epoch: b.Epoch, N: b.Seq}
	if len(b.Items) > 0 {
		data, err := json.Marshal(n)
		if err != nil {
			return eventlog.Appended{}, fmt.Errorf("streamhttp: %w", err)
		}
		b.Items[len(b.Items)-1].Attachments = [][]byte{data}
	}
	a, err := t.Append(ctx, b)
	if err != nil {
		s.loaded = s.loaded && !errors.Is(err, eventlog.ErrUncertain)
		return a, err
	}
	if !a.Duplicate {
		s.note(n)
	}
	return a, nil
}

func (s *sequences) note(n note) {
	s.last, s.any = n.Seq, true
	if n.Producer != "" && (len(s.by) < eventlog.MaxProducers || s.by[n.Producer].Producer != "") {
		s.by[n.Producer] = n
	}
}

// load reads what is known from the items that are kept.
func (s *sequences) load(ctx context.Context, t eventlog.Topic) error {
	if s.loaded {
		return nil
	}
	s.last, s.any, s.by = "", false, map[string]note{}
	var after message.Offset
	for {
		items, err := t.Read(ctx, after, catalogBatch)
		if err != nil {
			return err
		}
		if len(items) == 0 {
			s.loaded = true
			return nil
		}
		for i := range items {
			var n note
			if a := items[i].Attachments; len(a) == 1 && json.Unmarshal(a[0], &n) == nil {
				s.note(n)
			}
		}
		after = items[len(items)-1].Offset
	}
}
