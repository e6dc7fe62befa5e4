package front

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"
)

// answer is the ResponseWriter of a request that a front serves. It knows how to give the connection away; whatever else
// a handler asks of it is done by net/http, which is handed the connection then.
type answer struct {
	front   *front
	request *http.Request
	peer    netip.AddrPort
	local   netip.AddrPort // not valid unless clients reach the front by several addresses

	header http.Header // the handler's
	life   life

	mu      sync.Mutex
	fd      int // -1 once it belongs to somebody else
	taken   bool
	readBy  deadline // set before net/http had the connection
	writeBy deadline
	usual   http.ResponseWriter // net/http's, once it has the connection
	end     context.CancelFunc
	left    bool // counts no longer as running

	begun    chan begun // what net/http has made of the connection
	returned chan bool  // the handler has, whether in good order
}

// deadline is the time of one, which may be zero for none, once it was set.
type deadline struct {
	at  time.Time
	set bool
}

// begun is a request that net/http has begun to serve.
type begun struct {
	w    http.ResponseWriter
	life context.Context
}

// life is the context of a request that a front serves. Who asks how long it lives has net/http watch the connection; the
// usual handshake, which does not ask, need not pay for that.
type life struct {
	context.Context
	answer *answer
}

func (l *life) Done() <-chan struct{} {
	_, _ = l.answer.handOver() // if it fails, the context has ended, or the handler has the connection
	return l.Context.Done()
}

func (l *life) Err() error {
	_, _ = l.answer.handOver() // likewise
	return l.Context.Err()
}

// Run serves the request; it is the task of a worker.
func (a *answer) Run() {
	ctx, cancel := context.WithCancel(a.front.context(a.local))
	a.end, a.life = cancel, life{ctx, a}
	good := false
	defer func() {
		v := recover()
		if v != nil && v != http.ErrAbortHandler {
			a.front.logf("http: panic serving %v: %v\n%s", a.request.RemoteAddr, v, debug.Stack())
		}
		a.finish(good)
		cancel()
	}()
	a.front.serveHTTP(a, a.request.WithContext(&a.life))
	good = true // else the handler panics, or ends its goroutine
}

// finish ends the request, unless its connection was taken over: as net/http does.
func (a *answer) finish(good bool) {
	if good {
		_, _ = a.begin() // what is missing then belongs to somebody else, or to nobody
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.usual != nil:
		a.returned <- good
	case a.fd >= 0:
		closeFD(a.fd)
		a.fd = -1
	}
	a.leave()
}

// leave says that nobody need wait for the request any more. It is called with a.mu held.
func (a *answer) leave() {
	if !a.left {
		a.left = true
		a.front.count.Done()
	}
}

// take gives the descriptor to somebody else. It is called with a.mu held.
func (a *answer) take() (fd int, ok bool) {
	if a.fd < 0 {
		return 0, false
	}
	fd, a.fd = a.fd, -1
	return fd, true
}

// TakeDescriptor gives the connection away as a descriptor, for a poller.
func (a *answer) TakeDescriptor() (fd int, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if fd, ok = a.take(); ok {
		a.taken = true
		a.leave()
	}
	return fd, ok
}

// handOver hands the connection to net/http, unless that is done, and returns its ResponseWriter.
func (a *answer) handOver() (http.ResponseWriter, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.usual != nil {
		return a.usual, nil
	}
	if a.taken {
		return nil, http.ErrHijacked
	}
	fd, ok := a.take()
	if !ok {
		return nil, net.ErrClosed
	}
	conn, err := newAccepted(fd, localOf(fd), a.peer, headOf(a.request))
	if err == nil {
		a.begun, a.returned = make(chan begun, 1), make(chan bool, 1)
		err = a.front.later.serve(conn, a)
	}
	if err != nil { // the listener is closed, or memory is short: for the handler the client has gone
		a.end()
		return nil, err
	}
	b := <-a.begun // the request is whole, so net/http needs nobody else for it
	a.usual = b.w
	context.AfterFunc(b.life, a.end)
	if a.readBy.set {
		err = errors.Join(err, http.NewResponseController(a.usual).SetReadDeadline(a.readBy.at))
	}
	if a.writeBy.set {
		err = errors.Join(err, http.NewResponseController(a.usual).SetWriteDeadline(a.writeBy.at))
	}
	return a.usual, err
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = make(http.Header)
	}
	return a.header
}

// showHeader makes the header that of net/http's ResponseWriter, which knows what of it still counts.
func (a *answer) showHeader(w http.ResponseWriter) {
	h := w.Header()
	clear(h)
	maps.Copy(h, a.header)
}

// begin hands over for something that is written.
func (a *answer) begin() (http.ResponseWriter, error) {
	w, err := a.handOver()
	if err == nil {
		a.showHeader(w)
	}
	return w, err
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if w, err := a.begin(); err == nil {
		w.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	w, err := a.begin()
	if err != nil {
		return 0, err
	}
	return w.Write(p)
}

// WriteString implements io.StringWriter.
func (a *answer) WriteString(s string) (int, error) {
	w, err := a.begin()
	if err != nil {
		return 0, err
	}
	return io.WriteString(w, s)
}

// ReadFrom implements io.ReaderFrom, by which net/http has the kernel send files.
func (a *answer) ReadFrom(r io.Reader) (int64, error) {
	w, err := a.begin()
	if err != nil {
		return 0, err
	}
	return w.(io.ReaderFrom).ReadFrom(r) // not io.Copy, which asks r first
}

// Flush implements http.Flusher.
func (a *answer) Flush() { _ = a.FlushError() } // it comes again with the next write

// FlushError, SetReadDeadline, SetWriteDeadline and EnableFullDuplex are for http.ResponseController.
func (a *answer) FlushError() error {
	w, err := a.begin()
	if err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}

func (a *answer) SetReadDeadline(t time.Time) error {
	return a.setDeadline(&a.readBy, t, (*http.ResponseController).SetReadDeadline)
}

func (a *answer) SetWriteDeadline(t time.Time) error {
	return a.setDeadline(&a.writeBy, t, (*http.ResponseController).SetWriteDeadline)
}

// setDeadline sets a deadline, which waits until something is written or watched. Who takes a connection over sets their own.
func (a *answer) setDeadline(field *deadline, t time.Time, set func(*http.ResponseController, time.Time) error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.usual != nil:
		return set(http.NewResponseController(a.usual), t)
	case a.taken:
		return http.ErrHijacked
	}
	*field = deadline{t, true}
	return nil
}

func (a *answer) EnableFullDuplex() error {
	w, err := a.handOver()
	if err != nil {
		return err
	}
	return http.NewResponseController(w).EnableFullDuplex()
}

// CloseNotify implements what the context has replaced, for wrappers that pass it on.
func (a *answer) CloseNotify() <-chan bool {
	if w, err := a.handOver(); err == nil {
		if notifier, ok := w.(interface{ CloseNotify() <-chan bool }); ok {
			return notifier.CloseNotify()
		}
	}
	return nil
}

// Hijack implements http.Hijacker.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.usual != nil {
		conn, rw, err := http.NewResponseController(a.usual).Hijack()
		if err == nil {
			a.leave()
		}
		return conn, rw, err
	}
	if a.taken {
		return nil, nil, http.ErrHijacked
	}
	fd, ok := a.take()
	if !ok {
		return nil, nil, net.ErrClosed
	}
	conn, err := newAccepted(fd, localOf(fd), a.peer, nil)
	if err != nil {
		return nil, nil, err
	}
	a.taken = true
	a.leave()
	return conn, bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn)), nil
}
