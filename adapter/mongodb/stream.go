package mongodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/internal/service"
)

// maxAwait is how long the server holds a request for more documents open while there are none.
const maxAwait = 500 * time.Millisecond

// The pauses between attempts to open the stream. Together with maxAwait they stay below the two seconds after which
// messages flow again when MongoDB is back.
const (
	minPause = 50 * time.Millisecond
	maxPause = 500 * time.Millisecond
)

// stream is the one change stream of a driver. A goroutine follows it, and opens it again where it was.
type stream struct {
	driver  *Driver
	service *service.Service

	mu      sync.Mutex
	open    bool
	err     error         // why it is not open; nil before the first attempt has ended
	changed chan struct{} // closed when open becomes true

	unseen atomic.Int64 // when the first probe was inserted that has not come back, in Unix nanoseconds

	// What follows belongs to the goroutine.
	token bson.Raw // of the last document that was received; nil if there is none, or it is of no use
	ever  bool     // the stream was open before
}

var errOpening = fmt.Errorf("%w: mongodb: the change stream is not open yet", adapter.ErrUnavailable)

func (s *stream) start(d *Driver) {
	s.driver, s.changed, s.err = d, make(chan struct{}), errOpening
	s.service = service.Start(s.run)
}

// away returns why documents of other nodes do not arrive, or nil.
func (s *stream) away() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open {
		return nil
	}
	return s.err
}

// wait returns when the stream is open, or with ctx the reason why it is not.
func (s *stream) wait(ctx context.Context) error {
	s.mu.Lock()
	open, changed := s.open, s.changed
	s.mu.Unlock()
	if open {
		return nil
	}
	select {
	case <-changed:
		return nil
	case <-s.service.Done():
		return adapter.ErrClosed
	case <-ctx.Done():
		return s.away()
	}
}

// set says whether the stream is open.
func (s *stream) set(open bool, err error) {
	s.mu.Lock()
	if err != nil {
		err = fmt.Errorf("%w: mongodb: the change stream is not open: %v", adapter.ErrUnavailable, err)
	}
	s.err = err
	if open != s.open {
		s.open = open
		if open {
			close(s.changed)
		} else {
			s.changed = make(chan struct{})
		}
	}
	s.mu.Unlock()
	s.driver.hub.Monitor.State(open, err)
}

// probed notes that a probe was inserted.
func (s *stream) probed() { s.unseen.CompareAndSwap(0, time.Now().UnixNano()) }

// run keeps the stream open until ctx ends.
func (s *stream) run(ctx context.Context) {
	pause := service.Backoff{Min: minPause, Max: maxPause}
	for {
		err := s.follow(ctx, pause.Reset)
		if ctx.Err() != nil {
			return
		}
		s.set(false, err)
		if !service.Pause(ctx, pause.Next()) {
			return
		}
	}
}

var (
	errEnded = errors.New("mongodb: the collection was dropped or renamed")
	errStuck = errors.New("mongodb: the change stream does not bring what was inserted")
)

// follow opens the stream and hands over what comes, until it ends.
func (s *stream) follow(ctx context.Context, opened func()) (err error) {
	d := s.driver
	bounded, cancel := context.WithTimeout(ctx, d.opts.Timeout)
	defer cancel()
	if err = d.ensure(bounded); err != nil {
		return err
	}
	opts := options.ChangeStream().SetMaxAwaitTime(maxAwait)
	if s.token != nil {
		opts.SetResumeAfter(s.token)
	}
	cs, err := d.collection.Watch(bounded, d.pipeline(), opts)
	if err != nil {
		s.forget(err)
		return err
	}
	defer func() {
		s.close(ctx, cs)
		s.forget(err)
	}()
	opened()
	if s.ever && s.token == nil {
		monitor := d.hub.Monitor
		monitor.End(monitor.Begin(adapter.Gap{Cause: adapter.GapExpired, From: monitor.Proven()}), time.Now())
	}
	s.ever = true
	s.set(true, nil)
	s.unseen.Store(0)
	for {
		if err = s.next(ctx, cs); err != nil {
			return err
		}
	}
}

// close keeps the place in the stream, and tells the server that it is over if that takes no time.
func (s *stream) close(ctx context.Context, cs *mongo.ChangeStream) {
	if token := cs.ResumeToken(); token != nil {
		s.token = slices.Clone(token)
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), minPause)
	defer cancel()
	_ = cs.Close(bounded)
}

// next hands over the next document, or returns when there was none for a while.
func (s *stream) next(ctx context.Context, cs *mongo.ChangeStream) error {
	if s.try(ctx, cs) {
		s.receive(ctx, cs.Current)
		return nil
	}
	at := s.unseen.Load()
	switch {
	case cs.Err() != nil:
		return cs.Err()
	case cs.ID() == 0:
		return errEnded
	case at != 0 && time.Since(time.Unix(0, at)) > s.driver.opts.Timeout:
		return errStuck
	}
	return nil
}

// try asks for a document if none has come with the one before. A connection that is dead and does not say so is given up.
func (s *stream) try(ctx context.Context, cs *mongo.ChangeStream) bool {
	if cs.RemainingBatchLength() > 0 {
		return cs.TryNext(ctx)
	}
	bounded, cancel := context.WithTimeout(ctx, maxAwait+s.driver.opts.Timeout)
	defer cancel()
	return cs.TryNext(bounded)
}

// receive hands a document over to its namespace.
func (s *stream) receive(ctx context.Context, change bson.Raw) {
	d := s.driver
	doc, ok := change.Lookup("fullDocument").DocumentOK()
	if !ok {
		return
	}
	doc = slices.Clone(doc) // it is the stream's until the next one
	h, err := parseHeader(doc)
	if err != nil {
		d.hub.Monitor.Ignored(d.opts.Collection, err)
		return
	}
	if h.to == d.id {
		s.unseen.Store(0)
	}
	d.mu.RLock()
	t := d.transports[h.namespace]
	d.mu.RUnlock()
	if t != nil {
		t.receive(ctx, &h, len(doc))
	}
}

// pipeline has the server leave out what is of no use here: what this driver inserted, and answers to others.
func (d *Driver) pipeline() mongo.Pipeline {
	return mongo.Pipeline{{{Key: "$match", Value: bson.D{
		{Key: "operationType", Value: "insert"},
		{Key: "fullDocument.peal", Value: bson.D{{Key: "$ne", Value: d.id}}},
		{Key: "fullDocument.to", Value: bson.D{{Key: "$in", Value: bson.A{nil, d.id}}}},
	}}}}
}

// The codes of errors after which a stream cannot go on where it was: the place is unknown, or not in the oplog any more,
// or what is there cannot be sent.
var lostCodes = []int{
	136,   // CappedPositionLost
	260,   // InvalidResumeToken
	280,   // ChangeStreamFatalError
	286,   // ChangeStreamHistoryLost
	10334, // BSONObjectTooLarge
	40576, // resume of change stream was not possible, in older servers
	40615, // the resume token was not found, likewise
}

// forget gives up the place in the stream if err says that it is of no use: the stream begins anew then, with a gap.
func (s *stream) forget(err error) {
	var server mongo.ServerError
	lost := errors.Is(err, errEnded)
	if !lost && errors.As(err, &server) {
		lost = slices.ContainsFunc(lostCodes, server.HasErrorCode) || server.HasErrorLabel("NonResumableChangeStreamError")
	}
	if lost {
		s.token = nil
	}
}
