package adapter

import (
	"context"
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

	mu       sync.Mutex
	others   int // how many nodes are asked; -1 while that is not known
	there    int // how many of them are there still, as far as is known
	answered int
	asked    int // members, of all nodes that have said so
	replied  int // of them
	nodes    map[NodeID]struct{}
	ended    bool
	done     chan struct{}
}

// CallQuestion is how a driver asks one call of [Calls].
type CallQuestion struct {
	// ID is what answers are known by.
	ID string
	// Others returns how many other nodes there are. It is called before Ask, and while answers are missing.
	Others func(ctx context.Context) (int, error)
	// Ask sends the question.
	Ask func(ctx context.Context) error
	// Closed is closed when the link is: the call fails with [ErrClosed] then.
	Closed <-chan struct{}
}

// Do asks a call and waits for the answers as [Caller] says.
func (c *Calls) Do(ctx context.Context, call *Call, q CallQuestion, each func(Answer)) (missing []NodeID, err error) {
	others, err := q.Others(ctx)
	if err != nil || others <= 0 {
		return nil, err
	}
	p := &pendingCall{kind: call.Kind, each: each, others: others, there: others, nodes: make(map[NodeID]struct{}), done: make(chan struct{})}
	c.mu.Lock()
	if c.waiting == nil {
		c.waiting = make(map[string]*pendingCall)
	}
	c.waiting[q.ID] = p
	c.mu.Unlock()
	err = q.Ask(ctx)
	if err == nil {
		err = c.wait(ctx, p, q)
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
	case len(missing) > 0 || p.replied < p.asked:
		return missing, &IncompleteError{Missing: missing, Nodes: p.others, Asked: p.asked, Silent: max(p.asked-p.replied, 0)}
	}
	return nil, nil
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
	p.each(a)
	p.check()
	return true
}

// check ends the wait when all has come.
func (p *pendingCall) check() {
	if p.answered < p.there || p.replied < p.asked {
		return
	}
	select {
	case <-p.done:
	default:
		close(p.done)
	}
}

// missing names the nodes that have not answered, as far as they are known: those that answered other calls and not this
// one, if there are not more of them than are missing. The caller holds p.mu.
func (c *Calls) missing(p *pendingCall) []NodeID {
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
	for id := range c.known {
		if _, ok := p.nodes[id]; !ok {
			list = append(list, id)
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
