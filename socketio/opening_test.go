package socketio_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/socketio"
)

// TestOnConnectBeforeConnect has everything happen to a socket while OnConnect runs: the client hears of it behind its
// connect event, in order.
func TestOnConnectBeforeConnect(t *testing.T) {
	t.Parallel()
	entered, release := make(chan *socketio.Socket, 1), make(chan struct{})
	left := make(chan string, 2)
	r := newRig(t, nil, func(io *socketio.Server) {
		io.OnConnect(func(s *socketio.Socket) {
			if err := s.Join(s.Context(), "room"); err != nil {
				t.Error(err)
			}
			if err := s.Emit(s.Context(), "first", []byte{1}); err != nil {
				t.Error(err)
			}
			entered <- s
			<-release
		})
		io.OnConnect(func(s *socketio.Socket) {
			if err := s.Emit(s.Context(), "last"); err != nil {
				t.Error(err)
			}
		})
		io.On("n", func(n int) int { return n })
		io.OnDisconnect(func(s *socketio.Socket, reason socketio.Reason) { left <- s.ID() + " " + string(reason) })
	})
	p := r.dial()
	// The second CONNECT is the same wish: the client does not know yet.
	p.send(`40`, `421["n",1]`, `40`, `40/nope,`)
	p.want(`44/nope,{"message":"Invalid namespace"}`) // all has arrived
	s := receive(t, entered)
	if !s.Connected() || r.io.Socket(s.ID()) != s || r.io.Stats().Sockets != 1 {
		t.Error("the socket is not connected for its server")
	}
	if err := r.io.To("room").Emit(deadline(t), "second"); err != nil {
		t.Error(err)
	}
	if err := s.Volatile().Emit(s.Context(), "lost"); !errors.Is(err, socketio.ErrDropped) {
		t.Errorf("a volatile event: %v", err)
	}
	if err := r.io.Volatile().Emit(deadline(t), "lost"); err != nil {
		t.Error(err)
	}
	if err := r.io.To(s.ID()).Emit(deadline(t), "third"); err != nil {
		t.Error(err)
	}
	p.send(`40/nope,`)
	p.want(`44/nope,{"message":"Invalid namespace"}`) // nothing has come before
	close(release)
	if sid := p.joined(""); sid != s.ID() {
		t.Errorf("CONNECT of %s, OnConnect of %s", sid, s.ID())
	}
	p.want(`451-["first",{"_placeholder":true,"num":0}]`, "b:01", `42["second"]`, `42["third"]`, `42["last"]`, `431[1]`)
	if st := r.io.Stats(); st.Dropped != 2 || st.LateOpenings != 0 {
		t.Errorf("stats %+v", st)
	}
	p.close()
	if got := receive(t, left); got != s.ID()+" transport close" {
		t.Error(got)
	}
}

// TestOnConnectJoins has a publisher publish to a room as soon as the client sees its connect event, which is as early
// as anybody can know of the client.
func TestOnConnectJoins(t *testing.T) {
	t.Parallel()
	for name, driver := range map[string]func(t *testing.T, url string) adapter.Driver{
		"one node": nil,
		"redis":    redisDriver,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mine, theirs := &socketio.Options{}, &socketio.Options{}
			if driver != nil {
				url := testredis.Start(t).URL()
				mine.Driver, theirs.Driver = driver(t, url), driver(t, url)
			}
			r := newRig(t, mine, func(io *socketio.Server) {
				io.OnConnect(func(s *socketio.Socket) {
					if err := s.Join(s.Context(), "room"); err != nil {
						t.Error(err)
					}
				})
			})
			publisher := r
			if driver != nil {
				publisher = newRig(t, theirs, nil)
				for _, node := range []*rig{r, publisher} {
					if err := node.io.Adapter().Ping(deadline(t)); err != nil {
						t.Fatal(err)
					}
				}
			}
			const clients = 400
			for i := range clients {
				p, _ := r.join()
				if err := publisher.io.To("room").Emit(deadline(t), "n", i); err != nil {
					t.Fatal(err)
				}
				p.want(fmt.Sprintf(`42["n",%d]`, i))
				p.close() // the room closes and opens again
			}
		})
	}
}

func redisDriver(t *testing.T, url string) adapter.Driver {
	t.Helper()
	d, err := redispubsub.New(redispubsub.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(deadline(t)); err != nil {
			t.Error(err)
		}
	})
	return d
}

// TestOnConnectWaits has OnConnect wait for the client, which can answer only if it is told of its connection.
func TestOnConnectWaits(t *testing.T) {
	t.Parallel()
	answers := make(chan string, 2)
	r := newRig(t, nil, func(io *socketio.Server) {
		io.OnConnect(func(s *socketio.Socket) {
			for range 2 {
				name, err := socketio.Call[string](deadline(t), s, "name?")
				if err != nil {
					t.Error(err)
				}
				answers <- name
			}
			if err := s.Emit(s.Context(), "done"); err != nil {
				t.Error(err)
			}
		})
		all := io.Of("/all")
		all.OnConnect(func(s *socketio.Socket) {
			replies, err := all.Local().EmitWithAck(deadline(t), "name?")
			if err != nil || len(replies.Replies) != 1 {
				t.Errorf("%+v, %v", replies, err)
			}
			answers <- s.Namespace().Name()
		})
	})
	p, _ := r.join()
	p.want(`420["name?"]`)
	p.send(`430["ann"]`)
	p.want(`421["name?"]`)
	p.send(`431["bob"]`)
	p.want(`42["done"]`)
	p.join("/all")
	p.want(`42/all,0["name?"]`)
	p.send(`43/all,0["cid"]`)
	for _, want := range []string{"ann", "bob", "/all"} {
		if got := receive(t, answers); got != want {
			t.Errorf("answer %q, want %q", got, want)
		}
	}
}

// TestOnConnectStays has OnConnect stay for as long as the client does, in two namespaces of a connection's and with one
// connection after the other.
func TestOnConnectStays(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 2)
	r := newRig(t, nil, func(io *socketio.Server) {
		io.Of("/quick").OnConnect(func(s *socketio.Socket) { s.Join(s.Context(), "room") })
		io.OnConnect(func(s *socketio.Socket) {
			if err := s.Emit(s.Context(), "welcome"); err != nil {
				t.Error(err)
			}
			<-s.Context().Done()
			gone <- struct{}{}
		})
	})
	p := r.dial()
	p.join("/quick") // the connection has no timer any more
	p.join("/")
	p.want(`42["welcome"]`)
	q, _ := r.join()
	q.want(`42["welcome"]`)
	if err := r.io.Emit(deadline(t), "all"); err != nil {
		t.Error(err)
	}
	p.want(`42["all"]`)
	q.want(`42["all"]`)
	p.close()
	q.close()
	receive(t, gone)
	receive(t, gone)
	if st := r.io.Stats(); st.LateOpenings != 2 {
		t.Errorf("counted %d times", st.LateOpenings)
	}
}

// TestOnConnectSendsMuch sends a new client more than may wait for it: it reads, so it gets everything.
func TestOnConnectSendsMuch(t *testing.T) {
	t.Parallel()
	const sendBuffer, count = 64 << 10, 200
	padding := strings.Repeat("x", 1024)
	for name, send := range map[string]func(s *socketio.Socket, n int) error{
		"emit":      func(s *socketio.Socket, n int) error { return s.Emit(s.Context(), "n", n, padding) },
		"broadcast": func(s *socketio.Socket, n int) error { return s.Namespace().Emit(deadline(t), "n", n, padding) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := &socketio.Options{Engine: engineio.Options{SendBuffer: sendBuffer}}
			r := newRig(t, opts, func(io *socketio.Server) {
				io.OnConnect(func(s *socketio.Socket) {
					for n := range count {
						if err := send(s, n); err != nil {
							t.Error(err)
						}
					}
				})
			})
			p, _ := r.join()
			for n := range count {
				p.want(fmt.Sprintf(`42["n",%d,"%s"]`, n, padding))
			}
		})
	}
}

// TestOnConnectEnds ends the socket while OnConnect runs, and OnConnect itself.
func TestOnConnectEnds(t *testing.T) {
	t.Parallel()
	left := make(chan socketio.Reason, 8)
	stay := make(chan struct{}, 1)
	r := newRig(t, nil, func(io *socketio.Server) {
		for name, fn := range map[string]func(s *socketio.Socket){
			"/server":  func(s *socketio.Socket) { s.Emit(s.Context(), "bye"); s.Disconnect(s.Context(), false) },
			"/cluster": func(s *socketio.Socket) { s.Namespace().In(s.ID()).Disconnect(s.Context(), false) },
			"/client": func(s *socketio.Socket) {
				s.Emit(s.Context(), "lost") // held back for a client that leaves before it is told
				stay <- struct{}{}
				<-s.Context().Done()
			},
			"/panic":  func(*socketio.Socket) { panic("in OnConnect") },
			"/goexit": func(*socketio.Socket) { exit() },
		} {
			io.Of(name).OnConnect(fn)
			io.Of(name).OnDisconnect(func(_ *socketio.Socket, reason socketio.Reason) { left <- reason })
		}
	})
	p := r.dial()
	p.join("/server")
	p.want(`42/server,["bye"]`, `41/server,`)
	p.join("/cluster")
	p.want(`41/cluster,`)
	for range 2 {
		if reason := receive(t, left); reason != socketio.ReasonServerDisconnect {
			t.Error(reason)
		}
	}
	p.send(`40/client,`)
	receive(t, stay)
	p.send(`41/client,`)
	if reason := receive(t, left); reason != socketio.ReasonClientDisconnect {
		t.Error(reason)
	}
	p.join("/panic")
	p.join("/goexit")
	p.send(`40/client,`)
	receive(t, stay)
	p.close()
	for range 3 {
		if reason := receive(t, left); reason != socketio.ReasonTransportClose {
			t.Error(reason)
		}
	}
}

// TestPollingOpens connects by polling: the handshake, the connect event and what OnConnect sends.
func TestPollingOpens(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, func(io *socketio.Server) {
		io.OnConnect(func(s *socketio.Socket) { s.Emit(s.Context(), "a"); s.Emit(s.Context(), "b") })
	})
	p := r.poll()
	p.post(`40`)
	var got []string
	for len(got) < 3 {
		got = append(got, p.get()...)
	}
	if !strings.HasPrefix(got[0], `40{"sid"`) || got[1] != `42["a"]` || got[2] != `42["b"]` {
		t.Errorf("got %q", got)
	}
	p.post(`1`)
}
