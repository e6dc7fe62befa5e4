package socketio_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/socketio"
)

// A client may have missed more than may wait for it at any other time: as much as PollBuffer, on whatever transport it
// comes back, and also if it changes that in the middle of it.
func TestRecoveryOfMuch(t *testing.T) {
	t.Parallel()
	const events, size = 60, 64 << 10 // nearly 4 MiB
	for _, how := range []string{"websocket", "polling", "upgrade"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			var left chan socketio.Reason
			came, goOn := make(chan *socketio.Socket, 1), make(chan struct{}, 1)
			r := newRig(t, &socketio.Options{Recovery: &socketio.Recovery{}, Engine: engineio.Options{PollBuffer: 4 << 20}}, func(io *socketio.Server) {
				left = make(chan socketio.Reason, 1)
				io.OnDisconnect(func(_ *socketio.Socket, reason socketio.Reason) { left <- reason })
				io.OnConnect(func(s *socketio.Socket) {
					came <- s
					if s.Recovered() {
						<-goOn
					}
				})
			})
			c := r.come(nil)
			<-came
			c.leave(left)
			filler := strings.Repeat("x", size)
			for n := range events {
				emit(t, r.io.Broadcast(), "n", n, filler)
			}
			auth, err := json.Marshal(map[string]string{"pid": c.pid})
			if err != nil {
				t.Fatal(err)
			}
			var packets func() []string
			switch how {
			case "websocket":
				p := r.ask(c)
				goOn <- struct{}{}
				packets = func() []string { return []string{p.read()} }
			case "polling":
				p := r.poll()
				p.post("40" + string(auth))
				goOn <- struct{}{}
				packets = p.get
			case "upgrade":
				p := r.poll()
				p.post("40" + string(auth))
				receive(t, came)
				conn := &peer{t: t, ctx: deadline(t), conn: dialUpgrade(t, r, p)}
				conn.send("2probe")
				if text := conn.read(); text != "3probe" {
					t.Fatalf("%q", text)
				}
				p.get() // the noop
				conn.send("5")
				goOn <- struct{}{} // the upgrade may be done by now or not
				packets = func() []string { return []string{conn.read()} }
			}
			var got []string
			for len(got) < events+1 {
				got = append(got, packets()...)
			}
			got = slices.DeleteFunc(got, func(p string) bool { return p == "6" || p == "2" })
			if !strings.HasPrefix(got[0], `40{"sid":"`+c.sid) {
				t.Fatalf("not recovered but %.100q", got[0])
			}
			for n, p := range got[1:] {
				if !strings.HasPrefix(p, fmt.Sprintf(`42["n",%d,`, n)) {
					t.Fatalf("number %d is %.100q", n, p)
				}
			}
		})
	}
}

func dialUpgrade(t *testing.T, r *rig, p *poller) *websocket.Conn {
	t.Helper()
	conn, resp, err := websocket.Dial(deadline(t), strings.Replace(p.url, "transport=polling", "transport=websocket", 1), &websocket.DialOptions{HTTPClient: r.http.Client()})
	if err != nil {
		t.Fatal(err)
	}
	if resp != nil && resp.Body != nil && resp.StatusCode != http.StatusSwitchingProtocols {
		resp.Body.Close()
	}
	conn.SetReadLimit(64 << 20)
	t.Cleanup(func() { conn.CloseNow() })
	return conn
}

// What is more than that is not given in part.
func TestRecoveryOfTooMuch(t *testing.T) {
	t.Parallel()
	var came chan *socketio.Socket
	var left chan socketio.Reason
	r := newRig(t, &socketio.Options{Recovery: &socketio.Recovery{}, Engine: engineio.Options{PollBuffer: 64 << 10, SendBuffer: 64 << 10}},
		func(io *socketio.Server) { came, left = watch(io, "a") })
	c := r.come(nil)
	<-came
	c.leave(left)
	for range 10 {
		emit(t, r.io.To("a"), "n", strings.Repeat("x", 8<<10))
	}
	r.ask(c).wantClosed()
	if back := r.come(c); (<-came).Recovered() || back.sid == c.sid {
		t.Fatal("recovered")
	}
}
