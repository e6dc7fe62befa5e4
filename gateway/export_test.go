package gateway

import (
	"log/slog"
	"net/http"

	"github.com/peal-dev/peal/internal/lograte"
)

// SetDraining puts the server into the state in which a shutdown finds requests that come in meanwhile, and back.
func (s *Server) SetDraining(draining bool) {
	s.leaving.Store(draining)
	s.draining.Store(draining)
}

// Defaults returns the configuration with the defaults of zero fields.
func Defaults(c Config) Config { return c.withDefaults() }

// ParsePublication parses a request to publish and returns the message it makes, as JSON.
func ParsePublication(data []byte, maxRooms int) ([]byte, error) {
	p, err := parsePublication(data, maxRooms)
	if err != nil {
		return nil, err
	}
	m, err := p.message(nil)
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

// Code returns the code of a refusal, or "" if err is none.
func Code(err error) string {
	if e, ok := err.(*apiError); ok {
		return e.code
	}
	return ""
}

// NewHTTP returns an http.Server with the limits of a node, and what counts its requests. Beside the handler, /publish is
// that of a node in --dev.
func NewHTTP(handler http.Handler) (server *http.Server, serving func() int) {
	cfg := Config{Dev: true}
	cfg = cfg.withDefaults()
	s := &Server{cfg: cfg, access: newAccess(&cfg), log: slog.New(slog.DiscardHandler), often: lograte.New(slog.New(slog.DiscardHandler), lograte.Every)}
	mux := http.NewServeMux()
	mux.Handle("/", handler)
	mux.HandleFunc("/publish", s.publish)
	return s.newHTTP(mux), s.requests.serving
}
