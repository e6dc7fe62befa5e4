package postgres

import (
	"bytes"
	"slices"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/adapter/nodewire"
)

// channel is one that this node listens to. Namespaces with long names may share one.
type channel struct {
	driver *Driver
	name   string
	sequence
	links []*nodecluster.Link // guarded by the lock of the sequence, which holds while it hands over
}

func (c *channel) add(l *nodecluster.Link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.links = append(c.links, l)
}

// remove reports whether there is no link any more.
func (c *channel) remove(l *nodecluster.Link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.links = slices.DeleteFunc(c.links, func(other *nodecluster.Link) bool { return other == l })
	return len(c.links) == 0
}

// notified takes what was notified.
func (c *channel) notified(payload string) {
	h, err := parseHeader(payload)
	switch {
	case err != nil:
		c.driver.hub.Monitor.Ignored(c.name, err)
	case h == nil:
		c.whole(payload)
	case !c.own(h.UID):
		c.attached(h.AttachmentID, h.UID)
	}
}

// own reports whether a message is of this node.
func (c *channel) own(uid string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.links, func(l *nodecluster.Link) bool { return l.UID() == uid })
}

// receive hands over a message. It is called by the sequence, whose lock is held.
func (c *channel) receive(payload []byte) {
	in := nodecluster.Incoming{
		Channel: c.name, Type: nodewire.TypeOf(payload), Size: len(payload),
		Decode: func() (*nodewire.Message, error) { return nodewire.Decode(payload) },
		Body:   bytes.TrimRight(payload, " "), // of messages that are the same, all but one have some
	}
	if len(c.links) == 1 {
		c.links[0].Receive(in)
		return
	}
	m, err := in.Decode()
	if err != nil {
		c.driver.hub.Monitor.Ignored(c.name, err)
		return
	}
	in.Decode = func() (*nodewire.Message, error) { return m, nil }
	for _, l := range c.links {
		if l.Namespace() == m.Namespace {
			l.Receive(in)
		}
	}
}

// lost counts a message that was notified then and will not be received. It is called by the sequence, whose lock is held.
func (c *channel) lost(since time.Time, uid string, reason error) {
	c.driver.warn(reason)
	for _, l := range c.links {
		if !l.Beats(uid) { // else it is found by that
			c.driver.hub.Monitor.Lost(l.Namespace(), since, 1)
		}
	}
}

// behind counts messages that were notified since then, for which there was no room. It is called by the sequence, whose lock
// is held.
func (c *channel) behind(since time.Time, n uint64) {
	m := c.driver.hub.Monitor
	m.Dropped.Add(n)
	for _, l := range c.links {
		m.End(m.Begin(adapter.Gap{Cause: adapter.GapOverflow, Namespace: l.Namespace(), From: since, Dropped: n}), time.Now())
	}
}
