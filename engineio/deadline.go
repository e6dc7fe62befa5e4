package engineio

import (
	"net/http"
	"time"
)

// The deadlines of an http.Server count from the beginning of a request: they would cut a poll that waits for something
// to be sent, and a server without them waits for ever for a body, or for a client to read its answer. So each request
// is given its own: one for its body, and one for its answer that counts from when the answer begins. net/http sets its
// own again for the next request of the connection.
//
// Errors of setting them are ignored: a ResponseWriter without deadlines is a test's, or a middleware's that hides them.

const (
	// answerChunk is how much of an answer is written under one deadline.
	answerChunk = 64 << 10
	// dismissal is the longest time for which the body of a request is still read that was answered without it: a client
	// that sends it at once keeps its connection.
	dismissal = 2 * time.Second
)

// hasBody reports whether a request may have a body that has not arrived. The deadline for reading is left alone
// otherwise: net/http watches the connection of such a request, and it is that what would end.
func hasBody(r *http.Request) bool { return r.ContentLength != 0 }

// accept bounds the body of a request, and takes from its answer, which may be long in coming, what http.Server bounds
// it by.
func (s *Server) accept(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	if hasBody(r) {
		_ = c.SetReadDeadline(time.Now().Add(s.opts.BodyTimeout))
	}
	_ = c.SetWriteDeadline(time.Time{})
}

// answer bounds the answer that is about to be written.
func (s *Server) answer(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.opts.WriteTimeout))
}

// dismiss is answer for a request whose body is of no interest. net/http reads what is left of it before the answer
// leaves, and closes the connection if that did not come to its end.
func (s *Server) dismiss(w http.ResponseWriter, r *http.Request) {
	if hasBody(r) {
		within := min(dismissal, s.opts.WriteTimeout/2) // the time for the answer has begun
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(within))
	}
	s.answer(w)
}

// turnAway answers a request with a status alone and without reading its body.
func (s *Server) turnAway(w http.ResponseWriter, r *http.Request, status int) {
	s.dismiss(w, r)
	w.WriteHeader(status)
}

// write writes the body of an answer to a poll. Its client has WriteTimeout for every chunk until the session is gone,
// which ends the writing. Only an answer that begins after that, to tell of the end, gets half of it for all.
func (s *Session) write(t *polling, w http.ResponseWriter, b []byte) error {
	c := http.NewResponseController(w)
	defer func() {
		s.mu.Lock()
		if t.answer == c {
			t.answer = nil // what net/http still holds leaves within the time of the last chunk
		}
		s.mu.Unlock()
	}()
	for begun := false; ; begun = true {
		s.mu.Lock()
		switch {
		case s.polling == t && s.stage() != gone:
			t.answer = c
			_ = c.SetWriteDeadline(time.Now().Add(s.server.opts.WriteTimeout))
		case !begun:
			_ = c.SetWriteDeadline(time.Now().Add(s.server.opts.WriteTimeout / 2))
		}
		s.mu.Unlock()
		n := min(len(b), answerChunk)
		if _, err := w.Write(b[:n]); err != nil {
			return err
		}
		if b = b[n:]; len(b) == 0 {
			return nil
		}
	}
}

// longAgo is a deadline that ends what goes on.
var longAgo = time.Unix(1, 0)

// stopReading ends the reading of a body, of which nothing is wanted any more. It is called with the session's mutex held.
func (p *polling) stopReading() {
	if p.body != nil {
		_ = p.body.SetReadDeadline(longAgo)
		p.body = nil
	}
}

// stopWriting ends the writing of an answer, which then fails. It is called with the session's mutex held.
func (p *polling) stopWriting() {
	if p.answer != nil {
		_ = p.answer.SetWriteDeadline(longAgo)
		p.answer = nil
	}
}
