package interop_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tinylib/msgp/msgp"
)

// foreignPages does what a page of another site could, which must get it nothing.
func foreignPages(ctx context.Context, h *hostile) error {
	n := h.node()
	foreign := http.Header{"Origin": {"https://evil.example"}, "Content-Type": {"text/plain"}, "Sec-Fetch-Site": {"cross-site"}}
	for path, method := range map[string]string{
		"/socket.io/?EIO=4&transport=polling": http.MethodGet, "/v1/events?room=a": http.MethodGet, "/v1/publish": http.MethodPost,
	} {
		status, answer, err := request(ctx, n, method, path, `{"rooms":["a"],"event":"x"}`, foreign)
		if err != nil {
			return err
		}
		if status < 400 {
			return fmt.Errorf("%s %s of a foreign page: %d %.100q", method, path, status, answer)
		}
	}
	status, answer, err := request(ctx, n, http.MethodGet, "/socket.io/?EIO=4&transport=polling&j=0", "", http.Header{"Sec-Fetch-Site": {"cross-site"}})
	if err == nil && status < 400 {
		err = fmt.Errorf("JSONP of a foreign page: %d %.100q", status, answer)
	}
	if err != nil {
		return err
	}
	if c, err := webSocket(ctx, n, plainWebSocket, "Origin: https://evil.example"); err == nil {
		c.reset()
		return fmt.Errorf("a WebSocket of a foreign page was accepted")
	}
	// Its POST to the session of somebody else.
	sid, err := session(ctx, n)
	if err != nil {
		return err
	}
	status, answer, err = request(ctx, n, http.MethodPost, "/socket.io/?EIO=4&transport=polling&sid="+sid, "40", foreign)
	if err == nil && status < 400 {
		err = fmt.Errorf("a POST of a foreign page: %d %.100q", status, answer)
	}
	return err
}

// abuseUpgrades starts upgrades that come to nothing, or to more than one.
func abuseUpgrades(ctx context.Context, h *hostile) error {
	for i := range 40 {
		n := h.node()
		sid, err := session(ctx, n)
		if err != nil {
			return err
		}
		path := plainWebSocket + "&sid=" + sid
		first, err := webSocket(ctx, n, path)
		if err != nil {
			return err
		}
		switch i % 5 {
		case 0: // never probes
		case 1:
			_, _ = first.Write(frame(text, "2probe"))
			_, _ = first.Write(frame(text, "4nonsense"))
		case 2:
			_, _ = first.Write(frame(text, "5")) // without a probe
		case 3:
			if second, err := webSocket(ctx, n, path); err == nil {
				second.reset()
			}
			_, _ = first.Write([]byte{0xff, 0xff})
		case 4:
			_, _ = first.Write(frame(text, "2probe"))
			_, _ = first.Write(frame(text, "5"))
			_, _ = first.Write(frame(text, "40"))
			if _, err := first.until("40"); err != nil {
				return fmt.Errorf("after a good upgrade: %w", err)
			}
		}
		first.reset()
	}
	return nil
}

// abusePolls breaks the rules of long-polling.
func abusePolls(ctx context.Context, h *hostile) error {
	for i := range 60 {
		n := h.node()
		sid, err := session(ctx, n)
		if err != nil {
			return err
		}
		path := "/socket.io/?EIO=4&transport=polling&sid=" + sid
		// Every other way on a session with a parked poll.
		short, cancel := context.WithTimeout(ctx, 2*time.Second)
		var parked sync.WaitGroup
		if i%2 == 0 {
			_, _, _ = request(short, n, http.MethodPost, path, "40", nil)
			_, _, _ = request(short, n, http.MethodGet, path, "", nil)
			parked.Go(func() { _, _, _ = request(short, n, http.MethodGet, path, "", nil) })
		}
		switch i % 10 {
		case 0, 1:
			_, _, err = request(short, n, http.MethodDelete, path, "", nil)
		case 2, 3:
			_, _, _ = request(short, n, http.MethodPost, path, strings.Repeat("4", 3<<20), nil) // may be cut off in the middle
		case 4, 5:
			_, _, err = request(short, n, http.MethodPost, path, "\x1e\x1e", nil)
		case 6, 7:
			_, _, err = request(short, n, http.MethodPost, path, "bAAAA", http.Header{"Content-Type": {"application/octet-stream"}})
		case 8, 9:
			_, _, err = request(short, n, http.MethodGet, path+"&transport=websocket", "", nil)
		}
		cancel()
		parked.Wait()
		if err != nil {
			return fmt.Errorf("case %d: %w", i%10, err)
		}
	}
	return nil
}

// mutateRequests sends requests with a few bytes changed.
func mutateRequests(ctx context.Context, h *hostile) error {
	whole := []string{
		"GET " + plainWebSocket + " HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
		"GET /socket.io/?EIO=4&transport=polling&b64=1&t=abc HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip;q=0.5\r\n\r\n",
		"POST /socket.io/?EIO=4&transport=polling&sid=abc HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n40",
		"POST /v1/publish HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + soakKey + "\r\nContent-Length: 28\r\n\r\n{\"rooms\":[\"a\"],\"event\":\"xx\"}",
		"GET /v1/events?room=a&room=b HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 5\r\n\r\n",
		"OPTIONS /v1/publish HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n\r\n",
	}
	for i := range 400 {
		c, err := dial(ctx, h.node())
		if err != nil {
			return err
		}
		_ = c.say("%s", mutate(h.rand, whole[i%len(whole)]))
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		_, _ = c.r.Peek(1)
		c.reset()
	}
	return nil
}

// poisonRedis publishes what no node would on the channels of the cluster. Sockets must not hear of it, nor be cut.
func poisonRedis(ctx context.Context, h *hostile) error {
	c, err := dialRedis(ctx, h.redis)
	if err != nil {
		return err
	}
	defer c.Close()
	literal := map[string]any{"_placeholder": true, "num": 0}
	var eleven []any
	for range 11 {
		eleven = append(eleven, []byte{1})
	}
	data := []any{
		[]any{"disconnect"}, []any{}, []any{5}, []any{nil}, []any{map[string]any{}}, []any{"connect"}, []any{"error"}, "x", nil, 5,
		append([]any{"x"}, eleven...), []any{"x", literal}, []any{"x", literal, []byte{1}}, []any{"x", strings.Repeat("y", 100_000)}, []any{"caf\xe9", "\xff"},
	}
	packet := func(data any) (string, error) {
		b, err := msgp.AppendIntf(nil, []any{"poison", map[string]any{"type": 2, "data": data, "nsp": "/"},
			map[string]any{"rooms": []any{}, "except": []any{}, "flags": map[string]any{}}})
		return string(b), err
	}
	for i := range 1500 {
		payload, err := packet(data[i%len(data)])
		if err != nil {
			return err
		}
		if i >= 2*len(data) {
			// Random changes go to a room with nobody in it but those who ask for it by accident.
			payload, _ = packet([]any{"poison", i, "text", []byte{1, 2, 3}, map[string]any{"a": []any{1.5, true, nil}}})
			payload = mutate(h.rand, payload)
		}
		channel := "socket.io#/#"
		if i%7 == 6 {
			channel, payload = "socket.io-request#/#", payload[:len(payload)/2]
		}
		if err := c.publish(channel, payload); err != nil {
			return err
		}
	}
	return nil
}

// askThroughRedis asks the nodes for all their sockets, again and again, as a peer may.
func askThroughRedis(ctx context.Context, h *hostile) error {
	c, err := dialRedis(ctx, h.redis)
	if err != nil {
		return err
	}
	defer c.Close()
	for i := range 1000 {
		question := fmt.Sprintf(`{"uid":"asker%d","requestId":"r%d","type":%d,"opts":{"rooms":[],"except":[]}}`, i%10, i, []int{0, 1, 5}[i%3])
		if err := c.publish("socket.io-request#/#", question); err != nil {
			return err
		}
	}
	return nil
}

// redisConn speaks just enough to publish.
type redisConn struct {
	net.Conn
}

func dialRedis(ctx context.Context, addr string) (*redisConn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(deadline)
	}
	return &redisConn{c}, nil
}

func (c *redisConn) publish(channel, payload string) error {
	if _, err := fmt.Fprintf(c, "*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(channel), channel, len(payload), payload); err != nil {
		return err
	}
	var answer [64]byte
	n, err := c.Read(answer[:])
	if err == nil && answer[0] != ':' {
		err = fmt.Errorf("PUBLISH: %.60q", answer[:n])
	}
	return err
}
