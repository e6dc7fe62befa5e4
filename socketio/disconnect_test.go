package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/socketio"
)

func TestDisconnectReasons(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		want socketio.Reason
		act  func(r *rig, p *peer, s *socketio.Socket)
	}{
		{socketio.ReasonClientDisconnect, func(_ *rig, p *peer, _ *socketio.Socket) { p.send(`41`) }},
		{socketio.ReasonServerDisconnect, func(_ *rig, _ *peer, s *socketio.Socket) { s.Disconnect(s.Context(), false) }},
		{socketio.ReasonServerDisconnect, func(_ *rig, _ *peer, s *socketio.Socket) { s.Disconnect(s.Context(), true) }},
		{socketio.ReasonTransportClose, func(_ *rig, p *peer, _ *socketio.Socket) { p.close() }},
		{socketio.ReasonTransportClose, func(_ *rig, p *peer, _ *socketio.Socket) { p.send(`1`) }},
		{socketio.ReasonTransportError, func(_ *rig, p *peer, _ *socketio.Socket) { p.send(`2`) }},
		{socketio.ReasonParseError, func(_ *rig, p *peer, _ *socketio.Socket) { p.send(`x`) }},
		{socketio.ReasonForcedClose, func(_ *rig, p *peer, _ *socketio.Socket) { p.send(`42{}`) }},
		{socketio.ReasonPingTimeout, func(*rig, *peer, *socketio.Socket) {}},
		{socketio.ReasonServerShutdown, func(r *rig, _ *peer, _ *socketio.Socket) {
			if err := r.io.Shutdown(deadline(r.t)); err != nil {
				r.t.Error(err)
			}
		}},
	} {
		t.Run(string(tt.want), func(t *testing.T) {
			t.Parallel()
			opts := &socketio.Options{}
			if tt.want == socketio.ReasonPingTimeout {
				opts.Engine = engineio.Options{PingInterval: 10 * time.Millisecond, PingTimeout: 10 * time.Millisecond}
			}
			steps := make(chan string, 8)
			r := newRig(t, opts, func(io *socketio.Server) {
				io.OnConnect(func(s *socketio.Socket) { s.Join(s.Context(), "room") })
				note := func(step string) func(*socketio.Socket, socketio.Reason) {
					return func(s *socketio.Socket, reason socketio.Reason) {
						steps <- fmt.Sprintf("%s %s %v %v %v", step, reason, s.Rooms(), s.Connected(), context.Cause(s.Context()) == socketio.ErrDisconnected)
					}
				}
				io.OnDisconnecting(note("disconnecting"))
				io.OnDisconnect(note("disconnect"))
				io.On("sync", func() {})
			})
			p, s := r.socket()
			if tt.want != socketio.ReasonPingTimeout {
				p.send(`421["sync"]`) // OnConnect is over
				p.want(`431[]`)
			}
			tt.act(r, p, s)
			for _, want := range []string{"disconnecting " + string(tt.want) + " [room] false true", "disconnect " + string(tt.want) + " [] false true"} {
				if got := receive(t, steps); got != want {
					t.Errorf("%q, want %q", got, want)
				}
			}
			if r.io.Adapter().Len() != 0 || r.io.Adapter().HasRoom("room") || r.io.Socket(s.ID()) != nil {
				t.Error("the socket is still there")
			}
			if n := r.io.Stats().Disconnected[tt.want]; n != 1 {
				t.Errorf("counted %d times", n)
			}
		})
	}
}

// TestEventsBeforeDisconnect checks what becomes of events that wait when their socket is disconnected.
func TestEventsBeforeDisconnect(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  func(p *peer, s *socketio.Socket)
		want []string
	}{
		{"by the client", func(p *peer, _ *socketio.Socket) { p.send(`41`) }, []string{"n 0", "n 1", "n 2", "disconnect"}},
		{"by the network", func(p *peer, _ *socketio.Socket) { p.close() }, []string{"n 0", "n 1", "n 2", "disconnect"}},
		{"by the server", func(_ *peer, s *socketio.Socket) { s.Disconnect(s.Context(), false) }, []string{"n 0", "disconnect"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			steps := make(chan string, 8)
			r := newRig(t, nil, func(io *socketio.Server) {
				io.On("n", func(s *socketio.Socket, n int) {
					steps <- fmt.Sprint("n ", n)
					<-s.Context().Done()
				})
				io.OnDisconnect(func(*socketio.Socket, socketio.Reason) { steps <- "disconnect" })
			})
			p, s := r.socket()
			p.send(`42["n",0]`, `42["n",1]`, `42["n",2]`, `40/nope,`)
			p.want(`44/nope,{"message":"Invalid namespace"}`) // answered by the reading side: the events have arrived
			got := []string{receive(t, steps)}
			tt.end(p, s)
			for range tt.want[1:] {
				got = append(got, receive(t, steps))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	left := make(chan socketio.Reason, 2)
	r := newRig(t, nil, func(io *socketio.Server) {
		io.On("slow", func() { close(entered); <-release })
		io.OnDisconnect(func(_ *socketio.Socket, reason socketio.Reason) { left <- reason })
	})
	busy, _ := r.join()
	idle, _ := r.join()
	busy.send(`42["slow"]`)
	receive(t, entered)
	ctx, cancel := context.WithCancel(deadline(t))
	done := make(chan error, 1)
	go func() { done <- r.io.Shutdown(ctx) }()
	busy.wantClosed()
	idle.wantClosed()
	if reason := receive(t, left); reason != socketio.ReasonServerShutdown {
		t.Error(reason)
	}
	cancel()
	if err := receive(t, done); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown did not wait for the handler: %v", err)
	}
	close(release)
	if err := r.io.Shutdown(deadline(t)); err != nil {
		t.Error(err)
	}
	if reason := receive(t, left); reason != socketio.ReasonServerShutdown {
		t.Error(reason)
	}
	if st := r.io.Stats(); st.Sockets != 0 || st.Connections != 0 {
		t.Errorf("stats %+v", st)
	}
}

// TestGoexit ends the goroutine of a handler; the events behind it are handled all the same.
func TestGoexit(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, func(io *socketio.Server) {
		io.On("exit", exit)
		io.On("sync", func() {})
	})
	p, _ := r.join()
	p.send(`42["exit"]`, `421["sync"]`)
	p.want(`431[]`)
}

func TestContext(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, nil)
	_, s := r.socket()
	ctx := s.Context()
	if _, ok := ctx.Deadline(); ok || ctx.Err() != nil || ctx.Value("x") != nil {
		t.Error("a fresh context is not empty")
	}
	child, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if ctx.Value("x") != nil {
		t.Error("a value from nowhere")
	}
	s.Disconnect(s.Context(), false)
	<-child.Done()
	<-ctx.Done()
	if !errors.Is(child.Err(), context.Canceled) || !errors.Is(context.Cause(child), socketio.ErrDisconnected) || ctx.Err() == nil {
		t.Error(child.Err(), context.Cause(child), ctx.Err())
	}

	_, s = r.socket()
	s.Disconnect(s.Context(), false)
	if err := s.Context().Err(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestSocketData(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, nil)
	_, s := r.socket()
	if s.Get("a") != nil {
		t.Error("a value from nowhere")
	}
	s.Set("a", 1)
	s.Set("b", "x")
	s.Set("a", 2)
	s.Set("c", nil)
	if s.Get("a") != 2 || s.Get("b") != "x" || s.Get("c") != nil {
		t.Error(s.Get("a"), s.Get("b"), s.Get("c"))
	}
	s.Set("a", nil)
	if s.Get("a") != nil || s.Get("b") != "x" {
		t.Error(s.Get("a"), s.Get("b"))
	}
	if h := s.Handshake(); h.Query().Get("transport") != "websocket" {
		t.Errorf("handshake of %s", h.URL())
	}
}

func exit() { runtime.Goexit() }
