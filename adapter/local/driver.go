package local

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/internal/service"
)

// Defaults of [Options].
const (
	DefaultQueueBytes = 16 << 20
	DefaultTimeout    = nodecluster.DefaultTimeout
)

const (
	socketName = "host.sock"
	lockName   = "host.lock"
	// telling is how often a process says which message was its latest: who misses it knows it that soon.
	telling = time.Second
	// unnoticed is for how long there may be no host before that is one of the driver's gaps.
	unnoticed = time.Second
	// maxPath is what all systems take as the path of a socket.
	maxPath = 103
)

// Options configure a [Driver].
type Options struct {
	// Dir is the directory of the cluster, the same for all processes of one and its own for each. It is made for this user
	// alone if it is not there: who may write to it is a node. Required.
	Dir string
	// QueueBytes is how many bytes may wait to be written to one process. When they are reached, who publishes waits. 0 means
	// DefaultQueueBytes.
	QueueBytes int
	// Timeout is how long a process may leave its connection unread before it is cut off, which is a gap for it once it reads
	// again. 0 means DefaultTimeout, 3 s.
	Timeout time.Duration
	// InboxSize and InboxBytes are how many messages, and how many bytes, may wait in each namespace until this node handles
	// them; more are dropped, which is counted as a gap. 0 means 65,536 and 64 MiB.
	InboxSize, InboxBytes int
	// MaxAttachments is how many binary values a message for clients may have. 0 means message.DefaultMaxAttachments.
	MaxAttachments int
	// Logger is told of faults. Nil means slog.Default.
	Logger *slog.Logger
}

// Validate returns what is wrong with the options. It touches no file; [New] calls it too.
func (o *Options) Validate() error {
	switch {
	case o.Dir == "":
		return errors.New("local: Options.Dir is missing; name a directory that all processes share, such as /run/peal")
	case len(filepath.Join(o.Dir, socketName)) > maxPath:
		return fmt.Errorf("local: %q is too long for a directory with a socket, of whose paths systems take %d bytes; choose a shorter one", o.Dir, maxPath)
	}
	return nil
}

// Driver connects the adapters of a process to those of others on the machine. It is safe for concurrent use.
type Driver struct {
	opts    Options
	id      string
	hub     *nodecluster.Hub
	service *service.Service
	sender  sender

	receiving sync.RWMutex // held for reading while a link is handed a message

	mu      sync.Mutex
	homes   map[string]string // the id of the process of a link, by the link's name
	links   map[string]links  // what there is in each process, by its id
	present map[string]bool   // the processes that the host knows
	joined  chan struct{}     // closed while the host is there
	cut     func()            // ends the connection to the host

	latest map[string]uint64 // the number of the latest message of each process, by its id; belongs to receive
}

// links are the links of a process: the namespace of each, by the link's name.
type links map[string]string

var _ adapter.Driver = (*Driver)(nil)

// idSize is the length of a process's id, of hexadecimal digits.
const idSize = 16

func newID() string {
	var b [idSize / 2]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// New joins the cluster, for which it does not wait. An error means that the options are wrong, or that the directory cannot
// be used. Close the driver when the adapters are closed.
func New(opts Options) (*Driver, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	opts.QueueBytes = cmp.Or(max(opts.QueueBytes, 0), DefaultQueueBytes)
	opts.Timeout = cmp.Or(max(opts.Timeout, 0), DefaultTimeout)
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("local: %w", err)
	}
	if l, err := tryLock(filepath.Join(opts.Dir, lockName)); err != nil && !errors.Is(err, errLocked) {
		return nil, fmt.Errorf("local: %w", err)
	} else if err == nil {
		_ = l.Close() // connect takes it again; this was to see whether it could
	}
	d := &Driver{opts: opts, id: newID(), homes: make(map[string]string), links: make(map[string]links), latest: make(map[string]uint64), joined: make(chan struct{})}
	d.hub = nodecluster.New(nodecluster.Options{Driver: "local", Broker: "the host of this machine", Timeout: opts.Timeout,
		InboxSize: opts.InboxSize, InboxBytes: opts.InboxBytes, MaxAttachments: opts.MaxAttachments, Logger: opts.Logger})
	d.sender.init(d.id, opts.QueueBytes)
	d.service = service.Start(d.run)
	return d, nil
}

// run keeps a connection to the host, and is the host where there is no other, until ctx ends. Then it writes what waits.
func (d *Driver) run(ctx context.Context) {
	backoff := service.Backoff{Min: time.Millisecond, Max: 100 * time.Millisecond}
	var h *host
	defer d.sender.end()
	defer func() {
		if h != nil {
			h.close(d.id)
		}
	}()
	since := time.Now() // there is no host
	for {
		if h == nil {
			h = d.tryHost(ctx)
		}
		conn, err := d.dial(ctx)
		if err == nil {
			backoff.Reset()
			if !d.hub.Monitor.Connected() {
				d.hub.Monitor.State(true, nil)
			}
			err = d.converse(ctx, conn)
			since = time.Now()
		}
		if ctx.Err() != nil {
			return
		}
		// The next host is there in no time, and the numbers tell what is missing.
		if time.Since(since) > unnoticed {
			d.hub.Monitor.State(false, err)
		}
		if !service.Pause(ctx, backoff.Next()) {
			return
		}
	}
}

// tryHost makes this process the host, unless another is or it cannot be.
func (d *Driver) tryHost(ctx context.Context) *host {
	h, err := newHost(&d.opts)
	if err != nil {
		if !errors.Is(err, errLocked) {
			d.hub.Monitor.Log(slog.LevelWarn, "host", "this process cannot be the host", slog.Any("error", err))
		}
		return nil
	}
	d.opts.Logger.LogAttrs(ctx, slog.LevelDebug, "local: this process is the host", slog.String("dir", d.opts.Dir))
	return h
}

// dial connects to the host, which has noted this process when it returns.
func (d *Driver) dial(ctx context.Context) (net.Conn, error) {
	dialer := net.Dialer{Timeout: d.opts.Timeout}
	conn, err := dialer.DialContext(ctx, "unix", filepath.Join(d.opts.Dir, socketName))
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(d.opts.Timeout)) // fails only on a closed connection, as the rest does
	var welcome [1]byte
	if _, err = conn.Write([]byte(d.id)); err == nil {
		_, err = conn.Read(welcome[:])
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	return conn, nil
}

// converse sends and receives on a connection to the host until that ends, or ctx, when it sends what waits.
func (d *Driver) converse(ctx context.Context, conn net.Conn) error {
	out := newOutbox(conn, d.opts.QueueBytes, d.opts.Timeout)
	d.mu.Lock()
	d.cut = out.cut
	d.present = make(map[string]bool)
	close(d.joined)
	d.mu.Unlock()
	d.sender.start(out)
	received := make(chan error, 1)
	go func() { // ends with the connection
		received <- d.receive(conn)
		out.cut()
	}()
	telling := time.NewTicker(telling)
	defer telling.Stop()
	for open, swept := true, false; open; {
		select {
		case <-telling.C:
			d.sender.tell()
			if !swept {
				d.sweep()
				swept = true
			}
			continue
		case <-ctx.Done():
			d.sender.tell()
			out.finish()
			<-out.done
		case <-out.done:
		}
		open = false
	}
	d.sender.stop()
	d.mu.Lock()
	d.joined = make(chan struct{})
	d.mu.Unlock()
	_ = conn.Close()
	return <-received
}

// Subscribe implements [adapter.Driver]. While there is no host it waits for twice the Timeout, then fails with
// [adapter.ErrUnavailable].
func (d *Driver) Subscribe(ctx context.Context, namespace string, r adapter.Receiver) (adapter.Link, error) {
	l, err := d.hub.Subscribe(ctx, namespace, r, func(ctx context.Context, l *nodecluster.Link) (nodecluster.Transport, error) {
		d.mu.Lock()
		joined := d.joined
		d.mu.Unlock()
		select {
		case <-joined:
			return &transport{driver: d, link: l}, nil
		case <-d.service.Done():
			return nil, adapter.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Stats returns the counters.
func (d *Driver) Stats() adapter.DriverStats { return d.hub.Stats() }

// Close closes all links and sends what waits to be sent. When ctx ends before, what waits is dropped and its error returned.
func (d *Driver) Close(ctx context.Context) error {
	err := d.hub.Close(ctx)
	stop := context.AfterFunc(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.cut != nil {
			d.cut()
		}
	})
	defer stop()
	d.service.Stop()
	if err == nil && ctx.Err() != nil {
		err = fmt.Errorf("local: close: %w", ctx.Err())
	}
	return err
}
