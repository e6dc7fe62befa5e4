package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/socketio"
)

func TestConnectionMiddleware(t *testing.T) {
	t.Parallel()
	steps := make(chan string, 16)
	r := newRig(t, nil, func(io *socketio.Server) {
		io.Use(func(ctx context.Context, s *socketio.Socket) error {
			steps <- "first"
			if err := s.Join(ctx, "kept", "left"); err != nil {
				return err
			}
			s.Leave(s.Context(), "left")
			s.Set("user", "ann")
			return s.Emit(s.Context(), "early", s.Connected())
		})
		io.Use(func(ctx context.Context, s *socketio.Socket) error {
			steps <- "second"
			var auth struct{ Token string }
			if err := s.Auth(&auth); err != nil {
				return err
			}
			switch auth.Token {
			case "good":
				return nil
			case "":
				return &socketio.Error{Message: "no token"}
			}
			return fmt.Errorf("auth: %w", &socketio.Error{Code: "x", Message: "bad token", Data: map[string]string{"token": auth.Token}})
		})
		io.OnConnect(func(s *socketio.Socket) { steps <- fmt.Sprint("connect ", s.Get("user"), s.Rooms()) })
		io.OnDisconnect(func(*socketio.Socket, socketio.Reason) { steps <- "disconnect" })
	})
	p := r.dial()
	p.send(`40`)
	p.want(`42["early",false]`, `44{"message":"no token"}`)
	p.send(`42["ignored: it may have been sent before the answer came"]`, `40{"token":"<bad>"}`)
	p.want(`42["early",false]`, `44{"message":"bad token","data":{"token":"<bad>"}}`)
	p.send(`40{"token":"good"}`)
	p.want(`42["early",false]`)
	sid := p.joined("")
	for _, want := range []string{"first", "second", "first", "second", "first", "second", "connect ann[kept]"} {
		if got := receive(t, steps); got != want {
			t.Fatalf("step %q, want %q", got, want)
		}
	}
	if err := r.io.To("left").Emit(deadline(t), "no"); err != nil {
		t.Fatal(err)
	}
	if err := r.io.To("kept").Emit(deadline(t), "yes"); err != nil {
		t.Fatal(err)
	}
	p.want(`42["yes"]`)
	if s := r.io.Socket(sid); s == nil || s.ID() != sid || s.Namespace() != r.io.Namespace || s.Transport() != "websocket" {
		t.Errorf("Socket(%q) = %v", sid, s)
	}
	if st := r.io.Stats(); st.Refused["x"] != 1 || st.Refused[socketio.RefusedByMiddleware] != 1 || st.Connected != 1 || st.Sockets != 1 || st.Connections != 1 {
		t.Errorf("stats %+v", st)
	}
}

// TestEventBehindConnect sends events in the same breath as CONNECT, with a middleware that takes its time.
func TestEventBehindConnect(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	joins := make(chan string, 4)
	r := newRig(t, nil, func(io *socketio.Server) {
		io.Use(func(context.Context, *socketio.Socket) error { <-release; return nil })
		io.OnConnect(func(s *socketio.Socket) { joins <- s.ID() })
		io.On("n", func(n int) int { return n })
	})
	p := r.dial()
	// The second CONNECT is the same wish: official clients send it when connect() is called twice.
	p.send(`40`, `421["n",1]`, `40`, `422["n",2]`, `40/nope,`)
	p.want(`44/nope,{"message":"Invalid namespace"}`) // answered by the reading side: all has arrived
	close(release)
	sid := p.joined("")
	p.want(`431[1]`, `432[2]`)
	if got := receive(t, joins); got != sid {
		t.Errorf("OnConnect for %s, CONNECT for %s", got, sid)
	}
	if len(joins) > 0 || r.io.Stats().Sockets != 1 {
		t.Error("the client has two sockets")
	}
}

// TestPolling does the same in one POST.
func TestPolling(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, func(io *socketio.Server) {
		io.Of("/chat").On("n", func(n int) int { return n })
	})
	p := r.poll()
	p.post(`40/chat,`, `42/chat,1["n",7]`)
	var got []string
	for !slices.Contains(got, `43/chat,1[7]`) {
		got = append(got, p.get()...)
	}
	if !strings.HasPrefix(got[0], `40/chat,{"sid":"`) {
		t.Errorf("got %q", got)
	}
	for s := range r.io.Of("/chat").Sockets() {
		if s.Transport() != "polling" {
			t.Errorf("transport %s", s.Transport())
		}
	}
	p.post(`1`)
}

func TestConnectTimeout(t *testing.T) {
	t.Parallel()
	r := newRig(t, &socketio.Options{ConnectTimeout: 50 * time.Millisecond}, func(io *socketio.Server) {
		io.Of("/no").Use(func(context.Context, *socketio.Socket) error { return errors.New("pq: password authentication failed") })
	})
	joined, _ := r.join()
	refused := r.dial()
	refused.send(`40/no,`)
	refused.want(`44/no,{"message":"internal error"}`)
	if st := r.io.Stats(); st.Refused[socketio.RefusedByMiddleware] != 1 || st.HandlerErrors != 1 {
		t.Errorf("stats %+v", st)
	}
	r.dial().wantClosed()
	refused.wantClosed()
	joined.send(`41`, `40`) // leaving does not bring the limit back
	joined.joined("")
}

// TestConnectFlood asks in vain for namespaces: for some time it is told so, then it is closed.
func TestConnectFlood(t *testing.T) {
	t.Parallel()
	for name, packet := range map[string]string{"unknown": `40/nope,`, "refused": `40/no,`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil, func(io *socketio.Server) {
				io.Of("/no").Use(func(context.Context, *socketio.Socket) error { return &socketio.Error{Message: "no"} })
			})
			p, _ := r.join()
			answers := 0
			for ; ; answers++ {
				if p.conn.Write(p.ctx, websocket.MessageText, []byte(packet)) != nil {
					break
				}
				if answer, err := p.next(); err != nil {
					break
				} else if !strings.HasPrefix(answer, "44/no") {
					t.Fatal(answer)
				}
			}
			if p.ctx.Err() != nil || answers != 100 {
				t.Errorf("%d answers, %v", answers, p.ctx.Err())
			}
			if st := r.io.Stats(); st.ConnectFloods != 1 {
				t.Errorf("counted %d times", st.ConnectFloods)
			}
		})
	}
}

// TestAuthIsBounded joins with as much auth as a server keeps for each client, and with more.
func TestAuthIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, &socketio.Options{AuthLimit: 100}, nil)
	auth := func(bytes int) string { return `40{"a":"` + strings.Repeat("x", bytes-len(`{"a":""}`)) + `"}` }
	p := r.dial()
	p.send(auth(101))
	p.want(`44{"message":"auth has 101 bytes, this server takes 100","data":{"code":"auth_too_large"}}`)
	p.send(auth(100))
	if got := p.read(); !strings.HasPrefix(got, `40{"sid":`) {
		t.Error(got)
	}
	if st := r.io.Stats(); st.Refused[socketio.CodeAuthTooLarge] != 1 {
		t.Errorf("counted %v", st.Refused)
	}
}

func TestNamespaces(t *testing.T) {
	t.Parallel()
	left := make(chan string, 4)
	r := newRig(t, nil, func(io *socketio.Server) {
		for _, name := range []string{"/", "/a", "b"} {
			ns := io.Of(name)
			ns.OnConnect(func(s *socketio.Socket) { s.Join(s.Context(), "room") })
			ns.OnDisconnect(func(s *socketio.Socket, reason socketio.Reason) {
				left <- s.Namespace().Name() + " " + string(reason)
			})
		}
		if io.Lookup("b") != io.Of("/b") || io.Lookup("/c") != nil || io.Lookup("") != io.Namespace {
			t.Error("a look-up finds something else than Of")
		}
		if io.Of("b") != io.Of("/b") || io.Of("") != io.Namespace || len(io.Namespaces()) != 3 {
			t.Error("names of namespaces are not normalised")
		}
		for _, name := range []string{"/a", "/b"} {
			io.Of(name).On("where", func(s *socketio.Socket) string { return s.Namespace().Name() })
		}
		io.On("where", func() string { return "/" })
	})
	p := r.dial()
	root, a, b := p.join("/"), p.join("/a"), p.join("/b")
	if root == a || a == b || root == b {
		t.Error("sockets of a connection share an id")
	}
	p.send(`421["where"]`, `42/a,1["where"]`, `42/b,1["where"]`)
	p.want(`431["/"]`, `43/a,1["/a"]`, `43/b,1["/b"]`)
	if err := r.io.Of("/a").To("room").Emit(deadline(t), "hi"); err != nil {
		t.Fatal(err)
	}
	p.want(`42/a,["hi"]`)
	p.send(`41`)
	if got := receive(t, left); got != "/ client namespace disconnect" {
		t.Error(got)
	}
	r.io.Of("/a").Socket(a).Disconnect(deadline(t), false)
	p.want(`41/a,`)
	if got := receive(t, left); got != "/a server namespace disconnect" {
		t.Error(got)
	}
	// The client may have sent this before it knew.
	p.send(`42/a,1["where"]`, `41/a,`, `42/b,2["where"]`)
	p.want(`43/b,2["/b"]`)
	p.join("/a")
	for s := range r.io.Of("/b").Sockets() {
		s.Disconnect(s.Context(), true)
	}
	got := []string{p.read(), p.read()}
	slices.Sort(got)
	if !slices.Equal(got, []string{"41/a,", "41/b,"}) {
		t.Errorf("goodbyes %q", got)
	}
	p.wantClosed()
	reasons := []string{receive(t, left), receive(t, left)}
	slices.Sort(reasons)
	if !slices.Equal(reasons, []string{"/a server namespace disconnect", "/b server namespace disconnect"}) {
		t.Errorf("reasons %q", reasons)
	}
}

// TestDisconnectInMiddleware has each side end the socket before it is connected.
func TestDisconnectInMiddleware(t *testing.T) {
	t.Parallel()
	entered := make(chan *socketio.Socket, 1)
	ended := make(chan error, 1)
	r := newRig(t, nil, func(io *socketio.Server) {
		never := func(s *socketio.Socket) { t.Error("a handler ran for a socket that never connected") }
		for _, name := range []string{"/server", "/client"} {
			ns := io.Of(name)
			ns.OnConnect(never)
			ns.OnDisconnect(func(s *socketio.Socket, _ socketio.Reason) { never(s) })
			ns.On("e", func(s *socketio.Socket) { never(s) })
		}
		io.Of("/server").Use(func(_ context.Context, s *socketio.Socket) error { s.Disconnect(s.Context(), false); return nil })
		io.Of("/client").Use(func(ctx context.Context, s *socketio.Socket) error {
			entered <- s
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return nil
		})
	})
	p, _ := r.join()
	p.send(`40/server,`, `42/server,["e"]`)
	p.want(`44/server,{"message":"disconnected by the server"}`)
	p.send(`40/client,`, `42/client,["e"]`)
	s := receive(t, entered)
	p.close()
	if err := receive(t, ended); !errors.Is(err, socketio.ErrDisconnected) {
		t.Error(err)
	}
	if s.Connected() || r.io.Of("/client").Socket(s.ID()) != nil {
		t.Error("the socket is connected")
	}
}
