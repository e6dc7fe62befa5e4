package adapter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/peal-dev/peal/message"
)

// Errors of calls.
var (
	// ErrIncomplete means that not every node has answered a call in time: what did come was handed over.
	ErrIncomplete = errors.New("adapter: not every node has answered")
	// ErrNoCalls means that the driver carries no calls.
	ErrNoCalls = errors.New("adapter: the driver carries no calls")
)

// IncompleteError is an [ErrIncomplete] that says what is missing.
type IncompleteError struct {
	Missing []NodeID // the nodes that have not answered, of which the driver may not know the names
	Nodes   int      // how many were asked
	Silent  int      // members of other nodes that were asked by CallAsk and have neither replied nor gone
	Asked   int      // how many members those nodes asked that have answered
}

// Error says what is missing.
func (e *IncompleteError) Error() string {
	return fmt.Sprintf("%v: %d of %d nodes and %d of %d members are missing", ErrIncomplete, len(e.Missing), e.Nodes, e.Silent, e.Asked)
}

// Unwrap returns [ErrIncomplete].
func (e *IncompleteError) Unwrap() error { return ErrIncomplete }

// DefaultCallTimeout is how long a call waits for answers when neither its Timeout nor its context says.
const DefaultCallTimeout = 5 * time.Second

// Bounds of the calls of one adapter.
const (
	maxCalls       = 1024     // that wait for answers
	maxAnswerBytes = 64 << 20 // of one call, all answers together
)

// NodeID is a node's name in a namespace. "" is a node of which only its being there is known: some drivers count the
// nodes and cannot name them.
type NodeID string

// CallKind says what a [Call] asks.
type CallKind uint8

// The kinds of call.
const (
	CallMembers CallKind = iota + 1 // describe the meant members: each node answers with Members
	CallIDs                         // name the meant members: each node answers with Names
	CallRooms                       // name all rooms: each node answers with Names
	CallEvent                       // handle Message as a node: each node that handles it answers with Argument
	CallAsk                         // ask the meant members: each node says how many it asks, then what each answers
)

// String returns the kind's name in lower case.
func (k CallKind) String() string {
	if k < CallMembers || k > CallAsk {
		return "unknown"
	}
	return [...]string{"members", "ids", "rooms", "event", "ask"}[k-1]
}

// Call is a question to all other nodes. It must not change once it was asked.
type Call struct {
	Kind CallKind
	// Rooms and Except say which members are meant, as in [message.Target]; for CallMembers, CallIDs and CallAsk.
	Rooms, Except []string
	// Message is what members or nodes are asked; for CallAsk and CallEvent.
	Message *message.Message
	// Timeout is how long answers are wanted. Zero or less means until the deadline of the context, or DefaultCallTimeout
	// if it has none; in a call of another node it means that it did not say.
	Timeout time.Duration
}

// AnswerPart says what an [Answer] is of all that one node has to say.
type AnswerPart uint8

// The parts of what a node says. All but those to a CallAsk are whole.
const (
	AnswerWhole AnswerPart = iota // all that the node says
	AnswerCount                   // how many members it asks: Count. Each node says so once, whether there are any or not
	AnswerReply                   // what one member answers: Member, Argument and Attachments
	AnswerGone                    // that Member went away and will not answer; not every driver can tell
)

// Answer is what a node says to a [Call], or a part of it.
type Answer struct {
	Part AnswerPart
	Node NodeID
	// Members are JSON objects {id, handshake, rooms, data} as [Snapshotter] makes them.
	Members [][]byte
	// Names are rooms or ids.
	Names []string
	// Count is how many members the node asks.
	Count int
	// Member is the id of the member who answers, "" if the driver cannot tell.
	Member string
	// Argument is JSON, "null" if there is none, and Attachments are the binary values that its placeholders name.
	Argument    []byte
	Attachments [][]byte
}

func (a *Answer) size() int {
	n := len(a.Argument)
	for _, list := range [][][]byte{a.Members, a.Attachments} {
		for _, b := range list {
			n += len(b)
		}
	}
	for _, name := range a.Names {
		n += len(name)
	}
	return n
}

// Caller is a [Link] that carries calls. Its methods are safe for concurrent use. Build one on [Calls].
type Caller interface {
	// Call asks all other nodes and hands each answer to each, one at a time, until all have come, ctx ends or a node is
	// known to be gone. It returns the nodes whose answer is missing: with an error wrapping [ErrIncomplete] if there are
	// any, or members of theirs have not replied, and beside any other error as far as they are known. Answers that came
	// are good whatever the error. The call's Timeout is the other nodes' to know; the time is bounded by ctx.
	Call(ctx context.Context, c *Call, each func(Answer)) (missing []NodeID, err error)
	// Nodes returns how many nodes of the cluster are in the namespace, with this one.
	Nodes(ctx context.Context) (int, error)
}

// Call asks all other nodes and hands each answer to each, one at a time and not after Call has returned; see [Caller].
// This node is not asked. Without a driver there is nobody to ask. It fails with [ErrOverloaded] when too many calls
// wait already or the answers are larger than 64 MiB, and as Publish does when the cluster cannot be reached.
func (a *Adapter) Call(ctx context.Context, c *Call, each func(Answer)) (missing []NodeID, err error) {
	if a.link == nil {
		return nil, nil
	}
	a.counters.calls.Add(1)
	missing, err = a.call(ctx, c, each)
	if err != nil {
		a.counters.callErrors.Add(Reason(err))
		return missing, fmt.Errorf("adapter %s: call %s: %w", a.namespace, c.Kind, err)
	}
	return missing, nil
}

func (a *Adapter) call(ctx context.Context, c *Call, each func(Answer)) (missing []NodeID, err error) {
	caller, err := a.caller()
	if err != nil {
		return nil, err
	}
	if waiting := a.calling.Add(1); waiting > maxCalls {
		a.calling.Add(-1)
		return nil, fmt.Errorf("%w: %d calls wait for answers", ErrOverloaded, maxCalls)
	}
	defer a.calling.Add(-1)
	asked := *c
	if asked.Timeout <= 0 {
		asked.Timeout = DefaultCallTimeout
		if deadline, ok := ctx.Deadline(); ok {
			asked.Timeout = time.Until(deadline)
		}
	}
	bounded, cancel := context.WithTimeout(ctx, asked.Timeout)
	defer cancel()
	size := 0
	missing, err = caller.Call(bounded, &asked, func(answer Answer) {
		if size += answer.size(); size > maxAnswerBytes {
			cancel()
			return
		}
		each(answer)
	})
	switch {
	case size > maxAnswerBytes:
		return missing, fmt.Errorf("%w: the answers are larger than %d MiB", ErrOverloaded, maxAnswerBytes>>20)
	case err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrIncomplete):
		// The time that is over is the call's, and none that the caller set: the cluster did not even take the question.
		return missing, fmt.Errorf("%w: not taken within %v", ErrUnavailable, asked.Timeout)
	case err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()):
		return missing, fmt.Errorf("%w: %w", err, ctx.Err())
	}
	return missing, err
}

// Nodes returns how many nodes of the cluster are in the namespace now, with this one; 1 without a driver.
func (a *Adapter) Nodes(ctx context.Context) (int, error) {
	if a.link == nil {
		return 1, nil
	}
	caller, err := a.caller()
	n := 0
	if err == nil {
		n, err = caller.Nodes(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("adapter %s: count nodes: %w", a.namespace, err)
	}
	return n, nil
}

func (a *Adapter) caller() (Caller, error) {
	if a.closed.Load() {
		return nil, ErrClosed
	}
	caller, ok := a.link.(Caller)
	if !ok {
		return nil, ErrNoCalls
	}
	return caller, nil
}
