package socketio

import (
	"context"
	"errors"
	"time"

	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/socketio/sioproto"
)

// handlerLimit is the longest time for which a shutdown leaves clients connected because handlers run.
const handlerLimit = 3 * time.Second

// Shutdown ends the server in order, within the time of ctx:
//
//  1. Clients are refused, and so are events of those there are: an event that wants an acknowledgement gets
//     [CodeShuttingDown].
//  2. Handlers of earlier events go on, and what they send is delivered, for a third of the time and at most three seconds.
//  3. All connections are closed with the reason "server shutting down", once what was sent to them has been taken: see
//     [engineio.Server.Shutdown]. Official clients try again, and reach another node if there is a balancer.
//  4. Handlers that still run, whose contexts are done now, are waited for, and those of OnDisconnect.
//  5. With recovery and a common log, the sessions of the clients are kept for the other nodes.
//  6. The server leaves the cluster.
//
// When ctx ends first, Shutdown returns its error without waiting any longer; it may be called again. Clients that poll
// fetch the last of their messages by requests, so shut the http.Server down after this.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	s.engine.Refuse()
	limit := handlerLimit
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)/3)
	}
	// One that takes longer may well be waiting for the end of its socket's context.
	handlers, cancel := context.WithTimeout(ctx, limit)
	_ = s.work.Wait(handlers)
	cancel()
	err := s.engine.Shutdown(ctx)
	err = errors.Join(err, s.work.Wait(ctx))
	for _, ns := range s.Namespaces() {
		if ns.recovery != nil {
			ns.recovery.shared.close(ctx) // for clients to go on at other nodes
		}
		err = errors.Join(err, ns.adapter.Close(ctx))
		if ns.recovery != nil {
			ns.recovery.sessions.Close()
		}
	}
	s.often.Close()
	return err
}

// Shed closes up to n connections, so that their clients come back to another node, and returns how many; see
// [engineio.Server.Shed]. The events that they have sent are still handled, and who may recover its connection may do so.
func (s *Server) Shed(n int) int { return s.engine.Shed(n) }

// turnAway answers an event that came too late.
func (s *Socket) turnAway(p *sioproto.Packet) {
	srv := s.namespace.server
	srv.counters.turnedAway.Add(1)
	if !p.HasID || s.state.Load() == stateClosed {
		return
	}
	refusal := ackError{&Error{Code: CodeShuttingDown, Message: "the server is shutting down; try again when you are connected again"}}
	data, _, err := sioproto.MarshalArgs(refusal)
	if err != nil {
		return // cannot be
	}
	// A client that has gone needs no answer.
	_ = s.send(prepare(&sioproto.Packet{Type: sioproto.Ack, Namespace: s.namespace.name, ID: p.ID, HasID: true, Data: data}), engineio.Deferred)
}
