package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/socketio"
)

// clusterOf starts nodes that have joined a cluster in memory.
func clusterOf(t *testing.T, nodes int, setup func(i int, io *socketio.Server)) (*adaptertest.Cluster, []*rig) {
	t.Helper()
	cluster := adaptertest.NewCluster()
	rigs := make([]*rig, nodes)
	for i := range rigs {
		rigs[i] = newRig(t, &socketio.Options{Driver: cluster.NewDriver()}, func(io *socketio.Server) {
			if setup != nil {
				setup(i, io)
			}
		})
		if err := rigs[i].io.Of("/").Adapter().Ping(deadline(t)); err != nil {
			t.Fatal(err)
		}
	}
	return cluster, rigs
}

// find returns the socket with that id.
func find(t *testing.T, sockets []*socketio.RemoteSocket, id string) *socketio.RemoteSocket {
	t.Helper()
	i := slices.IndexFunc(sockets, func(s *socketio.RemoteSocket) bool { return s.ID == id })
	if i < 0 {
		t.Fatalf("socket %s is not among %d", id, len(sockets))
	}
	return sockets[i]
}

func TestFetchSockets(t *testing.T) {
	t.Parallel()
	ctx := deadline(t)
	_, rigs := clusterOf(t, 2, func(_ int, io *socketio.Server) {
		io.Use(func(ctx context.Context, s *socketio.Socket) error {
			s.Set("user", map[string]string{"name": "Ada"})
			return s.Join(ctx, "room")
		})
	})
	one, two := rigs[0].io, rigs[1].io
	_, here := rigs[0].join()
	there := rigs[1].dial()
	there.send(`40{"token":"x"}`)
	away := there.joined("")
	// A stream is a member of the namespace and no socket.
	if _, err := two.Of("/").Adapter().Add(ctx, adaptertest.NewMember("stream"), "room"); err != nil {
		t.Fatal(err)
	}

	sockets, err := one.To("room").FetchSockets(ctx)
	if err != nil || len(sockets) != 2 {
		t.Fatalf("%d sockets, %v, want 2", len(sockets), err)
	}
	var data struct{ User struct{ Name string } }
	remote := find(t, sockets, away)
	if err := remote.DecodeData(&data); err != nil || data.User.Name != "Ada" {
		t.Errorf("data %s: %v", remote.Data, err)
	}
	h := remote.Handshake
	if string(h.Auth) != `{"token":"x"}` || h.Address != "127.0.0.1" || h.Query.Get("transport") != "websocket" || h.Header.Get("Host") == "" || h.Time.IsZero() || h.URL == "" {
		t.Errorf("handshake %+v", h)
	}
	if !slices.Equal(remote.Rooms, []string{"room"}) || remote.Socket() != nil || find(t, sockets, here).Socket() != one.Of("/").Socket(here) {
		t.Errorf("rooms %q, socket %v", remote.Rooms, remote.Socket())
	}
	if local, err := one.Local().FetchSockets(ctx); err != nil || len(local) != 1 || local[0].ID != here {
		t.Errorf("on this node: %v, %v", local, err)
	}
	if rest, err := one.Except(away).FetchSockets(ctx); err != nil || len(rest) != 1 {
		t.Errorf("all but one: %v, %v", rest, err)
	}
	rooms, err := one.AllRooms(ctx)
	want := []string{away, here, "room", "stream"}
	slices.Sort(want)
	if err != nil || !slices.Equal(rooms, want) {
		t.Errorf("rooms %q, %v, want %q", rooms, err, want)
	}
	if n, err := one.ServerCount(ctx); err != nil || n != 2 {
		t.Errorf("%d nodes, %v, want 2", n, err)
	}

	// What is done to it is done where it is.
	if err := errors.Join(remote.Emit(ctx, "hi", 1), remote.Join(ctx, "new"), remote.Leave(ctx, "room")); err != nil {
		t.Fatal(err)
	}
	there.want(`42["hi",1]`)
	go func() {
		there.want(`420["q"]`)
		there.send(`430["a"]`)
	}()
	reply, err := remote.EmitWithAck(ctx, "q")
	if err != nil || string(reply.Raw(0)) != `"a"` {
		t.Errorf("reply %v, %v", reply, err)
	}
	// The acknowledgement came behind the changes.
	if got := two.Of("/").Socket(away).Rooms(); !slices.Equal(got, []string{"new"}) {
		t.Errorf("rooms %q, want new", got)
	}
	if err := remote.Disconnect(ctx, true); err != nil {
		t.Fatal(err)
	}
	there.wantClosed()
	if _, err := remote.EmitWithAck(ctx, "q"); !errors.Is(err, socketio.ErrDisconnected) {
		t.Errorf("asking a socket that is gone: %v", err)
	}
}

func TestClusterAck(t *testing.T) {
	t.Parallel()
	ctx := deadline(t)
	cluster, rigs := clusterOf(t, 3, nil)
	one := rigs[0].io
	var (
		peers []*peer
		ids   []string
	)
	for _, r := range rigs {
		p, id := r.join()
		peers, ids = append(peers, p), append(ids, id)
	}
	for i, p := range peers {
		go func() {
			p.want(`420["q"]`)
			p.send(fmt.Sprintf(`430[%d,"more"]`, i))
		}()
	}
	replies, err := one.Broadcast().EmitWithAck(ctx, "q")
	if err != nil || len(replies.Replies) != 3 {
		t.Fatalf("%d replies, %v, want 3", len(replies.Replies), err)
	}
	for i, id := range ids {
		if got := string(replies.Replies[id].Raw(0)); got != fmt.Sprint(i) {
			t.Errorf("node %d: %s", i, got)
		}
	}
	if replies, err = one.To("nobody").EmitWithAck(ctx, "q"); err != nil || len(replies.Replies) != 0 {
		t.Errorf("nobody: %+v, %v", replies, err)
	}

	// Clients that go away are not waited for, wherever they are.
	for _, p := range peers[:2] {
		go func() {
			p.read()
			p.close()
		}()
	}
	go func() {
		peers[2].want(`421["bye"]`)
		peers[2].send(`431[2]`)
	}()
	replies, err = one.Broadcast().EmitWithAck(ctx, "bye")
	if err != nil || len(replies.Replies) != 1 || len(replies.Gone) != 2 || !slices.Contains(replies.Gone, ids[1]) {
		t.Errorf("after two have gone: %+v, %v", replies, err)
	}

	// Of one that is silent elsewhere only the number is known, and not even that until its node has said it.
	asked, cancel := context.WithCancel(ctx)
	go func() {
		peers[2].read()
		cancel()
	}()
	replies, err = one.Broadcast().EmitWithAck(asked, "silence")
	if !errors.Is(err, context.Canceled) || !errors.Is(err, socketio.ErrIncomplete) || replies.MissingRemote+len(replies.MissingNodes) == 0 {
		t.Errorf("given up: %+v, %v", replies, err)
	}
	none, stop := context.WithTimeout(ctx, 1)
	defer stop()
	replies, err = one.Broadcast().EmitWithAck(none, "no time")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no time: %+v, %v", replies, err)
	}
	cluster.Fail(errors.New("cable pulled"))
	if _, err := one.Broadcast().EmitWithAck(ctx, "q"); !errors.Is(err, adapter.ErrUnavailable) {
		t.Errorf("without a cluster: %v", err)
	}
	if _, err := one.FetchSockets(ctx); !errors.Is(err, adapter.ErrUnavailable) {
		t.Errorf("FetchSockets without a cluster: %v", err)
	}
	if st := one.Of("/").Adapter().Stats(); st.CallErrors["unavailable"] < 2 || st.CallErrors["incomplete"] == 0 {
		t.Errorf("counted %v", st.CallErrors)
	}
}

func TestServerSide(t *testing.T) {
	t.Parallel()
	ctx := deadline(t)
	seen := make(chan string, 10)
	_, rigs := clusterOf(t, 3, func(i int, io *socketio.Server) {
		io.OnServerSide("sum", func(ctx context.Context, a, b int) (int, error) {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("the handler does not know how long it is waited for")
			}
			return 100*i + a + b, nil
		})
		io.OnServerSide("told", func(text string, data []byte) {
			seen <- fmt.Sprintf("%d %s %x", i, text, data)
		})
		io.OnServerSide("mixed", func() (string, error) {
			switch i {
			case 1:
				return "", &socketio.Error{Code: "busy", Message: "later"}
			case 2:
				return "fine", nil
			}
			panic("this node is not asked")
		})
		io.OnServerSide("later", func(ack socketio.Ack) { go ack([]byte{byte(i)}) })
		io.OnServerSide("panics", func() { panic("oh") })
	})
	one := rigs[0].io
	sums, err := socketio.CallServers[int](ctx, one.Of("/"), "sum", 1, 2)
	slices.Sort(sums)
	if err != nil || !slices.Equal(sums, []int{103, 203}) {
		t.Errorf("sums %v, %v", sums, err)
	}
	words, err := socketio.CallServers[string](ctx, one.Of("/"), "mixed")
	if failed := (*socketio.Error)(nil); !errors.As(err, &failed) || failed.Code != "busy" || !slices.Equal(words, []string{"fine"}) {
		t.Errorf("words %q, %v", words, err)
	}
	replies, err := one.ServerSideEmitWithAck(ctx, "later")
	got := []byte{}
	for _, r := range replies {
		var b []byte
		if err := r.Decode(&b); err != nil {
			t.Error(err)
		}
		got = append(got, b...)
	}
	slices.Sort(got)
	if err != nil || !slices.Equal(got, []byte{1, 2}) {
		t.Errorf("bytes %v, %v", got, err)
	}
	if replies, err := one.ServerSideEmitWithAck(ctx, "panics"); err != nil || len(replies) != 2 || string(replies[0].Raw(0)) != `{"error":{"code":"internal","message":"internal error"}}` {
		t.Errorf("after a panic: %v, %v", replies, err)
	}
	if err := one.ServerSideEmit(ctx, "told", "x", []byte{7}); err != nil {
		t.Error(err)
	}
	told := []string{receive(t, seen), receive(t, seen)}
	slices.Sort(told)
	if !slices.Equal(told, []string{"1 x 07", "2 x 07"}) {
		t.Errorf("told %q", told)
	}
	// The events of one namespace are not those of another, and what nobody handles is not answered.
	asked, cancel := context.WithCancel(ctx)
	cancel()
	if replies, err := one.ServerSideEmitWithAck(asked, "sum", 1, 2); !errors.Is(err, context.Canceled) || len(replies) != 0 {
		t.Errorf("with a context that has ended: %v, %v", replies, err)
	}
	if err := one.ServerSideEmit(ctx, "connect"); err == nil {
		t.Error("a name that the protocol reserves was sent")
	}
	for name, fn := range map[string]any{
		"a socket": func(*socketio.Socket) {}, "nil": nil, "twice": func() {},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: OnServerSide took it", name)
				}
			}()
			event := name
			if name == "twice" {
				event = "sum"
			}
			one.OnServerSide(event, fn)
		}()
	}
}

// TestCallsOfOneNode asks without a cluster: there is nobody else.
func TestCallsOfOneNode(t *testing.T) {
	t.Parallel()
	ctx := deadline(t)
	r := newRig(t, nil, nil)
	_, id := r.join()
	sockets, err := r.io.FetchSockets(ctx)
	if err != nil || len(sockets) != 1 || sockets[0].ID != id {
		t.Errorf("sockets %v, %v", sockets, err)
	}
	if rooms, err := r.io.AllRooms(ctx); err != nil || !slices.Equal(rooms, []string{id}) {
		t.Errorf("rooms %q, %v", rooms, err)
	}
	if n, err := r.io.ServerCount(ctx); err != nil || n != 1 {
		t.Errorf("%d nodes, %v", n, err)
	}
	if err := r.io.ServerSideEmit(ctx, "x"); err != nil {
		t.Error(err)
	}
	if replies, err := r.io.ServerSideEmitWithAck(ctx, "x"); err != nil || len(replies) != 0 {
		t.Errorf("replies %v, %v", replies, err)
	}
}
