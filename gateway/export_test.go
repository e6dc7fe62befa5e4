package gateway

import (
	"log/slog"
	"net/http"
)

// SetDraining puts the server into the state in which a shutdown finds requests that come in meanwhile, and back.
func (s *Server) SetDraining(draining bool) { s.draining.Store(draining) }

// Defaults returns the configuration with the defaults of zero fields.
func Defaults(c Config) Config { return c.withDefaults() }

// ParsePublication parses a request to publish and returns the message it makes, as JSON.
func ParsePublication(data []byte, maxRooms int) ([]byte, error) {
	p, err := parsePublication(data, maxRooms)
	if err != nil {
		return nil, err
	}
	m, err := p.message("/", nil)
	if err != nil {
		return nil, err
	}
	return m.Packet.Data, nil
}

// Code returns the code of a refusal, or "" if err is none.
func Code(err error) string {
	if e, ok := err.(*apiError); ok {
		return e.code
	}
	return ""
}

// NewHTTP returns an http.Server with the limits of a node, and what counts its requests.
func NewHTTP(handler http.Handler) (server *http.Server, serving func() int) {
	s := &Server{log: slog.New(slog.DiscardHandler)}
	return s.newHTTP(handler), s.requests.serving
}
