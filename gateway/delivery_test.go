package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/gateway"
	"github.com/peal-dev/peal/internal/testredis"
)

// pollingClient is a Socket.IO client that polls.
type pollingClient struct {
	n    *node
	path string
}

// connectPolling opens a session by polling, joins the root namespace and subscribes to a room.
func (n *node) connectPolling(room string) *pollingClient {
	n.t.Helper()
	p := &pollingClient{n: n, path: "/socket.io/?EIO=4&transport=polling"}
	try := func(method, body string) string {
		n.t.Helper()
		answer, err := p.do(method, body)
		if err != nil {
			n.t.Fatal(err)
		}
		return answer
	}
	_, sid, _ := strings.Cut(try("GET", ""), `"sid":"`)
	sid, _, _ = strings.Cut(sid, `"`)
	p.path += "&sid=" + sid
	try("POST", "40\x1e"+fmt.Sprintf(`421["subscribe",%q]`, room))
	for !strings.Contains(try("GET", ""), `431[{"ok":true`) {
	}
	return p
}

func (p *pollingClient) do(method, body string) (string, error) {
	req, err := http.NewRequestWithContext(p.n.t.Context(), method, p.n.URL()+p.path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	res, err := p.n.client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != 200 {
		err = fmt.Errorf("%s %s: %d %s", method, p.path, res.StatusCode, answer)
	}
	return string(answer), err
}

// tally counts the numbered messages of publishers, which must be whole and in order for each.
type tally struct {
	who    string
	counts map[string]int
	err    error
}

// count takes note of what a client was sent: the arguments of an event, the publisher's name and the message's number.
func (c *tally) count(args string) {
	name, number, _ := strings.Cut(strings.Trim(args, "[]"), ",")
	if number, _, _ = strings.Cut(number, ","); number != fmt.Sprint(c.counts[name]) && c.err == nil {
		c.err = fmt.Errorf("message %d of %s is %s", c.counts[name], name, number)
	}
	c.counts[name]++
}

// TestShutdownDelivers publishes over HTTP and by sockets, on the node that goes and on another, until the node refuses.
// What was acknowledged on the node that goes reaches all of its hundred clients; some read only once it has begun to go.
func TestShutdownDelivers(t *testing.T) {
	t.Parallel()
	const each, before = 33, 30 // clients of a kind, acknowledged messages before the shutdown
	redis := testredis.Start(t).URL()
	cfg := gateway.Config{Dev: true, Cluster: redis}
	n, other := startNode(t, cfg), startNode(t, cfg)
	n.waitReady(200)
	other.waitReady(200)
	n.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 2 * each
	padding := strings.Repeat("x", 2<<10)
	begun := make(chan struct{})
	tallies := make(chan *tally, 3*each+1)
	listen := func(i int, kind string, read func(c *tally) error) {
		c := &tally{who: fmt.Sprint(kind, " ", i), counts: map[string]int{}}
		go func() {
			if i%3 == 0 {
				<-begun
			}
			for {
				err := read(c)
				if err == nil {
					continue
				}
				if !errors.Is(err, io.EOF) && c.err == nil {
					c.err = err
				}
				tallies <- c
				return
			}
		}()
	}
	for i := range each {
		socket := n.connect("/", "")
		socket.ask("subscribe", `"room"`)
		listen(i, "WebSocket", func(c *tally) error {
			_, data, err := socket.conn.Read(socket.ctx)
			if err != nil && socket.ctx.Err() == nil {
				return io.EOF
			}
			if args, ok := strings.CutPrefix(string(data), `42["n",`); ok {
				c.count(args)
			}
			return err
		})
		polling := n.connectPolling("room")
		listen(i, "polling", func(c *tally) error {
			answer, err := polling.do("GET", "")
			for _, packet := range strings.Split(answer, "\x1e") {
				if args, ok := strings.CutPrefix(packet, `42["n",`); ok {
					c.count(args)
				}
				if packet == "1" {
					return io.EOF
				}
			}
			return err
		})
		stream := n.stream("?room=room")
		listen(i, "stream", func(c *tally) error {
			e, err := stream.Next()
			if err == nil {
				c.count(e.Data)
			}
			return err
		})
	}
	far := other.stream("?room=room")
	listenFar := make(chan *tally, 1)
	go func() {
		c := &tally{who: "the other node's client", counts: map[string]int{}}
		for c.counts[`"end"`] == 0 {
			e, err := far.Next()
			if err != nil {
				c.err = err
				break
			}
			c.count(e.Data)
		}
		listenFar <- c
	}()

	acked := map[string]int{}
	done := make(chan error, 1)
	publisher := n.connect("/", "")
	for i := 0; ; i++ {
		if i == before {
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), lifetime)
				defer cancel()
				close(begun)
				done <- n.Shutdown(ctx)
			}()
		}
		body := func(name string) string {
			return fmt.Sprintf(`{"rooms":["room"],"event":"n","args":[%q,%d,%q]}`, name, acked[name], padding)
		}
		res, text := n.do("POST", "/v1/publish", body("http"))
		if res.StatusCode == 200 {
			acked["http"]++
		} else if code, _ := errorOf(t, text); res.StatusCode != 503 || code != gateway.CodeShuttingDown {
			t.Fatalf("publish: %d %s", res.StatusCode, text)
		}
		publisher.acks++
		err := publisher.conn.Write(publisher.ctx, websocket.MessageText, fmt.Appendf(nil, `42%d["publish",%s]`, publisher.acks, body("socket")))
		var answer []byte
		if err == nil {
			_, answer, err = publisher.conn.Read(publisher.ctx)
		}
		if err == nil && string(answer) == fmt.Sprintf(`43%d[{"ok":true}]`, publisher.acks) {
			acked["socket"]++
		} else if err == nil && !strings.Contains(string(answer), gateway.CodeShuttingDown) {
			t.Fatalf("publish by a socket: %s", answer)
		} else if res.StatusCode != 200 {
			break
		}
	}
	other.publish(`{"rooms":["room"],"event":"n","args":["end",0]}`)
	check := func(c *tally) {
		t.Helper()
		for name, want := range acked {
			if c.counts[fmt.Sprintf("%q", name)] < want || c.err != nil {
				t.Errorf("%s heard %d of %d messages by %s: %v", c.who, c.counts[fmt.Sprintf("%q", name)], want, name, c.err)
			}
		}
	}
	check(<-listenFar)
	for range 3 * each {
		check(<-tallies)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	t.Logf("acknowledged: %v", acked)
}
