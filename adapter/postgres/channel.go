package postgres

import (
	"errors"
	"slices"
	"time"

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
		c.attached(h.AttachmentID)
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

// lost counts messages that were notified since then and will not be received. It is called by the sequence, whose lock is
// held.
func (c *channel) lost(since time.Time, n uint64, reason error) {
	m := c.driver.hub.Monitor
	if errors.Is(reason, errBehind) {
		m.Dropped.Add(n)
	} else {
		c.driver.warn(reason)
	}
	for _, l := range c.links {
		m.Lost(l.Namespace(), since, n)
	}
}
