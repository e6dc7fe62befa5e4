package nodecluster

import (
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/numbers"
	"github.com/peal-dev/peal/adapter/nodewire"
)

// Beater is a [Transport] of a broker that may lose messages. What it sends is counted by the link's [Link.Sent], and what
// comes, by the [Incoming]; beats tell how much there should be. See package numbers.
type Beater interface {
	// Beat sends what make returns to all nodes, unless it is nil, and calls told with what became of that. Make is called,
	// and the message sent, when it is known what became of all that was sent before. It does not wait. An error means that
	// nothing will be called.
	Beat(make func() *nodewire.Message, told func(error)) error
}

// counting is what a link knows of what was lost.
type counting struct {
	beater   Beater // nil if the broker loses nothing, or tells of it by other means
	sender   numbers.Sender
	receiver numbers.Receiver
	beating  atomic.Int64 // since when a beat waits to be made, in Unix nanoseconds; 0 while none does
}

// counted reports whether a message is one that is counted: what is for all nodes of the namespace, or those that have a
// room.
func counted(t nodewire.Type) bool {
	switch t {
	case nodewire.Broadcast, nodewire.SocketsJoin, nodewire.SocketsLeave, nodewire.DisconnectSockets, nodewire.FetchSockets, nodewire.ServerSideEmit:
		return true
	}
	return false
}

// Sent counts a message that was published, in the order in which that was done. An error says that it is not known whether
// it was; one that was surely not is not counted. Body is what others get, byte by byte.
func (l *Link) Sent(t nodewire.Type, to numbers.Audience, body []byte, err error) {
	if !counted(t) {
		return
	}
	if l.counting.sender.Sent(to, body, err); l.counting.sender.Due() {
		l.beatOnce()
	}
}

// beatOnce publishes a beat, if none is on its way.
func (l *Link) beatOnce() {
	c := &l.counting
	if c.beater == nil {
		return
	}
	// One that waited for too long to be published is not told of.
	now, since := time.Now().UnixNano(), c.beating.Load()
	if now-since < int64(2*l.hub.opts.Timeout) || !c.beating.CompareAndSwap(since, now) {
		return
	}
	make := func() *nodewire.Message {
		c.beating.Store(0)
		b := c.sender.Next()
		if b == nil {
			return nil
		}
		return l.own(&nodewire.Message{Type: nodewire.Heartbeat, Peal: true, Home: l.hub.id, Beat: b})
	}
	if c.beater.Beat(make, c.sender.Told) != nil {
		c.beating.Store(0)
	}
}

// greeted has there be a beat for somebody who is new.
func (l *Link) greeted() {
	if l.counting.beater != nil {
		l.counting.sender.Greet()
		l.beatOnce()
	}
}

// count publishes a beat if there is something to tell, and asks again for those that were missed.
func (l *Link) count(now time.Time) {
	if l.counting.beater == nil {
		return
	}
	if l.counting.sender.Pending() {
		l.beatOnce()
	}
	asks, givenUp := l.counting.receiver.Asks(now)
	for _, a := range asks {
		l.ask(a)
	}
	for i := range givenUp {
		l.found(&givenUp[i])
	}
}

// came counts a message that came.
func (l *Link) came(in *Incoming, m *nodewire.Message) {
	if l.counting.beater != nil && in.Body != nil && counted(m.Type) && m.UID != l.uid {
		l.counting.receiver.Came(m.UID, in.Audience, in.Body)
	}
}

// Beats reports whether what is lost of the node called uid is found by its beats.
func (l *Link) Beats(uid string) bool {
	return l.counting.beater != nil && l.counting.receiver.Knows(uid)
}

// number takes what a heartbeat says of messages, behind those that came before it.
func (l *Link) number(m *nodewire.Message) error {
	f, err := l.counting.receiver.Beat(m.UID, m.Beat, time.Now())
	if err == nil {
		l.found(&f)
	}
	return err
}

func (l *Link) found(f *numbers.Finding) {
	monitor := l.hub.Monitor
	if f.Lost > 0 {
		monitor.Lost(l.namespace, f.Since, f.Lost)
	}
	if f.Unknown {
		monitor.End(monitor.Begin(adapter.Gap{Cause: adapter.GapLost, Namespace: l.namespace, From: f.Since}), time.Now())
		monitor.Log(slog.LevelWarn, "unknown", "how many messages of another node are missing cannot be found out any more", slog.String("namespace", l.namespace))
	}
	if f.Ask.Last > 0 {
		l.ask(f.Ask)
	}
}

// ask asks a node for beats that were missed.
func (l *Link) ask(a numbers.Ask) {
	m := &nodewire.Message{Type: nodewire.Heartbeat, Peal: true, Home: l.hub.id, Nodes: []string{a.Publisher}, First: a.First, Last: a.Last}
	_ = l.transport.Post(a.Publisher, l.own(m)) // it is asked again
}

// sayAgain answers that.
func (l *Link) sayAgain(m *nodewire.Message) {
	if l.counting.beater == nil || !slices.Contains(m.Nodes, l.uid) {
		return
	}
	for _, b := range l.counting.sender.Again(m.First, m.Last) {
		again := &nodewire.Message{Type: nodewire.Heartbeat, Peal: true, Home: l.hub.id, Beat: b}
		_ = l.transport.Post(m.UID, l.own(again)) // who misses it asks again
	}
}

// Opening notes that this node begins to subscribe to a room of its own channel, and returns what Opened wants to know.
func (l *Link) Opening(room string) uint64 {
	return l.counting.receiver.Opening(numbers.Room(room))
}

// Opened notes that the broker has confirmed it.
func (l *Link) Opened(room string, opening uint64) {
	l.counting.receiver.Opened(numbers.Room(room), opening)
}

// Closed notes that this node does not subscribe to it any more.
func (l *Link) Closed(room string) { l.counting.receiver.Closed(numbers.Room(room)) }
