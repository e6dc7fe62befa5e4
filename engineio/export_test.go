package engineio

import "unsafe"

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
