package redisstreams

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/internal/redisx"
)

// The defaults of [Options], which but for DefaultBlockTime and DefaultTimeout are those of the Node.js adapter.
const (
	DefaultStreamName    = "socket.io"
	DefaultChannelPrefix = "socket.io"
	DefaultSessionPrefix = "sio:session:"
	DefaultMaxLen        = 10_000
	DefaultReadCount     = 100
	DefaultBlockTime     = 250 * time.Millisecond
	DefaultTimeout       = redisx.DefaultTimeout
)

// Options configure a [Driver].
type Options struct {
	// URL says where Redis is: redis://[user:password@]host[:port], rediss:// for TLS, unix:///path/to.sock. Of a Redis
	// Cluster any server will do, and &addr=host:port names more of them; with ?master_set=name it names a Sentinel.
	// Required.
	URL string
	// Username, Password, Credentials, Dial and TLS are as in package redispubsub.
	Username, Password string
	Credentials        func(ctx context.Context) (username, password string, err error)
	Dial               func(ctx context.Context, network, addr string) (net.Conn, error)
	TLS                *tls.Config
	// StreamName is the key of the stream, and StreamCount over how many the namespaces are spread, with a number behind the
	// name if there is more than one. ChannelPrefix starts the names of all channels. They must be the same on all nodes. ""
	// and 0 mean DefaultStreamName, 1 and DefaultChannelPrefix.
	//
	// Of several streams, Node.js nodes write to some that they do not read themselves. Peal nodes read those too, and write
	// to the ones that all nodes read.
	StreamName    string
	StreamCount   int
	ChannelPrefix string
	// ShardedPubSub sends calls and their answers by shard channels: useShardedPubSub of the Node.js adapter. On a Redis
	// Cluster they then burden the servers that have the channels, and not all. It must be the same on all nodes, and needs a
	// user who may SSUBSCRIBE and SPUBLISH.
	ShardedPubSub bool
	// SessionPrefix starts the keys under which sessions are kept of clients that may come back, if adapters have a log. It
	// must be the same on all nodes: sessionKeyPrefix of the Node.js adapter. "" means DefaultSessionPrefix.
	SessionPrefix string
	// MaxLen is about how many entries a stream keeps, for nodes that were cut off, and for clients that come to a node which
	// was started after them. 0 means DefaultMaxLen, 10,000.
	MaxLen int
	// ReadCount is how many entries are read at once, and BlockTime how long Redis waits for the first: blockTimeInMs of the
	// Node.js adapter. It is 400 ms at most, because a connection that is silent for half a second is made anew where Redis
	// answers others. 0 means DefaultReadCount, 100, and DefaultBlockTime, 250 ms.
	ReadCount int
	BlockTime time.Duration
	// InboxSize and InboxBytes are how many messages, and how many bytes, may wait in each namespace until this node handles
	// them; see package redispubsub. 0 means 65,536 and 64 MiB.
	InboxSize, InboxBytes int
	// Timeout bounds making a connection and waiting for an answer of Redis. 0 means DefaultTimeout, 3 s.
	Timeout time.Duration
	// QueueSize is how many messages may wait to be published. 0 means 4096.
	QueueSize int
	// OnState is called when the connection that receives calls is there (true) and when it is lost or cannot be made
	// (false, with the cause). It must not block. It may be nil.
	OnState func(connected bool, err error)
	// MaxAttachments is how many binary values a message of another node may have. 0 means
	// message.DefaultMaxAttachments, 10.
	MaxAttachments int
	// Logger is told when a connection is lost and when it is back. Nil means slog.Default.
	Logger *slog.Logger
}

// Validate returns what is wrong with the options. It connects to nothing; [New] calls it too.
func (o *Options) Validate() error {
	if o.BlockTime > redisx.MaxBlock {
		return fmt.Errorf("redisstreams: BlockTime %v; it is %v at most", o.BlockTime, redisx.MaxBlock)
	}
	if o.StreamCount < 0 || o.MaxLen < 0 || o.ReadCount < 0 || o.BlockTime < 0 {
		return errors.New("redisstreams: StreamCount, MaxLen, ReadCount or BlockTime is less than 0")
	}
	return redisx.ValidateShards(o.redis())
}

func (o *Options) redis() redisx.Options {
	return redisx.Options{URL: o.URL, Username: o.Username, Password: o.Password, Credentials: o.Credentials, Dial: o.Dial,
		TLS: o.TLS, Timeout: o.Timeout}
}

func (o *Options) setDefaults() {
	for _, name := range []struct {
		value    *string
		standard string
	}{{&o.StreamName, DefaultStreamName}, {&o.ChannelPrefix, DefaultChannelPrefix}, {&o.SessionPrefix, DefaultSessionPrefix}} {
		if *name.value == "" {
			*name.value = name.standard
		}
	}
	for _, number := range []struct {
		value    *int
		standard int
	}{{&o.StreamCount, 1}, {&o.MaxLen, DefaultMaxLen}, {&o.ReadCount, DefaultReadCount},
		{&o.InboxSize, nodecluster.DefaultInboxSize}, {&o.InboxBytes, nodecluster.DefaultInboxBytes}} {
		if *number.value <= 0 {
			*number.value = number.standard
		}
	}
	// Redis takes milliseconds, of which 0 would be for ever.
	if o.BlockTime = o.BlockTime.Truncate(time.Millisecond); o.BlockTime == 0 {
		o.BlockTime = DefaultBlockTime
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
}
