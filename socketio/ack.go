package socketio

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/socketio/sioproto"
)

// Reply is a client's acknowledgement: the arguments it gave to the callback of an event.
type Reply struct {
	args        [][]byte
	attachments [][]byte
}

func newReply(p *sioproto.Packet) *Reply {
	r := &Reply{attachments: p.Attachments}
	if p.Data != nil {
		r.args, _ = sioproto.Elements(p.Data) // the decoder has seen that it is an array
	}
	return r
}

// Len returns the number of arguments.
func (r *Reply) Len() int { return len(r.args) }

// Raw returns the JSON of argument i, or null if there are fewer. Binary data in it shows as placeholders.
func (r *Reply) Raw(i int) json.RawMessage { return rawArg(r.args, i) }

// Attachments returns the binary data that placeholders in the raw arguments refer to by index.
func (r *Reply) Attachments() [][]byte { return r.attachments }

// Decode stores the arguments in the values that vs point to, by the rules of encoding/json; binary data goes into
// []byte. Missing arguments leave their value alone, surplus ones are ignored.
func (r *Reply) Decode(vs ...any) error {
	for i, v := range vs {
		if i >= len(r.args) {
			return nil
		}
		if err := sioproto.Unmarshal(r.args[i], r.attachments, v); err != nil {
			return fmt.Errorf("socketio: argument %d of the acknowledgement: %w", i, err)
		}
	}
	return nil
}

func rawArg(args [][]byte, i int) json.RawMessage {
	if i < 0 || i >= len(args) {
		return json.RawMessage("null")
	}
	return args[i]
}

// waiter is told once how an acknowledgement went: replied or gone. It must not block; no lock is held.
type waiter interface {
	replied(s *Socket, p *sioproto.Packet)
	gone(s *Socket, id uint64)
}

// expect registers w for the acknowledgement with that id. It reports false when the socket is closed.
func (s *Socket) expect(id uint64, w waiter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() == stateClosed {
		return false
	}
	x := s.more()
	if x.acks == nil {
		x.acks = make(map[uint64]waiter)
	}
	x.acks[id] = w
	return true
}

// forget takes a waiter out again and returns it; nil if it was told already.
func (s *Socket) forget(id uint64) waiter {
	x := s.extra.Load()
	if x == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w := x.acks[id]
	delete(x.acks, id)
	if len(x.acks) == 0 {
		x.acks = nil
	}
	return w
}

// acknowledged hands an ACK to whoever waits for it. It runs on the reading path, so that a handler can wait.
func (s *Socket) acknowledged(p *sioproto.Packet) {
	if !p.HasID {
		return
	}
	if w := s.forget(p.ID); w != nil {
		s.namespace.server.counters.acksIn.Add(1)
		w.replied(s, p)
	}
}

// singleWaiter receives the reply of one socket, nil when it has gone. It has room for one.
type singleWaiter chan *Reply

func (w singleWaiter) replied(_ *Socket, p *sioproto.Packet) { w <- newReply(p) }
func (w singleWaiter) gone(*Socket, uint64)                  { w <- nil }

// question is a waiter for another node, which counts the answers itself: one for all sockets that are asked, with one
// id and one encoding.
type question struct {
	question *adapter.Question
	id       uint64
	packet   *engineio.Prepared
	deadline time.Time

	mu    sync.Mutex
	asked map[*Socket]struct{} // who has not answered
	timer *time.Timer          // runs while there are some
}

func (ns *Namespace) question(q *adapter.Question) *question {
	p := eventOf(q.Message, ns.name)
	p.ID, p.HasID = ns.ackIDs.Add(1)-1, true
	timeout := q.Timeout
	if timeout <= 0 {
		timeout = DefaultAckTimeout // nobody waits for ever, and the sockets must not either
	}
	return &question{question: q, id: p.ID, packet: prepare(p), deadline: time.Now().Add(timeout), asked: make(map[*Socket]struct{})}
}

func (q *question) replied(s *Socket, p *sioproto.Packet) {
	if q.drop(s) {
		q.question.Reply(s.id, newReply(p).Raw(0), p.Attachments)
	}
}

func (q *question) gone(s *Socket, _ uint64) {
	if q.drop(s) {
		q.leave(s)
	}
}

// leave says that s will not answer.
func (q *question) leave(s *Socket) {
	if q.question.Gone != nil {
		q.question.Gone(s.id)
	}
}

func (q *question) add(s *Socket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked[s] = struct{}{}
	if len(q.asked) == 1 {
		q.timer = time.AfterFunc(time.Until(q.deadline), q.expire)
	}
}

// drop reports whether s was asked and had not answered.
func (q *question) drop(s *Socket) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, waiting := q.asked[s]; !waiting {
		return false
	}
	delete(q.asked, s)
	if len(q.asked) == 0 {
		q.timer.Stop()
	}
	return true
}

func (q *question) waits(s *Socket) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, waiting := q.asked[s]
	return waiting
}

// expire has the sockets that did not answer forget about it.
func (q *question) expire() {
	q.mu.Lock()
	late := q.asked
	q.asked = make(map[*Socket]struct{})
	q.mu.Unlock()
	for s := range late {
		s.forget(q.id)
	}
}

// Ask implements [adapter.Asker].
func (m *member) Ask(asked *adapter.Question) {
	s := (*Socket)(m)
	q := asked.Prepared(func() any { return s.namespace.question(asked) }).(*question)
	if !s.Connected() {
		q.leave(s)
		return
	}
	q.add(s)
	if !s.expect(q.id, q) {
		q.gone(s, q.id)
		return
	}
	if s.send(q.packet, engineio.Deferred) != nil {
		s.forget(q.id)
		q.gone(s, q.id)
		return
	}
	s.namespace.server.counters.eventsOut.Add(1)
	if !q.waits(s) {
		s.forget(q.id) // the time was over before the socket expected anything
	}
}

// Replies is the outcome of a broadcast with acknowledgement.
type Replies struct {
	// Replies are the acknowledgements by socket id. Those from other nodes have one argument, the first.
	Replies map[string]*Reply
	// Unnamed are the acknowledgements of sockets on nodes that do not say whose they are, as Node.js nodes do not; in
	// order of arrival.
	Unnamed []*Reply
	Unanswered
}

// Unanswered says who has not acknowledged a broadcast.
type Unanswered struct {
	// Missing are the ids of the sockets on this node that had not answered when the wait ended.
	Missing []string
	// MissingRemote is how many sockets on other nodes had not, of the nodes that said how many they asked.
	MissingRemote int
	// MissingNodes are the nodes that said nothing. "" is one whose name is not known.
	MissingNodes []adapter.NodeID
	// Gone are the ids of the sockets that were disconnected before they answered.
	Gone []string
}

// collector is the waiter of a broadcast: one for all sockets it asked.
type collector struct {
	mu      sync.Mutex
	waiting map[string]*Socket
	result  Replies
	calling bool // other nodes are asked
	callErr error
	asked   int  // sockets of other nodes
	heard   int  // of these
	sealed  bool // everyone of this node was asked
	closed  bool // the wait is over
	done    chan struct{}
}

func newCollector() *collector {
	return &collector{waiting: make(map[string]*Socket), result: Replies{Replies: make(map[string]*Reply)}, done: make(chan struct{})}
}

func (c *collector) add(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting[s.id] = s
}

func (c *collector) replied(s *Socket, p *sioproto.Packet) {
	c.settle(s, func() { c.result.Replies[s.id] = newReply(p) })
}

func (c *collector) gone(s *Socket, _ uint64) {
	c.settle(s, func() { c.result.Gone = append(c.result.Gone, s.id) })
}

func (c *collector) settle(s *Socket, note func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.waiting[s.id] == nil {
		return
	}
	delete(c.waiting, s.id)
	note()
	c.check()
}

// seal says that everyone was asked.
func (c *collector) seal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sealed = true
	c.check()
}

func (c *collector) check() {
	if c.sealed && len(c.waiting) == 0 && !c.calling {
		c.closed = true
		close(c.done)
	}
}

// remote takes what another node answers.
func (c *collector) remote(a adapter.Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	reply := &Reply{args: [][]byte{a.Argument}, attachments: a.Attachments}
	switch {
	case a.Part == adapter.AnswerCount:
		c.asked += a.Count
		return
	case a.Part == adapter.AnswerGone:
		c.result.Gone = append(c.result.Gone, a.Member)
	case a.Member == "":
		c.result.Unnamed = append(c.result.Unnamed, reply)
	default:
		c.result.Replies[a.Member] = reply
	}
	c.heard++
}

// called says that the other nodes have answered, or that they have not.
func (c *collector) called(missing []adapter.NodeID, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.result.MissingNodes, c.callErr, c.calling = missing, err, false
	if !c.closed {
		c.check()
	}
}

// finish ends the wait, has the sockets that did not answer forget about it, and returns the result.
func (c *collector) finish(id uint64) Replies {
	c.mu.Lock()
	c.closed = true
	late := c.waiting
	c.waiting = nil
	for name := range late {
		c.result.Missing = append(c.result.Missing, name)
	}
	c.result.MissingRemote = max(c.asked-c.heard, 0)
	c.mu.Unlock()
	for _, s := range late {
		s.forget(id)
	}
	return c.result
}

// outcome ends the wait and says what is missing, and that it is because the context has ended, if it has.
func (c *collector) outcome(id uint64, ended error) (Replies, error) {
	result := c.finish(id)
	if len(result.Missing) == 0 && c.callErr == nil {
		return result, nil // the last answer and the end of the wait may have come together
	}
	if ended != nil {
		ended = fmt.Errorf("socketio: not all clients have acknowledged: %w", ended)
	}
	return result, errors.Join(ended, c.callErr)
}
