package socketio

import (
	"cmp"
	"context"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/internal/lograte"
	"github.com/peal-dev/peal/internal/workers"
	"github.com/peal-dev/peal/socketio/sioproto"
)

// Defaults of [Options].
const (
	DefaultConnectTimeout = 45 * time.Second
	DefaultInboxLimit     = 256
	DefaultAuthLimit      = 16 << 10
)

// defaultMaxPayload is what engineio takes for a MaxPayload of 0.
const defaultMaxPayload = 1_000_000

// Options tune a [Server]. The zero value means the defaults.
type Options struct {
	// Engine are the options of the connections below: heartbeat, sizes, CORS, who is let in.
	Engine engineio.Options
	// ConnectTimeout is how long a connection may exist without having joined a namespace. 0 means 45 s.
	ConnectTimeout time.Duration
	// MaxAttachments is the largest number of []byte values in one event, received or sent. Official clients accept
	// no more than 10. 0 means 10.
	MaxAttachments int
	// InboxLimit is how many events of one connection may wait for their handlers before the server stops reading
	// that connection. 0 means 256.
	InboxLimit int
	// AuthLimit is how many bytes the auth of a client may have as JSON. It is kept for as long as the client is in the
	// namespace. 0 means 16 KiB.
	AuthLimit int
	// Driver connects the namespaces to the other nodes of a cluster. Nil means that there is one node only. The
	// server joins the cluster in the background and keeps trying; until it has, broadcasts are delivered on this
	// node and then fail when their context ends. Whoever made the driver closes it, after Shutdown.
	Driver adapter.Driver
	// Recovery has clients that come back after a short absence go on where they were. Nil means that it is off, which
	// costs nothing.
	Recovery *Recovery
	// ClientFiles holds the browser builds of the official client: the dist directory of the npm package
	// socket.io-client, embedded or by os.DirFS. The server answers requests for them (socket.io.js, .min.js,
	// .esm.min.js, .msgpack.min.js, and their source maps) beside those of clients, as Node.js does, with the version as
	// ETag. Nil means that it has none, and says so with status 404.
	ClientFiles fs.FS
	// Logger receives what goes wrong. Nil means slog.Default().
	Logger *slog.Logger
}

// Server is a Socket.IO server and at the same time its root namespace "/": io.On is io.Of("/").On. It is an
// http.Handler, usually mounted at "/socket.io/". All methods are safe for concurrent use.
type Server struct {
	*Namespace

	engine         *engineio.Server
	driver         adapter.Driver
	log            *slog.Logger
	often          *lograte.Logger // for what any client may cause
	connectTimeout time.Duration
	maxAttachments int
	maxPacketBytes int
	recover        *Recovery
	heartbeat      time.Duration // after which a connection is known to be dead
	holdLimit      int           // bytes that may wait for a client to be told that it is connected
	replayLimit    int           // bytes that a client may have missed
	inboxLimit     int
	authLimit      int // bytes
	files          *clientFiles
	counters       counters
	work           workers.Pool // runs the handlers
	draining       atomic.Bool
	started        time.Time

	mu         sync.RWMutex // protects namespaces
	namespaces map[string]*Namespace
}

// NewServer returns a server. A nil opts means the defaults.
func NewServer(opts *Options) *Server {
	var o Options
	if opts != nil {
		o = *opts
	}
	s := &Server{
		counters:       newCounters(),
		driver:         o.Driver,
		log:            o.Logger,
		connectTimeout: o.ConnectTimeout,
		maxAttachments: o.MaxAttachments,
		inboxLimit:     o.InboxLimit,
		authLimit:      o.AuthLimit,
		files:          newClientFiles(o.ClientFiles),
		recover:        o.Recovery,
		heartbeat:      cmp.Or(max(o.Engine.PingInterval, 0), engineio.DefaultPingInterval) + cmp.Or(max(o.Engine.PingTimeout, 0), engineio.DefaultPingTimeout),
		namespaces:     make(map[string]*Namespace),
		started:        time.Now(),
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.often = lograte.New(s.log, lograte.Every)
	if s.connectTimeout <= 0 {
		s.connectTimeout = DefaultConnectTimeout
	}
	if s.maxAttachments <= 0 {
		s.maxAttachments = sioproto.DefaultMaxAttachments
	}
	if s.inboxLimit <= 0 {
		s.inboxLimit = DefaultInboxLimit
	}
	if s.authLimit <= 0 {
		s.authLimit = DefaultAuthLimit
	}
	payload := o.Engine.MaxPayload
	if payload <= 0 {
		payload = defaultMaxPayload
	}
	s.holdLimit = o.Engine.SendBuffer
	if s.holdLimit <= 0 {
		s.holdLimit = engineio.DefaultSendBuffer
	}
	s.replayLimit = o.Engine.PollBuffer
	if s.replayLimit <= 0 {
		s.replayLimit = max(engineio.DefaultPollBuffer, s.holdLimit)
	}
	s.maxPacketBytes = payload * (s.maxAttachments + 1)
	if o.Engine.Logger == nil {
		o.Engine.Logger = s.log
	}
	o.Engine.Pending = true // until a namespace was joined
	s.Namespace = s.Of("/")
	s.engine = engineio.NewServer(engineio.HandlerFunc(s.open), &o.Engine)
	return s
}

// open makes the client of a new session.
func (s *Server) open(session *engineio.Session) engineio.Receiver { return newClient(s, session) }

// ServeHTTP serves the polling requests and WebSocket handshakes of clients, and the files of Options.ClientFiles.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.files.serve(w, r) {
		s.engine.ServeHTTP(w, r)
	}
}

// Of returns the namespace with that name and creates it at the first call; a missing leading slash is added. Clients
// can join only namespaces that exist.
func (s *Server) Of(name string) *Namespace {
	name = rooted(name)
	if ns := s.lookup(name); ns != nil {
		return ns
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ns := s.namespaces[name]
	if ns == nil {
		ns = newNamespace(s, name)
		s.namespaces[name] = ns
	}
	return ns
}

// Lookup returns the namespace with that name, or nil where [Server.Of] would create it.
func (s *Server) Lookup(name string) *Namespace { return s.lookup(rooted(name)) }

// rooted adds the slash that names of namespaces begin with.
func rooted(name string) string {
	if name == "" || name[0] != '/' {
		return "/" + name
	}
	return name
}

func (s *Server) lookup(name string) *Namespace {
	if name == "/" && s.Namespace != nil {
		return s.Namespace
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.namespaces[name]
}

// complain logs what went wrong between nodes, and may do so for each client.
func (s *Server) complain(doing, namespace string, err error) {
	s.often.Log(context.Background(), slog.LevelWarn, doing+" "+namespace, "socketio: "+doing, slog.String("namespace", namespace), slog.Any("err", err))
}

// Namespaces returns the namespaces that exist, in no order.
func (s *Server) Namespaces() []*Namespace {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Collect(maps.Values(s.namespaces))
}
