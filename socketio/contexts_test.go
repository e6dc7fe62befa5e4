package socketio_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/socketio"
)

// client is what a program needs not know the whereabouts of.
type client interface {
	Emit(ctx context.Context, event string, args ...any) error
	EmitWithAck(ctx context.Context, event string, args ...any) (*socketio.Reply, error)
	Join(ctx context.Context, rooms ...string) error
	Leave(ctx context.Context, rooms ...string) error
	Disconnect(ctx context.Context, closeConn bool) error
}

var _, _ client = (*socketio.Socket)(nil), (*socketio.RemoteSocket)(nil)

// everybody is a broadcast as a client, of which it asks one.
type everybody struct{ socketio.Broadcast }

func (e everybody) EmitWithAck(ctx context.Context, event string, args ...any) (*socketio.Reply, error) {
	replies, err := e.Broadcast.EmitWithAck(ctx, event, args...)
	for _, reply := range replies.Replies {
		return reply, err
	}
	return nil, err
}

// TestEndedContext does everything with a context that has ended: what needs no waiting is done.
func TestEndedContext(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, as := range map[string]func(t *testing.T, s *socketio.Socket) client{
		"socket":    func(_ *testing.T, s *socketio.Socket) client { return s },
		"broadcast": func(_ *testing.T, s *socketio.Socket) client { return everybody{s.Namespace().To(s.ID())} },
		"remote": func(t *testing.T, s *socketio.Socket) client {
			sockets, err := s.Namespace().To(s.ID()).FetchSockets(ended)
			if len(sockets) != 1 || err != nil {
				t.Fatalf("%d sockets, %v", len(sockets), err)
			}
			return sockets[0]
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil, nil)
			p, s := r.socket()
			c := as(t, s)
			if err := errors.Join(c.Join(ended, "a", "b"), c.Leave(ended, "b"), c.Emit(ended, "x", 1)); err != nil {
				t.Error(err)
			}
			if rooms := s.Rooms(); !slices.Equal(rooms, []string{"a"}) {
				t.Errorf("in %v", rooms)
			}
			p.want(`42["x",1]`)
			if _, err := c.EmitWithAck(ended, "y"); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			p.want(`420["y"]`)
			if err := c.Disconnect(ended, false); err != nil {
				t.Error(err)
			}
			p.want("41")
			if _, err := s.EmitWithAck(s.Context(), "z"); !errors.Is(err, socketio.ErrDisconnected) {
				t.Error(err)
			}
		})
	}
}

// TestDisconnectedWhileAsked ends the context of a socket together with the socket: the reason is the socket.
func TestDisconnectedWhileAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, nil)
	for range 50 {
		p, s := r.socket()
		failed := make(chan error, 1)
		go func() {
			_, err := s.EmitWithAck(s.Context(), "q")
			failed <- err
		}()
		if text := p.read(); !strings.HasPrefix(text, "42") {
			t.Fatal(text)
		}
		if err := s.Disconnect(s.Context(), true); err != nil {
			t.Error(err)
		}
		if err := receive(t, failed); !errors.Is(err, socketio.ErrDisconnected) {
			t.Fatal(err)
		}
	}
}

// TestAnswersWithoutDeadline asks with contexts that end some day: whoever is silent is not waited for that long.
func TestAnswersWithoutDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := socketio.NewServer(&socketio.Options{Engine: engineio.Options{Goroutines: true}})
		connected := make(chan *socketio.Socket, 1)
		server.OnConnect(func(s *socketio.Socket) { connected <- s })
		do := func(method, query, body string) string {
			w := httptest.NewRecorder()
			server.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/socket.io/?EIO=4&transport=polling"+query, io.NopCloser(strings.NewReader(body))))
			return w.Body.String()
		}
		_, sid, _ := strings.Cut(do(http.MethodGet, "", ""), `"sid":"`)
		sid = "&sid=" + sid[:strings.IndexByte(sid, '"')]
		do(http.MethodPost, sid, "40")
		do(http.MethodGet, sid, "")
		s := <-connected
		for name, ask := range map[string]func() error{
			"socket":    func() error { _, err := s.EmitWithAck(t.Context(), "q"); return err },
			"broadcast": func() error { _, err := server.Broadcast().EmitWithAck(t.Context(), "q"); return err },
		} {
			began := time.Now()
			err := ask()
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != socketio.DefaultAckTimeout {
				t.Errorf("%s: %v after %v", name, err, time.Since(began))
			}
		}
		if err := server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
