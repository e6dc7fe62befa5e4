package gateway

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/eventlog/streamhttp"
	"github.com/peal-dev/peal/internal/utf8text"
	"github.com/peal-dev/peal/sse"
	"github.com/peal-dev/peal/web"
)

// publishTimeout is how long the cluster may take to accept a message.
const publishTimeout = 5 * time.Second

// routes answers clients and backends, and operators where they come in by the same address.
func (s *Server) routes() http.Handler {
	mux := s.clientRoutes()
	if s.cfg.InternalListen == "" {
		s.operatorRoutes(mux, s.withKey)
	} else {
		mux.Handle("/readyz", s.readable(s.only(http.MethodGet, s.ifReady)))
		mux.Handle("/", s.forPages(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.fail(w, r, &apiError{CodeNotFound, "there are /socket.io/, GET /v1/events and POST /v1/publish"})
		})))
	}
	return s.onlyKnownHosts(mux)
}

// internalRoutes answers operators, and everybody else too: the playground is a client of where it came from.
func (s *Server) internalRoutes() http.Handler {
	mux := s.clientRoutes()
	s.operatorRoutes(mux, func(private, _ http.HandlerFunc) http.HandlerFunc { return private })
	return s.onlyKnownHosts(mux)
}

// socketIOPaths are two, for a client told addTrailingSlash: false leaves the slash out, and follows no redirect with an
// upgrade.
var socketIOPaths = []string{"/socket.io", "/socket.io/"}

func (s *Server) clientRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, path := range socketIOPaths {
		mux.Handle(path, s.fromPeers(s.sessions()))
	}
	// The client's files are the only answers of s.io that may be compressed on the way.
	files, err := fs.Glob(web.ClientFiles(), "*.js*")
	if err != nil {
		panic(err) // the pattern is malformed
	}
	for _, name := range files {
		mux.Handle("/socket.io/"+name, web.Compress(s.io))
	}
	mux.Handle("/v1/events", s.unless(&s.leaving, s.streams, http.MethodGet))
	mux.Handle("/v1/publish", s.unless(&s.draining, s.forPages(s.only(http.MethodPost, s.publish), http.MethodPost), http.MethodPost))
	mux.Handle(streamhttp.DefaultPrefix, s.unless(&s.draining, s.forPages(http.HandlerFunc(s.topicStreams), topicMethods...), topicMethods...))
	mux.Handle("/v1/", s.forPages(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, &apiError{CodeNotFound, "there are GET /v1/events, POST /v1/publish and the topics at /v1/stream/, and for operators GET /v1/stats, /v1/topics, /v1/nodes, /v1/rooms and /v1/members and POST /v1/disconnect and /v1/drain"})
	})))
	mux.Handle("/healthz", s.readable(s.only(http.MethodGet, func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, map[string]bool{"ok": true})
	})))
	return mux
}

// operatorRoutes adds what tells of the node. Private is what those get whom to lets have it, of what tells more than
// clients need.
func (s *Server) operatorRoutes(mux *http.ServeMux, to func(private, others http.HandlerFunc) http.HandlerFunc) {
	mux.Handle("/v1/stats", s.forPages(s.only(http.MethodGet, s.stats), http.MethodGet, http.MethodHead))
	mux.Handle("/v1/rooms", s.forPages(s.only(http.MethodGet, s.asOperator(s.rooms)), http.MethodGet, http.MethodHead))
	mux.Handle("/v1/members", s.forPages(s.only(http.MethodGet, s.asOperator(s.members)), http.MethodGet, http.MethodHead))
	mux.Handle("/v1/topics", s.forPages(s.only(http.MethodGet, s.asOperator(s.listTopics)), http.MethodGet, http.MethodHead))
	mux.Handle("/v1/nodes", s.forPages(s.only(http.MethodGet, s.asOperator(s.nodes)), http.MethodGet, http.MethodHead))
	mux.Handle("/v1/disconnect", s.forPages(s.only(http.MethodPost, s.asOperator(s.disconnect)), http.MethodPost))
	mux.Handle("/v1/drain", s.forPages(s.only(http.MethodPost, s.asOperator(s.drainNode)), http.MethodPost))
	mux.Handle("/metrics", s.readable(to(s.metrics().ServeHTTP, s.refuseWithoutKey)))
	mux.Handle("/readyz", s.readable(s.only(http.MethodGet, to(s.readyz, s.ifReady))))
	mux.Handle("/", web.Handler())
}

// withKey gives private to whoever has the key, and to everybody in --dev.
func (s *Server) withKey(private, others http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.access.dev || s.access.backend(r) == nil {
			private(w, r)
			return
		}
		others(w, r)
	}
}

func (s *Server) refuseWithoutKey(w http.ResponseWriter, r *http.Request) {
	err := s.access.backend(r)
	if bearer(r) == "" {
		err = &apiError{CodeTokenRequired, "send the server's API key as Authorization: Bearer KEY, or start the server with --internal-listen"}
	}
	s.fail(w, r, err)
}

// forPages lets only pages of allowed origins use next, which takes the given methods. In --dev no key protects the API,
// and any page the developer visits could post to it.
func (s *Server) forPages(next http.Handler, methods ...string) http.Handler {
	return s.cfg.pages().Guard(methods...).Handler(next, func(w http.ResponseWriter, r *http.Request, _ error) {
		s.fail(w, r, &apiError{CodeOriginNotAllowed, "pages of this origin may not use this node; allow it with --allow-origin"})
	})
}

// readable lets pages of allowed origins read what next answers to GET. Others may ask, for it does nothing and a link
// may lead to it, but browsers keep the answer from them.
func (s *Server) readable(next http.Handler) http.Handler {
	return s.cfg.pages().Guard(http.MethodGet, http.MethodHead).Handler(next, func(w http.ResponseWriter, r *http.Request, _ error) {
		next.ServeHTTP(w, r)
	})
}

// only refuses other methods; HEAD counts as GET.
func (s *Server) only(method string, next http.HandlerFunc) http.Handler {
	allow := method
	if method == http.MethodGet {
		allow = "GET, HEAD"
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method && !(method == http.MethodGet && r.Method == http.MethodHead) {
			w.Header().Set("Allow", allow)
			s.fail(w, r, &apiError{CodeMethodNotAllowed, "this path takes " + allow})
			return
		}
		next(w, r)
	})
}

// publish is POST /v1/publish.
func (s *Server) publish(w http.ResponseWriter, r *http.Request) {
	if err := s.access.backend(r); err != nil {
		s.fail(w, r, err)
		return
	}
	setReadDeadline(w, bodyTimeout)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.cfg.MaxBody)))
	setWriteDeadline(w, publishTimeout+answerTimeout) // the body took its time
	if err != nil {
		s.fail(w, r, bodyError(err, s.cfg.MaxBody))
		return
	}
	p, err := parsePublication(body, s.cfg.MaxRooms)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	name := p.Namespace
	if name == "" {
		name = "/"
	}
	rooms, err := s.namespace(name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	err = s.broadcast(r.Context(), rooms, p, nil)
	setWriteDeadline(w, answerTimeout) // also during a shutdown
	if err != nil {
		s.fail(w, r, err)
		return
	}
	respond(w, http.StatusOK, okReply{OK: true})
}

// subscribeStream decides on GET /v1/events.
func (s *Server) subscribeStream(r *http.Request) (sub sse.Subscription, err error) {
	defer func() { err = forStream(err) }()
	g, err := s.access.client(bearer(r))
	if err != nil {
		return sub, err
	}
	if err := g.needSubscribe(); err != nil {
		return sub, err
	}
	query := r.URL.Query()
	rooms := query["room"]
	for i, room := range rooms {
		rooms[i] = utf8text.String(room)
	}
	rooms = unique(rooms)
	if err := checkRooms(rooms, s.cfg.MaxRooms); err != nil {
		return sub, err
	}
	name := query.Get("namespace")
	if name == "" {
		name = "/"
	}
	sub.Adapter, err = s.namespace(name)
	sub.Rooms = rooms
	return sub, err
}

// namespace returns the adapter of a namespace that clients can use.
func (s *Server) namespace(name string) (*adapter.Adapter, error) {
	if slices.Contains(s.cfg.Namespaces, name) {
		return s.io.Of(name).Adapter(), nil
	}
	return nil, &apiError{CodeUnknownNamespace, "this server has no namespace " + strconv.Quote(name) + "; add it with --namespace"}
}

func bodyError(err error, limit int) error {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return &apiError{CodeBodyTooLarge, "the body is longer than the " + strconv.Itoa(limit) + " bytes this server takes (--max-body)"}
	}
	return &apiError{CodeInvalidRequest, "the body did not arrive whole"}
}
