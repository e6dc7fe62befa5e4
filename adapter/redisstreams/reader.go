package redisstreams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/internal/redisx"
	"github.com/peal-dev/peal/internal/service"
)

// How long to wait between attempts to connect.
const (
	minBackoff = 50 * time.Millisecond
	maxBackoff = 500 * time.Millisecond
)

// reader reads one stream for all namespaces that are on it. It is safe for concurrent use.
type reader struct {
	driver  *Driver
	stream  string
	service *service.Service
	known   chan struct{} // closed when the place from which it reads is known

	mu       sync.Mutex
	links    map[string]subscriber // by namespace
	progress progress
	cause    error         // why there is no connection; nil while there is one
	since    time.Time     // what was appended before was read
	moved    chan struct{} // closed when progress changes; nil if nobody waits for that
}

func newReader(d *Driver, stream string) *reader {
	r := &reader{driver: d, stream: stream, known: make(chan struct{}), links: make(map[string]subscriber),
		cause: errors.New("not connected yet")}
	r.service = service.Start(r.run)
	return r
}

// subscriber is a namespace that a stream is read for. Logged says that the stream is the log it follows.
type subscriber struct {
	*nodecluster.Link
	logged bool
}

func (r *reader) add(l subscriber) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.links[l.Namespace()] = l
	if l.logged {
		select {
		case <-r.known:
			l.Begin(offsetOf(r.progress.at))
		default: // it is told when that is known
		}
	}
}

// remove reports whether it was the last.
func (r *reader) remove(l *nodecluster.Link) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.links[l.Namespace()].Link != l {
		return false
	}
	delete(r.links, l.Namespace())
	return len(r.links) == 0
}

// run reads until ctx ends.
func (r *reader) run(ctx context.Context) {
	backoff := service.Backoff{Min: minBackoff, Max: maxBackoff}
	for {
		up, err := r.session(ctx)
		if ctx.Err() != nil {
			return
		}
		r.mu.Lock()
		r.cause = err
		r.mu.Unlock()
		if up {
			backoff.Reset()
			r.driver.hub.Monitor.Log(slog.LevelWarn, "stream away", "the connection that reads a stream is lost",
				slog.String("stream", r.stream), slog.Any("error", err))
		}
		if !service.Pause(ctx, backoff.Next()) {
			return
		}
	}
}

// session reads on one connection until that is lost, of which it returns the cause. It reports whether it was ever up.
func (r *reader) session(ctx context.Context) (up bool, err error) {
	conn, err := r.driver.publisher.redis.ReadStream(ctx, r.stream, r.driver.opts.ReadCount, r.driver.opts.BlockTime)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	asked := time.Now()
	info, err := conn.Info(ctx)
	if err == nil && info.Length == 0 {
		// Offsets that clients are told are to be of an entry: Node.js nodes look for that one.
		r.driver.publisher.redis.Append(ctx, []redisx.Append{{Stream: r.stream, Fields: []redisx.Field{{Name: "peal", Value: []byte("begin")}}}})
		info, err = conn.Info(ctx)
	}
	if err != nil {
		return false, err
	}
	at := r.connected(info, asked)
	for {
		asked = time.Now()
		entries, err := conn.Next(ctx, at)
		if err != nil {
			return true, err
		}
		at = r.receive(ctx, entries, asked)
	}
}

// connected finds out where to read on.
func (r *reader) connected(info redisx.StreamInfo, asked time.Time) (at redisx.EntryID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cause = nil
	select {
	case <-r.known:
	default:
		r.progress.begin(info)
		r.since = asked
		close(r.known)
		r.begin(r.progress.at)
		return r.progress.at
	}
	monitor := r.driver.hub.Monitor
	monitor.Log(slog.LevelInfo, "stream back", "a stream is read again", slog.String("stream", r.stream))
	was := r.progress.at
	missing, reset := r.progress.resume(info)
	r.lost(missing, r.progress.at)
	if reset || !info.Counted && info.Length > 0 && was.Less(info.First) {
		r.begin(r.progress.at) // some of it is missing, or may be
	}
	if reset {
		monitor.End(monitor.Begin(adapter.Gap{Cause: adapter.GapKilled, From: r.since}), asked)
	}
	r.woke()
	return r.progress.at
}

// receive hands over entries, which were asked for at that time or have come since.
func (r *reader) receive(ctx context.Context, entries []redisx.Entry, asked time.Time) (at redisx.EntryID) {
	for i := range entries {
		r.take(ctx, &entries[i])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(entries) < r.driver.opts.ReadCount {
		r.since = asked
	}
	r.woke()
	return r.progress.at
}

// take hands an entry over, once there is room for it where it must not be dropped.
func (r *reader) take(ctx context.Context, e *redisx.Entry) {
	in, uid, namespace := incoming(r.stream, e)
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.links[namespace]
	for l.Link != nil && l.Follows() {
		room := l.Room(in.Size)
		if room == nil {
			break
		}
		r.woke() // what was handed over so far is there for all that wait
		r.mu.Unlock()
		select {
		case <-room:
			r.mu.Lock()
			l = r.links[namespace]
			continue
		case <-l.Done():
		case <-ctx.Done():
		}
		r.mu.Lock()
		l = subscriber{}
	}
	r.lost(r.progress.read(e.ID), before(e.ID))
	switch {
	case l.Link == nil, uid == l.UID() && !l.Follows():
		return
	case l.logged:
		in.Offset = offsetOf(e.ID)
	}
	l.Receive(in)
}

// begin tells the namespaces of which this is the log that they get everything behind an entry, and perhaps not all before.
func (r *reader) begin(at redisx.EntryID) {
	for _, l := range r.links {
		if l.logged {
			l.Begin(offsetOf(at))
		}
	}
}

// lost is told how many entries were trimmed away before they were read, up to one.
func (r *reader) lost(n uint64, at redisx.EntryID) {
	if n > 0 {
		r.driver.hub.Monitor.Missed(adapter.Gap{Cause: adapter.GapExpired, From: r.since}, n)
		r.begin(at)
	}
}

// before returns the id right before one.
func before(id redisx.EntryID) redisx.EntryID {
	if id.Sequence == 0 {
		return redisx.EntryID{Milliseconds: id.Milliseconds - 1, Sequence: math.MaxUint64}
	}
	return redisx.EntryID{Milliseconds: id.Milliseconds, Sequence: id.Sequence - 1}
}

// woke wakes those who wait for progress.
func (r *reader) woke() {
	if r.moved != nil {
		close(r.moved)
		r.moved = nil
	}
}

// await returns when the stream is read to the end that it has now.
func (r *reader) await(ctx context.Context) error {
	if err := r.away(); err != nil {
		return err
	}
	info, err := r.driver.publisher.redis.Stream(ctx, r.stream)
	if err != nil {
		return err
	}
	for first := true; ; first = false {
		r.mu.Lock()
		if first {
			r.lost(r.progress.check(info), r.progress.at)
		}
		if !r.progress.at.Less(info.Last) {
			r.mu.Unlock()
			return nil
		}
		if r.moved == nil {
			r.moved = make(chan struct{})
		}
		moved := r.moved
		r.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			if err := r.away(); err != nil {
				return err
			}
			return fmt.Errorf("entry %v of the stream %s is not read: %w", info.Last, r.stream, ctx.Err())
		}
	}
}

// away returns why there is no connection, and nil while there is one.
func (r *reader) away() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cause != nil {
		return fmt.Errorf("the stream %s is not read: %w", r.stream, r.cause)
	}
	return nil
}
