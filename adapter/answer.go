package adapter

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"

	"github.com/peal-dev/peal/internal/service"
	"github.com/peal-dev/peal/message"
)

// Bounds of the questions of other nodes that wait for this node's answer.
const (
	maxQuestions = 64   // different ones
	maxAskers    = 64   // calls with the same question
	maxEvents    = 1024 // events for this node itself
	// maxEventBytes is how much these may hold; one may be larger. Their handlers are the program's and may take long.
	maxEventBytes = 16 << 20
)

// An EventHandler handles an event that another node sent to the nodes of a namespace. Reply is nil if nobody wants an
// answer; it may be called once, from any goroutine. The context ends when the adapter is closed, and when an answer is
// wanted no longer, which is after DefaultCallTimeout for an event that wants none: others wait behind it. The events of a namespace are handled one after another, in order of arrival.
type EventHandler func(ctx context.Context, c *Call, reply func(argument []byte, attachments [][]byte))

// answers are the questions of other nodes that wait. To describe thousands of members takes long, and handlers of
// events do what they like: messages do not wait for either. Goroutines are there only while there is something to do.
// The oldest questions are given up first, for who asked them has the least time left. Calls that ask the same share one
// answer.
type answers struct {
	mu        sync.Mutex
	questions []*inquiry
	events    []*inquiry
	bytes     int // of the events
	answering bool
	handling  bool
	stop      context.CancelFunc // of the handler that runs
	work      service.Gate
}

// inquiry is a question of one or more calls.
type inquiry struct {
	call    *Call
	replies []func(Answer)
}

// same reports whether two calls have the same answer.
func (c *Call) same(d *Call) bool {
	return c.Kind == d.Kind && slices.Equal(c.Rooms, d.Rooms) && slices.Equal(c.Except, d.Except)
}

// Answer implements [Receiver].
func (r *receiver) Answer(c *Call, reply func(Answer)) {
	switch c.Kind {
	case CallAsk:
		r.counters.in.Add(1)
		(*Adapter)(r).ask(c, reply)
	case CallEvent:
		(*Adapter)(r).queueEvent(&inquiry{c, []func(Answer){reply}})
	case CallMembers, CallIDs, CallRooms:
		(*Adapter)(r).queueQuestion(c, reply)
	}
}

func (a *Adapter) queueQuestion(c *Call, reply func(Answer)) {
	q := &a.answers
	q.mu.Lock()
	defer q.mu.Unlock()
	refused := 0
	at := slices.IndexFunc(q.questions, func(i *inquiry) bool { return i.call.same(c) })
	if at < 0 {
		if len(q.questions) >= maxQuestions {
			refused = len(q.questions[0].replies)
			q.questions = slices.Delete(q.questions, 0, 1)
		}
		q.questions = append(q.questions, &inquiry{c, []func(Answer){reply}})
	} else {
		i := q.questions[at]
		if len(i.replies) >= maxAskers {
			refused = 1
			i.replies = slices.Delete(i.replies, 0, 1)
		}
		i.replies = append(i.replies, reply)
	}
	a.counters.unanswered.Add(uint64(refused))
	if !q.answering {
		q.answering = q.work.Go(func() { a.drain(&q.questions, &q.answering, a.answerQuestion) })
	}
}

func (a *Adapter) queueEvent(i *inquiry) {
	if a.onEvent == nil {
		return
	}
	q := &a.answers
	q.mu.Lock()
	defer q.mu.Unlock()
	size := i.call.Message.Size()
	if len(q.events) >= maxEvents || q.bytes > 0 && q.bytes+size > maxEventBytes {
		a.counters.unanswered.Add(1)
		return
	}
	q.events = append(q.events, i)
	q.bytes += size
	if !q.handling {
		q.handling = q.work.Go(func() { a.drain(&q.events, &q.handling, a.handleEvent) })
	}
}

// drain does what waits in list until there is nothing more.
func (a *Adapter) drain(list *[]*inquiry, running *bool, do func(*inquiry)) {
	q := &a.answers
	for {
		q.mu.Lock()
		if q.work.IsShut() || len(*list) == 0 {
			*list, *running = nil, false
			q.mu.Unlock()
			return
		}
		i := (*list)[0]
		*list = slices.Delete(*list, 0, 1)
		if i.call.Kind == CallEvent {
			q.bytes -= i.call.Message.Size()
		}
		q.mu.Unlock()
		do(i)
	}
}

// close gives up what waits and returns when what is being done has ended, or ctx.
func (q *answers) close(ctx context.Context) error {
	q.work.Shut()
	q.mu.Lock()
	if q.stop != nil {
		q.stop()
	}
	q.mu.Unlock()
	return q.work.Close(ctx)
}

func (a *Adapter) answerQuestion(i *inquiry) {
	var answer Answer
	t := message.Target{Rooms: i.call.Rooms, Except: i.call.Except}
	switch i.call.Kind {
	case CallRooms:
		answer.Names = a.index.names(true)
	case CallIDs:
		a.describe(t, func(s Snapshotter) { answer.Names = append(answer.Names, s.ID()) })
	default:
		a.describe(t, func(s Snapshotter) {
			// One that cannot describe itself must not keep the answer about all others back.
			if b, err := s.Snapshot(); err == nil && json.Valid(b) {
				answer.Members = append(answer.Members, b)
			} else {
				a.counters.undescribed.Add(1)
			}
		})
	}
	for _, reply := range i.replies {
		reply(answer)
	}
}

// describe calls yield for the meant members that can describe themselves, while the adapter is open. Others, such as
// event streams, are no sockets, which other nodes ask for.
func (a *Adapter) describe(t message.Target, yield func(Snapshotter)) {
	a.Each(t, func(m Member) bool {
		if s, ok := m.(Snapshotter); ok {
			yield(s)
		}
		return !a.closed.Load()
	})
}

func (a *Adapter) handleEvent(i *inquiry) {
	timeout := i.call.Timeout
	if timeout <= 0 {
		timeout = DefaultCallTimeout
	}
	// It serves a node elsewhere, so it hangs on no caller's context; the adapter's closing ends it.
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	var reply func([]byte, [][]byte)
	if len(i.replies) > 0 {
		var once sync.Once
		reply = func(argument []byte, attachments [][]byte) {
			once.Do(func() { i.replies[0](Answer{Argument: argument, Attachments: attachments}) })
		}
	}
	defer cancel()
	a.answers.running(cancel)
	defer a.answers.running(nil)
	a.onEvent(ctx, i.call, reply)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		a.counters.overdue.Add(1)
	}
}

// running notes how the handler that runs is stopped.
func (q *answers) running(stop context.CancelFunc) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stop = stop; q.work.IsShut() && stop != nil {
		stop()
	}
}

// ask delivers another node's broadcast with acknowledgement. First comes the number of members that will answer, then
// their answers one by one. A node that did not say its number would let the whole call time out.
func (a *Adapter) ask(c *Call, reply func(Answer)) {
	var askers []Asker
	delivered := uint64(0)
	a.Each(message.Target{Rooms: c.Rooms, Except: c.Except}, func(m Member) bool {
		if asker, ok := m.(Asker); ok {
			askers = append(askers, asker)
		} else {
			m.Deliver(c.Message)
			delivered++
		}
		return true
	})
	a.counters.deliveries.Add(delivered)
	reply(Answer{Part: AnswerCount, Count: len(askers)})
	q := &Question{Message: c.Message, Timeout: c.Timeout,
		Reply: func(member string, argument []byte, attachments [][]byte) {
			reply(Answer{Part: AnswerReply, Member: member, Argument: argument, Attachments: attachments})
		},
		Gone: func(member string) { reply(Answer{Part: AnswerGone, Member: member}) },
	}
	for _, asker := range askers {
		asker.Ask(q)
	}
}
