package socketio_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peal-dev/peal/socketio"
)

// TestShutdownDelivers publishes, by events of a client, until the server refuses: what was acknowledged has reached
// every client, whatever its transport, though some begin to read only when the shutdown has begun.
func TestShutdownDelivers(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const each, before = 12, 50 // clients on a transport, acknowledged events before the shutdown
			padding := strings.Repeat("x", 2048)
			r := newRig(t, nil, func(io *socketio.Server) {
				io.OnConnect(func(s *socketio.Socket) { s.Join(s.Context(), "room") })
				io.On("say", func(s *socketio.Socket, n int) error {
					return s.Namespace().To("room").Emit(s.Context(), "n", n, padding)
				})
			})
			if secure {
				r.http.Close()
				r.http = httptest.NewTLSServer(r.io)
			}
			r.http.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = each // else each poll makes a connection
			begun := make(chan struct{})
			heard := make(chan hearing, 2*each)
			for i := range each {
				p, _ := r.join()
				q := r.poll()
				q.post(`40`)
				late := i%4 == 0
				go func() {
					if late {
						<-begun
					}
					heard <- hear(fmt.Sprint("WebSocket ", i), func() ([]string, error) {
						text, err := p.next()
						return []string{text}, err
					})
				}()
				go func() {
					heard <- hear(fmt.Sprint("polling ", i), func() ([]string, error) {
						text, err := q.try(http.MethodGet, "")
						return strings.Split(text, "\x1e"), err
					})
				}()
			}
			for ctx := deadline(t); r.io.Adapter().RoomLen("room") < 2*each; {
				if ctx.Err() != nil {
					t.Fatal("the clients do not join the room")
				}
			}
			publisher, _ := r.join()
			done := make(chan error, 1)
			acked := 0
			for ; ; acked++ {
				if acked == before {
					go func() {
						close(begun)
						done <- r.io.Shutdown(deadline(t))
					}()
				}
				publisher.send(fmt.Sprintf(`42%d["say",%d]`, acked, acked))
				answer, err := publisher.next()
				for err == nil && strings.HasPrefix(answer, `42["n"`) {
					answer, err = publisher.next()
				}
				if err != nil || answer != fmt.Sprintf(`43%d[]`, acked) {
					if err == nil && !strings.HasPrefix(answer, fmt.Sprintf(`43%d[{"error":{"code":"shutting_down",`, acked)) {
						t.Errorf("the event was answered with %s", answer)
					}
					break // or the connection was closed without an answer
				}
			}
			for range 2 * each {
				h := receive(t, heard)
				if h.err != nil || h.count < acked {
					t.Errorf("%s heard %d of %d: %v", h.who, h.count, acked, h.err)
				}
			}
			if err := receive(t, done); err != nil {
				t.Error(err)
			}
			if st := r.io.Stats(); st.Sockets != 0 {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

// hearing is what a client heard until its connection was closed.
type hearing struct {
	who   string
	count int
	err   error
}

// hear counts numbered messages until the connection ends.
func hear(who string, next func() ([]string, error)) hearing {
	h := hearing{who: who}
	for {
		packets, err := next()
		if err != nil {
			if h.count == 0 {
				h.err = err
			}
			return h
		}
		for _, packet := range packets {
			rest, ok := strings.CutPrefix(packet, `42["n",`)
			if !ok {
				continue
			}
			digits, _, _ := strings.Cut(rest, ",")
			if digits != strconv.Itoa(h.count) {
				h.err = fmt.Errorf("message %d is %s", h.count, digits)
				return h
			}
			h.count++
		}
	}
}

// TestShutdownFinishesHandlers shuts down while a handler runs and an event waits behind it: what they send arrives, an
// event that comes later is refused.
func TestShutdownFinishesHandlers(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	r := newRig(t, nil, func(io *socketio.Server) {
		io.On("slow", func(s *socketio.Socket) (string, error) {
			close(entered)
			<-release
			return "done", s.Namespace().Emit(s.Context(), "news")
		})
		io.On("next", func() string { return "done too" })
	})
	busy, _ := r.join()
	other, _ := r.join()
	busy.send(`421["slow"]`, `422["next"]`, `40/nope,`)
	busy.want(`44/nope,{"message":"Invalid namespace"}`) // all has arrived
	receive(t, entered)
	done := make(chan error, 1)
	go func() { done <- r.io.Shutdown(deadline(t)) }()
	for id, refused := 1, false; !refused; id++ {
		other.send(fmt.Sprintf(`42%d["next"]`, id))
		answer := other.read()
		refused = strings.HasPrefix(answer, fmt.Sprintf(`43%d[{"error":{"code":"shutting_down",`, id))
		if !refused && answer != fmt.Sprintf(`43%d["done too"]`, id) {
			t.Fatal(answer)
		}
	}
	close(release)
	busy.want(`42["news"]`, `431["done"]`, `432["done too"]`)
	other.want(`42["news"]`)
	busy.wantClosed()
	other.wantClosed()
	if err := receive(t, done); err != nil {
		t.Error(err)
	}
}

// TestShutdownIsBounded shuts down while a handler stays for as long as its socket is connected.
func TestShutdownIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, func(io *socketio.Server) {
		io.On("stay", func(s *socketio.Socket) { <-s.Context().Done() })
	})
	p, _ := r.join()
	p.send(`42["stay"]`)
	var reading sync.WaitGroup
	reading.Go(p.wantClosed)
	ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
	defer cancel()
	if err := r.io.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	reading.Wait()
}
