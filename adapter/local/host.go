package local

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/peal-dev/peal/internal/service"
)

// host passes on what processes send, in one order for all. One process of the directory has it, by a lock that the system
// takes away when the process ends.
type host struct {
	opts     *Options
	lock     io.Closer
	listener *net.UnixListener
	ctx      context.Context
	stop     context.CancelFunc
	readers  sync.WaitGroup

	mu      sync.Mutex // held while a frame is passed on
	members map[string]*outbox
	closing bool // nobody joins any more
	recent  recent
}

// recent are the numbered messages that were passed on last: who connects again, or to the next host, has missed some.
type recent struct {
	limit, size int // bytes
	frames      []passed
}

type passed struct {
	id    string
	frame []byte
	kind  int // where in frame that is
}

func (r *recent) keep(p passed) {
	r.frames, r.size = append(r.frames, p), r.size+len(p.frame)
	for r.size > r.limit {
		r.size -= len(r.frames[0].frame)
		r.frames[0] = passed{}
		r.frames = r.frames[1:]
	}
}

// newHost makes this process the host. It fails with errLocked if there is one.
func newHost(opts *Options) (*host, error) {
	lock, err := tryLock(filepath.Join(opts.Dir, lockName))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(opts.Dir, socketName)
	_ = os.Remove(path) // of a host that was killed
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	h := &host{opts: opts, lock: lock, listener: l, members: make(map[string]*outbox), recent: recent{limit: opts.QueueBytes / keptShare}}
	h.ctx, h.stop = context.WithCancel(context.Background()) // it serves all processes
	h.readers.Go(h.accept)
	return h, nil
}

// accept takes connections until the listener is closed.
func (h *host) accept() {
	for {
		conn, err := h.listener.Accept()
		switch {
		case err == nil:
			h.readers.Go(func() { h.serve(conn) })
		case errors.Is(err, net.ErrClosed), !service.Pause(h.ctx, time.Second/20): // too many open files, most likely
			return
		}
	}
}

// serve passes on what a process sends until its connection ends, and tells the others then.
func (h *host) serve(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(h.opts.Timeout)) // fails only on a closed connection, as the rest does
	hello := make([]byte, idSize)
	if _, err := io.ReadFull(conn, hello); err != nil {
		return // not one of ours
	}
	_ = conn.SetReadDeadline(time.Time{})
	id := string(hello)
	out := h.join(id, conn)
	if out == nil {
		return
	}
	r := bufio.NewReaderSize(conn, 64<<10)
	for {
		frame, start, err := readFrame(r)
		if err != nil {
			break
		}
		if e, err := parse(frame[start:]); err == nil && e.id == id && e.kind < here {
			h.pass(&e, frame, start)
		}
	}
	out.cut()
	h.leave(id, out)
}

// join notes a process, which is told so before anything else, and gets what it may have missed.
func (h *host) join(id string, conn net.Conn) *outbox {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		return nil
	}
	if old := h.members[id]; old != nil {
		old.cut()
	}
	out := newOutbox(conn, h.opts.QueueBytes, h.opts.Timeout)
	out.offer(net.Buffers{{1}})
	for _, p := range h.recent.frames {
		if p.id != id {
			out.offer(net.Buffers{p.frame[:p.kind], {byte(again)}, p.frame[p.kind+1:]})
		}
	}
	for other := range h.members {
		if other != id {
			out.offer(net.Buffers{header(here, other, 0, "", 0)})
		}
	}
	h.members[id] = out
	h.give(&envelope{kind: here, id: id}, header(here, id, 0, "", 0))
	return out
}

func (h *host) leave(id string, out *outbox) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.members[id] != out {
		return // it is back
	}
	delete(h.members, id)
	h.give(&envelope{kind: gone, id: id}, header(gone, id, 0, "", 0))
}

func (h *host) pass(e *envelope, frame []byte, start int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e.kind == numbered || e.kind == again {
		h.recent.keep(passed{e.id, frame, start})
	}
	h.give(e, frame)
}

// give has a frame written to whom it is for. It waits for one that reads slowly: whoever sends waits too then. One that does
// not read at all is cut off. It is called with mu held.
func (h *host) give(e *envelope, frame []byte) {
	for id, out := range h.members {
		switch {
		case e.kind == direct && id != e.to, (e.kind == probe) != (id == e.id) && e.kind != direct:
			continue
		}
		_ = out.put(h.ctx, net.Buffers{frame}) // fails only at the end
	}
}

// close ends the host, when it has passed on what the process id has sent, whose connection is at its end.
func (h *host) close(id string) {
	_ = h.listener.Close() // which removes the socket
	h.mu.Lock()
	own := h.members[id]
	h.mu.Unlock()
	deadline, cancel := context.WithTimeout(h.ctx, h.opts.Timeout)
	defer cancel()
	if own != nil {
		select {
		case <-own.done:
		case <-deadline.Done():
		}
	}
	h.mu.Lock()
	h.closing = true
	outs := make([]*outbox, 0, len(h.members))
	for _, out := range h.members {
		out.finish()
		outs = append(outs, out)
	}
	h.mu.Unlock()
	for _, out := range outs {
		select {
		case <-out.done:
		case <-deadline.Done():
		}
	}
	h.stop()
	for _, out := range outs {
		out.cut()
	}
	h.readers.Wait()
	_ = h.lock.Close()
}
