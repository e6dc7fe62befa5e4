package interop_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/peal-dev/peal/socketio"
)

// fetched returns the sockets by the names of their clients.
func (m *mixed) fetched(sockets []*socketio.RemoteSocket, err error) map[string]*socketio.RemoteSocket {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
	found := map[string]*socketio.RemoteSocket{}
	for _, s := range sockets {
		for name, id := range m.ids {
			if id == s.ID {
				found[name] = s
			}
		}
	}
	if len(found) != len(sockets) {
		m.t.Errorf("%d sockets, of which %d are of a client", len(sockets), len(found))
	}
	return found
}

// A Go node asks a Node.js node for all that a Node.js node could ask another.
func TestNodeClusterAnswersGo(t *testing.T) {
	t.Parallel()
	m := startMixed(t)
	ctx := t.Context()
	m.join("red", "g1", "n1")

	if n, err := m.golang.ServerCount(ctx); err != nil || n != 2 {
		t.Errorf("Go counts %d nodes, %v, want 2", n, err)
	}
	rooms, err := m.golang.AllRooms(ctx)
	if err != nil {
		t.Error(err)
	}
	requireSame(t, "rooms", rooms, "red", m.ids["g1"], m.ids["g2"], m.ids["n1"], m.ids["n2"])
	if all := m.fetched(m.golang.FetchSockets(ctx)); len(all) != 4 {
		t.Errorf("fetched %d sockets, want 4", len(all))
	}
	red := m.fetched(m.golang.To("red").FetchSockets(ctx))
	if len(red) != 2 || red["g1"] == nil || red["n1"] == nil {
		t.Fatalf("fetched %v, want g1 and n1", red)
	}
	n1 := red["n1"]
	requireJSON(t, "data", n1.Data, params{"made": "by node", "number": 7})
	requireSame(t, "rooms of n1", n1.Rooms, "red")
	h := n1.Handshake
	if h.Time.IsZero() || h.Address == "" || h.URL == "" || h.Header.Get("Host") == "" || h.Query.Get("EIO") != "4" || len(h.Auth) == 0 || n1.Socket() != nil {
		t.Errorf("handshake of n1 is incomplete: %+v", h)
	}

	// What Go does to a socket of Node.
	if err := n1.Join(ctx, "crimson"); err != nil {
		t.Error(err)
	}
	if err := n1.Leave(ctx, "red"); err != nil {
		t.Error(err)
	}
	if err := n1.Emit(ctx, "to you", []byte{1}); err != nil {
		t.Error(err)
	}
	requireJSON(t, "the event of one", m.clients.awaitEvents("n1", "to you", 1)[0].Args, []any{bin([]byte{1})})
	reply, err := n1.EmitWithAck(ctx, "who")
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{ Client string }
	if err := reply.Decode(&answer); err != nil || answer.Client != "n1" {
		t.Errorf("%s answered, %v, want n1", answer.Client, err)
	}
	requireSame(t, "rooms after the change", m.fetched(m.golang.To("crimson").FetchSockets(ctx))["n1"].Rooms, "crimson")
	if err := n1.Disconnect(ctx, false); err != nil {
		t.Error(err)
	}
	if reason := m.clients.awaitState("n1", "disconnect", 1); reason != "io server disconnect" {
		t.Errorf("n1 was told %q", reason)
	}
}

// within is the test's context for that long.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// A broadcast of a Go node collects the acknowledgements of all nodes' clients, and ends with the last.
func TestNodeClusterAcksToGo(t *testing.T) {
	t.Parallel()
	m := startMixed(t)
	replies, err := m.golang.Broadcast().EmitWithAck(within(t, patience), "who", []byte{1})
	if err != nil || len(replies.Replies) != 2 || len(replies.Unnamed) != 2 {
		t.Fatalf("%d of Go and %d of Node, %v", len(replies.Replies), len(replies.Unnamed), err)
	}
	var names []string
	for _, r := range slices.Concat(replies.Unnamed, []*socketio.Reply{replies.Replies[m.ids["g1"]], replies.Replies[m.ids["g2"]]}) {
		var answer struct {
			Client string
			Args   [][]byte
		}
		if err := r.Decode(&answer); err != nil || len(answer.Args) != 1 || !slices.Equal(answer.Args[0], []byte{1}) {
			t.Errorf("answer %s: %v", r.Raw(0), err)
		}
		names = append(names, answer.Client)
	}
	requireSame(t, "who answered Go's question", names, everyone...)
	replies, err = m.golang.To("nobody").EmitWithAck(t.Context(), "who")
	if err != nil || len(replies.Replies)+len(replies.Unnamed) != 0 {
		t.Errorf("an empty room answered %+v, %v", replies, err)
	}
}

// Nodes of both kinds send each other events, with and without acknowledgement.
func TestNodeClusterServerSideEvents(t *testing.T) {
	t.Parallel()
	m := startMixed(t)
	heard := make(chan string, 4)
	m.golang.OnServerSide("greet", func(ctx context.Context, args ...any) string {
		heard <- fmt.Sprint(args...)
		return "go"
	})
	await := func(want string) {
		t.Helper()
		if got := <-heard; got != want {
			t.Errorf("Go was told %q, want %q", got, want)
		}
	}
	var answers []string
	m.node.do("serverSideAsk", params{"args": []any{"from node", 1}}, &answers)
	requireSame(t, "answers to Node", answers, "go")
	await("from node1")
	m.node.do("serverSideEmit", params{"args": []any{"told"}}, nil)
	await("told")

	greeted := func(ack bool) report {
		t.Helper()
		return m.node.await(1, "greetings", func(r report) bool { return r.Event == "greet" && r.Ack == ack })[0]
	}
	got, err := socketio.CallServers[string](t.Context(), m.golang.Of("/"), "greet", "from go", []byte{1, 2})
	if err != nil || !slices.Equal(got, []string{"node"}) {
		t.Errorf("answers to Go: %q, %v", got, err)
	}
	requireJSON(t, "what Node was asked", greeted(true).Args, []any{"from go", bin([]byte{1, 2})})
	if err := m.golang.ServerSideEmit(t.Context(), "greet", "told"); err != nil {
		t.Error(err)
	}
	requireJSON(t, "what Node was told", greeted(false).Args, []any{"told"})

	// An event without a handler is not answered, by either.
	asked := m.node.begin("serverSideAsk", params{"namespace": "/custom"})
	const want = "timeout reached: only 0 responses received out of 1"
	if r := m.node.finish("serverSideAsk", asked); r.Error != want {
		t.Errorf("serverSideEmitWithAck: %q, want %q", r.Error, want)
	}
}
