package socketio_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/peal-dev/peal/socketio"
)

// Connections say at once that they are the same client. Each is closed in favour of another, or it is somebody whom
// messages reach.
func TestRecoveryAtOnce(t *testing.T) {
	t.Parallel()
	const rivals, rounds = 6, 150
	r := recovering(t, &socketio.Recovery{}, func(io *socketio.Server) {
		io.OnConnect(func(s *socketio.Socket) {
			if !s.Recovered() {
				_ = s.Join(context.Background(), "a")
			}
		})
	})
	for range rounds {
		c := r.come(nil)
		auth, err := json.Marshal(map[string]string{"pid": c.pid})
		if err != nil {
			t.Fatal(err)
		}
		rival := make([]*peer, rivals)
		answered := make(chan struct{}, rivals)
		for i := range rival {
			p := r.dial()
			rival[i] = p
			go func() {
				p.send("40" + string(auth))
				_, _ = p.next()
				answered <- struct{}{}
			}()
		}
		for range rival {
			receive(t, answered)
		}
		emit(t, r.io.To("a"), "here?")
		for _, p := range rival {
			for {
				text, err := p.next()
				if p.ctx.Err() != nil {
					t.Fatal("a client that is connected was sent nothing")
				}
				if err != nil || strings.Contains(text, "here?") {
					break
				}
			}
			p.close()
		}
		c.close()
	}
}

// What is kept of clients that are away is bounded in bytes too: they choose how many rooms they are in.
func TestRecoveryIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	rooms := make([]string, 1000)
	for i := range rooms {
		rooms[i] = strings.Repeat("x", 100) + strconv.Itoa(i)
	}
	var came chan *socketio.Socket
	var left chan socketio.Reason
	r := recovering(t, &socketio.Recovery{MaxSessionBytes: 350_000}, func(io *socketio.Server) { came, left = watch(io, rooms...) })
	var away [3]*traveller
	for i := range away {
		away[i] = r.come(nil)
		<-came
		away[i].leave(left)
	}
	if n := r.io.Stats().Forgotten; n != 1 {
		t.Errorf("%d clients of three were forgotten", n)
	}
	for i, want := range []bool{false, true, true} {
		r.come(away[i])
		if s := <-came; s.Recovered() != want {
			t.Errorf("client %d: recovered is %v", i, s.Recovered())
		}
	}
}

// A client that comes and goes pushes out what it has left itself and not what others have.
func TestRecoveryBesideOneThatComesAndGoes(t *testing.T) {
	t.Parallel()
	var came chan *socketio.Socket
	var left chan socketio.Reason
	r := recovering(t, &socketio.Recovery{MaxSessions: 5}, func(io *socketio.Server) { came, left = watch(io, "a") })
	var from atomic.Value
	from.Store("192.0.2.1:1")
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		req.RemoteAddr = from.Load().(string) // as a middleware does that knows the proxy
		r.io.ServeHTTP(w, req)
	}))
	defer front.Close()
	direct := r.http
	r.http = front
	defer func() { r.http = direct }()
	user := r.come(nil)
	<-came
	user.leave(left)
	from.Store("[2001:db8::1]:1")
	for range 20 {
		c := r.come(nil)
		<-came
		c.leave(left)
	}
	if st := r.io.Stats(); st.Away != 5 || st.AwayOfOne != 4 || st.Forgotten != 16 {
		t.Errorf("%d are away, %d of one address, %d were forgotten", st.Away, st.AwayOfOne, st.Forgotten)
	}
	r.come(user)
	if s := <-came; !s.Recovered() {
		t.Error("not recovered")
	}
}
