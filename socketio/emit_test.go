package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/socketio"
)

// socket joins and returns the server's side too.
func (r *rig) socket() (*peer, *socketio.Socket) {
	r.t.Helper()
	p, sid := r.join()
	s := r.io.Socket(sid)
	if s == nil {
		r.t.Fatal("the client is connected and Socket does not know it")
	}
	return p, s
}

func TestEmit(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, func(io *socketio.Server) { io.On("ping", func() {}) })
	p, s := r.socket()
	if err := s.Emit(s.Context(), "a", 1, nil, "<é>"); err != nil {
		t.Fatal(err)
	}
	if err := s.Volatile().Emit(s.Context(), "b"); err != nil && !errors.Is(err, socketio.ErrDropped) {
		t.Fatal(err)
	}
	p.want(`42["a",1,null,"<é>"]`)
	for _, bad := range []error{s.Emit(s.Context(), "connect"), s.Emit(s.Context(), "a", math.NaN()), s.Emit(s.Context(), "a", func() {}), r.io.Emit(deadline(t), "disconnect")} {
		if bad == nil {
			t.Error("no error")
		}
	}
	s.Disconnect(s.Context(), false)
	if got := p.read(); got != `41` && got != `42["b"]` {
		t.Errorf("got %q", got)
	}
	s.Disconnect(s.Context(), false)
	if err := s.Emit(s.Context(), "late"); !errors.Is(err, socketio.ErrDisconnected) {
		t.Error(err)
	}
	if _, err := s.EmitWithAck(deadline(t), "late"); !errors.Is(err, socketio.ErrDisconnected) {
		t.Error(err)
	}
	if err := s.Join(deadline(t), "room"); err != nil {
		t.Error(err)
	}
	if len(s.Rooms()) > 0 || r.io.Adapter().HasRoom("room") {
		t.Error("a disconnected socket joined a room")
	}
}

func TestEmitWithAck(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, func(io *socketio.Server) {
		io.On("relay", func(ctx context.Context, s *socketio.Socket) (any, error) {
			// The handler waits for the client whose event it handles.
			reply, err := s.EmitWithAck(ctx, "question")
			if err != nil {
				return nil, err
			}
			var text string
			var data []byte
			if err := reply.Decode(&text, &data, new(int)); err != nil {
				return nil, err
			}
			return fmt.Sprint(text, data, " ", reply.Len(), " ", string(reply.Raw(0)), string(reply.Raw(5))), nil
		})
		io.On("call", func(ctx context.Context, s *socketio.Socket) (int, error) {
			return socketio.Call[int](ctx, s, "number")
		})
	})
	p, s := r.socket()
	p.send(`429["relay"]`)
	p.want(`420["question"]`)
	p.send(`461-0["x",{"_placeholder":true,"num":0}]`)
	p.sendBinary(1, 2)
	p.want(`439["x[1 2] 2 \"x\"null"]`)
	p.send(`430["again: ignored"]`, `428["call"]`)
	p.want(`421["number"]`)
	p.send(`431[7]`)
	p.want(`438[7]`)
	p.send(`428["call"]`)
	p.want(`422["number"]`)
	p.send(`432[{"error":{"code":"no","message":"nothing"}}]`)
	p.want(`438[{"error":{"code":"no","message":"nothing"}}]`)

	ctx, cancel := context.WithCancel(deadline(t))
	result := make(chan error, 1)
	ask := func(ctx context.Context) {
		_, err := s.EmitWithAck(ctx, "wait")
		result <- err
	}
	go ask(ctx)
	p.want(`423["wait"]`)
	cancel()
	if err := receive(t, result); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	p.send(`433["late"]`)
	go ask(deadline(t))
	p.want(`424["wait"]`)
	p.close()
	if err := receive(t, result); !errors.Is(err, socketio.ErrDisconnected) {
		t.Error(err)
	}
	// The third acknowledgement may reach the client before it is counted.
	if st := r.io.Stats(); st.AcksIn != 3 || st.AcksOut < 2 || st.EventsOut != 5 {
		t.Errorf("stats %+v", st)
	}
}

func TestLateAck(t *testing.T) {
	t.Parallel()
	acks := make(chan socketio.Ack, 2)
	r := newRig(t, nil, func(io *socketio.Server) {
		io.On("later", func(ack socketio.Ack) { acks <- ack })
	})
	p, s := r.socket()
	p.send(`425["later"]`, `42["later"]`)
	ack, none := receive(t, acks), receive(t, acks)
	if err := none(); !errors.Is(err, socketio.ErrNoAck) {
		t.Error(err)
	}
	if err := ack(make(chan int)); err == nil {
		t.Error("a channel was acknowledged")
	}
	if err := ack("now"); err != nil {
		t.Error(err)
	}
	if err := ack(); !errors.Is(err, socketio.ErrAcked) {
		t.Error(err)
	}
	p.want(`435["now"]`)
	p.send(`426["later"]`)
	ack = receive(t, acks)
	s.Disconnect(s.Context(), false)
	if err := ack(); !errors.Is(err, socketio.ErrDisconnected) {
		t.Error(err)
	}
}

func TestBroadcast(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, func(io *socketio.Server) {
		io.On("join", func(ctx context.Context, s *socketio.Socket, rooms ...string) error { return s.Join(ctx, rooms...) })
		io.On("say", func(s *socketio.Socket, text string) error { return s.To("x", "y").Emit(s.Context(), "said", text) })
		io.On("all", func(s *socketio.Socket) error { return s.Broadcast().Emit(s.Context(), "all") })
		io.On("sync", func() {})
	})
	ctx := deadline(t)
	a, sa := r.socket()
	b, _ := r.socket()
	c, sc := r.socket()
	peers := []*peer{a, b, c}
	a.send(`421["join","x","y"]`)
	b.send(`421["join","x"]`)
	c.send(`421["join","y"]`)
	for _, p := range peers {
		p.want(`431[]`)
	}
	step := func(name string, do func() error, want ...bool) {
		t.Helper()
		if err := do(); err != nil {
			t.Fatal(name, err)
		}
		for i, p := range peers {
			if want[i] {
				p.want(`42["` + name + `"]`)
			}
			p.send(`420["sync"]`) // nothing else may stand before its answer
			p.want(`430[]`)
		}
	}
	emit := func(b socketio.Broadcast, name string) func() error {
		return func() error { return b.Emit(ctx, name) }
	}
	step("everyone", func() error { return r.io.Emit(ctx, "everyone") }, true, true, true)
	step("x", emit(r.io.To("x"), "x"), true, true, false)
	step("union", emit(r.io.To("x").In("y"), "union"), true, true, true)
	step("minus", emit(r.io.In("x", "y").Except("y"), "minus"), false, true, false)
	step("but", emit(r.io.Except("x"), "but"), false, false, true)
	step("one", emit(r.io.To(sc.ID()), "one"), false, false, true)
	step("nobody", emit(r.io.To("nobody"), "nobody"), false, false, false)
	step("local", emit(r.io.Local().To("y"), "local"), true, false, true)
	step("from", emit(sa.To("x", "y"), "from"), false, true, true)
	step("from but", emit(sa.Except("x"), "from but"), false, false, true)
	step("moved", func() error {
		if err := r.io.To("x").Join(ctx, "z"); err != nil {
			return err
		}
		if err := r.io.In("y").Leave(ctx, "z"); err != nil {
			return err
		}
		return r.io.To("z").Emit(ctx, "moved")
	}, false, true, false)

	base := r.io.To("x")
	first, second := base.To("y"), base.To("z")
	step("kept apart", emit(first, "kept apart"), true, true, true)
	step("and apart", emit(second, "and apart"), true, true, false)

	b.send(`42["say","hi"]`)
	for _, p := range []*peer{a, c} {
		p.want(`42["said","hi"]`)
	}
	c.send(`42["all"]`)
	for _, p := range []*peer{a, b} {
		p.want(`42["all"]`)
	}
	ids := 0
	for range r.io.Sockets() {
		ids++
	}
	if ids != 3 {
		t.Errorf("%d sockets", ids)
	}
	if err := r.io.To("z").Disconnect(ctx, false); err != nil {
		t.Fatal(err)
	}
	b.want(`41`)
}

func TestBroadcastWithAck(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, nil)
	ctx := deadline(t)
	a, sa := r.socket()
	b, sb := r.socket()
	c, sc := r.socket()
	type outcome struct {
		socketio.Replies
		err error
	}
	results := make(chan outcome, 1)
	ask := func(b socketio.Broadcast, ctx context.Context) {
		replies, err := b.EmitWithAck(ctx, "q", 1)
		results <- outcome{replies, err}
	}
	go ask(r.io.Broadcast(), ctx)
	for i, p := range []*peer{a, b} {
		p.want(`420["q",1]`)
		p.send(fmt.Sprintf(`430["%d",2]`, i), `430["twice"]`)
	}
	c.want(`420["q",1]`)
	c.close()
	got := receive(t, results)
	if got.err != nil || len(got.Replies.Replies) != 2 || !slices.Equal(got.Gone, []string{sc.ID()}) || len(got.Missing) > 0 {
		t.Fatalf("%+v", got)
	}
	var text string
	if err := got.Replies.Replies[sb.ID()].Decode(&text); err != nil || text != "1" {
		t.Error(text, err)
	}

	second, stop := context.WithTimeout(ctx, time.Second) // within which one answers
	defer stop()
	go ask(r.io.Broadcast(), second)
	a.want(`421["q",1]`)
	b.want(`421["q",1]`)
	a.send(`431[]`)
	got = receive(t, results)
	if !errors.Is(got.err, context.DeadlineExceeded) || got.Replies.Replies[sa.ID()].Len() != 0 || !slices.Equal(got.Missing, []string{sb.ID()}) {
		t.Errorf("%+v", got)
	}
	b.send(`431["late"]`)

	short, cancel := context.WithCancel(ctx)
	go ask(r.io.To(sb.ID()), short)
	b.want(`422["q",1]`)
	cancel()
	if got = receive(t, results); !errors.Is(got.err, context.Canceled) || len(got.Missing) != 1 {
		t.Errorf("%+v", got)
	}
	go ask(r.io.To("nobody"), ctx)
	if got = receive(t, results); got.err != nil || len(got.Replies.Replies) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestSlowConsumer sends to clients that do not read: volatile events are dropped, others end the connection.
func TestSlowConsumer(t *testing.T) {
	t.Parallel()
	left := make(chan socketio.Reason, 1)
	opts := &socketio.Options{Engine: engineio.Options{SendBuffer: 64 << 10}}
	r := newRig(t, opts, func(io *socketio.Server) {
		io.OnDisconnect(func(_ *socketio.Socket, reason socketio.Reason) { left <- reason })
	})
	_, s := r.socket()
	big := make([]byte, 32<<10)
	ctx := deadline(t)
	for err := error(nil); !errors.Is(err, socketio.ErrDropped); {
		if err = s.Volatile().Emit(s.Context(), "drop", big); err != nil && !errors.Is(err, socketio.ErrDropped) || ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	for err := error(nil); !errors.Is(err, socketio.ErrSlowConsumer); {
		if err = s.Emit(s.Context(), "keep", big); err != nil && !errors.Is(err, socketio.ErrSlowConsumer) || ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	if reason := receive(t, left); reason != socketio.ReasonTransportError {
		t.Error(reason)
	}
	if st := r.io.Stats(); st.Dropped == 0 || st.SlowConsumers == 0 {
		t.Errorf("stats %+v", st)
	}
}
