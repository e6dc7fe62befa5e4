package local

import (
	"bufio"
	"net"
	"time"

	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/adapter/nodewire"
)

// receive takes what the host passes on until the connection ends, whose error it returns.
func (d *Driver) receive(conn net.Conn) error {
	r := bufio.NewReaderSize(conn, 64<<10)
	for {
		frame, start, err := readFrame(r)
		if err != nil {
			return err
		}
		if err := d.take(frame[start:]); err != nil {
			d.hub.Monitor.Ignored(d.opts.Dir, err)
		}
	}
}

// take takes one frame. An error means that it is malformed.
func (d *Driver) take(frame []byte) error {
	e, err := parse(frame)
	switch {
	case err != nil:
		return err
	case e.kind == here, e.kind == gone:
		d.there(e.id, e.kind == here)
		return nil
	case e.kind != direct && e.kind != probe && !d.isNew(&e), len(e.rest) == 0:
		return nil
	}
	namespace, uid, body, err := splitMessage(e.rest)
	if err != nil {
		return err
	}
	d.know(e.id, namespace, uid)
	d.receiving.RLock()
	defer d.receiving.RUnlock()
	if l := d.hub.Link(string(namespace)); l != nil {
		l.Receive(nodecluster.Incoming{Channel: e.id, Type: nodewire.TypeOf(body), Size: len(frame),
			Decode: func() (*nodewire.Message, error) { return nodewire.Decode(body) }})
	}
	return nil
}

// isNew reports whether a message has not come before, and finds those that are missing. All come on one connection and are
// passed on by one host in the order of their numbers, so it is called by one goroutine.
func (d *Driver) isNew(e *envelope) bool {
	latest, known := d.latest[e.id]
	want, before := e.number, e.number // the latest with it, and without
	if e.kind != note {
		before--
	}
	fresh := e.number > latest || e.kind == note
	switch {
	case !known:
		// What a host that has ended passed on is not for one who was not there.
		fresh = e.kind != again
	case before > latest:
		d.hub.Monitor.Lost("", time.Now().Add(-telling), before-latest)
	}
	if !known || want > latest {
		d.latest[e.id] = want
	}
	return fresh
}

// know notes in which process a link is.
func (d *Driver) know(id string, namespace, uid []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.links[id]
	if _, ok := l[string(uid)]; ok {
		return
	}
	if l == nil {
		l = make(links)
		d.links[id] = l
	}
	l[string(uid)] = string(namespace)
	d.homes[string(uid)] = id
}

// home returns the process in which a link is, or "".
func (d *Driver) home(uid string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.homes[uid]
}

// there notes that a process is connected to the host, or is no more.
func (d *Driver) there(id string, connected bool) {
	d.mu.Lock()
	if connected {
		d.present[id] = true
	} else {
		delete(d.present, id)
	}
	d.mu.Unlock()
	if !connected {
		d.lost(id)
	}
}

// sweep gives up the processes that a new host does not know after a while: they have died with the last, or together with it.
func (d *Driver) sweep() {
	d.mu.Lock()
	var missing []string
	for id := range d.links {
		if !d.present[id] && id != d.id {
			missing = append(missing, id)
		}
	}
	d.mu.Unlock()
	for _, id := range missing {
		d.lost(id)
	}
}

// lost tells the links of this process that another process is gone. If it comes back, it is there again with the first that
// it sends.
func (d *Driver) lost(id string) {
	d.mu.Lock()
	l := d.links[id]
	delete(d.links, id)
	for uid := range l {
		delete(d.homes, uid)
	}
	d.mu.Unlock()
	d.receiving.RLock()
	defer d.receiving.RUnlock()
	for uid, namespace := range l {
		if link := d.hub.Link(namespace); link != nil {
			link.Lost(uid)
		}
	}
}
