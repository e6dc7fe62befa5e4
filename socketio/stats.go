package socketio

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/internal/tally"
)

// Stats is a snapshot of a server's counters. All but Connections, Sockets and the two of clients that are away only grow.
type Stats struct {
	Connections int // open Engine.IO sessions
	Sockets     int // connected sockets, over all namespaces
	Away        int // clients that are away and may come back, over all namespaces
	AwayOfOne   int // of these, those of one namespace and the address that has the most

	Connected    uint64            // sockets that connected
	Recovered    uint64            // of these, clients that went on where they were
	NotRecovered uint64            // clients that asked for that and could not
	LostSessions map[string]uint64 // these by reason: see LostUnknown and those below it
	Unsaved      uint64            // sessions that no other node can take: the common log's store did not take them, or too many waited
	Unsettled    int               // sessions that wait to be kept for other nodes, over all namespaces
	Forgotten    uint64            // sessions of absent clients that had to go for others
	Refused      map[string]uint64 // CONNECT packets refused: by the code of a middleware's *Error, or RefusedByMiddleware, RefusedNamespace
	Disconnected map[Reason]uint64
	EventsIn     uint64 // events received for a namespace the client has joined
	TurnedAway   uint64 // of these, events not handled because the server was shutting down
	EventsOut    uint64 // events handed to connections, one for each receiver
	AcksIn       uint64 // acknowledgements received that somebody waited for
	AcksOut      uint64 // acknowledgements sent
	LateOpenings uint64 // clients told of their connection before OnConnect had returned, because it took too long
	Paused       uint64 // times a connection was not read any further because its inbox was full

	ConnectFloods  uint64 // connections closed because too many of their CONNECTs were refused
	ProtocolErrors uint64 // connections closed for a violation of the protocol
	HandlerErrors  uint64 // handlers that returned an error not meant for the client
	HandlerPanics  uint64 // handlers that panicked
	BadArguments   uint64 // events whose arguments did not fit the handler
	Dropped        uint64 // volatile events dropped for one receiver
	SlowConsumers  uint64 // events that found the connection's send buffer full, after which it is closed

	Engine engineio.Stats // of the sessions and connections below
}

// counters are the server's own. Deliveries of broadcasts are counted by the adapters, once per broadcast.
type counters struct {
	sockets                                      atomic.Int64
	connected, lateOpenings                      atomic.Uint64
	eventsIn, eventsOut, acksIn, acksOut, paused atomic.Uint64
	protocolErrors, handlerErrors, handlerPanics atomic.Uint64
	badArguments, dropped, slowConsumers         atomic.Uint64
	turnedAway, connectFloods                    atomic.Uint64
	recovered, forgotten, unsaved                atomic.Uint64
	notRecovered                                 tally.Fixed[lostReason]
	disconnected                                 tally.Fixed[Reason]
	refused                                      tally.Tally
}

// Why a CONNECT was refused, in [Stats], where the middleware's error has no code of its own.
const (
	RefusedByMiddleware = "middleware"
	RefusedNamespace    = "unknown_namespace"
)

// lostReason says why a client that came back is a new one.
type lostReason string

// Why a client was not recovered, in [Stats].
const (
	LostUnknown     = "unknown"     // nobody has its session, or has it any more
	LostTrimmed     = "trimmed"     // the log does not go back so far
	LostTooMuch     = "too much"    // more was missed than a client is given
	LostTaken       = "taken"       // another has come back as it meanwhile, or it was disconnected
	LostUnavailable = "unavailable" // the session could not be asked for

	lostUnknown, lostTrimmed, lostTooMuch lostReason = LostUnknown, LostTrimmed, LostTooMuch
	lostTaken, lostUnavailable            lostReason = LostTaken, LostUnavailable
)

func newCounters() counters {
	return counters{notRecovered: tally.Of(lostUnknown, lostTrimmed, lostTooMuch, lostTaken, lostUnavailable), disconnected: tally.Of(
		ReasonClientDisconnect, ReasonServerDisconnect, ReasonTransportClose, ReasonTransportError, ReasonPingTimeout,
		ReasonForcedClose, ReasonParseError, ReasonServerShutdown, ReasonMoved,
	)}
}

// refused counts a CONNECT that was refused, and tells of it.
func (s *Server) refused(reason string, attrs ...slog.Attr) {
	s.counters.refused.Add(reason)
	s.often.Log(context.Background(), slog.LevelInfo, "refused "+reason, "socketio: clients are refused",
		append(attrs, slog.String("reason", reason))...)
}

// Stats returns the counters. It is cheap enough to be called at every scrape.
func (s *Server) Stats() Stats {
	c := &s.counters
	st := Stats{
		Connections: s.engine.Len(), Sockets: int(c.sockets.Load()),
		Recovered: c.recovered.Load(), LostSessions: make(map[string]uint64), Forgotten: c.forgotten.Load(), Unsaved: c.unsaved.Load(),
		Connected: c.connected.Load(), Refused: c.refused.Counts(), Disconnected: c.disconnected.Counts(),
		EventsIn: c.eventsIn.Load(), TurnedAway: c.turnedAway.Load(), EventsOut: c.eventsOut.Load(), AcksIn: c.acksIn.Load(), AcksOut: c.acksOut.Load(),
		LateOpenings: c.lateOpenings.Load(), Paused: c.paused.Load(), ConnectFloods: c.connectFloods.Load(), ProtocolErrors: c.protocolErrors.Load(), HandlerErrors: c.handlerErrors.Load(),
		HandlerPanics: c.handlerPanics.Load(), BadArguments: c.badArguments.Load(), Dropped: c.dropped.Load(),
		SlowConsumers: c.slowConsumers.Load(), Engine: s.engine.Stats(),
	}
	for reason, n := range c.notRecovered.Counts() {
		st.LostSessions[string(reason)] = n
		st.NotRecovered += n
	}
	for _, ns := range s.Namespaces() {
		st.EventsOut += ns.adapter.Stats().Deliveries
		if ns.recovery != nil {
			st.Away += ns.recovery.sessions.Len()
			st.Unsettled += ns.recovery.shared.waiting()
			st.AwayOfOne = max(st.AwayOfOne, ns.recovery.sessions.Most())
		}
	}
	return st
}
