package sse_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/sse"
)

// source is a client that keeps what an EventSource keeps: the last id, of events and of none.
type source struct {
	t      *testing.T
	lines  *bufio.Scanner
	cancel context.CancelFunc
	id     string
}

func (b *bundle) source(t *testing.T, id string) *source {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.server.URL+"/?room=a", nil)
	if err != nil {
		t.Fatal(err)
	}
	if id != "" {
		req.Header.Set("Last-Event-ID", id)
	}
	res, err := b.server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return &source{t: t, lines: bufio.NewScanner(res.Body), cancel: cancel, id: id}
}

// block returns the next fields up to an empty line, without comments.
func (s *source) block() string {
	s.t.Helper()
	var fields []string
	for s.lines.Scan() {
		line := s.lines.Text()
		if line == "" {
			if len(fields) == 0 {
				continue
			}
			return strings.Join(fields, " ")
		}
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			s.id = id
		} else if !strings.HasPrefix(line, ":") {
			fields = append(fields, line)
		} else {
			continue
		}
		if strings.HasPrefix(line, "id: ") {
			fields = append(fields, "id")
		}
	}
	s.t.Fatalf("the stream has ended: %v", s.lines.Err())
	return ""
}

func (s *source) expect(want ...string) {
	s.t.Helper()
	for _, w := range want {
		if got := s.block(); got != w {
			s.t.Fatalf("received %q, want %q", got, w)
		}
	}
}

// eachLogged runs the test over every way a stream is served, with a log.
func eachLogged(t *testing.T, opts sse.Options, limits *eventlog.Limits, test func(t *testing.T, b *bundle)) {
	for _, variant := range variants {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			test(t, serveLogged(t, variant, opts, nil, eventlog.NewMemory(limits)))
		})
	}
}

func number(t *testing.T, b *bundle, n int, room string) {
	t.Helper()
	err := b.adapter.Broadcast(t.Context(), message.New(fmt.Appendf(nil, `["n",%d]`, n)), message.Target{Rooms: []string{room}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStreamsResume(t *testing.T) {
	t.Parallel()
	eachLogged(t, sse.Options{}, nil, func(t *testing.T, b *bundle) {
		number(t, b, 0, "a")
		c := b.source(t, "")
		c.expect("retry: 2000", "id")
		number(t, b, 1, "a")
		c.expect("id event: n data: [1]")
		c.cancel()
		number(t, b, 2, "a")
		number(t, b, 3, "other")
		number(t, b, 4, "a")
		c = b.source(t, c.id)
		c.expect("retry: 2000", "id event: n data: [2]", "id event: n data: [4]")
		number(t, b, 5, "a")
		c.expect("id event: n data: [5]")
		if st := b.handler.Stats(); st.Resumed != 1 || st.Reset != 0 {
			t.Fatalf("%d resumed, %d reset", st.Resumed, st.Reset)
		}
	})
}

// A client that has never received an event says where it stood when it came.
func TestIdleStreamsResume(t *testing.T) {
	t.Parallel()
	eachLogged(t, sse.Options{}, nil, func(t *testing.T, b *bundle) {
		c := b.source(t, "")
		c.expect("retry: 2000", "id")
		c.cancel()
		number(t, b, 1, "a")
		c = b.source(t, c.id)
		c.expect("retry: 2000", "id event: n data: [1]")
	})
}

// What keeps a stream alive tells where it stands: one for which there is nothing does not fall behind the log.
func TestHeartbeatsTellTheOffset(t *testing.T) {
	t.Parallel()
	eachLogged(t, sse.Options{KeepAlive: 20 * time.Millisecond}, &eventlog.Limits{Count: 2}, func(t *testing.T, b *bundle) {
		c := b.source(t, "")
		c.expect("retry: 2000", "id")
		for range 10 {
			number(t, b, 0, "other")
		}
		top := b.adapter.Bounds().Top.String()
		for c.id != top {
			c.expect("id")
		}
		c.cancel()
		number(t, b, 1, "a")
		c = b.source(t, c.id)
		c.expect("retry: 2000", "id event: n data: [1]")
	})
}

// There is no part of what was missed: the client is told so instead.
func TestStreamsAreReset(t *testing.T) {
	t.Parallel()
	eachLogged(t, sse.Options{}, &eventlog.Limits{Count: 3}, func(t *testing.T, b *bundle) {
		c := b.source(t, "")
		c.expect("retry: 2000", "id")
		c.cancel()
		for i := range 4 {
			number(t, b, i, "a")
		}
		for _, id := range []string{c.id, "1-1", "of another server", "99999999999999-1"} {
			c = b.source(t, id)
			c.expect("retry: 2000", "event: "+sse.ResetEvent+" data: []", "id")
			number(t, b, 9, "a")
			c.expect("id event: n data: [9]")
			c.cancel()
		}
		if st := b.handler.Stats(); st.Resumed != 0 || st.Reset != 4 {
			t.Fatalf("%d resumed, %d reset", st.Resumed, st.Reset)
		}
	})
}

// Too much at once would close the stream for reading too slowly, again and again.
func TestStreamsThatMissedTooMuchAreReset(t *testing.T) {
	t.Parallel()
	eachLogged(t, sse.Options{SendBuffer: 10_000}, nil, func(t *testing.T, b *bundle) {
		c := b.source(t, "")
		c.expect("retry: 2000", "id")
		c.cancel()
		for i := range 100 {
			number(t, b, i, "a")
		}
		c = b.source(t, c.id)
		c.expect("retry: 2000", "event: "+sse.ResetEvent+" data: []", "id")
	})
}
