package engineio

// Shed ends up to n sessions with the reason Moved and returns how many. What was sent to a client is still delivered, on
// polling by a poll that it makes within 30 seconds. Official clients then connect anew by themselves, to another node if
// the load balancer has it so. Which sessions these are is left to chance. Shed does not wait for them.
func (s *Server) Shed(n int) int {
	if n <= 0 {
		return 0
	}
	sessions := make([]*Session, 0, min(n, s.Len()))
	s.mu.RLock()
	for _, sess := range s.sessions { // from anywhere in the table
		if len(sessions) == n {
			break
		}
		if !sess.over() {
			sessions = append(sessions, sess)
		}
	}
	s.mu.RUnlock()
	for _, sess := range sessions {
		sess.end(Moved, nil, true)
	}
	return len(sessions)
}
