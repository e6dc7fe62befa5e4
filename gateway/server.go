package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/peal-dev/peal/admission"
	"github.com/peal-dev/peal/cluster"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/internal/lograte"
	"github.com/peal-dev/peal/internal/reuseport"
	"github.com/peal-dev/peal/internal/service"
	"github.com/peal-dev/peal/internal/tally"
	"github.com/peal-dev/peal/socketio"
	"github.com/peal-dev/peal/sse"
	"github.com/peal-dev/peal/web"
)

// Limits of the HTTP servers; requests.go has those of requests.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// Server is a running node. It is safe for concurrent use. [Start] makes one and [Server.Shutdown] ends it.
type Server struct {
	cfg        Config
	log        *slog.Logger
	often      *lograte.Logger // for what may happen with every request
	node       string
	started    time.Time
	access     access
	driver     driver        // nil without a cluster
	broker     string        // what that speaks to
	cluster    *cluster.Node // likewise
	io         *socketio.Server
	streams    *sse.Handler
	topics     *topics         // nil without Config.Data
	admission  *admission.Gate // what counts both
	ready      *readiness
	listener   net.Listener
	http       *http.Server
	internal   *side      // nil without Config.InternalListen
	peers      *side      // nil without Config.PeerListen
	failed     chan error // what ended an HTTP server, once for each
	requests   requests
	leaving    atomic.Bool   // takes no new clients
	draining   atomic.Bool   // and publishes nothing more
	leave      chan struct{} // closed by Leave
	leaveOnce  sync.Once
	drainTime  atomic.Int64 // how long to send clients away before a shutdown, in nanoseconds
	rebalanced atomic.Uint64
	balancing  *service.Service // nil if it does not
	publishing service.Gate     // what is being published

	refusedRequests, refusedEvents tally.Tally // by code
}

// Run starts a node, calls started with it if that is not nil, and serves until ctx is done, whereupon it shuts down
// within ShutdownTimeout, after Config.Drain. It returns nil after a clean shutdown.
func Run(ctx context.Context, cfg Config, started func(*Server)) error {
	s, err := Start(ctx, cfg)
	if err != nil {
		return err
	}
	if started != nil {
		started(s)
	}
	failure := s.Wait(ctx)
	if failure != nil {
		s.drainTime.Store(0) // clients could not come for what is left
	}
	// ctx may be done; the shutdown has its own time.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(s.drainTime.Load())+s.cfg.ShutdownTimeout)
	defer cancel()
	return errors.Join(failure, s.Shutdown(ctx))
}

// listening leaves TCP's keep-alives out: heartbeats and comments find the dead sooner, and a connection is made with
// four system calls less.
var listening = net.ListenConfig{KeepAlive: -1}

// Start validates cfg, listens and serves. It does not wait for the cluster: until that is reached, /readyz says so
// and what is published reaches the clients of this node only. ctx bounds the start, not the server's life.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Server{cfg: cfg, log: cfg.Logger, often: lograte.New(cfg.Logger, lograte.Every), node: nodeName(), started: time.Now(), access: newAccess(&cfg), failed: make(chan error, 3), leave: make(chan struct{})}
	s.drainTime.Store(int64(cfg.Drain))
	started := false
	var err error
	if s.topics, err = s.openTopics(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if !started {
			_ = s.topics.close() // the start's error matters more
		}
	}()
	public := listening
	if cfg.ReusePort {
		public.Control = reuseport.Control
	}
	listener, err := public.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return nil, listenError("listen", cfg.Listen, err)
	}
	s.listener = listener
	secure, err := cfg.peerTLS()
	if err == nil {
		s.internal, err = listenAside(ctx, "internal-listen", cfg.InternalListen)
	}
	if err == nil {
		s.peers, err = listenAside(ctx, "peer-listen", cfg.PeerListen)
	}
	if err != nil {
		s.unlisten()
		return nil, err
	}
	if cfg.Cluster != "" {
		kind, err := cfg.driverKind()
		if err == nil {
			s.broker = kind.broker
			s.driver, err = kind.open(&cfg)
		}
		if err != nil {
			s.unlisten()
			return nil, fmt.Errorf("--cluster: %w", err)
		}
	}
	s.admission = admission.New(admission.Limits{Connections: s.cfg.MaxConnections, PerAddress: s.cfg.MaxPerAddress})
	if err := s.joinCluster(ctx, secure); err != nil { // the driver has taken the same options
		s.unlisten()
		return nil, errors.Join(err, s.driver.Close(ctx))
	}
	s.compose(secure)
	var serving sync.WaitGroup
	serving.Go(func() { s.serve(s.http, s.listener) })
	if s.internal != nil {
		serving.Go(func() { s.serve(s.internal.http, s.internal.listener) })
	}
	if s.peers != nil {
		serving.Go(func() { s.serve(s.peers.http, s.peers.listener) })
	}
	if s.cluster != nil && cfg.Rebalance > 0 {
		s.balancing = service.Start(s.rebalance)
	}
	go func() { // ends with all
		serving.Wait()
		close(s.failed)
	}()
	if cfg.Dev && !isLoopback(listener.Addr()) {
		s.log.LogAttrs(ctx, slog.LevelWarn, "--dev lets everybody who reaches this address subscribe and publish; on your own machine leave --listen out, elsewhere use --api-key",
			slog.String("listen", cfg.Listen))
	}
	started = true
	return s, nil
}

// unlisten gives up what was listened on and not served.
func (s *Server) unlisten() {
	_ = s.listener.Close()
	s.internal.close()
	s.peers.close()
}

// compose connects the parts; only adapters meet the cluster, in the background.
func (s *Server) compose(secure *peerTLS) {
	pages := s.cfg.pages()
	engine := engineio.Options{PingInterval: s.cfg.PingInterval, PingTimeout: s.cfg.PingTimeout,
		MaxPayload: s.cfg.MaxBody, SendBuffer: s.cfg.SendBuffer, PollBuffer: s.cfg.PollBuffer, Admission: s.admission, CORS: pages, JSONP: s.cfg.JSONP, OnError: s.connectionRefused}
	if s.cluster != nil {
		engine.GenerateID, engine.Elsewhere = s.cluster.SessionID, s.cluster.Forward
	}
	s.io = socketio.NewServer(&socketio.Options{
		Engine:      engine,
		Driver:      s.driver,
		Recovery:    s.cfg.recovery(),
		ClientFiles: web.ClientFiles(),
		Logger:      s.log,
	})
	s.ready = newReadiness()
	for _, name := range s.cfg.Namespaces {
		ns := s.io.Of(name)
		s.serveClients(ns)
		s.ready.watch(name, ns.Adapter())
	}
	s.streams = sse.NewHandler(s.subscribeStream, &sse.Options{KeepAlive: s.cfg.KeepAlive,
		SendBuffer: s.cfg.SendBuffer, Admission: s.admission, CORS: pages, OnError: s.streamRefused, Logger: s.log})
	s.http = s.newHTTP(s.routes())
	if s.internal != nil {
		s.internal.http = s.newHTTP(s.internalRoutes())
	}
	if s.peers != nil {
		s.peers.http = s.newHTTP(s.peerRoutes())
		s.peers.listener = secure.serve(s.peers.http, s.peers.listener)
	}
	s.listener = engineio.NewListener(s.listener, s.http, &engineio.ListenerOptions{KeepAlive: listening.KeepAlive})
}

func (s *Server) newHTTP(handler http.Handler) *http.Server {
	return &http.Server{Handler: bounded(handler), ReadHeaderTimeout: readHeaderTimeout, WriteTimeout: answerTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ConnState: s.requests.track,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)}
}

// serve runs an HTTP server until Shutdown closes it.
func (s *Server) serve(server *http.Server, listener net.Listener) {
	err := server.Serve(listener)
	if s.draining.Load() {
		err = nil
	} else {
		err = fmt.Errorf("serve %s: %w", baseURL(listener), err)
	}
	s.failed <- err
}

// URL returns the base URL under which this machine reaches the node, without a slash at its end.
func (s *Server) URL() string { return baseURL(s.listener) }

// InternalURL is URL of the address for operators; "" if there is none.
func (s *Server) InternalURL() string {
	if s.internal == nil {
		return ""
	}
	return baseURL(s.internal.listener)
}

func baseURL(listener net.Listener) string {
	addr, ok := listener.Addr().(*net.TCPAddr)
	if !ok || !addr.IP.IsUnspecified() {
		return "http://" + listener.Addr().String()
	}
	return fmt.Sprintf("http://127.0.0.1:%d", addr.Port)
}

// Addr returns the address the node listens on, with the port that was chosen.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Node returns the node's name, unlike that of any other node.
func (s *Server) Node() string { return s.node }

// Wait returns nil when ctx is done, the node is to leave or the server was shut down, or else what made it stop serving.
func (s *Server) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.leave:
		return nil
	case err := <-s.failed:
		return err
	}
}

// listenError says what to do about an address that cannot be listened on.
func listenError(setting, addr string, err error) error {
	addr = "--" + setting + " " + addr
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: the port is in use; stop the program that has it, or choose another port (0 takes a free one): %w", addr, err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: not permitted; choose a port above 1023, or give the binary the capability cap_net_bind_service: %w", addr, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s: this machine does not have that address; leave the host out to listen on all: %w", addr, err)
	}
	return fmt.Errorf("%s: %w", addr, err)
}

// nodeName tells nodes apart in logs and counters, two on one machine and one before and after a restart too.
func nodeName() string {
	suffix := strings.ToLower(rand.Text()[:6])
	host, err := os.Hostname()
	if err != nil {
		return suffix
	}
	return host + "-" + suffix
}
