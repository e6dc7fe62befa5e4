package nodecluster

import (
	"slices"
	"strings"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/message"
)

// Receive takes a message that came for the namespace, and does not wait. Messages are handled in the order in which they
// come; heartbeats are at once, and answers beside the messages.
func (l *Link) Receive(in Incoming) {
	ready := false
	select {
	case <-l.ready:
		ready = true
	default:
	}
	switch {
	case ready && (in.Type == nodewire.InitialHeartbeat || in.Type == nodewire.Heartbeat):
		l.heartbeat(in)
	case in.Type == nodewire.AdapterClose, in.Type.Response(): // what a node answers comes before its leaving
		l.hub.Monitor.Received.Add(1)
		l.answers.Put(in, in.Size)
	default:
		l.hub.Monitor.Received.Add(1)
		// A driver with a common log waits for room, by Room: what it has read already has twice as much.
		change := l.Follows() || in.Type == nodewire.SocketsJoin || in.Type == nodewire.SocketsLeave || in.Type == nodewire.DisconnectSockets
		l.inbox.Put(in, in.Size, change)
	}
}

// Lost is told that the node called uid cannot be reached any more: nobody waits for what it has not answered. If it comes
// back it is there again with the first message that it sends.
func (l *Link) Lost(uid string) {
	l.members.lose(uid)
	l.calls.Gone(adapter.NodeID(uid))
}

// Room returns nil if there is room for a message of so many bytes, and else what is closed when there is; see
// [reception.Inbox.Room]. A driver that waits for it waits for [Link.Done] as well.
func (l *Link) Room(size int) <-chan struct{} { return l.inbox.Room(size) }

// heartbeat handles one at once, but for what it says of the messages before it: that waits until they are handled.
func (l *Link) heartbeat(in Incoming) {
	m, err := in.Decode()
	if err == nil && m != nil {
		if err = l.handle(m, in.Offset); m.Beat != nil && m.UID != l.uid && l.counting.beater != nil {
			l.put(Incoming{Channel: in.Channel, beat: m, Size: len(m.Beat)})
		}
	}
	if err != nil {
		l.hub.Monitor.Ignored(in.Channel, err)
	}
}

// put has something be done behind the messages that have come.
func (l *Link) put(in Incoming) {
	if l.counting.beater != nil {
		l.inbox.Put(in, in.Size, true)
	}
}

// take decodes and handles a message, once the link can send.
func (l *Link) take(in Incoming) {
	<-l.ready
	var m *nodewire.Message
	var err error
	switch {
	case in.gone != "":
		l.counting.receiver.Gone(in.gone)
	case in.beat != nil:
		err = l.number(in.beat)
	default:
		if m, err = in.Decode(); err == nil && m != nil {
			l.came(&in, m)
			err = l.handle(m, in.Offset)
		}
	}
	if err != nil {
		l.hub.Monitor.Ignored(in.Channel, err)
	}
}

// handle does what a message says. An error means that it is malformed.
func (l *Link) handle(m *nodewire.Message, at message.Offset) error {
	switch {
	case m.UID == l.uid && l.Follows() && m.Type == nodewire.Broadcast && m.RequestID == "":
		return l.apply(m, at) // as for everybody
	case m.UID == l.uid:
		// Our own, which the adapter has applied before it was published: it must not need the cluster for its own members.
		if m.Type == nodewire.Heartbeat && m.Probe > 0 {
			l.probes.Back(m.Probe)
		}
		return nil
	case m.Namespace != "" && m.Namespace != l.namespace:
		return nil
	}
	// Where nodes are counted, those of Node.js do not say that they are there, and are not to be known by name.
	if m.UID != "" && m.UID != nodewire.Emitter && m.Type != nodewire.AdapterClose && (l.counter == nil || m.Home != "") {
		l.heardHome(m)
		l.members.see(m.UID, time.Now())
	}
	switch {
	case m.Type == nodewire.InitialHeartbeat:
		l.introduce()
		if m.Peal {
			l.greeted()
		}
	case m.Type == nodewire.Heartbeat && m.First > 0:
		l.sayAgain(m)
	case m.Type == nodewire.Heartbeat:
		l.members.met(m, l.uid)
	case m.Type == nodewire.AdapterClose:
		l.members.leave(m.UID, time.Now())
		l.hub.homes.Left(l.namespace, m.UID)
		if l.counter == nil { // else the counting shows it, and not before it is so
			l.calls.Gone(adapter.NodeID(m.UID))
		}
		l.put(Incoming{gone: m.UID})
	case m.Type.Response():
		return l.answer(m)
	default:
		return l.apply(m, at)
	}
	return nil
}

// answer takes an answer to a call.
func (l *Link) answer(m *nodewire.Message) error {
	if !strings.HasPrefix(m.RequestID, l.uid) {
		return nil // another node's call: not every transport sends answers to one node only
	}
	kind := l.calls.Kind(m.RequestID)
	if kind == 0 {
		l.calls.Answer(m.RequestID, adapter.Answer{}) // nobody waits: it is counted
		return nil
	}
	a, err := m.Answer(kind)
	if err != nil {
		return err
	}
	l.members.resume(m.UID, time.Now()) // what is asked now, nobody answers who is dead
	l.calls.Answer(m.RequestID, a)
	return nil
}

// apply does what other nodes want of members or of this node, or answers what they ask.
func (l *Link) apply(m *nodewire.Message, at message.Offset) error {
	e, err := l.envelope(m, at)
	if err != nil {
		return err
	}
	if e != nil {
		l.receiver.Receive(e)
		return nil
	}
	c, err := m.Call(l.hub.opts.MaxAttachments)
	if err != nil || c == nil { // of a type of the future
		return err
	}
	asked := &nodewire.Message{Type: m.Type, UID: m.UID, RequestID: m.RequestID, Want: m.Want, Peal: m.Peal}
	l.receiver.Answer(c, func(a adapter.Answer) { l.reply(asked, a) })
	return nil
}

// envelope returns what m has nodes do, if it is no question and no answer, with its place in the common log.
func (l *Link) envelope(m *nodewire.Message, at message.Offset) (*adapter.Envelope, error) {
	e, err := m.Envelope(l.hub.opts.MaxAttachments)
	if err != nil || e == nil {
		return nil, err
	}
	if l.Follows() && e.Kind == adapter.KindBroadcast {
		e.Message.Offset = at
	}
	return e, nil
}

// reply sends what this node answers. It does not wait.
func (l *Link) reply(asked *nodewire.Message, a adapter.Answer) {
	if l.ended() {
		return
	}
	m := nodewire.Answering(asked, a)
	if m == nil {
		return // the one who asks knows no such answer
	}
	if l.transport.Post(asked.UID, l.own(m)) != nil {
		l.hub.Monitor.Unanswered.Add(1)
	}
}

// introduce tells a new node, and all others, that this one is there. Node.js nodes read no more of it than that.
func (l *Link) introduce() {
	if l.ended() {
		return
	}
	names := l.members.names()
	nodes := make([]string, 0, len(names))
	for _, n := range names {
		nodes = append(nodes, string(n))
	}
	slices.Sort(nodes)
	l.post(&nodewire.Message{Type: nodewire.Heartbeat, Peal: true, Home: l.hub.id, Nodes: nodes})
}

// post sends a message to all nodes, for which nobody waits: if it fails, the next heartbeat does as well.
func (l *Link) post(m *nodewire.Message) {
	if l.transport.Post("", l.own(m)) == nil {
		l.spoke.Store(time.Now().UnixNano())
	}
}
