// Package wire lists the ways in which nodes of Go and of Node.js are one cluster, for the tests of package interop and the
// Go node that they start. Each has a module of the same name in node/wires, with the official adapter.
package wire

import (
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/local"
	"github.com/peal-dev/peal/adapter/mongodb"
	"github.com/peal-dev/peal/adapter/postgres"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/adapter/redissharded"
	"github.com/peal-dev/peal/adapter/redisstreams"
	"github.com/peal-dev/peal/internal/testmongo"
	"github.com/peal-dev/peal/internal/testpostgres"
	"github.com/peal-dev/peal/internal/testredis"
)

// Wire is one way for nodes to reach each other.
type Wire struct {
	Name    string
	Variant string // "" is the usual one
	// Start starts what the nodes meet at, which ends with the test. It is a [Server] but where they are alone.
	Start func(testing.TB) Broker
	// Driver makes the driver of a Go node from a Broker's URL.
	Driver func(url string, logger *slog.Logger) (adapter.Driver, error)
	// Emitter makes what only publishes, of a program that is no node. Nil means that there is none.
	Emitter func(url string, logger *slog.Logger) (adapter.Driver, error)
	// Redis says that the nodes meet at a Redis, and Flood is the command without its payload that sends all nodes of the root
	// namespace there what they have no use for.
	Redis bool
	Flood []string
	// Shards are the shard channels of the root namespace, if there are any.
	Shards []string
	// Alone says that no official adapter speaks it: all nodes are of Go. There is no Server either.
	Alone bool
	// Resumes says that the broker keeps what a node has not received, so that nothing is lost.
	Resumes bool
	// Counts says that nodes count exactly what they have lost.
	Counts bool
	// Beats says that Go nodes know within three seconds that another one hangs.
	Beats bool
	// Rate is how many messages a second of each node the server of the tests carries beside much else, if that is less than
	// is usual: it is spared then.
	Rate int
	// Rooms says that the official adapter can be asked for the rooms of all nodes.
	Rooms bool
	// Msgpack says that clients speak MessagePack with Node.js nodes, in place of Socket.IO's usual packets.
	Msgpack bool
	// TextEvents says that the official adapter sends server-side events as JSON, in which bytes are lost.
	TextEvents bool
}

// HeartbeatInterval and HeartbeatTimeout are those of nodes that know of each other by heartbeats, of both kinds: the modules
// of node/wires have the same. They are shorter than the defaults, as tests wait until a node that was killed is known to be, and longer than the 5 s after which official
// nodes give up a question: those forget a node, and that it has not answered.
const (
	HeartbeatInterval = time.Second
	HeartbeatTimeout  = 7 * time.Second
)

// Broker is what the nodes of a cluster meet at.
type Broker interface {
	URL() string
}

// Server is a [Broker] that is a process.
type Server interface {
	Broker
	Addr() string // host and port of URL
	// Stop ends it as a crash does, and Restart starts it again; Pause has it hang until Resume.
	Stop()
	Restart()
	Pause()
	Resume()
}

// Through returns the server's URL with another address, which leads there.
func Through(s Server, addr string) string { return strings.Replace(s.URL(), s.Addr(), addr, 1) }

// directory is a [Broker].
type directory string

// URL implements [Broker].
func (d directory) URL() string { return string(d) }

func startRedis(t testing.TB) Broker { return testredis.Start(t) }

// take returns a URL of [Variants] without what is for the nodes, and that. Of others, nothing is ours.
func take(address string) (rest string, ours url.Values) {
	u, err := url.Parse(address)
	if err != nil {
		return address, nil
	}
	ours = u.Query()
	theirs := url.Values{}
	for name, values := range ours {
		switch name {
		case "mode", "cluster", "sharded", "streams", "specific", "parser", "clients":
		default:
			theirs[name] = values
		}
	}
	u.RawQuery = theirs.Encode()
	return u.String(), ours
}

func pubsub(address string, logger *slog.Logger) redispubsub.Options {
	rest, ours := take(address)
	return redispubsub.Options{URL: rest, SpecificResponses: ours.Has("specific"), Logger: logger}
}

func sharded(address string, logger *slog.Logger) redissharded.Options {
	rest, ours := take(address)
	return redissharded.Options{URL: rest, Mode: redissharded.Mode(ours.Get("mode")), Logger: logger}
}

func streams(address string, logger *slog.Logger) redisstreams.Options {
	rest, ours := take(address)
	count, _ := strconv.Atoi(ours.Get("streams")) // 0 is the usual one
	return redisstreams.Options{URL: rest, ShardedPubSub: ours.Has("sharded"), StreamCount: count, Logger: logger}
}

// at is a broker whose URL says more.
type at struct {
	Broker
	url string
}

// URL implements [Broker].
func (b at) URL() string { return b.url }

func startSaying(query string) func(testing.TB) Broker {
	return func(t testing.TB) Broker {
		b := startRedis(t)
		return at{b, b.URL() + "?" + query}
	}
}

func startCluster(query string) func(testing.TB) Broker {
	return func(t testing.TB) Broker {
		c := testredis.StartCluster(t)
		return at{c.Servers()[0], c.URL() + "?cluster&" + query}
	}
}

// Variants are ways to use the wires of [All], which their brokers' URLs tell the nodes.
func Variants() (list []Wire) {
	for _, v := range []struct {
		wire, variant string
		start         func(testing.TB) Broker
	}{
		{"redispubsub", " specific", startSaying("specific&parser")},
		{"redispubsub", " msgpack", startSaying("clients")},
		{"redissharded", " static", startSaying("mode=static")},
		{"redissharded", " private", startSaying("mode=dynamic-private")},
		{"redissharded", " on a cluster", startCluster("mode=dynamic")},
		{"redisstreams", " sharded", startSaying("sharded")},
		{"redisstreams", " several", startSaying("streams=4")},
		{"redisstreams", " on a cluster", startCluster("")},
		{"redisstreams", " sharded on a cluster", startCluster("sharded&streams=2")},
	} {
		w := *ByName(v.wire)
		w.Variant, w.Start, w.Msgpack = v.variant, v.start, v.variant == " msgpack"
		list = append(list, w)
	}
	return list
}

// All are the wires that there are.
var All = []Wire{
	{
		Name: "redispubsub", Redis: true, Beats: true, Flood: []string{"PUBLISH", "socket.io#/#nobody#"}, Rooms: true, TextEvents: true,
		Start: startRedis,
		Driver: func(url string, logger *slog.Logger) (adapter.Driver, error) {
			return redispubsub.New(pubsub(url, logger))
		},
		Emitter: func(url string, logger *slog.Logger) (adapter.Driver, error) {
			return redispubsub.NewEmitter(pubsub(url, logger))
		},
	},
	{
		Name: "redissharded", Redis: true, Beats: true, Counts: true, Flood: []string{"SPUBLISH", "socket.io#/#"},
		Shards: []string{"socket.io#/#", "socket.io#/#room#"},
		Start:  startRedis,
		Driver: func(url string, logger *slog.Logger) (adapter.Driver, error) {
			return redissharded.New(sharded(url, logger))
		},
		Emitter: func(url string, logger *slog.Logger) (adapter.Driver, error) {
			return redissharded.NewEmitter(sharded(url, logger))
		},
	},
	{
		Name: "redisstreams", Beats: true, Redis: true, Flood: []string{"PUBLISH", "socket.io#/#"},
		Start: startRedis,
		Driver: func(url string, logger *slog.Logger) (adapter.Driver, error) {
			return redisstreams.New(streams(url, logger))
		},
		Emitter: func(url string, logger *slog.Logger) (adapter.Driver, error) {
			return redisstreams.NewEmitter(streams(url, logger))
		},
	},
	{
		Name: "postgres", Beats: true, Counts: true,
		Start: func(t testing.TB) Broker { return testpostgres.Start(t) },
		Driver: func(url string, logger *slog.Logger) (adapter.Driver, error) {
			return postgres.New(postgres.Options{
				URL: url, Logger: logger, HeartbeatInterval: HeartbeatInterval, HeartbeatTimeout: HeartbeatTimeout,
			})
		},
		Emitter: func(url string, logger *slog.Logger) (adapter.Driver, error) {
			return postgres.NewEmitter(postgres.Options{URL: url, Logger: logger})
		},
	},
	{
		// With TTL, as the server of the tests reads a capped collection as a whole with each insertion.
		Name: "mongodb", Beats: true, Resumes: true, Rate: 10,
		Start: func(t testing.TB) Broker { return testmongo.Start(t, testmongo.Durable) },
		Driver: func(url string, logger *slog.Logger) (adapter.Driver, error) {
			return mongodb.New(mongodb.Options{
				URL: url, TTL: time.Hour, Logger: logger, HeartbeatInterval: HeartbeatInterval, HeartbeatTimeout: HeartbeatTimeout,
			})
		},
		Emitter: func(url string, logger *slog.Logger) (adapter.Driver, error) {
			return mongodb.NewEmitter(mongodb.Options{URL: url, TTL: time.Hour, Logger: logger})
		},
	},
	{
		Name: "local", Beats: true, Alone: true,
		Start: func(t testing.TB) Broker { return directory(t.TempDir()) },
		Driver: func(dir string, logger *slog.Logger) (adapter.Driver, error) {
			return local.New(local.Options{Dir: dir, Logger: logger})
		},
	},
}

// ByName returns the wire with that name, or nil.
func ByName(name string) *Wire {
	for i := range All {
		if All[i].Name == name {
			return &All[i]
		}
	}
	return nil
}
