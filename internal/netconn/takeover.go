package netconn

import (
	"net/http"
)

// descriptorTaker is a ResponseWriter or a net.Conn, not of this package, whose connection is a descriptor that nothing
// else knows of: one for a poller, without a detour through package net.
type descriptorTaker interface {
	// TakeDescriptor gives the descriptor of a plain, non-blocking connection away, of which nothing was read that is still
	// to be read from the giver. With false nothing has changed.
	TakeDescriptor() (fd int, ok bool)
}

// unreadTaker is a net.Conn that something was read of before it was one.
type unreadTaker interface {
	// TakeUnread takes what was read away from the connection.
	TakeUnread() []byte
}

// Takeover takes the connection of a request over from net/http, or from whatever else serves it by a ResponseWriter that
// has a TakeDescriptor. The returned bytes were read from the connection but not yet consumed: the caller hands them to
// Start. What is written to the connection passes no writer that a middleware has put before it, so what these have
// announced of the body is taken out of w's header.
func (l *Loop) Takeover(w http.ResponseWriter, limit int) (c *Conn, buffered []byte, err error) {
	if c, buffered, err = l.takeover(w, limit); err == nil {
		if h := w.Header(); len(h) > 0 {
			for _, name := range ofBody {
				delete(h, name)
			}
		}
	}
	return c, buffered, err
}

// ofBody are the headers by which a writer says what it makes of a body.
var ofBody = []string{"Content-Encoding", "Content-Length", "Transfer-Encoding", "Trailer"}

func (l *Loop) takeover(w http.ResponseWriter, limit int) (c *Conn, buffered []byte, err error) {
	if taker, ok := find[descriptorTaker](w); ok {
		l.start()
		if pollers := l.polling(); len(pollers) > 0 {
			if fd, ok := taker.TakeDescriptor(); ok {
				return l.adoptDescriptor(fd, pollers, limit), nil, nil
			}
		}
	}
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if n := rw.Reader.Buffered(); n > 0 {
		buffered = make([]byte, n)
		if _, err := rw.Read(buffered); err != nil {
			_ = nc.Close() // the error of the read is the one to report
			return nil, nil, err
		}
	}
	if ahead, ok := nc.(unreadTaker); ok { // before Adopt, which needs a connection of which nothing was read
		buffered = append(buffered, ahead.TakeUnread()...)
	}
	return l.Adopt(nc, limit), buffered, nil
}

// find finds what a ResponseWriter that middlewares may have wrapped can do.
func find[T any](w http.ResponseWriter) (found T, ok bool) {
	for {
		if found, ok = w.(T); ok {
			return found, true
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return found, false
		}
		w = wrapper.Unwrap()
	}
}
