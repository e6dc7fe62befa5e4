package nodecluster

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/nodewire"
)

// members are the other nodes of a namespace. The zero value has none.
type members struct {
	mu       sync.Mutex
	seen     map[string]time.Time // when a node last said something
	away     map[string]bool      // nodes whose process is not heard of: they are there again when it is
	left     map[string]time.Time // nodes that said that they leave: what of theirs is handled later does not bring them back
	greeting *greeting            // while this node is new
}

// keepLeft is how long a node that has left is remembered: as long as its messages may wait here.
const keepLeft = time.Minute

// greeting is a new node's waiting for all others to say that they know it.
type greeting struct {
	met    map[string]bool // who has
	listed map[string]bool // whom others know
	done   chan struct{}
}

// see notes that a node said something.
func (g *members) see(uid string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, gone := g.left[uid]; gone || g.away[uid] {
		return
	}
	g.note(uid, now)
}

func (g *members) note(uid string, now time.Time) {
	if g.seen == nil {
		g.seen = make(map[string]time.Time)
	}
	g.seen[uid] = now
}

// suspend takes a node for gone until resume is called.
func (g *members) suspend(uid string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.seen[uid]; !ok {
		return
	}
	delete(g.seen, uid)
	if g.away == nil {
		g.away = make(map[string]bool)
	}
	g.away[uid] = true
}

// resume notes that a node is there that was taken for gone.
func (g *members) resume(uid string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.away[uid] {
		delete(g.away, uid)
		g.note(uid, now)
	}
}

// suspended returns the nodes that are taken for gone and may come back.
func (g *members) suspended() (list []adapter.NodeID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for uid := range g.away {
		list = append(list, adapter.NodeID(uid))
	}
	return list
}

// leave forgets a node for good.
func (g *members) leave(uid string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left == nil {
		g.left = make(map[string]time.Time)
	}
	g.left[uid] = now
	delete(g.seen, uid)
	delete(g.away, uid)
}

// expire forgets the nodes that have not been heard of since then, and returns them.
func (g *members) expire(now, since time.Time) (gone []adapter.NodeID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for uid, at := range g.seen {
		if at.Before(since) {
			delete(g.seen, uid)
			gone = append(gone, adapter.NodeID(uid))
		}
	}
	for uid, at := range g.left {
		if now.Sub(at) > keepLeft {
			delete(g.left, uid)
		}
	}
	return gone
}

// lose forgets a node that is gone as far as anybody knows; if it says something it is there again.
func (g *members) lose(uid string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.seen, uid)
	delete(g.away, uid)
}

// names returns the other nodes.
func (g *members) names() []adapter.NodeID {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]adapter.NodeID, 0, len(g.seen))
	for uid := range g.seen {
		list = append(list, adapter.NodeID(uid))
	}
	return list
}

// greet starts the waiting for others. Before the first message of theirs is handled.
func (g *members) greet() *greeting {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.greeting = &greeting{met: make(map[string]bool), listed: make(map[string]bool), done: make(chan struct{})}
	return g.greeting
}

func (g *members) greeted() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.greeting = nil
}

// met takes a heartbeat: one that names this node is the answer to its first. Those of Node.js nodes name nobody.
func (g *members) met(m *nodewire.Message, self string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.greeting
	if n == nil || m.Peal && !slices.Contains(m.Nodes, self) {
		return
	}
	n.met[m.UID] = true
	for _, uid := range m.Nodes {
		if uid != self {
			n.listed[uid] = true
		}
	}
	// Without anybody who names others it is not known whom to wait for.
	if len(m.Nodes) == 0 && len(n.listed) == 0 {
		return
	}
	for uid := range n.listed {
		if _, gone := g.left[uid]; !gone && !n.met[uid] {
			return
		}
	}
	select {
	case <-n.done:
	default:
		close(n.done)
	}
}

// greet makes this node known and waits until it knows the others, for else the first question would not be put to them.
// Nobody says how many there are, unless another Peal node does: then it is not waited for longer than needed.
func (l *Link) greet(ctx context.Context) {
	greeting := l.members.greet()
	defer l.members.greeted()
	began := time.Now()
	if l.send(ctx, l.initial()) != nil || l.Ping(ctx) != nil {
		return // that it fails is for those to find out who ask
	}
	timer := time.NewTimer(max(l.hub.opts.Settle, 4*time.Since(began)))
	defer timer.Stop()
	select {
	case <-greeting.done:
	case <-timer.C:
	case <-l.done:
	case <-ctx.Done():
	}
}

// initial is what a node says that is new.
func (l *Link) initial() *nodewire.Message {
	return &nodewire.Message{Type: nodewire.InitialHeartbeat, Peal: true, Home: l.hub.id}
}

// greetAgain says so again, if it has to. It reports whether it has.
func (l *Link) greetAgain() bool {
	if !l.joined.Load() || l.ended() || !l.again.Swap(false) {
		return false
	}
	l.post(l.initial())
	return true
}

// beat says that this node is there, if it has been silent, and forgets nodes that have. What was said while this one was
// deaf, which it was until then, it could not hear.
func (l *Link) beat(now, deaf time.Time) {
	if !l.joined.Load() || l.ended() {
		return
	}
	if l.count(now); l.counter != nil {
		return // nodes that are counted are silent
	}
	if now.UnixNano()-l.spoke.Load() >= int64(l.hub.opts.HeartbeatInterval) {
		l.post(&nodewire.Message{Type: nodewire.Heartbeat, Peal: true, Home: l.hub.id})
	}
	if now.Sub(deaf) < l.hub.opts.HeartbeatTimeout {
		return
	}
	for _, node := range l.members.expire(now, now.Add(-l.hub.opts.HeartbeatTimeout)) {
		l.calls.Gone(node)
		l.put(Incoming{gone: string(node)})
	}
}
