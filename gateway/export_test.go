package gateway

// SetDraining puts the server into the state in which a shutdown finds requests that come in meanwhile, and back.
func (s *Server) SetDraining(draining bool) { s.draining.Store(draining) }
