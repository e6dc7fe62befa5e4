package engineio

import (
	"time"

	"github.com/peal-dev/peal/internal/netconn"
)

// A session lives, may leave, and is gone:
//
//	          part: Close, a shutdown or the client's close packet,
//	          on polling, with the poll that fetches the rest to come
//	┌────────┐                                                        ┌─────────┐
//	│ living ├───────────────────────────────────────────────────────►│ leaving │
//	└───┬────┘                                                        └────┬────┘
//	    │ part: whatever else ends a session                               │ depart: that poll is answered, or has not
//	    │                       ┌──────┐                                   │ come in time; CloseWith, as at the end of
//	    └──────────────────────►│ gone │◄──────────────────────────────────┘ a shutdown
//	                            └──────┘
//
// Each move is made once, under the session's mutex, and what follows from it is done by who made it, in Session.end. With
// the one out of living the receiver is told and what still arrives is dropped. With the one into gone the session leaves
// the table and its place at the gate, and an answer that is being written to a poll ends; all that is left of it is its
// WebSocket, if it has one, until the client has taken what was sent or its time for that is over. A session that is leaving does nothing but answer polls with what there is.
type stage uint32

const (
	living stage = iota
	leaving
	gone
)

const (
	// lingerTimeout bounds how long a session that has ended waits for its client to take the last bytes.
	lingerTimeout = 30 * time.Second
	// leaveGrace is how long a session that its client closed waits for a poll that was sent at the same time.
	leaveGrace = time.Second
)

func (s *Session) stage() stage { return stage(s.life.Load()) }

// over reports whether the session has ended, so that what still arrives is dropped. It takes no lock.
func (s *Session) over() bool { return s.stage() != living }

// end ends the session. With flush set, what waits for the client is still delivered.
func (s *Session) end(reason Reason, cause error, flush bool) {
	var conn *netconn.Conn
	var tried *upgrade
	s.mu.Lock()
	from := s.stage()
	switch {
	case from == living:
		conn, tried = s.part(reason, flush)
	case from == leaving && !flush:
		s.depart()
	}
	to := s.stage()
	s.mu.Unlock()

	tried.abandon()
	if conn != nil {
		s.closeConn(conn, reason, cause, flush)
	}
	if from != gone && to == gone {
		s.server.remove(s)
	}
	if from == living {
		s.tell(reason, cause)
	}
}

// part is the move out of living. It returns what is to be closed: the connection in use, and the one being tried. It is
// called with s.mu held.
func (s *Session) part(reason Reason, flush bool) (conn *netconn.Conn, tried *upgrade) {
	tried, s.upgrade = s.upgrade, nil
	s.wakePost()
	if conn = s.conn.Load(); conn != nil {
		s.become(gone, lingerTimeout)
		return conn, tried
	}
	t := s.polling
	t.stopReading()
	t.missed = reason == PingTimeout
	var pollToCome bool
	var patience time.Duration
	switch {
	case flush:
		pollToCome, patience = t.leave(), lingerTimeout
	case reason == TransportClose: // the client said it leaves: it wants its poll back, not a goodbye
		pollToCome, patience = t.discard(noopPacket), leaveGrace
	default:
		t.discard(endPacket)
	}
	if pollToCome {
		s.become(leaving, patience)
	} else {
		s.become(gone, 0)
	}
	return nil, tried
}

// depart is the move from leaving to gone. It is called with s.mu held.
func (s *Session) depart() {
	s.polling.discard(endPacket)
	s.become(gone, 0)
}

// become moves the session on. Its client has that long to take what is left, if anything is. It is called with s.mu held.
func (s *Session) become(to stage, patience time.Duration) {
	s.life.Store(uint32(to))
	if s.polling != nil && to == gone {
		s.polling.stopWriting()
	}
	if patience > 0 {
		s.server.wheel.Set(&s.timer, (*expirer)(s), patience)
	} else {
		s.server.wheel.Stop(&s.timer)
	}
}

// tell tells the receiver of the end, on a goroutine of its own: it may be in a call, perhaps in the one that ends the
// session.
func (s *Session) tell(reason Reason, cause error) {
	s.server.live.Add(-1)
	go func() {
		defer s.server.wg.Done()
		defer s.recovered("Receiver.Close")
		s.inMu.Lock()
		receiver := s.receiver
		s.inMu.Unlock()      // a poller with late messages must not wait for what Close waits for
		if receiver != nil { // else its handler panicked
			receiver.Close(reason, cause)
		}
	}()
}
