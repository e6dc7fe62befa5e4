package engineio

// Parked reports whether a poll of the session waits for something to be sent.
func Parked(s *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.polling != nil && s.polling.parked != nil
}
