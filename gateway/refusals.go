package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"golang.org/x/time/rate"

	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/origin"
	"github.com/peal-dev/peal/socketio"
	"github.com/peal-dev/peal/sse"
)

// advice is what an operator can do about clients whose connections are refused, by the word for the reason,
// which is the same for all that connect.
var advice = map[string]string{
	"origin_not_allowed":           "a page of another origin wants in: if it should, name its origin with --allow-origin; if it is this node's own page, see that the proxy passes Host on",
	"jsonp_disabled":               "a client wants JSONP, which is for browsers without CORS: have it use polling, or start the node with --jsonp",
	"unsupported_protocol_version": "a client speaks another revision of Engine.IO than 4: use a client of Socket.IO 3 or 4",
	"transport_unknown":            "something that is no client of Socket.IO asks at its path",
	"session_id_unknown":           "the session has ended, or is of a node that has died or that this one cannot reach: see that nodes reach each other by their --advertise, or give the load balancer sticky sessions",
	"too_many_clients":             "all places are taken: raise --max-connections, or start another node",
	"too_many_from_address":        "one address has all the connections it may have; if that is a proxy or a large network, raise --max-per-address",
	"too_many_pending":             "clients that connect and never join a namespace hold their places; see whose they are by remote",
	"takeover_impossible":          "a WebSocket has to reach this node over HTTP/1.1: have the proxy speak that to it",
	"transport_handshake_error":    "a WebSocket handshake arrives without its Upgrade: have the proxy pass Upgrade and Connection on",
}

// connectionRefused tells of a request that package engineio refused, which counts it too.
func (s *Server) connectionRefused(e *engineio.ConnectionError) {
	reason := e.Reason()
	attrs := []slog.Attr{slog.String("reason", reason), slog.String("remote", e.Request.RemoteAddr)}
	if what := advice[reason]; what != "" {
		attrs = append(attrs, slog.String("advice", what))
	}
	var page *origin.RefusedError
	switch {
	case errors.As(e.Err, &page):
		attrs = append(attrs, slog.String("origin", page.Origin))
	case e.Detail != "":
		attrs = append(attrs, slog.String("detail", e.Detail))
	}
	s.often.Log(e.Request.Context(), slog.LevelInfo, "connection: "+reason, "Socket.IO clients are refused", attrs...)
}

// streamRefused tells of a request that package sse refused, which counts it too.
func (s *Server) streamRefused(r *http.Request, e *sse.Error) {
	attrs := []slog.Attr{slog.String("reason", e.Code), slog.String("advice", cmp.Or(advice[e.Code], e.Message)), slog.String("remote", r.RemoteAddr)}
	if e.Code == CodeOriginNotAllowed {
		attrs = append(attrs, slog.String("origin", r.Header.Get("Origin")))
	}
	s.often.Log(r.Context(), slog.LevelInfo, "stream: "+e.Code, "event streams are refused", attrs...)
}

// requestRefused counts a refused request to the HTTP API and tells of it.
func (s *Server) requestRefused(r *http.Request, e *apiError) {
	s.refusedRequests.Add(e.code)
	s.often.Log(r.Context(), slog.LevelInfo, "request: "+e.code, "requests are refused",
		slog.String("reason", e.code), slog.String("advice", e.message), slog.String("path", r.URL.Path), slog.String("remote", r.RemoteAddr))
}

// refuseEvent makes err what package socketio acknowledges a client's event with; it counts and tells of a refusal.
func (s *Server) refuseEvent(ctx context.Context, event string, err error) error {
	var e *apiError
	if errors.As(err, &e) {
		s.refusedEvents.Add(e.code)
		s.often.Log(ctx, slog.LevelInfo, "event: "+e.code, "events of clients are refused",
			slog.String("reason", e.code), slog.String("advice", e.message), slog.String("event", event))
	}
	return forSocket(err)
}

// publishBurst is how many seconds' worth of messages a client that was silent may publish at once.
const publishBurst = 2

// paceKey is the key of a socket's data under which its pace is, once it has published.
const paceKey socketio.Key[*rate.Limiter] = "pace"

// checkPace refuses a client that publishes faster than one may. Whoever has the API key is a backend and may do so.
func (s *Server) checkPace(sock *socketio.Socket) error {
	if s.grantOf(sock).byKey {
		return nil
	}
	limit := s.cfg.MaxPublishRate
	pace, ok := paceKey.Lookup(sock)
	if !ok { // a socket's events are handled one at a time, so that there is one
		pace = rate.NewLimiter(rate.Limit(limit), publishBurst*limit)
		paceKey.Set(sock, pace)
	}
	if pace.Allow() {
		return nil
	}
	return &apiError{CodeRateLimited, fmt.Sprintf("this server takes %d messages a second from one client; send fewer, or raise --max-publish-rate", limit)}
}
