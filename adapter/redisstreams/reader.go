package redisstreams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	links    map[string]*nodecluster.Link // by namespace
	progress progress
	cause    error         // why there is no connection; nil while there is one
	since    time.Time     // what was appended before was read
	moved    chan struct{} // closed when progress changes; nil if nobody waits for that
}

func newReader(d *Driver, stream string) *reader {
	r := &reader{driver: d, stream: stream, known: make(chan struct{}), links: make(map[string]*nodecluster.Link),
		cause: errors.New("not connected yet")}
	r.service = service.Start(r.run)
	return r
}

func (r *reader) add(l *nodecluster.Link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.links[l.Namespace()] = l
}

// remove reports whether it was the last.
func (r *reader) remove(l *nodecluster.Link) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.links[l.Namespace()] != l {
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
		at = r.receive(entries, asked)
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
		return r.progress.at
	}
	monitor := r.driver.hub.Monitor
	monitor.Log(slog.LevelInfo, "stream back", "a stream is read again", slog.String("stream", r.stream))
	missing, reset := r.progress.resume(info)
	r.lost(missing)
	if reset {
		monitor.End(monitor.Begin(adapter.Gap{Cause: adapter.GapKilled, From: r.since}), asked)
	}
	r.woke()
	return r.progress.at
}

// receive hands over entries, which were asked for at that time or have come since.
func (r *reader) receive(entries []redisx.Entry, asked time.Time) (at redisx.EntryID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range entries {
		r.lost(r.progress.read(e.ID))
		r.dispatch(&e)
	}
	if len(entries) < r.driver.opts.ReadCount {
		r.since = asked
	}
	r.woke()
	return r.progress.at
}

func (r *reader) dispatch(e *redisx.Entry) {
	in, uid, namespace := incoming(r.stream, e)
	if l := r.links[namespace]; l != nil && uid != l.UID() {
		l.Receive(in)
	}
}

// lost is told how many entries were trimmed away before they were read.
func (r *reader) lost(n uint64) {
	if n > 0 {
		r.driver.hub.Monitor.Missed(adapter.Gap{Cause: adapter.GapExpired, From: r.since}, n)
	}
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
			r.lost(r.progress.check(info))
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
