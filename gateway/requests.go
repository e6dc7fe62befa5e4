package gateway

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// Every request that is no stream ends, whoever sent it and whatever for: its body and its answer have deadlines, and the
// body's is short until a handler wants it. Streams and polls set their own.
const (
	// dismissal is how long net/http may wait for the rest of a body that nobody wants before it answers.
	dismissal = 2 * time.Second
	// bodyTimeout is how long the body of a request to publish may take to arrive.
	bodyTimeout = 30 * time.Second
	// answerTimeout is how long a client may take to take its answer, counted from its request, or from when publishing is
	// done.
	answerTimeout = 30 * time.Second
	// lastMoment is what requests that are left get at a shutdown.
	lastMoment = time.Second
)

// bounded gives the body of each request a deadline, before it is known who sent it.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 { // else there is nothing to wait for, and net/http watches the connection
			setReadDeadline(w, dismissal)
		}
		next.ServeHTTP(w, r)
	})
}

// setReadDeadline and setWriteDeadline bound what is still to be read and written of a request. A writer without
// deadlines is a test's, and there is nothing to wait for then.
func setReadDeadline(w http.ResponseWriter, within time.Duration) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(within))
}

func setWriteDeadline(w http.ResponseWriter, within time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(within))
}

// requests knows the connections on which net/http has a request, or waits for a new one's first. Its zero value is ready
// to use.
type requests struct {
	mu      sync.Mutex
	conns   map[net.Conn]http.ConnState
	active  int
	hurried bool
}

// track is the ConnState of the http.Servers.
func (q *requests) track(c net.Conn, state http.ConnState) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.conns[c] == http.StateActive {
		q.active--
	}
	switch state {
	case http.StateNew, http.StateActive:
		if q.conns == nil {
			q.conns = make(map[net.Conn]http.ConnState)
		}
		q.conns[c] = state
		if state == http.StateActive {
			q.active++
		}
		if q.hurried {
			lastCall(c)
		}
	default: // idle ones wait for nothing, hijacked ones are no requests any more
		delete(q.conns, c)
	}
}

// serving returns how many requests are being served.
func (q *requests) serving() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.active
}

// hurry gives all requests a last moment to arrive and to be answered.
func (q *requests) hurry() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.hurried = true
	for c := range q.conns {
		lastCall(c)
	}
}

func lastCall(c net.Conn) { _ = c.SetDeadline(time.Now().Add(lastMoment)) } // fails only on a closed connection
