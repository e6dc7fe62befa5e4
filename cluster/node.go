package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/internal/lograte"
	"github.com/peal-dev/peal/internal/netconn"
	"github.com/peal-dev/peal/internal/service"
	"github.com/peal-dev/peal/internal/tally"
	"github.com/peal-dev/peal/message"
)

// Defaults of [Options].
const (
	DefaultHeartbeat    = time.Second
	DefaultDialTimeout  = 5 * time.Second
	DefaultWriteTimeout = 10 * time.Second
	DefaultMaxRelays    = 100_000
)

const (
	// spacing is the least time between two announcements, and lookup how long a request waits for a node that it names
	// and nobody has told of.
	spacing = 50 * time.Millisecond
	lookup  = 500 * time.Millisecond
	// patience is how long an announcement may take to be on its way, and a probe to come back.
	patience = 5 * time.Second
)

// Options configure a [Node].
type Options struct {
	// Driver carries what nodes tell each other, in a namespace that no client can name. It is closed after the node, by
	// whoever made it. Required.
	Driver adapter.Driver
	// Advertise is the address by which the others reach this node's HTTP server: HOST:PORT, over a network that is theirs,
	// or https://HOST:PORT if the server speaks TLS there. "" means that they cannot: its sessions are known to itself only.
	Advertise string
	// TLS is how peers are spoken to that have an https address: by which authorities they are known, by which certificate
	// they know this node. Without a ServerName it is the host of the address. With it, peers without TLS are not spoken to.
	// Nil means that those are, and the others are known by the authorities of the system. It is copied.
	TLS *tls.Config
	// Name and Version tell people which node this is. They are cut at 100 bytes.
	Name, Version string
	// Load says how much the node has to do. It is called with each heartbeat and must not block. Nil means nothing.
	Load func() Load
	// OnChange is called when another node has joined, left in good order, or died; those that are there already are told of
	// as joined. Calls come one after another, from a goroutine of their own, and must not close the node, which waits for
	// them. Nil means nobody wants to know.
	OnChange func(Change)
	// Heartbeat is how often the node tells of itself. A peer is given up when three have been missed. 0 means 1 s.
	Heartbeat time.Duration
	// DialTimeout is how long it may take to reach a peer, and until it has answered a WebSocket handshake. 0 means 5 s.
	DialTimeout time.Duration
	// WriteTimeout is how long a client may take to read 32 KiB of an answer that is passed on. 0 means 10 s.
	WriteTimeout time.Duration
	// MaxRelays is how many WebSockets are passed on at a time; more are refused with 503. They count as clients on the node
	// where their session is, not here. 0 means 100,000.
	MaxRelays int
	// Logger receives what is worth knowing. Nil means slog.Default.
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	d := *o
	d.Heartbeat = cmp.Or(d.Heartbeat, DefaultHeartbeat)
	d.DialTimeout = cmp.Or(d.DialTimeout, DefaultDialTimeout)
	d.WriteTimeout = cmp.Or(d.WriteTimeout, DefaultWriteTimeout)
	d.MaxRelays = cmp.Or(d.MaxRelays, DefaultMaxRelays)
	d.Name, d.Version = cut(d.Name), cut(d.Version)
	if d.Load == nil {
		d.Load = func() Load { return Load{} }
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	return d
}

// Validate returns what is wrong with the options. It connects to nothing; [Join] calls it too.
func (o *Options) Validate() error {
	if o.Driver == nil {
		return errors.New("cluster: Options.Driver is missing")
	}
	if o.Advertise != "" {
		if err := CheckAddress(o.Advertise); err != nil {
			return fmt.Errorf("cluster: %w", err)
		}
	}
	return nil
}

// Outcome is what became of a request for a session of another node.
type Outcome string

// The outcomes. With Unknown, Refused and Failed clients learn that their session is unknown, and open another.
const (
	Answered   Outcome = "answered" // the node where the session lives answered
	Relayed    Outcome = "relayed"  // a WebSocket was connected to that node
	Unknown    Outcome = "unknown"  // no node of that name has told of itself, or it has no address
	Refused    Outcome = "refused"  // the node could not be reached: it has died
	Failed     Outcome = "failed"   // the node did not answer, or something else did
	ClientGone Outcome = "client"   // the client left before
	TooMany    Outcome = "too many" // Options.MaxRelays
)

// Stats counts what a [Node] did since it was made.
type Stats struct {
	Peers     int               // other nodes, now
	Relays    int               // WebSockets passed on, now
	Forwarded map[string]uint64 // requests for sessions elsewhere, by Outcome
	Received  uint64            // requests that peers have passed on to this node
	Forged    uint64            // requests refused that said so and were not
	Changes   map[string]uint64 // nodes that have joined, left and died, by ChangeKind
}

// Node is one node of a cluster. It is safe for concurrent use. [Join] makes one and [Node.Close] ends it.
type Node struct {
	opts      Options
	id        string
	key       []byte // of requests to this node
	started   time.Time
	often     *lograte.Logger
	link      adapter.Link
	transport *http.Transport
	relayTLS  *tls.Config // of what WebSockets are relayed on
	loop      netconn.Loop
	peers     peers
	leaving   atomic.Bool
	telling   *service.Service // announce
	watching  *service.Service // watch
	due       chan kind        // what to announce next, hello or here
	serving   service.Gate     // requests that are passed on, but relays

	relays           atomic.Int64
	received, forged atomic.Uint64
	outcomes         tally.Tally
	changes          tally.Fixed[string]
}

// Join makes a node and tells the others of it as soon as the cluster is there, for which it does not wait: an error means
// that the options are wrong, or that the driver has a node already.
func Join(opts Options) (*Node, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	n := &Node{opts: opts, id: newID(nodeSize), key: make([]byte, keySize), started: time.Now(),
		often: lograte.New(opts.Logger, lograte.Every), due: make(chan kind, 2), changes: tally.Of(string(Joined), string(Left), string(Died))}
	n.peers.noted = make(chan struct{}, 1)
	_, _ = rand.Read(n.key) // never fails: it would end the program
	n.loop.Logger = opts.Logger
	n.transport, n.relayTLS = connections(&opts)
	link, err := adapter.Background(opts.Driver, opts.Logger).Subscribe(context.Background(), namespace, (*receiver)(n))
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	n.link = link
	n.say(hello)
	n.telling = service.Start(n.announce)
	n.watching = service.Start(n.watch)
	return n, nil
}

// ID returns the node's id, with which the ids of its sessions begin.
func (n *Node) ID() string { return n.id }

// SessionID returns an unguessable id for a session of this node. It never fails, and serves as engineio.Options.GenerateID.
func (n *Node) SessionID(*http.Request) (string, error) {
	return n.id + newID(sessionSize-nodeSize), nil
}

// Stats returns the counters.
func (n *Node) Stats() Stats {
	return Stats{Peers: n.peers.len(), Relays: int(n.relays.Load()), Forwarded: n.outcomes.Counts(), Received: n.received.Load(), Forged: n.forged.Load(), Changes: n.changes.Counts()}
}

// say has something announced soon. What waits already says the same.
func (n *Node) say(k kind) {
	select {
	case n.due <- k:
	default:
	}
}

// announce tells the others of this node until ctx ends, and then that it leaves.
func (n *Node) announce(ctx context.Context) {
	beats := time.NewTicker(n.opts.Heartbeat)
	defer beats.Stop()
	for {
		next := beat
		select {
		case <-ctx.Done():
			n.publish(context.WithoutCancel(ctx), bye)
			return
		case <-beats.C:
		case next = <-n.due:
			for len(n.due) > 0 { // a hello says what an answer would
				if k := <-n.due; k == hello {
					next = hello
				}
			}
		}
		err := n.publish(ctx, next)
		if next == beat {
			n.judge(ctx, err)
			continue
		}
		service.Pause(ctx, spacing)
	}
}

// publish announces the node. What fails is said again with the next heartbeat.
func (n *Node) publish(ctx context.Context, k kind) error {
	payload, err := json.Marshal([]any{announced, n.announcement(k)})
	if err != nil {
		panic(err) // it is made of strings and numbers
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = n.link.Publish(bounded, &adapter.Envelope{Kind: adapter.KindEvent, Message: message.New(payload)})
	if err != nil && ctx.Err() == nil {
		n.often.Log(ctx, slog.LevelWarn, "announce", "cluster: this node could not tell the others of itself", slog.Any("error", err))
	}
	return err
}

func (n *Node) announcement(k kind) announcement {
	a := announcement{Info: Info{ID: n.id}, Kind: k}
	if k != bye {
		a.Info, a.Key = n.Self(), n.key
	}
	return a
}

// judge counts a heartbeat that peers have missed, once a probe behind that of this node has come back: theirs come the same
// way, so that none is given up because the cluster is away.
func (n *Node) judge(ctx context.Context, err error) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err == nil {
		err = n.link.Ping(bounded)
	}
	if err != nil {
		n.peers.away()
		return
	}
	n.peers.beat()
}

// receiver takes what comes through the driver. It does not block.
type receiver Node

// Receive implements adapter.Receiver.
func (r *receiver) Receive(e *adapter.Envelope) {
	if e.Kind == adapter.KindEvent {
		(*Node)(r).hear(e.Message.Data)
	}
}

// Answer implements adapter.Receiver. Nodes are asked nothing.
func (*receiver) Answer(*adapter.Call, func(adapter.Answer)) {}

// HasRoom implements adapter.Receiver. Nodes are in no room.
func (*receiver) HasRoom(string) bool { return false }

// hear takes what was announced.
func (n *Node) hear(payload []byte) {
	a, err := parseAnnouncement(payload)
	ctx := context.Background() // of a log line
	switch {
	case err != nil:
		n.often.Log(ctx, slog.LevelWarn, "malformed", "cluster: something else was published in the namespace of the nodes",
			slog.String("namespace", namespace), slog.Any("error", err))
	case a.ID != n.id:
		n.peers.heard(a)
		if a.Kind == hello {
			n.say(here)
		}
	case a.Kind != bye && string(a.Key) != string(n.key):
		n.often.Log(ctx, slog.LevelWarn, "same id", "cluster: another node has the id of this one by chance; restart one of them",
			slog.String("id", n.id), slog.String("address", a.Address))
	}
}

// owner finds the node of a session. One that has just come may not have been heard of: then all are asked.
func (n *Node) owner(ctx context.Context, id string) *peer {
	if p, _ := n.peers.find(id); p != nil { // as nearly always
		return p
	}
	ctx, cancel := context.WithTimeout(ctx, lookup)
	defer cancel()
	for asked := false; ; asked = true {
		p, changed := n.peers.find(id)
		if p != nil {
			return p
		}
		if !asked {
			n.say(hello)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// Close tells the others that the node leaves, and ends what it passes on: its clients open other sessions. It is called
// when the sessions of this node have ended. When ctx ends before it is done, it goes on and ctx's error is returned.
func (n *Node) Close(ctx context.Context) error {
	served := n.serving.Shut()
	err := service.Within(ctx, func() {
		n.telling.Stop()
		_ = n.link.Close(context.WithoutCancel(ctx)) // it waits for the receiver, which does not block
		n.watching.Stop()
		n.peers.clear()
		<-served
		n.loop.Close()
		n.transport.CloseIdleConnections()
		n.often.Close()
	})
	if err != nil {
		return fmt.Errorf("cluster: close: %w", err)
	}
	return nil
}
