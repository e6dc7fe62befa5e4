package bench

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/peal-dev/peal/internal/bench/wire"
)

// Scenario names what a run does.
type Scenario string

// The scenarios.
const (
	// Idle connects clients and leaves them alone: memory per connection, processor time of the heartbeats.
	Idle Scenario = "idle"
	// Connect connects clients as fast as the server takes them.
	Connect Scenario = "connect"
	// Fanout broadcasts to all clients: first one message at a time, then several back to back.
	Fanout Scenario = "fanout"
	// Rooms publishes to many small rooms in turn.
	Rooms Scenario = "rooms"
	// Echo has each client send events and wait for the acknowledgement, as fast as they come.
	Echo Scenario = "echo"
	// Slow broadcasts while some clients have stopped reading.
	Slow Scenario = "slow"
	// Cluster broadcasts from a client of one node to clients of another.
	Cluster Scenario = "cluster"
)

// Scenarios are all scenarios.
var Scenarios = []Scenario{Idle, Connect, Fanout, Rooms, Echo, Slow, Cluster}

// Transport is how the clients speak to the server.
type Transport string

// The transports.
const (
	WebSocket Transport = "websocket" // Socket.IO over WebSocket; the default
	Polling   Transport = "polling"   // Socket.IO over HTTP long polling
	SSE       Transport = "sse"       // Server-Sent Events; not with the dialects Handlers and Floor
)

// Dialect is what the server's application understands.
type Dialect string

// The dialects.
const (
	// Peal is `peal serve`: the events subscribe and publish. The default. The server must let anonymous clients do both.
	Peal Dialect = "peal"
	// Handlers is a Socket.IO server with handlers for the load generator: "broadcast" (data) is broadcast to all as
	// "broadcast", "echo" (data) is acknowledged with the data, "join" (room, …) joins and is acknowledged, and "publish"
	// (room, data) is broadcast to the room as "broadcast".
	Handlers Dialect = "handlers"
	// Floor is Handlers without Socket.IO behind it: acknowledgements and heartbeats are constants. It is the least a
	// server can do.
	Floor Dialect = "floor"
)

// Options say what to measure. Scenario is required, and one of URL and Command; the zero value of the rest is a useful
// default.
type Options struct {
	Scenario Scenario

	URL     string // of the server; only scheme http, only loopback unless AllowRemote is set
	PID     int    // of the server's process, which is measured; 0 measures nothing but time
	Command string // shell command that starts the server and prints "listening on HOST:PORT"; replaces URL and PID

	// The node to publish on in scenario Cluster, given like the other.
	PublishURL     string
	PublishPID     int
	PublishCommand string

	Transport Transport // empty means WebSocket
	Dialect   Dialect   // empty means Peal
	Key       string    // to publish: Centrifugo's API key, or the secret of a Mercure hub for its publishers' HS256 tokens

	Clients  int     // 0 means 10,000; 100 for Echo, 1,000 for Slow
	AtOnce   int     // connections on their way at a time; 0 means 128
	Size     int     // bytes of a message's data; 0 means 100, for Slow 16 KiB; at least 45
	Rounds   int     // broadcasts one at a time, or publications to rooms; 0 means 40, for Rooms 20,000, for Slow 100 in a phase
	Burst    int     // broadcasts back to back, of which there are four rounds; 0 means 25, negative none
	Rooms    int     // 0 means as many as clients
	RoomSize int     // members of a room in scenario Rooms; 0 means 10
	Stalled  float64 // share of the clients that stop reading in scenario Slow; 0 means 0.05
	// StalledBuffer is what the kernel keeps for a client that stalls, in bytes (SO_RCVBUF), on a connection with segments of
	// Ethernet's size; 0 means 16 KiB. It leaves a phase time for what comes after: the server's own queue. Negative
	// leaves both to the kernel, which on the loopback interface keeps some 4 MiB; Rounds has to grow with it.
	StalledBuffer int

	Pairs    int           // of phases, with stalled clients and without, in scenario Slow; 0 means 8
	Interval time.Duration // from a broadcast to the next in scenario Slow; 0 means four times what one takes
	Settle   time.Duration // pause before memory is measured; 0 means 5 s
	Window   time.Duration // how long Idle and Echo measure; 0 means 25 s (a heartbeat interval) and 5 s
	Patience time.Duration // how long a message may take before it counts as lost; 0 means 20 s
	Timeout  time.Duration // of everything; 0 means 5 minutes

	AllowRemote bool      // accept servers that are not on the loopback interface
	Stderr      io.Writer // of a started server; nil discards it
}

// ErrNotLoopback is returned for a server elsewhere unless Options.AllowRemote is set: a load generator pointed at the
// wrong address is an attack.
var ErrNotLoopback = errors.New("the server is not on the loopback interface; allow it explicitly if the server and the network between are yours to load")

func (o *Options) withDefaults() (Options, error) {
	d := *o
	d.Transport = cmp.Or(d.Transport, WebSocket)
	d.Dialect = cmp.Or(d.Dialect, Peal)
	d.Clients = cmp.Or(d.Clients, map[Scenario]int{Echo: 100, Slow: 1000}[d.Scenario])
	d.Clients = cmp.Or(d.Clients, 10_000)
	d.AtOnce = cmp.Or(d.AtOnce, 128)
	// A stalled client must fill the kernel's buffers and then the server's queue within a phase.
	d.Size = cmp.Or(d.Size, map[Scenario]int{Slow: 16 << 10}[d.Scenario])
	d.Size = cmp.Or(d.Size, 100)
	d.Rounds = cmp.Or(d.Rounds, map[Scenario]int{Rooms: 20_000, Slow: 100}[d.Scenario])
	d.Rounds = cmp.Or(d.Rounds, 40)
	d.Burst = cmp.Or(d.Burst, 25)
	d.Rooms = cmp.Or(d.Rooms, d.Clients)
	d.RoomSize = cmp.Or(d.RoomSize, 10)
	d.Stalled = cmp.Or(d.Stalled, 0.05)
	d.Pairs = cmp.Or(d.Pairs, 8)
	d.StalledBuffer = cmp.Or(d.StalledBuffer, 16<<10)
	d.Settle = cmp.Or(d.Settle, 5*time.Second)
	if d.Scenario == Echo {
		d.Window = cmp.Or(d.Window, 5*time.Second)
	}
	d.Window = cmp.Or(d.Window, 25*time.Second)
	d.Patience = cmp.Or(d.Patience, 20*time.Second)
	d.Timeout = cmp.Or(d.Timeout, 5*time.Minute)
	if d.Stderr == nil {
		d.Stderr = io.Discard
	}
	return d, d.check()
}

// Validate returns every problem of the options, joined, with the defaults in place of zero fields. [Run] does it first;
// whoever wants to tell a mistake in the options from a server that does not answer calls it before.
func (o *Options) Validate() error {
	_, err := o.withDefaults()
	return err
}

// serverURL takes apart the base URL of a server, which must be http.
func serverURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("%q is no URL of a server; write for instance http://127.0.0.1:8080", raw)
	}
	return u, nil
}

// check returns every problem, joined.
func (o *Options) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !slices.Contains(Scenarios, o.Scenario) {
		bad("there is no scenario %q; there are %v", o.Scenario, Scenarios)
	}
	if !slices.Contains([]Transport{WebSocket, Polling, SSE}, o.Transport) {
		bad("there is no transport %q; there are websocket, polling and sse", o.Transport)
	}
	if !slices.Contains(dialects, o.Dialect) {
		bad("there is no dialect %q; there are %v", o.Dialect, dialects)
	}
	if (o.URL == "") == (o.Command == "") {
		bad("give either the URL of a running server or the command that starts one")
	}
	for _, raw := range []string{o.URL, o.PublishURL} {
		if raw == "" {
			continue
		}
		if _, err := serverURL(raw); err != nil {
			errs = append(errs, err)
		}
	}
	if o.Scenario == Cluster && (o.PublishURL == "") == (o.PublishCommand == "") {
		bad("scenario cluster needs a second node to publish on: either its URL or its command")
	}
	if !o.Dialect.speaks(o.Transport) {
		bad("clients of the dialect %s do not use the transport %s", o.Dialect, o.Transport)
	}
	if o.Transport == SSE && o.Scenario == Echo {
		bad("streams of Server-Sent Events receive only")
	}
	if o.Scenario == Echo && !o.Dialect.echoes() {
		bad("the dialect %s has no event that is echoed; measure echo with a server of your own (dialect handlers)", o.Dialect)
	}
	if o.Scenario == Echo && o.Transport == Polling {
		bad("echo is measured over WebSocket only")
	}
	if o.Scenario == Rooms && o.Dialect == Floor {
		bad("the floor knows no rooms")
	}
	if o.Size < wire.StampSize {
		bad("a message needs %d bytes for its number and time; size is %d", wire.StampSize, o.Size)
	}
	for name, n := range map[string]int{"clients": o.Clients, "at once": o.AtOnce, "rounds": o.Rounds, "pairs": o.Pairs, "rooms": o.Rooms, "room size": o.RoomSize} {
		if n < 1 {
			bad("%s must be positive, it is %d", name, n)
		}
	}
	if o.Rooms > o.Clients || o.RoomSize > o.Clients {
		bad("%d rooms of %d need at least as many clients, there are %d", o.Rooms, o.RoomSize, o.Clients)
	}
	if o.Stalled < 0 || o.Stalled >= 1 {
		bad("the share of stalled clients must be between 0 and 1, it is %g", o.Stalled)
	}
	if o.Scenario == Slow && o.Clients < 2 {
		bad("scenario slow needs two clients, one that stalls and one that does not")
	}
	if o.Settle < 0 || o.Interval < 0 || o.Window < 0 || o.Patience < 0 || o.Timeout < 0 {
		bad("times must be positive")
	}
	return errors.Join(errs...)
}

// subscription returns what makes client i a member of rooms.
func (o *Options) subscription(rooms []string) string {
	if len(rooms) == 0 {
		return ""
	}
	quoted := `"` + strings.Join(rooms, `","`) + `"`
	switch {
	case o.Dialect.published():
		return o.membership(rooms)
	case o.Transport == SSE:
		return "room=" + strings.Join(rooms, "&room=")
	case o.Dialect == Peal:
		return `20["subscribe",[` + quoted + `]]`
	default:
		return `20["join",` + quoted + `]`
	}
}

// publication returns the Engine.IO packet that has data published to room; an empty room is everyone.
func (o *Options) publication(room string, data []byte) []byte {
	switch {
	case o.Dialect == Peal:
		return fmt.Appendf(nil, `42["publish",{"rooms":[%q],"event":"broadcast","args":["%s"]}]`, room, data)
	case room != "":
		return fmt.Appendf(nil, `42["publish",%q,"%s"]`, room, data)
	default:
		return fmt.Appendf(nil, `42["broadcast","%s"]`, data)
	}
}
