package engineio

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/peal-dev/peal/engineio/eioproto"
	"github.com/peal-dev/peal/internal/netconn"
)

// sendPolling queues p for the next poll. If the session has moved to WebSocket meanwhile it returns the connection.
func (s *Session) sendPolling(p *Prepared, flags SendFlags) (sent bool, conn *netconn.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if conn := s.conn.Load(); conn != nil {
		return false, conn
	}
	t := s.polling
	if s.over() || t == nil {
		return false, nil
	}
	if flags&Volatile != 0 && t.parked == nil {
		return false, nil
	}
	if t.bytes > 0 && t.bytes-t.whole+p.cost() > s.server.opts.PollBuffer {
		return false, nil
	}
	t.push(p)
	t.wake()
	return true, nil
}

// refusal says why sendPolling did not take a message, and ends the session if that was for its slowness.
func (s *Session) refusal(flags SendFlags) error {
	switch {
	case s.over():
		return ErrClosed
	case flags&Volatile != 0:
		return ErrDropped
	default:
		s.CloseWith(TransportError, ErrSlowConsumer)
		return ErrSlowConsumer
	}
}

func (s *Session) servePolling(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		s.servePoll(w, r)
	case http.MethodPost:
		s.servePost(w, r)
	default:
		w.Header().Set("Allow", "GET, POST")
		s.server.turnAway(w, r, http.StatusMethodNotAllowed)
	}
}

var (
	errOverlap   = errors.New("engineio: the client sent a request while its last one was not answered")
	errPollGone  = errors.New("engineio: the connection of a poll closed before the poll was answered")
	errPostGone  = errors.New("engineio: the connection of a POST closed before its body was read")
	errPostSlow  = errors.New("engineio: the body of a POST did not arrive within Options.BodyTimeout")
	errNoContent = errors.New("engineio: invalid content: EIO=4 clients POST text")
)

// servePoll answers a GET as soon as there is something to send. The poll of a client that is late with a pong waits for
// the POST that may bring it, for the two travel on different connections.
func (s *Session) servePoll(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	t := s.polling
	switch {
	case t == nil || s.stage() == gone:
		s.mu.Unlock()
		s.server.refuse(w, r, refused(UnknownSession, "", "it has ended"))
		return
	case t.polling:
		s.mu.Unlock()
		s.CloseWith(TransportError, errOverlap)
		s.server.turnAway(w, r, http.StatusBadRequest)
		return
	case len(t.buffer) > 0 && s.late() && !s.server.wheel.Behind(s.server.grace): // it did not even fetch the ping
		s.mu.Unlock()
		s.CloseWith(PingTimeout, nil)
		s.server.refuse(w, r, refused(UnknownSession, "", "it has missed a ping"))
		return
	}
	t.polling = true
	defer func() {
		s.mu.Lock()
		t.polling = false
		s.mu.Unlock()
	}()
	if len(t.buffer) > 0 || t.last != nil {
		payload := t.take()
		last := s.stage() == leaving && t.last == nil
		s.mu.Unlock()
		s.respond(t, w, r, payload)
		if last {
			s.CloseWith(ForcedClose, nil)
		}
		return
	}
	parked := make(chan struct{})
	t.parked, t.suspect = parked, s.late()
	s.mu.Unlock()

	select {
	case <-parked:
	case <-r.Context().Done():
		s.mu.Lock()
		gone := t.parked == parked
		if gone {
			t.parked = nil
		}
		s.mu.Unlock()
		if gone {
			s.CloseWith(TransportError, errPollGone)
			return
		}
	}
	s.mu.Lock()
	moved, missed := t.moved, t.suspect && t.missed
	payload := t.take()
	s.mu.Unlock()
	switch {
	case moved:
		s.server.refuse(w, r, mismatch(s))
		return
	case missed:
		s.server.refuse(w, r, refused(UnknownSession, "", "it has missed a ping"))
		return
	}
	s.respond(t, w, r, payload)
}

// servePost takes a POST's packets and answers ok once they have been handled.
func (s *Session) servePost(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	t := s.polling
	if t == nil || s.over() {
		s.mu.Unlock()
		s.server.refuse(w, r, refused(UnknownSession, "", "it has ended"))
		return
	}
	overlap := t.posting
	t.posting = true
	s.mu.Unlock()
	if overlap {
		s.CloseWith(TransportError, errOverlap)
		s.server.turnAway(w, r, http.StatusBadRequest)
		return
	}
	defer func() {
		s.mu.Lock()
		t.posting = false
		s.mu.Unlock()
	}()
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/octet-stream") {
		s.CloseWith(TransportError, errNoContent)
		s.server.turnAway(w, r, http.StatusBadRequest)
		return
	}
	payload, ok := s.readBody(w, r, t.jsonp)
	if !ok {
		return
	}
	s.receive(r, payload)
	s.server.answer(w)
	w.Header().Set("Content-Type", "text/html")
	s.common(w, r)
	_, _ = w.Write([]byte("ok")) // a client that has gone is found by its heartbeat
}

// readBody reads a POST's payload. If it returns false, the request has been answered. A nil payload is a JSONP form
// without data, which is ignored.
func (s *Session) readBody(w http.ResponseWriter, r *http.Request, jsonp bool) (payload []byte, ok bool) {
	limit := int64(s.server.opts.MaxPayload)
	if jsonp {
		limit = limit*3 + 2 // every byte of a form may be escaped
	}
	body, err := s.read(w, r, limit)
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		s.server.turnAway(w, r, http.StatusRequestEntityTooLarge) // the session lives: it was told the limit and may go on
		return nil, false
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.CloseWith(TransportError, errPostSlow) // unless its end is what ended the reading
		s.server.answer(w)
		w.WriteHeader(http.StatusRequestTimeout)
		return nil, false
	case err != nil:
		s.CloseWith(TransportError, errPostGone)
		s.server.answer(w)
		w.WriteHeader(http.StatusBadRequest)
		return nil, false
	}
	if jsonp {
		form, err := url.ParseQuery(string(body))
		if err != nil || !form.Has("d") {
			return nil, true
		}
		body = eioproto.DecodeJSONPData(form.Get("d"))
		if len(body) > s.server.opts.MaxPayload {
			s.server.answer(w)
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return nil, false
		}
	} else if body == nil {
		body = []byte{}
	}
	return body, true
}

// read reads the body of a POST; the end of the session ends it.
func (s *Session) read(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	s.mu.Lock()
	t := s.polling
	if t == nil || s.over() {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	t.body = http.NewResponseController(w)
	s.mu.Unlock()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	s.mu.Lock()
	t.body = nil // from here on net/http watches the connection, which is not to be cut
	s.mu.Unlock()
	return body, err
}

// receive handles the packets of a payload. It waits while the session is paused: the client sends its next payload only
// after this one was answered.
func (s *Session) receive(r *http.Request, payload []byte) {
	if payload == nil {
		return
	}
	for p, err := range eioproto.Packets(payload) {
		if err != nil {
			s.CloseWith(ParseError, err)
			return
		}
		if !s.awaitResume(r) {
			return
		}
		s.packet(p)
	}
}

// awaitResume waits while the session is paused; false says that there is nothing more to receive.
func (s *Session) awaitResume(r *http.Request) bool {
	for {
		s.mu.Lock()
		if over := s.over(); over || !s.paused {
			s.mu.Unlock()
			return !over
		}
		if s.resumed == nil {
			s.resumed = make(chan struct{})
		}
		resumed := s.resumed
		s.mu.Unlock()
		select {
		case <-resumed:
		case <-r.Context().Done():
			s.CloseWith(TransportError, errPostGone)
			return false
		}
	}
}

// common sets the headers of every polling response.
func (s *Session) common(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff") // a script element of another site must not run it
	if ua := r.UserAgent(); strings.Contains(ua, ";MSIE") || strings.Contains(ua, "Trident/") {
		w.Header().Set("X-XSS-Protection", "0") // these browsers take base64 in a script for an attack
	}
}

// respond answers a poll.
func (s *Session) respond(t *polling, w http.ResponseWriter, r *http.Request, payload []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	if t.jsonp {
		h.Set("Content-Type", "text/javascript; charset=UTF-8")
		payload = eioproto.AppendJSONP(nil, r.URL.Query().Get("j"), payload)
	}
	s.common(w, r)
	payload = s.server.encode(h, r, payload)
	s.server.dismiss(w, r) // a GET may have a body too
	if err := s.write(t, w, payload); err != nil {
		s.CloseWith(TransportError, errPollGone) // what it was to read is lost
	}
}
