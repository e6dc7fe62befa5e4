package socketio

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/message"
)

// DefaultAckTimeout is how long clients and nodes are waited for whose answer is wanted, when the context has no deadline.
const DefaultAckTimeout = 5 * time.Second

// Broadcast says who in a namespace is meant, and then does something with them. It is a value that never changes:
// each method returns another one, so a Broadcast can be kept and used by many goroutines. Get one from a namespace
// or a socket.
type Broadcast struct {
	ns       *Namespace
	rooms    []string
	except   []string
	volatile bool
	local    bool
}

// To adds rooms whose members are meant. Without any, everyone is. A member of several is reached once.
func (b Broadcast) To(rooms ...string) Broadcast {
	b.rooms = append(slices.Clip(b.rooms), rooms...)
	return b
}

// In is To.
func (b Broadcast) In(rooms ...string) Broadcast { return b.To(rooms...) }

// Except adds rooms whose members are not meant. The id of a socket is a room.
func (b Broadcast) Except(rooms ...string) Broadcast {
	b.except = append(slices.Clip(b.except), rooms...)
	return b
}

// Volatile lets a client miss an event that it cannot take at once.
func (b Broadcast) Volatile() Broadcast {
	b.volatile = true
	return b
}

// Local confines the broadcast to this node.
func (b Broadcast) Local() Broadcast {
	b.local = true
	return b
}

func (b Broadcast) target() message.Target {
	return message.Target{Rooms: b.rooms, Except: b.except, Local: b.local}
}

// Emit sends an event to those who are meant. It is encoded once, however many receive it. An error means that the
// event cannot be encoded, and nothing was sent; or that the cluster did not take it before ctx ended, and only this
// node's members received it.
func (b Broadcast) Emit(ctx context.Context, event string, args ...any) error {
	p, err := b.ns.packet(event, args)
	if err != nil {
		return err
	}
	m := message.New(p.Data, p.Attachments...)
	m.Volatile = b.volatile
	return b.ns.adapter.Broadcast(ctx, m, b.target())
}

// EmitWithAck sends an event to those sockets who are meant, on all nodes, and waits until each has acknowledged it or was
// disconnected. It waits until ctx ends, or for [DefaultAckTimeout] if ctx has no deadline; the error then wraps that of
// ctx, or [context.DeadlineExceeded], and the replies so far are returned beside. Sockets that were disconnected meanwhile
// are no error, except for those of Node.js nodes, which do not tell: they are waited for. Members that are not sockets
// receive the event and are not waited for.
//
// If the cluster cannot be reached the error wraps [adapter.ErrUnavailable], and [ErrIncomplete] if a node was gone or
// has not answered; what did come is returned beside.
func (b Broadcast) EmitWithAck(ctx context.Context, event string, args ...any) (Replies, error) {
	p, err := b.ns.packet(event, args)
	if err != nil {
		return Replies{}, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	plain := message.New(p.Data, p.Attachments...)
	p.ID, p.HasID = b.ns.ackIDs.Add(1)-1, true
	asked := prepare(&p)
	c := newCollector()
	var calling sync.WaitGroup
	if b.ns.server.driver != nil && !b.local {
		c.calling = true
		calling.Go(func() {
			c.called(b.ns.adapter.Call(ctx, &adapter.Call{
				Kind: adapter.CallAsk, Rooms: b.rooms, Except: b.except, Message: plain}, c.remote))
		})
	}
	b.ns.adapter.Each(b.target(), func(m adapter.Member) bool {
		s := SocketOf(m)
		switch {
		case s == nil:
			m.Deliver(plain)
		case s.Connected():
			b.ask(s, c, p.ID, asked)
		}
		return true
	})
	c.seal()
	select {
	case <-c.done:
	case <-ctx.Done():
	}
	ended := ctx.Err()
	cancel()
	calling.Wait()
	return c.outcome(p.ID, ended)
}

func (b Broadcast) ask(s *Socket, c *collector, id uint64, p *engineio.Prepared) {
	c.add(s)
	if !s.expect(id, c) {
		c.gone(s, id)
		return
	}
	if s.send(p, engineio.Deferred) != nil {
		s.forget(id)
		c.gone(s, id)
		return
	}
	b.ns.server.counters.eventsOut.Add(1)
}

// Join puts those who are meant into rooms, on all nodes. An error means that the cluster did not take it before ctx
// ended; it is done on this node then.
func (b Broadcast) Join(ctx context.Context, rooms ...string) error {
	return b.ns.adapter.JoinRooms(ctx, b.target(), rooms...)
}

// Leave takes those who are meant out of rooms, on all nodes. The error is as for Join.
func (b Broadcast) Leave(ctx context.Context, rooms ...string) error {
	return b.ns.adapter.LeaveRooms(ctx, b.target(), rooms...)
}

// Disconnect disconnects those who are meant, on all nodes, as [Socket.Disconnect] does. The error is as for Join.
func (b Broadcast) Disconnect(ctx context.Context, closeConn bool) error {
	return b.ns.adapter.Disconnect(ctx, b.target(), closeConn)
}
