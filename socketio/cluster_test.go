package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/socketio"
)

func TestCluster(t *testing.T) {
	t.Parallel()
	cluster := adaptertest.NewCluster()
	ctx := deadline(t)
	node := func() *rig {
		driver := cluster.NewDriver()
		r := newRig(t, &socketio.Options{Driver: driver}, func(io *socketio.Server) {
			io.Of("/chat").OnConnect(func(s *socketio.Socket) { s.Join(s.Context(), "room") })
			io.Of("/chat").On("sync", func() {})
		})
		for _, ns := range r.io.Namespaces() {
			if err := ns.Adapter().Ping(ctx); err != nil {
				t.Fatal(err)
			}
		}
		return r
	}
	one, two := node(), node()
	a, b := one.dial(), two.dial()
	for _, p := range []*peer{a, b} {
		p.join("/chat")
		p.send(`42/chat,0["sync"]`) // OnConnect is over
		p.want(`43/chat,0[]`)
	}
	if err := one.io.Of("/chat").To("room").Emit(ctx, "hi", []byte{7}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*peer{a, b} {
		p.want(`451-/chat,["hi",{"_placeholder":true,"num":0}]`, "b:07")
	}
	if err := one.io.Of("/chat").Local().Emit(ctx, "here"); err != nil {
		t.Fatal(err)
	}
	a.want(`42/chat,["here"]`)
	go func() {
		a.want(`42/chat,0["q"]`)
		a.send(`43/chat,0[1]`)
	}()
	if replies, err := one.io.Of("/chat").Local().EmitWithAck(ctx, "q"); err != nil || len(replies.Replies) != 1 {
		t.Error(replies, err)
	}
	if err := one.io.Of("/chat").In("room").Disconnect(ctx, true); err != nil {
		t.Fatal(err)
	}
	a.want(`41/chat,`)
	b.want(`41/chat,`)
	a.wantClosed()
	b.wantClosed()

	cluster.Fail(errors.New("away"))
	if err := two.io.Emit(ctx, "x"); !errors.Is(err, adapter.ErrUnavailable) {
		t.Error(err)
	}
}

// lateDriver lets the node in when it is told to.
type lateDriver struct {
	adapter.Driver
	refusals atomic.Int32
	open     chan struct{}
}

func (d *lateDriver) Subscribe(ctx context.Context, namespace string, r adapter.Receiver) (adapter.Link, error) {
	select {
	case <-d.open:
		return d.Driver.Subscribe(ctx, namespace, r)
	default:
		d.refusals.Add(1)
		return nil, errors.New("not yet")
	}
}

// TestLateCluster starts a server whose cluster is not there yet: it serves its own clients meanwhile.
func TestLateCluster(t *testing.T) {
	t.Parallel()
	cluster := adaptertest.NewCluster()
	driver := &lateDriver{Driver: cluster.NewDriver(), open: make(chan struct{})}
	r := newRig(t, &socketio.Options{Driver: driver}, nil)
	// Whoever joins a room meanwhile is told that it hears this node only; later it hears the others.
	p, s := r.socket()
	if err := s.Join(deadline(t), "room", "left"); !errors.Is(err, adapter.ErrUnavailable) || len(s.Rooms()) != 2 {
		t.Errorf("Join: %v, rooms %q", err, s.Rooms())
	}
	s.Leave(s.Context(), "left")
	short, cancel := context.WithTimeout(deadline(t), 10*time.Millisecond)
	defer cancel()
	if err := r.io.Emit(short, "a"); !errors.Is(err, adapter.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	p.want(`42["a"]`)
	close(driver.open)
	if err := r.io.Emit(deadline(t), "b"); err != nil {
		t.Error(err)
	}
	p.want(`42["b"]`)
	if driver.refusals.Load() == 0 {
		t.Error("the driver was not asked")
	}
	other := newRig(t, &socketio.Options{Driver: cluster.NewDriver()}, nil)
	if err := s.Join(deadline(t), "room", "late"); err != nil {
		t.Error(err)
	}
	for _, room := range []string{"left", "room", "late"} {
		if err := other.io.To(room).Emit(deadline(t), room); err != nil {
			t.Error(err)
		}
	}
	p.want(`42["room"]`, `42["late"]`)
	// One that is never let in ends with its server.
	never := socketio.NewServer(&socketio.Options{Driver: &lateDriver{open: make(chan struct{})}, Logger: slog.New(slog.DiscardHandler)})
	if err := never.Shutdown(deadline(t)); err != nil {
		t.Error(err)
	}
	if err := never.Emit(deadline(t), "c"); !errors.Is(err, adapter.ErrClosed) {
		t.Error(err)
	}
}

// TestConnectWaits connects clients while the cluster takes its time to open the rooms they are put into.
func TestConnectWaits(t *testing.T) {
	t.Parallel()
	cluster := adaptertest.NewCluster()
	pending := make(chan *socketio.Socket, 1)
	opts := &socketio.Options{Driver: cluster.NewDriver(), Engine: engineio.Options{SendBuffer: 64 << 10}}
	r := newRig(t, opts, func(io *socketio.Server) {
		io.Use(func(ctx context.Context, s *socketio.Socket) error {
			pending <- s
			return s.Join(ctx, "room")
		})
	})
	if err := r.io.Adapter().Ping(deadline(t)); err != nil {
		t.Fatal(err)
	}
	// Local messages wait for the connect event, in order and within a bound.
	for _, count := range []int{10, 5000} {
		release := cluster.Hold()
		p := r.dial()
		p.send("40")
		s := receive(t, pending)
		tick, timeout := time.NewTicker(time.Millisecond), time.After(patience)
		for !r.io.Adapter().HasRoom("room") {
			select {
			case <-tick.C:
			case <-timeout:
				t.Fatal("the socket does not join the room")
			}
		}
		tick.Stop()
		for i := range count {
			if err := r.io.To("room").Local().Emit(deadline(t), "x", i); err != nil {
				t.Fatal(err)
			}
		}
		if s.Connected() {
			t.Error("connected although the room is not open")
		}
		release()
		if count > 10 {
			p.wantClosed()
			continue
		}
		p.joined("")
		for i := range count {
			p.want(fmt.Sprintf(`42["x",%d]`, i))
		}
		s.Disconnect(s.Context(), true)
		p.want("41")
		p.wantClosed()
	}
	if st := r.io.Stats(); st.SlowConsumers == 0 {
		t.Error("the client that was closed is not counted")
	}
}

// TestAsk asks sockets the way a driver does when another node broadcasts with acknowledgement.
func TestAsk(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, nil)
	p, s := r.socket()
	other, o := r.socket()
	m := message.New([]byte(`["q"]`))
	answers := make(chan string, 4)
	members := make(map[*socketio.Socket]adapter.Asker)
	for _, s := range []*socketio.Socket{s, o} {
		members[s] = r.io.Adapter().Member(s.ID()).(adapter.Asker)
	}
	ask := func(timeout time.Duration, sockets ...*socketio.Socket) {
		q := &adapter.Question{Message: m, Timeout: timeout,
			Reply: func(_ string, argument []byte, _ [][]byte) { answers <- string(argument) }}
		for _, s := range sockets {
			members[s].Ask(q)
		}
	}
	// One question has one id, whoever is asked, and each answers for itself, once.
	ask(time.Minute, s, o)
	p.want(`420["q"]`)
	other.want(`420["q"]`)
	p.send(`430["a","b"]`)
	if got := receive(t, answers); got != `"a"` {
		t.Error(got)
	}
	p.send(`430["again"]`)
	other.send(`430["c"]`)
	if got := receive(t, answers); got != `"c"` {
		t.Error(got)
	}
	ask(0, s)
	p.want(`421["q"]`)
	p.send(`431[]`)
	if got := receive(t, answers); got != `null` {
		t.Error(got)
	}
	// An answer that comes too late is not wanted any more: the one to the next question is the first to arrive.
	ask(time.Nanosecond, s, o)
	p.want(`422["q"]`)
	other.want(`422["q"]`)
	ask(time.Minute, s)
	p.want(`423["q"]`)
	p.send(`432["late"]`)
	p.send(`433["in time"]`)
	if got := receive(t, answers); got != `"in time"` {
		t.Error(got)
	}
	ask(time.Minute, s, o)
	p.want(`424["q"]`)
	other.want(`424["q"]`)
	s.Disconnect(s.Context(), false)
	ask(time.Minute, s)
	p.want(`41`)
	other.send(`434["d"]`)
	if got := receive(t, answers); got != `"d"` {
		t.Error(got)
	}
	if len(answers) > 0 {
		t.Error("an answer from nobody")
	}
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, func(io *socketio.Server) {
		io.Use(func(ctx context.Context, s *socketio.Socket) error { return s.Join(ctx, "room") })
	})
	p := r.dial()
	p.send(`40{"token":"x"}`)
	sid := p.joined("")
	s := r.io.Socket(sid)
	s.Set("user", map[string]int{"id": 7})
	s.Set("channel", make(chan int)) // nothing another node could use
	raw, err := r.io.Adapter().Member(sid).(adapter.Snapshotter).Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		ID        string
		Rooms     []string
		Data      map[string]any
		Handshake struct {
			Address, URL   string
			Query, Headers map[string]string
			Auth           map[string]any
			Issued         int64
			Time           string
		}
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	h := got.Handshake
	if got.ID != sid || !slices.Equal(got.Rooms, []string{sid, "room"}) || len(got.Data) != 1 || h.Auth["token"] != "x" ||
		h.Address != "127.0.0.1" || h.Query["transport"] != "websocket" || h.Headers["host"] == "" || h.Issued == 0 || h.Time == "" {
		t.Errorf("%s", raw)
	}
}
