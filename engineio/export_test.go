package engineio

import (
	"time"
	"unsafe"

	"github.com/peal-dev/peal/internal/wheel"
)

// SessionSize is what a session takes beside what it points to.
const SessionSize = unsafe.Sizeof(Session{})

// Parked reports whether a poll of the session waits for something to be sent.
func Parked(s *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.polling != nil && s.polling.parked != nil
}

// Sessions returns the sessions in the server's table.
func Sessions(s *Server) map[*Session]bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make(map[*Session]bool)
	for _, session := range s.sessions {
		all[session] = true
	}
	return all
}

// Find looks for a parameter of a query.
func Find(raw, name string) (value string, ok bool) { return query(raw).find(name) }

// Quality returns the weight that an Accept-Encoding header gives an encoding, in thousandths.
func Quality(accept, encoding string) int { return quality(accept, encoding) }

// Framed returns what p has made for every framing: WebSocket, WebSocket with base64, polling.
func Framed(p *Prepared) (all [framings][]byte) {
	for f := range framings {
		all[f] = p.in(f)
	}
	return all
}

// BeatAt has the pings of all sessions fall due at the same time, and tells how late the timers are that come behind them.
func BeatAt(s *Server, at time.Time, late func(time.Duration)) {
	for session := range Sessions(s) {
		session.mu.Lock()
		session.pulse, session.due = calm, at
		s.wheel.Set(&session.timer, (*expirer)(session), time.Until(at))
		session.mu.Unlock()
	}
	behind := at.Add(wheel.DefaultTick)
	s.wheel.Set(new(wheel.Timer), witness(func() { late(time.Since(behind)) }), time.Until(behind))
}

// witness is called when a timer has run out.
type witness func()

func (w witness) Expire() { w() }
