package socketio_test

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
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
