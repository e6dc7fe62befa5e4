package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/peal-dev/peal/adapter/internal/nodecluster"
)

// DefaultKey is the default of [Options].Key, the same as that of the Node.js adapter.
const DefaultKey = "socket.io"

// DefaultTable is the default of [Options].Table, the same as that of the Node.js adapter.
const DefaultTable = "socket_io_attachments"

// DefaultCleanupInterval is the default of [Options].CleanupInterval, the same as that of the Node.js adapter.
const DefaultCleanupInterval = 30 * time.Second

// DefaultTimeout is the default of [Options].Timeout.
const DefaultTimeout = nodecluster.DefaultTimeout

// DefaultQueueSize is the default of [Options].QueueSize.
const DefaultQueueSize = 4096

// Options configure a [Driver].
type Options struct {
	// URL says where the database is: postgres://[user:password@]host[:port][,host[:port]…]/database. Of several hosts, the
	// one that writes is taken. What it does not say is as psql has it: sslmode is "prefer", the environment and the
	// password file are read. The connections must reach the server itself, or a pool that gives each a session of its own:
	// LISTEN is lost in others. Required.
	URL string
	// Username and Password take the place of what URL says.
	Username, Password string
	// Credentials is asked who the node is each time a connection is made, for passwords that change; it takes the place of
	// Username, Password and what URL says. Its context ends after Timeout. An error counts as a connection that was not
	// made. It may be called by several goroutines.
	Credentials func(ctx context.Context) (username, password string, err error)
	// Dial makes the connections, such as through a proxy or a tunnel: net.Dialer.DialContext has its form, and so has
	// golang.org/x/net/proxy. The names of hosts are its to resolve; what is said of TLS is done on top. Its context ends
	// after Timeout. It may be called by several goroutines. Nil means a net.Dialer that has the kernel probe silent
	// connections.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// TLS is how the server is spoken to, always: by which authorities it is known, by which certificate it knows this node.
	// Without a ServerName it is the host of URL. Nil means what URL says by sslmode and the like. It is copied.
	TLS *tls.Config
	// Key starts the names of all channels. It must be the same on all nodes, and have 40 bytes at most; it is the Node.js
	// adapter's channelPrefix. "" means DefaultKey.
	Key string
	// Table is where messages are left that are too large for a notification or have binary values. It must be the same on
	// all nodes, and is written as in SQL, such as other_schema.attachments. If it is not there it is made, where the user
	// may do so. "" means DefaultTable.
	Table string
	// CleanupInterval is how often such messages are removed, and how old they are then at least. A node that reads one
	// later than that misses it. 0 means DefaultCleanupInterval, 30 s.
	CleanupInterval time.Duration
	// HeartbeatInterval is after how much silence a node says that it is there, HeartbeatTimeout after how much others take
	// it for gone. 0 means 5 s and 10 s, as on Node.js nodes.
	HeartbeatInterval, HeartbeatTimeout time.Duration
	// InboxSize is how many messages may wait in each namespace until this node handles them, and InboxBytes how many bytes.
	// When they are reached, messages are dropped until half has been handled, which is counted as a gap; changes of rooms
	// have twice the room. 0 means 65,536 messages and 64 MiB.
	InboxSize, InboxBytes int
	// Timeout bounds making a connection and waiting for an answer of the server. 0 means DefaultTimeout, 3 s.
	Timeout time.Duration
	// QueueSize is about how many envelopes may wait to be published. 0 means DefaultQueueSize.
	QueueSize int
	// OnState is called when the connection that receives is there (true) and when it is lost or cannot be made (false,
	// with the cause). It must not block. It may be nil.
	OnState func(connected bool, err error)
	// MaxAttachments is how many binary values a message of another node may have; one with more is ignored, because
	// official clients would close their connection. 0 means message.DefaultMaxAttachments, 10. Where clients take more,
	// set it to what [socketio.Options] say.
	MaxAttachments int
	// Logger is told when the connection is lost and when it is back. Nil means slog.Default.
	Logger *slog.Logger
}

var errTwice = errors.New("postgres: Credentials and Username or Password both say who the node is; set one")

// Validate returns what is wrong with the options. It connects to nothing; [New] calls it too.
func (o *Options) Validate() error {
	_, err := o.parse()
	return err
}

func (o *Options) setDefaults() {
	if o.Key == "" {
		o.Key = DefaultKey
	}
	if o.Table == "" {
		o.Table = DefaultTable
	}
	if o.CleanupInterval <= 0 {
		o.CleanupInterval = DefaultCleanupInterval
	}
	if o.InboxSize <= 0 {
		o.InboxSize = nodecluster.DefaultInboxSize
	}
	if o.InboxBytes <= 0 {
		o.InboxBytes = nodecluster.DefaultInboxBytes
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.QueueSize <= 0 {
		o.QueueSize = DefaultQueueSize
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

// parse returns how to connect.
func (o *Options) parse() (*pgconn.Config, error) {
	if o.URL == "" {
		return nil, errNoURL
	}
	if o.Table != "" {
		if err := checkTable(o.Table); err != nil {
			return nil, err
		}
	}
	if err := checkKey(o.Key); err != nil {
		return nil, err
	}
	config, err := pgconn.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("postgres: URL: %w", err) // pgconn leaves the password out
	}
	if o.Credentials != nil && (o.Username != "" || o.Password != "") {
		return nil, errTwice
	}
	if o.Dial != nil {
		config.DialFunc = o.Dial
		config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	}
	if o.Username != "" {
		config.User = o.Username
	}
	if o.Password != "" {
		config.Password = o.Password
	}
	if o.TLS != nil {
		secure(config, o.TLS)
	}
	if config.ValidateConnect == nil {
		// A standby cannot notify, nor LISTEN.
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if _, ok := config.RuntimeParams["application_name"]; !ok {
		config.RuntimeParams["application_name"] = "peal"
	}
	return config, nil
}

// secure has all of config's hosts be spoken to by TLS only.
func secure(config *pgconn.Config, t *tls.Config) {
	type host struct {
		name string
		port uint16
	}
	of := func(h host) *tls.Config {
		t := t.Clone()
		if t.ServerName == "" {
			t.ServerName = h.name
		}
		return t
	}
	first := host{config.Host, config.Port}
	config.TLSConfig = of(first)
	seen := map[host]bool{first: true}
	var others []*pgconn.FallbackConfig // by sslmode, each host may be there twice
	for _, f := range config.Fallbacks {
		if h := (host{f.Host, f.Port}); !seen[h] {
			seen[h] = true
			others = append(others, &pgconn.FallbackConfig{Host: f.Host, Port: f.Port, TLSConfig: of(h)})
		}
	}
	config.Fallbacks = others
}
