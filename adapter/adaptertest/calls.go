package adaptertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
)

// Socket is a [Member] that other nodes take for a socket: it describes itself, and answers when it is asked as it was last
// told by Answer, or not at all. Safe for concurrent use.
type Socket struct {
	*Member
	answer atomic.Pointer[func(q *adapter.Question)]
}

// Answer has the socket answer with f from now on. Nil says nothing.
func (s *Socket) Answer(f func(q *adapter.Question)) { s.answer.Store(&f) }

// Snapshot implements [adapter.Snapshotter].
func (s *Socket) Snapshot() ([]byte, error) {
	return fmt.Appendf(nil, `{"id":%q,"handshake":{},"rooms":[%q],"data":{}}`, s.ID(), s.ID()), nil
}

// Ask implements [adapter.Asker].
func (s *Socket) Ask(q *adapter.Question) {
	s.Deliver(q.Message)
	if f := s.answer.Load(); f != nil && *f != nil {
		(*f)(q)
	}
}

// echo answers with the event's arguments and one attachment.
func (s *Socket) echo(q *adapter.Question) {
	q.Reply(s.ID(), []byte(`{"from":`+fmt.Sprintf("%q", s.ID())+`,"data":{"_placeholder":true,"num":0}}`), [][]byte{[]byte(q.Message.Event())})
}

// callNodes is a cluster in which each node has the sockets s<i>a in room r and s<i>b, beside its plain member, and answers
// events with its number.
func (s suite) callNodes(t *testing.T, nodes int) ([]*node, []*Socket) {
	t.Helper()
	var (
		started []*node
		sockets []*Socket
	)
	for i, d := range s.drivers(t, nodes) {
		a, err := adapter.New(t.Context(), "/", d, &adapter.Options{OnEvent: func(_ context.Context, c *adapter.Call, reply func([]byte, [][]byte)) {
			if reply != nil && c.Message.Event() != "ignored" {
				reply(fmt.Appendf(nil, `[%d,%s]`, i, c.Message.Args()), c.Message.Attachments)
			}
		}})
		check(t, err)
		t.Cleanup(func() {
			// The test's own context has ended by now.
			if err := a.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		n := &node{Adapter: a, all: NewMember(fmt.Sprint("all", i)), driver: d}
		n.add(t, n.all, "r")
		started = append(started, n)
		for _, name := range []string{"a", "b"} {
			socket := &Socket{Member: NewMember(fmt.Sprint("s", i, name))}
			socket.Answer(socket.echo)
			var rooms []string
			if name == "a" {
				rooms = []string{"r"}
			}
			if _, err := a.Add(t.Context(), socket, rooms...); err != nil {
				t.Fatal(err)
			}
			sockets = append(sockets, socket)
		}
	}
	return started, sockets
}

// call asks and returns all answers.
func (n *node) call(t *testing.T, c *adapter.Call) ([]adapter.Answer, error) {
	t.Helper()
	var answers []adapter.Answer
	missing, err := n.Call(t.Context(), c, func(a adapter.Answer) { answers = append(answers, a) })
	var incomplete *adapter.IncompleteError
	if errors.As(err, &incomplete) != errors.Is(err, adapter.ErrIncomplete) || incomplete != nil && len(incomplete.Missing) != len(missing) {
		t.Errorf("call %s: missing %q, error %v", c.Kind, missing, err)
	}
	return answers, err
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	got = slices.Clone(got)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// callMembers asks for sockets and rooms: every other node answers once, members that are no sockets are not told of.
func (s suite) callMembers(t *testing.T) {
	nodes, _ := s.callNodes(t, 3)
	n, err := nodes[0].Nodes(t.Context())
	if err != nil || n != 3 {
		t.Errorf("Nodes = %d, %v, want 3", n, err)
	}
	for _, tt := range []struct {
		call adapter.Call
		want []string
	}{
		{adapter.Call{Kind: adapter.CallMembers}, []string{"s1a", "s1b", "s2a", "s2b"}},
		{adapter.Call{Kind: adapter.CallMembers, Rooms: []string{"r"}}, []string{"s1a", "s2a"}},
		{adapter.Call{Kind: adapter.CallMembers, Rooms: []string{"r", "s2b"}, Except: []string{"s1a"}}, []string{"s2a", "s2b"}},
		{adapter.Call{Kind: adapter.CallMembers, Rooms: []string{"nobody"}}, nil},
		{adapter.Call{Kind: adapter.CallIDs, Rooms: []string{"r"}}, []string{"s1a", "s2a"}},
		{adapter.Call{Kind: adapter.CallRooms}, []string{"all1", "all2", "r", "r", "s1a", "s1b", "s2a", "s2b"}},
	} {
		answers, err := nodes[0].call(t, &tt.call)
		if err != nil || len(answers) != 2 {
			t.Errorf("%s %q: %d answers, %v", tt.call.Kind, tt.call.Rooms, len(answers), err)
		}
		var got []string
		for _, a := range answers {
			got = append(got, a.Names...)
			for _, m := range a.Members {
				id, _, _ := bytes.Cut(bytes.TrimPrefix(m, []byte(`{"id":"`)), []byte(`"`))
				got = append(got, string(id))
			}
		}
		same(t, tt.call.Kind.String(), got, tt.want...)
	}
}

// callEvent sends events to the nodes: those who want an answer get one of each node, binary values included.
func (s suite) callEvent(t *testing.T) {
	nodes, _ := s.callNodes(t, 3)
	m := message.New([]byte(`["greet","x",{"_placeholder":true,"num":0}]`), []byte{1, 2, 3})
	answers, err := nodes[1].call(t, &adapter.Call{Kind: adapter.CallEvent, Message: m})
	if err != nil {
		t.Error(err)
	}
	var got []string
	for _, a := range answers {
		got = append(got, fmt.Sprintf("%s %x", a.Argument, a.Attachments))
	}
	same(t, "answers", got, `[0,["x",{"_placeholder":true,"num":0}]] [010203]`, `[2,["x",{"_placeholder":true,"num":0}]] [010203]`)
	check(t, nodes[1].SendEvent(t.Context(), m))
	// One that nobody answers is a partial answer, within the time of the call.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := nodes[1].Call(ctx, &adapter.Call{Kind: adapter.CallEvent, Message: m}, func(adapter.Answer) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("call with a context that has ended: %v", err)
	}
	ignored := message.New([]byte(`["ignored"]`))
	answers, err = nodes[1].call(t, &adapter.Call{Kind: adapter.CallEvent, Message: ignored, Timeout: patience / 100})
	if !errors.Is(err, adapter.ErrIncomplete) || len(answers) != 0 {
		t.Errorf("event that nobody answers: %v, %v", answers, err)
	}
}

// callAsk asks members: the call ends as soon as the last has answered or gone, and says who has not.
func (s suite) callAsk(t *testing.T) {
	nodes, sockets := s.callNodes(t, 3)
	// It is given up after so many replies, or never.
	ask := func(enough int, rooms ...string) (replies []string, gone int, err error) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c := &adapter.Call{Kind: adapter.CallAsk, Rooms: rooms, Message: message.New([]byte(`["q"]`)), Timeout: patience}
		_, err = nodes[0].Call(ctx, c, func(a adapter.Answer) {
			switch a.Part {
			case adapter.AnswerReply:
				replies = append(replies, fmt.Sprintf("%s %q", a.Argument, a.Attachments))
			case adapter.AnswerGone:
				gone++
			}
			if len(replies) == enough {
				cancel()
			}
		})
		return replies, gone, err
	}
	const never = -1
	reply := func(id string) string {
		return fmt.Sprintf(`{"from":%q,"data":{"_placeholder":true,"num":0}} ["q"]`, id)
	}
	got, _, err := ask(never, "r")
	check(t, err)
	same(t, "replies", got, reply("s1a"), reply("s2a"))
	for _, n := range nodes[1:] {
		n.all.Until(t, "q") // members who cannot answer hear of it
	}
	got, _, err = ask(never, "nobody")
	if err != nil || len(got) != 0 {
		t.Errorf("nobody answers %q, %v", got, err)
	}
	silent := sockets[2]
	silent.Answer(nil)
	got, _, err = ask(3)
	var incomplete *adapter.IncompleteError
	if !errors.Is(err, context.Canceled) || !errors.As(err, &incomplete) || incomplete.Silent != 1 || incomplete.Asked != 4 || len(incomplete.Missing) != 0 {
		t.Errorf("one of four is silent: %v", err)
	}
	same(t, "replies without "+silent.ID(), got, reply("s1b"), reply("s2a"), reply("s2b"))
	silent.Answer(func(q *adapter.Question) { q.Gone(silent.ID()) })
	got, gone, err := ask(never, "r")
	if err != nil || gone != 1 {
		t.Errorf("one of two is gone: %d, %v", gone, err)
	}
	same(t, "replies without "+silent.ID(), got, reply("s2a"))
}

// callGone has a node leave while it is asked: what others answered is there, and nobody waits for it.
func (s suite) callGone(t *testing.T) {
	nodes, _ := s.callNodes(t, 3)
	var (
		once  sync.Once
		asked = make(chan struct{})
	)
	stuck := &blocked{&Socket{Member: NewMember("stuck")}, func() { once.Do(func() { close(asked) }) }, make(chan struct{})}
	if _, err := nodes[2].Add(t.Context(), stuck); err != nil {
		t.Fatal(err)
	}
	type result struct {
		answers []adapter.Answer
		err     error
	}
	results := make(chan result, 1)
	go func() {
		answers, err := nodes[0].call(t, &adapter.Call{Kind: adapter.CallMembers, Timeout: 10 * patience})
		results <- result{answers, err}
	}()
	<-asked
	closed := make(chan error, 1)
	go func() { closed <- nodes[2].Close(t.Context()) }()
	r := <-results
	if !errors.Is(r.err, adapter.ErrIncomplete) || len(r.answers) != 1 {
		t.Errorf("%d answers, %v, want one and that another is missing", len(r.answers), r.err)
	}
	close(stuck.open)
	check(t, <-closed)
	if n, err := nodes[0].Nodes(t.Context()); err != nil || n != 2 {
		t.Errorf("Nodes = %d, %v, want 2", n, err)
	}
}

// blocked is a socket that cannot describe itself until it is let.
type blocked struct {
	*Socket
	reached func()
	open    chan struct{}
}

func (b *blocked) Snapshot() ([]byte, error) {
	b.reached()
	<-b.open
	return b.Socket.Snapshot()
}

// callClose closes the node that asks.
func (s suite) callClose(t *testing.T) {
	nodes, sockets := s.callNodes(t, 2)
	asked := make(chan struct{})
	sockets[2].Answer(func(*adapter.Question) { close(asked) })
	result := make(chan error, 1)
	go func() {
		_, err := nodes[0].call(t, &adapter.Call{Kind: adapter.CallAsk, Rooms: []string{"s1a"}, Message: message.New([]byte(`["q"]`)), Timeout: 10 * patience})
		result <- err
	}()
	<-asked
	check(t, nodes[0].Close(t.Context()))
	if err := <-result; !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("call while the link is closed: %v", err)
	}
	if _, err := nodes[0].call(t, &adapter.Call{Kind: adapter.CallRooms}); !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("call after the link was closed: %v", err)
	}
	if _, err := nodes[0].Nodes(t.Context()); !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("Nodes after the link was closed: %v", err)
	}
}
