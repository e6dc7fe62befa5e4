package engineio

import (
	"errors"
	"net/http"
	"time"

	"github.com/peal-dev/peal/engineio/eioproto"
	"github.com/peal-dev/peal/internal/netconn"
	"github.com/peal-dev/peal/internal/wsproto"
)

// noopInterval is how often a poll is answered with a noop while an upgrade is under way, so that the client can stop
// polling. The client must get one after its probe was answered; the reference sends it every 100 ms.
const noopInterval = 100 * time.Millisecond

// upgrade is the attempt of a polling session to move to a WebSocket. It is guarded by the session's mutex.
type upgrade struct {
	ws      *webSocket
	timeout *time.Timer
	noop    *time.Timer // after the probe
}

// abandon closes the connection of an attempt that has been taken from its session. Nil is no attempt.
func (u *upgrade) abandon() {
	if u == nil {
		return
	}
	u.stop()
	finish(u.ws.conn, emptyClose)
}

func (u *upgrade) stop() {
	u.timeout.Stop()
	if u.noop != nil {
		u.noop.Stop()
	}
}

// acceptUpgrade answers a WebSocket handshake for a session that exists. A session has one upgrade at a time and one in
// its life; any other connection is closed at once, and the session goes on as it was.
func (s *Server) acceptUpgrade(w http.ResponseWriter, r *http.Request, sess *Session, transport string) {
	if transport != WebSocket {
		s.refuseOverWebSocket(w, r)
		return
	}
	conn, buffered := s.takeOver(w, r, nil, nil)
	if conn == nil {
		return
	}
	ws := &webSocket{session: sess, conn: conn, probing: true}
	sess.mu.Lock()
	accepted := !sess.over() && sess.upgrade == nil && sess.conn.Load() == nil
	if accepted {
		sess.upgrade = &upgrade{ws: ws}
		sess.upgrade.timeout = time.AfterFunc(s.opts.UpgradeTimeout, func() { sess.upgradeLate(ws) })
	}
	sess.mu.Unlock()
	if !accepted {
		finish(conn, emptyClose)
		conn.Start(discard{}, buffered)
		return
	}
	conn.Start(ws, buffered)
}

// upgradeLate gives an attempt up that took too long, once what has arrived is read: as with heartbeats, the client may
// have done its part while the process was stopped.
func (s *Session) upgradeLate(ws *webSocket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.upgrade; u != nil && u.ws == ws {
		u.timeout = time.AfterFunc(s.server.grace, func() { s.abandonUpgrade(ws) })
	}
}

var probePong = wsproto.AppendFrame(nil, wsproto.Text, []byte("3probe"))

// probe handles a packet on a connection that is being tried.
func (s *Session) probe(ws *webSocket, p eioproto.Packet) {
	switch {
	case p.Type == eioproto.Ping && string(p.Data) == "probe":
		_ = ws.conn.Write(probePong, 0) // a connection that has gone is seen by its reader
		s.mu.Lock()
		if u := s.upgrade; u != nil && u.ws == ws && u.noop == nil {
			u.noop = time.AfterFunc(noopInterval, func() { s.sendNoop(u) })
		}
		s.mu.Unlock()
	case p.Type == eioproto.Upgrade:
		s.completeUpgrade(ws)
	default:
		s.abandonUpgrade(ws)
	}
}

// sendNoop ends a parked poll, again and again until the upgrade is decided.
func (s *Session) sendNoop(u *upgrade) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.upgrade != u || s.polling == nil {
		return
	}
	if s.polling.parked != nil && len(s.polling.buffer) == 0 {
		s.polling.push(noopPacket)
		s.polling.wake()
	}
	u.noop.Reset(noopInterval)
}

// completeUpgrade makes the connection that was tried the session's transport. What waited for a poll goes first.
func (s *Session) completeUpgrade(ws *webSocket) {
	s.mu.Lock()
	u := s.upgrade
	if s.over() || u == nil || u.ws != ws {
		s.mu.Unlock()
		s.abandonUpgrade(ws)
		return
	}
	u.stop()
	s.upgrade = nil
	t := s.polling
	err := ws.carry(t.next(t.bytes))
	t.stopReading()           // a client that upgrades has had the answers to all it asked
	t.stopWriting()           // and one that has not loses messages, and so the session
	t.moved = t.parked != nil // a client stops polling before it completes an upgrade: this poll is late
	t.wake()
	ws.probing = false
	if s.paused {
		ws.conn.Pause()
	}
	s.polling = nil
	s.conn.Store(ws.conn) // from here on senders write to it
	s.mu.Unlock()
	s.server.upgraded.Add(1)
	if err != nil { // what was accepted is lost, and so the session is
		s.CloseWith(lost(err))
	}
}

// carry sends what waited for a poll, whole: it was accepted, however much may wait on a WebSocket. What the kernel does
// not take at once does not count against what is sent later.
func (ws *webSocket) carry(waiting []*Prepared) error {
	var frames []byte
	for _, p := range waiting {
		frames = append(frames, p.in(ws.session.framing)...)
	}
	if len(frames) == 0 {
		return nil
	}
	ws.conn.Widen(len(frames))
	err := ws.conn.Write(frames, 0)
	if err == nil && ws.conn.Queued() == 0 { // as nearly always
		ws.conn.Widen(-len(frames))
	}
	return err
}

// lost says how a session ends whose connection did not take a message.
func lost(err error) (Reason, error) {
	if errors.Is(err, netconn.ErrSlow) {
		return TransportError, ErrSlowConsumer
	}
	return TransportClose, err
}

// abandonUpgrade gives an attempt up; the session stays on polling.
func (s *Session) abandonUpgrade(ws *webSocket) {
	s.mu.Lock()
	u := s.upgrade
	if u != nil && u.ws == ws {
		s.upgrade = nil
	} else {
		u = nil
	}
	s.mu.Unlock()
	if u != nil {
		u.abandon()
		return
	}
	ws.conn.Finish(emptyClose) // it was taken from the session before, and is bounded already
}
