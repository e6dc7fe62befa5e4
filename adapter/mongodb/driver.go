package mongodb

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/adapter/internal/outbox"
	"github.com/peal-dev/peal/internal/service"
)

// Driver connects the adapters of a node to the others through MongoDB. It is safe for concurrent use.
type Driver struct {
	*store
	id    string // the first half of the names of its nodes, one for each namespace
	named atomic.Uint64

	hub    *nodecluster.Hub
	outbox *outbox.Outbox[document]
	stream stream

	mu         sync.RWMutex
	transports map[string]*transport // by namespace
}

var _ adapter.Driver = (*Driver)(nil)

// New returns a driver that starts to connect. It does not wait for the connection: an error means that the options are
// wrong, and [Driver.Subscribe] is the one to tell that MongoDB is away. Close the driver when the adapters are closed.
func New(opts Options) (*Driver, error) {
	store, err := connect(opts)
	if err != nil {
		return nil, err
	}
	d := &Driver{store: store, id: newID(), transports: make(map[string]*transport)}
	opts = store.opts
	d.hub = nodecluster.New(nodecluster.Options{
		Driver: "mongodb", Broker: "MongoDB", Resumes: true,
		UID:     func() string { return d.id + separator + strconv.FormatUint(d.named.Add(1), 10) },
		Timeout: opts.Timeout, InboxSize: opts.InboxSize, InboxBytes: opts.InboxBytes, MaxAttachments: opts.MaxAttachments,
		HeartbeatInterval: opts.HeartbeatInterval, HeartbeatTimeout: opts.HeartbeatTimeout,
		OnState: opts.OnState, Logger: opts.Logger,
	})
	d.warn = func(cause, text string, attrs ...slog.Attr) { d.hub.Monitor.Log(slog.LevelWarn, cause, text, attrs...) }
	d.outbox = outbox.New(outbox.Options[document]{Size: opts.QueueSize, Timeout: opts.Timeout,
		Flush: func(ctx context.Context, batch []*outbox.Item[document]) {
			flush(ctx, d.collection, batch, opts.Timeout)
		}})
	d.stream.start(d)
	return d, nil
}

// separator stands between a driver's name and the number of a node of its.
const separator = "."

// driverOf returns the driver of a node with that name, or "" if it is no Peal node.
func driverOf(uid string) string {
	id, _, ok := strings.Cut(uid, separator)
	if !ok {
		return ""
	}
	return id
}

// newID returns 16 random digits, as Node.js nodes name themselves.
func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Subscribe implements [adapter.Driver]. While MongoDB is away it waits for twice the Timeout, then fails with
// [adapter.ErrUnavailable].
func (d *Driver) Subscribe(ctx context.Context, namespace string, r adapter.Receiver) (adapter.Link, error) {
	l, err := d.hub.Subscribe(ctx, namespace, r, d.open)
	if err != nil {
		return nil, err // a nil *Link in the interface would not be nil
	}
	return l, nil
}

func (d *Driver) open(ctx context.Context, l *nodecluster.Link) (nodecluster.Transport, error) {
	t := &transport{driver: d, link: l}
	d.mu.Lock()
	d.transports[l.Namespace()] = t
	d.mu.Unlock()
	if err := d.stream.wait(ctx); err != nil {
		_ = t.Close(ctx) // it does not fail
		return nil, err
	}
	return t, nil
}

// Close closes all links and what the driver has connected. What waits to be inserted fails with [adapter.ErrClosed]. If
// MongoDB hangs this may take some seconds: when ctx ends before, Close returns its error and the closing goes on.
func (d *Driver) Close(ctx context.Context) error {
	var failed error
	err := service.Within(ctx, func() {
		// Each step ends by itself, by the Timeout at the latest.
		failed = d.hub.Close(context.WithoutCancel(ctx))
		d.outbox.Close()
		d.stream.service.Stop()
		failed = errors.Join(failed, d.store.close())
	})
	if err != nil {
		return fmt.Errorf("mongodb: close: %w", err)
	}
	return failed
}

// Stats returns the counters.
func (d *Driver) Stats() adapter.DriverStats { return d.hub.Stats() }
