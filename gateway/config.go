package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/peal-dev/peal/admission"
	"github.com/peal-dev/peal/cluster"
	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/origin"
	"github.com/peal-dev/peal/socketio"
)

// Defaults of [Config].
const (
	DefaultListen          = ":8080"
	DefaultDevListen       = "127.0.0.1:8080" // with Dev
	DefaultClusterKey      = "socket.io"
	DefaultMaxBody         = 1 << 20
	DefaultMaxRooms        = 1000
	DefaultMaxPublishRate  = 100
	DefaultSendBuffer      = 1 << 20
	DefaultMaxConnections  = admission.DefaultConnections
	DefaultPollBuffer      = 8 << 20
	DefaultPingInterval    = 25 * time.Second
	DefaultPingTimeout     = 20 * time.Second
	DefaultKeepAlive       = 15 * time.Second
	DefaultRecoveryBuffer  = eventlog.DefaultBytes
	DefaultShutdownTimeout = 10 * time.Second
)

// Config configures a [Server]. A zero field means its default; the zero Config is refused, because nobody could do
// anything with such a server. The tags name the flags, environment variables and keys of the file that set a field.
type Config struct {
	// Listen is the address to listen on; port 0 takes a free one. Empty means DefaultListen, with Dev DefaultDevListen.
	Listen string `placeholder:"HOST:PORT" help:"Address to listen on; port 0 takes a free one (default ${listen}, with --dev ${dev_listen})."`
	// Dev lets everybody subscribe and publish, and lets the HTTP API be used without a key if there is none.
	Dev bool `help:"For your own machine: everybody may subscribe and publish without a token."`
	// APIKey is the secret of backends; whoever presents it may do everything. Empty means that nobody can.
	APIKey string `name:"api-key" placeholder:"KEY" help:"Secret that allows to subscribe and publish."`
	// AnonymousSubscribe lets clients without a token subscribe to any room.
	AnonymousSubscribe bool `help:"Clients without a token may subscribe."`
	// AnonymousPublish lets Socket.IO clients without a token publish to any room.
	AnonymousPublish bool `help:"Socket.IO clients without a token may publish."`
	// Namespaces are the namespaces clients can use; none means "/".
	Namespaces []string `name:"namespace" default:"/" placeholder:"/NAME" help:"Namespace clients can use; repeatable (default ${default})."`
	// AllowOrigins are the other origins whose pages may connect, such as "https://app.example.org" or
	// "https://*.example.org"; "*" allows any. One policy for polling, WebSocket, Server-Sent Events and the HTTP API: see
	// origin.Policy.
	AllowOrigins []string `name:"allow-origin" placeholder:"ORIGIN" help:"Origin whose pages may connect, such as https://*.example.org, or *; repeatable."`
	// AllowCredentials lets pages of AllowOrigins send cookies along, for load balancers and proxies that go by them.
	AllowCredentials bool `help:"Pages of allowed origins may send cookies."`
	// JSONP serves polling by script elements, for very old pages. See engineio.Options.
	JSONP bool `name:"jsonp" help:"Serve JSONP to very old browsers. Pages of other sites can use it, too, where the browser does not tell."`
	// InternalListen is a second address, for operators: it serves everything, /metrics without a key and the reasons of
	// /readyz. Listen then serves clients and backends only, without playground, /metrics and /v1/stats. Empty means that
	// Listen serves all, /metrics to whoever has the key.
	InternalListen string `placeholder:"HOST:PORT" help:"Second address, for you alone: metrics, counters and the playground are then there only."`
	// AllowHosts are the names by which the node may be asked (the Host header); "*" stands for any. Addresses, localhost
	// and the hosts of Listen and InternalListen always are. None means any, with Dev no other: a page of another site
	// whose name leads to this machine (DNS rebinding) would else be of the same origin.
	AllowHosts []string `name:"allow-host" placeholder:"NAME" help:"Host name this node answers to, or *; repeatable (default any, with --dev addresses and localhost)."`
	// Cluster is the URL of what connects this node to the others; empty means a single node. Its scheme chooses the driver:
	// redis and rediss for Redis Pub/Sub, as they are or with +sentinel or +unix behind, mongodb and mongodb+srv, unix for
	// the processes of one machine, of which the path is a directory they share.
	Cluster string `placeholder:"URL" help:"What joins this node to a cluster, such as redis://[user:password@]host:port/db; see the guide for other schemes."`
	// ClusterKey is the prefix of the names that nodes of one cluster share there, such as Redis' channels.
	ClusterKey string `default:"${cluster_key}" placeholder:"PREFIX" help:"Prefix of the cluster's channels, the same on all nodes (default ${default})."`
	// ReusePort lets other processes listen on Listen too, if they say so as well: the system shares the connections out among
	// them (SO_REUSEPORT, on Linux).
	ReusePort bool `kong:"-"`
	// Advertise is the address by which the other nodes of the cluster reach this one, HOST:PORT on a network of theirs. They
	// pass on to it what reaches them of its clients, so that the load balancer needs no sticky sessions. Empty means Listen
	// if that names an address, or else that they cannot.
	Advertise string `placeholder:"HOST:PORT" help:"Address by which the other nodes reach this one (default --listen, if that has a host)."`
	// PeerListen is an address for the other nodes alone, which then pass requests on to that one and not to Listen. Empty
	// means that there is none.
	PeerListen string `placeholder:"HOST:PORT" help:"Second address, for the other nodes alone, who then reach this one there (default none)."`
	// PeerCert, PeerKey and PeerCA are PEM files by which nodes speak TLS at PeerListen: the certificate of this
	// node, for servers and clients, its key, and the authorities by which nodes know each other, in both directions. A
	// certificate that was replaced is read again. Set all or none, and on all nodes.
	PeerCert string `placeholder:"FILE" help:"Certificate (PEM) of this node; with it nodes speak TLS to each other."`
	PeerKey  string `placeholder:"FILE" help:"Key of --peer-cert (PEM)."`
	PeerCA   string `name:"peer-ca" placeholder:"FILE" help:"Authorities (PEM) by which the nodes know each other's certificates."`
	// PeerName is the name that the certificates of all nodes are for. Empty means the host of each one's address.
	PeerName string `placeholder:"NAME" help:"Name that the certificates of all nodes have (default the host of each one's address)."`
	// MaxBody is the length in bytes of the longest message: a request to publish, or what a Socket.IO client sends.
	MaxBody int `type:"size" default:"${max_body}" placeholder:"SIZE" help:"Longest message accepted, such as 500kB or 1MiB (default ${default})."`
	// MaxRooms is how many rooms one client may be in, and one message may be sent to.
	MaxRooms int `default:"${max_rooms}" placeholder:"N" help:"Rooms one client may be in (default ${default})."`
	// MaxPublishRate is how many messages a second one Socket.IO client may publish in a namespace, and twice as many at
	// once after a silence. It does not hold for who has the API key.
	MaxPublishRate int `default:"${max_publish_rate}" placeholder:"N" help:"Messages one client may publish in a second (default ${default})."`
	// MaxConnections is how many clients may be connected, by Socket.IO and by event streams together. A quarter of them may
	// be Socket.IO clients that have yet to join a namespace.
	MaxConnections int `default:"${max_connections}" placeholder:"N" help:"Clients that may be connected, event streams included (default ${default})."`
	// MaxPerAddress is how many of these may come from one address; zero means no bound, as is right behind a proxy, whose
	// address all clients have.
	MaxPerAddress int `placeholder:"N" help:"Clients of one address that may be connected; not behind a proxy (default no bound)."`
	// SendBuffer is how many bytes may wait for one client before it is closed as too slow, unless it polls.
	SendBuffer int `type:"size" default:"${send_buffer}" placeholder:"SIZE" help:"What may wait for one client before it is closed (default ${default})."`
	// PollBuffer is how many bytes may wait for one client that polls: all that is sent between two polls. See
	// engineio.Options.PollBuffer.
	PollBuffer int `type:"size" default:"${poll_buffer}" placeholder:"SIZE" help:"What may wait for one client on long-polling, between two polls (default ${default})."`
	// PingInterval is the pause between heartbeats of Socket.IO connections.
	PingInterval time.Duration `default:"${ping_interval}" placeholder:"DURATION" help:"Pause between Socket.IO heartbeats (default ${default})."`
	// PingTimeout is how long a Socket.IO client may take to answer a heartbeat.
	PingTimeout time.Duration `default:"${ping_timeout}" placeholder:"DURATION" help:"How long a heartbeat's answer may take (default ${default})."`
	// KeepAlive is how long an event stream may be silent before a comment is sent.
	KeepAlive time.Duration `default:"${keep_alive}" placeholder:"DURATION" help:"Longest silence of an event stream (default ${default})."`
	// Recovery is how long a client may be away and go on where it was when it comes back to this node, or to any if the
	// driver has a common log (redis+streams), by Socket.IO's connection state recovery and by the Last-Event-ID of event
	// streams. Each event of Socket.IO then ends in one more argument, its offset, and the messages of a namespace are
	// delivered one after another. Zero means that it is off.
	Recovery time.Duration `placeholder:"DURATION" help:"How long a client may be away and get what it missed, such as 2m (default off)."`
	// RecoveryBuffer bounds the memory of each namespace for what clients may have missed. When it is full they may be away
	// for a shorter time.
	RecoveryBuffer int `type:"size" default:"${recovery_buffer}" placeholder:"SIZE" help:"What is kept of each namespace for --recovery (default ${default})."`
	// Data is the directory in which the node keeps topics, durable streams over HTTP at /v1/stream/; one node has it at a time.
	// Empty means that there are no topics, or with Dev and without Cluster that they are in memory, gone with the node. The
	// nodes of a cluster have no store that they share yet, so that it is refused with Cluster.
	Data string `placeholder:"DIR" help:"Directory for durable topics (default none; with --dev in memory)."`
	// Drain is for how long clients are sent away, at an even pace, before the node shuts down: the nodes that they come back
	// to are then not overrun. Zero means that all are sent away at once.
	Drain time.Duration `placeholder:"DURATION" help:"How long to send clients away at an even pace before stopping, such as 30s (default at once)."`
	// Rebalance is how many clients a second this node sends away while it has more than its share of those of the cluster, so
	// that a node that joins gets its own. They come back by the load balancer, of which some to this node again: one that
	// chooses the node with the fewest connections needs the least of it. Zero means none.
	Rebalance int `placeholder:"N" help:"Clients a second to send away while this node has more than its share (default none)."`
	// ShutdownTimeout bounds a clean shutdown by [Run], beside Drain.
	ShutdownTimeout time.Duration `default:"${shutdown_timeout}" placeholder:"DURATION" help:"How long a clean shutdown may take (default ${default})."`
	// Logger receives what goes wrong; nil means slog.Default().
	Logger *slog.Logger `kong:"-"`
}

// SettingError says that one setting of a [Config] cannot be used.
type SettingError struct {
	Setting string // the flag's name without dashes, such as "allow-origin"
	Problem string // what is wrong and what to do
}

// Error returns the setting as a flag and the problem.
func (e *SettingError) Error() string { return "--" + e.Setting + ": " + e.Problem }

func (c *Config) withDefaults() Config {
	d := *c
	if d.Dev {
		d.Listen = cmp.Or(d.Listen, DefaultDevListen)
	}
	d.Listen = cmp.Or(d.Listen, DefaultListen)
	d.ClusterKey = cmp.Or(d.ClusterKey, DefaultClusterKey)
	d.MaxBody = cmp.Or(d.MaxBody, DefaultMaxBody)
	d.MaxRooms = cmp.Or(d.MaxRooms, DefaultMaxRooms)
	d.MaxPublishRate = cmp.Or(d.MaxPublishRate, DefaultMaxPublishRate)
	d.SendBuffer = cmp.Or(d.SendBuffer, DefaultSendBuffer)
	d.MaxConnections = cmp.Or(d.MaxConnections, DefaultMaxConnections)
	d.PollBuffer = cmp.Or(d.PollBuffer, DefaultPollBuffer)
	d.PingInterval = cmp.Or(d.PingInterval, DefaultPingInterval)
	d.PingTimeout = cmp.Or(d.PingTimeout, DefaultPingTimeout)
	d.KeepAlive = cmp.Or(d.KeepAlive, DefaultKeepAlive)
	d.RecoveryBuffer = cmp.Or(d.RecoveryBuffer, DefaultRecoveryBuffer)
	d.ShutdownTimeout = cmp.Or(d.ShutdownTimeout, DefaultShutdownTimeout)
	if len(d.Namespaces) == 0 {
		d.Namespaces = []string{"/"}
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	return d
}

// Validate returns what is wrong with the configuration: every problem, joined, each a *[SettingError]. A zero field
// counts as its default.
func (c *Config) Validate() error {
	d := c.withDefaults()
	var errs []error
	bad := func(setting, format string, args ...any) {
		errs = append(errs, &SettingError{Setting: setting, Problem: fmt.Sprintf(format, args...)})
	}
	if problem := addressProblem(d.Listen); problem != "" {
		bad("listen", "%s", problem)
	}
	if problem := addressProblem(d.InternalListen); d.InternalListen != "" && problem != "" {
		bad("internal-listen", "%s", problem)
	}
	for _, host := range d.AllowHosts {
		if host != "*" && hostName(host) != strings.ToLower(host) || host == "" {
			bad("allow-host", "%q is no name of a host; write it without scheme and port, such as peal.example.org", host)
		}
	}
	if !d.Dev && d.APIKey == "" && !d.AnonymousSubscribe && !d.AnonymousPublish {
		bad("api-key", "nobody could subscribe or publish; set a key (or PEAL_API_KEY), or use --dev on your own machine")
	}
	if strings.ContainsFunc(d.APIKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		bad("api-key", "only printable ASCII characters without spaces can travel in an Authorization header; choose another key")
	}
	for i, ns := range d.Namespaces {
		if problem := namespaceProblem(ns); problem != "" {
			bad("namespace", "%q %s", ns, problem)
		} else if slices.Contains(d.Namespaces[:i], ns) {
			bad("namespace", "%q is given twice; remove one", ns)
		}
	}
	for _, err := range problems(d.pages().Validate()) {
		bad("allow-origin", "%v", err)
	}
	if d.Cluster != "" {
		if err := d.validateCluster(); err != nil {
			bad("cluster", "%v", err)
		}
	}
	if d.Data != "" && d.Cluster != "" {
		bad("data", "the topics of one node are not there on the others of its cluster; run a node of its own for topics")
	}
	if d.Rebalance > 0 && d.Cluster == "" {
		bad("rebalance", "a node without --cluster has no others to share clients with; set both or neither")
	}
	d.validatePeers(bad)
	if d.Advertise != "" {
		if d.Cluster == "" {
			bad("advertise", "a node without --cluster has no others to reach it; set both or neither")
		} else if err := cluster.CheckAddress(d.Advertise); err != nil {
			bad("advertise", "%v", err)
		} else if strings.Contains(d.Advertise, "/") {
			bad("advertise", "%q is a URL; write HOST:PORT, and --peer-cert if nodes are to speak TLS", d.Advertise)
		}
	}
	for _, n := range []struct {
		setting string
		value   int64
	}{
		{"max-body", int64(d.MaxBody)}, {"max-rooms", int64(d.MaxRooms)}, {"max-publish-rate", int64(d.MaxPublishRate)}, {"send-buffer", int64(d.SendBuffer)},
		{"max-connections", int64(d.MaxConnections)}, {"max-per-address", int64(d.MaxPerAddress)}, {"poll-buffer", int64(d.PollBuffer)},
		{"ping-interval", int64(d.PingInterval)}, {"ping-timeout", int64(d.PingTimeout)},
		{"keep-alive", int64(d.KeepAlive)}, {"shutdown-timeout", int64(d.ShutdownTimeout)},
		{"drain", int64(d.Drain)}, {"rebalance", int64(d.Rebalance)}, {"recovery", int64(d.Recovery)}, {"recovery-buffer", int64(d.RecoveryBuffer)},
	} {
		if n.value < 0 {
			bad(n.setting, "must be positive")
		}
	}
	return errors.Join(errs...)
}

func addressProblem(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Sprintf("%q is not HOST:PORT; write for instance %s or 127.0.0.1:8080", address, DefaultListen)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Sprintf("the port %q is not a number from 0 to 65535", port)
	}
	return ""
}

func namespaceProblem(ns string) string {
	switch {
	case !strings.HasPrefix(ns, "/"):
		return "does not begin with a slash; write " + strconv.Quote("/"+ns)
	case len(ns) > maxName:
		return fmt.Sprintf("is longer than %d bytes", maxName)
	case strings.ContainsAny(ns, ",?") || strings.ContainsFunc(ns, func(r rune) bool { return r < ' ' }):
		return "holds a comma, question mark or control character, which Socket.IO cannot carry in a namespace"
	}
	return ""
}

// recovery returns the options of recovery, or nil if it is off. A token is asked for again: it may not be good any more.
func (c *Config) recovery() *socketio.Recovery {
	if c.Recovery == 0 {
		return nil
	}
	return &socketio.Recovery{MaxDisconnection: c.Recovery, MaxBytes: c.RecoveryBuffer}
}

// pages returns the policy about pages of other origins.
func (c *Config) pages() *origin.Policy {
	return &origin.Policy{AllowOrigins: c.AllowOrigins, AllowCredentials: c.AllowCredentials}
}

// problems returns the errors that were joined to err.
func problems(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return nil
}
