package adapter

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// recountInterval is how often a call that waits asks how many nodes there are, to learn that one is gone.
const recountInterval = 500 * time.Millisecond

// Calls keeps the calls of one link that wait for answers: the part of a [Caller] that is the same for all drivers. The
// driver sends the question with an id, and passes on what comes back with that id. The zero value is ready for use.
type Calls struct {
	mu      sync.Mutex
	waiting map[string]*pendingCall
	known   map[NodeID]struct{} // who has answered of late

	late atomic.Uint64
}

// pendingCall counts the answers to one call.
type pendingCall struct {
	kind CallKind
	each func(Answer)
	some bool // the driver does not know all nodes that it asks by name

	mu       sync.Mutex // protects the following
	others   int        // how many nodes are asked
	there    int        // how many of them are there still, as far as is known
	answered int
	asked    int                   // members, of all nodes that have said so
	replied  int                   // of them
	nodes    map[NodeID]struct{}   // which have answered
	named    map[NodeID]*askedNode // if the driver knows which nodes it asks
	ended    bool
	done     chan struct{}
}

// askedNode is one of the nodes that a driver asks by name.
type askedNode struct {
	answered       bool
	gone           bool
	asked, replied int // members
}

// CallQuestion is how a driver asks one call of [Calls].
type CallQuestion struct {
	// ID is what answers are known by.
	ID string
	// Others returns how many other nodes there are. It is called before Ask, and while answers are missing.
	Others func(ctx context.Context) (int, error)
	// Names returns which other nodes there are, where a driver knows that. It is called once, before Ask, and must not
	// block. The driver tells by [Calls.Gone] when one of them is there no more. Without Others these are all there are, and
	// with it those among them that the driver knows by name.
	Names func() []NodeID
	// Silent returns which of the nodes that Others counts are known not to answer: they are missing, and not waited for. Nil
	// means none. It may block.
	Silent func(ctx context.Context) []NodeID
	// Ask sends the question.
	Ask func(ctx context.Context) error
	// Closed is closed when the link is: the call fails with [ErrClosed] then.
	Closed <-chan struct{}
}

// Do asks a call and waits for the answers as [Caller] says.
func (c *Calls) Do(ctx context.Context, call *Call, q CallQuestion, each func(Answer)) (missing []NodeID, err error) {
	p := &pendingCall{kind: call.Kind, each: each, nodes: make(map[NodeID]struct{}), some: q.Others != nil, done: make(chan struct{})}
	if p.some {
		if p.others, err = q.Others(ctx); err != nil || p.others <= 0 {
			return nil, err
		}
		p.there = p.others
	}
	c.mu.Lock()
	if c.waiting == nil {
		c.waiting = make(map[string]*pendingCall)
	}
	c.waiting[q.ID] = p
	c.mu.Unlock()
	if q.Names != nil {
		p.name(q.Names)
	}
	if q.Silent != nil {
		p.silence(q.Silent(ctx))
	}
	if p.others > 0 {
		// Who has answered was asked, though the caller may have given up before the driver knew that.
		if err = q.Ask(ctx); err == nil || ctx.Err() != nil && p.heard() {
			err = c.wait(ctx, p, q)
		}
	}
	c.mu.Lock()
	delete(c.waiting, q.ID)
	c.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	missing = c.missing(p)
	switch {
	case err != nil:
		return missing, err
	case len(missing) > 0 || p.replied < p.asked: // a node that is gone too: what its members would say is missing
		return missing, &IncompleteError{Missing: missing, Nodes: p.others, Asked: p.asked, Silent: max(p.asked-p.replied, 0)}
	}
	return nil, nil
}

// heard reports whether somebody has answered.
func (p *pendingCall) heard() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answered > 0
}

// wait returns when all has come that can come, or ctx ends. The error is that the link was closed.
func (c *Calls) wait(ctx context.Context, p *pendingCall, q CallQuestion) error {
	ticker := time.NewTicker(recountInterval)
	defer ticker.Stop()
	for {
		select {
		case <-p.done:
			return nil
		case <-ctx.Done():
			return nil
		case <-q.Closed:
			return ErrClosed
		case <-ticker.C:
			if q.Others == nil {
				continue // those who are gone are told of
			}
		}
		// A node that comes meanwhile was not asked, and one that is gone will not answer.
		if n, err := q.Others(ctx); err == nil {
			p.mu.Lock()
			p.there = min(p.there, n)
			p.check()
			p.mu.Unlock()
		}
	}
}

// Kind returns the kind of the call with that id, which a driver may have to know to read an answer; 0 if nobody waits
// for answers to it.
func (c *Calls) Kind(id string) CallKind {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.waiting[id]; p != nil {
		return p.kind
	}
	return 0
}

// Answer hands over an answer to the call with that id. One that nobody waits for any more is dropped and counted as late.
func (c *Calls) Answer(id string, a Answer) {
	c.mu.Lock()
	p := c.waiting[id]
	if p != nil && a.Node != "" {
		c.know(a.Node)
	}
	c.mu.Unlock()
	if p == nil || !p.take(a) {
		c.late.Add(1)
	}
}

// Gone is told by a driver that knows its nodes by name that one of them is there no more: nobody waits for what it has not
// answered.
func (c *Calls) Gone(node NodeID) {
	c.mu.Lock()
	waiting := slices.Collect(maps.Values(c.waiting))
	c.mu.Unlock()
	for _, p := range waiting {
		p.mu.Lock()
		if n := p.named[node]; n != nil {
			n.gone = true
			p.check()
		}
		p.mu.Unlock()
	}
}

// Late returns how many answers nobody waited for any more.
func (c *Calls) Late() uint64 { return c.late.Load() }

// maxKnown bounds the names of nodes that are remembered.
const maxKnown = 4096

func (c *Calls) know(n NodeID) {
	if c.known == nil || len(c.known) >= maxKnown {
		c.known = make(map[NodeID]struct{})
	}
	c.known[n] = struct{}{}
}

// name notes which nodes are asked. Whoever is gone by the time that it returns is told of to a call that knows it.
func (p *pendingCall) name(names func() []NodeID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.named = make(map[NodeID]*askedNode)
	for _, node := range names() {
		p.named[node] = &askedNode{}
	}
	if !p.some {
		p.others, p.there = len(p.named), len(p.named)
	}
}

// silence notes which nodes will not answer.
func (p *pendingCall) silence(nodes []NodeID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, node := range nodes {
		if p.named == nil {
			p.named = make(map[NodeID]*askedNode)
		}
		p.named[node] = &askedNode{gone: true}
	}
}

// take counts an answer and passes it on. It reports false if the call has ended.
func (p *pendingCall) take(a Answer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return false
	}
	switch a.Part {
	case AnswerWhole, AnswerCount:
		if a.Node != "" {
			if _, twice := p.nodes[a.Node]; twice {
				return true
			}
			p.nodes[a.Node] = struct{}{}
		}
		p.answered++
		p.asked += max(a.Count, 0)
	default:
		p.replied++
	}
	if n := p.named[a.Node]; n != nil {
		n.gone = n.gone && !p.some // it was only silent, and is asked as all that are counted
		if a.Part == AnswerWhole || a.Part == AnswerCount {
			n.answered, n.asked = true, max(a.Count, 0)
		} else {
			n.replied++
		}
	}
	p.each(a)
	p.check()
	return true
}

// check ends the wait when all has come.
func (p *pendingCall) check() {
	if !p.complete() {
		return
	}
	select {
	case <-p.done:
	default:
		close(p.done)
	}
}

func (p *pendingCall) complete() bool {
	if p.some {
		gone, asked := 0, p.asked
		for _, n := range p.named {
			switch {
			case n.gone && !n.answered:
				gone++
			case n.gone:
				asked -= n.asked - n.replied
			}
		}
		return (p.answered >= p.there || p.answered+gone >= p.others) && p.replied >= asked
	}
	for _, n := range p.named {
		if !n.gone && (!n.answered || n.replied < n.asked) {
			return false
		}
	}
	return true
}

// missing names the nodes that have not answered, as far as they are known: those that answered other calls and not this
// one, if there are not more of them than are missing. The caller holds p.mu.
func (c *Calls) missing(p *pendingCall) []NodeID {
	if !p.some {
		var list []NodeID
		for node, n := range p.named {
			if !n.answered {
				list = append(list, node)
			}
		}
		slices.Sort(list)
		return list
	}
	n := p.others - p.answered
	c.mu.Lock()
	defer c.mu.Unlock()
	if n <= 0 {
		if len(p.nodes) > 0 {
			c.known = p.nodes // who answers no more is gone
		}
		return nil
	}
	list := make([]NodeID, 0, n)
	for id, a := range p.named {
		if !a.answered {
			list = append(list, id)
		}
	}
	if len(list) == 0 { // then what is left of earlier calls has to do
		for id := range c.known {
			if _, ok := p.nodes[id]; !ok {
				list = append(list, id)
			}
		}
	}
	slices.Sort(list)
	if len(list) > n {
		list = list[:0]
	}
	for len(list) < n {
		list = append(list, "")
	}
	return list
}
