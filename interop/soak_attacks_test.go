package interop_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// attackTime bounds one attack. Nothing a node does waits longer.
const attackTime = 90 * time.Second

// attack is one way to hurt a node. Its error says which promise the node broke.
type attack struct {
	name string
	run  func(ctx context.Context, h *hostile) error
}

var attacks = []attack{
	{"connections cut", cutConnections},
	{"frames abused", abuseFrames},
	{"packets abused", abusePackets},
	{"attachments multiplied", multiplyAttachments},
	{"text that is not Unicode", notUnicode},
	{"requests without end", endlessRequests},
	{"headers hoarded", hoardHeaders},
	{"floods", flood},
	{"foreign pages", foreignPages},
	{"upgrades abused", abuseUpgrades},
	{"polls abused", abusePolls},
	{"readers that are deaf", deafReaders},
	{"requests mutated", mutateRequests},
	{"rooms churned", churnRooms},
	{"Redis poisoned", poisonRedis},
	{"Redis asked", askThroughRedis},
}

// cutConnections breaks off at every stage of a WebSocket's life.
func cutConnections(ctx context.Context, h *hostile) error {
	stages := []string{"GET /socket.io/?EIO=4", "GET " + plainWebSocket + " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n", ""}
	for i := range 150 {
		n := h.node()
		if stage := stages[i%len(stages)]; stage != "" {
			c, err := dial(ctx, n)
			if err != nil {
				return err
			}
			_ = c.say("%s", stage)
			c.reset()
			continue
		}
		c, err := joined(ctx, n)
		if err != nil {
			return err
		}
		whole := frame(text, `42["subscribe","cut"]`)
		_, _ = c.Write(whole[:h.rand.IntN(len(whole)+1)])
		if i%2 == 0 {
			c.reset()
		} else {
			_ = c.Close()
		}
	}
	return nil
}

// abuseFrames sends what RFC 6455 forbids; each must end the connection.
func abuseFrames(ctx context.Context, h *hostile) error {
	unmasked := func(op byte, payload string) []byte { return rawFrame(fin|op, false, uint64(len(payload)), payload) }
	for name, bytes := range map[string][]byte{
		"unmasked":                 unmasked(text, "3"),
		"reserved bit 1":           rawFrame(fin|0x40|text, true, 1, "3"),
		"reserved bit 3":           rawFrame(fin|0x10|text, true, 1, "3"),
		"unknown opcode 3":         rawFrame(fin|0x3, true, 1, "3"),
		"unknown opcode 15":        rawFrame(fin|0xf, true, 1, "3"),
		"fragmented ping":          rawFrame(pingOp, true, 1, "x"),
		"long ping":                rawFrame(fin|pingOp, true, 126, strings.Repeat("x", 126)),
		"continuation of nothing":  rawFrame(fin|more, true, 1, "x"),
		"text within a message":    append(rawFrame(text, true, 1, "4"), rawFrame(fin|text, true, 1, "4")...),
		"length beyond memory":     rawFrame(fin|text, true, 1<<62, "4"),
		"length with the sign bit": rawFrame(fin|text, true, 1<<63, "4"),
		"longer than MaxPayload":   rawFrame(fin|binaryOp, true, 64<<20, "4"),
		"not UTF-8":                frame(text, "42[\"\xff\"]"),
		"close of one byte":        frame(closeOp, "x"),
		"close with code 1005":     frame(closeOp, "\x03\xed"),
		"close with text":          frame(closeOp, "\x03\xe8\xff\xfe"),
	} {
		c, err := joined(ctx, h.node())
		if err != nil {
			return err
		}
		_, _ = c.Write(bytes)
		err = c.ended(10 * time.Second)
		c.reset()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// abusePackets sends what is no packet of Engine.IO or Socket.IO, or one that is not to be sent, and random changes of
// those that are.
func abusePackets(ctx context.Context, h *hostile) error {
	packets := []string{
		"", "4", "7", "9", "b!", "42", "42{}", "42[", "42[]", "42[1,2]", `42["disconnect"]`, `42["connect_error"]`, "43", "431[]", "44", "45",
		"451-", `450-["a"]`, `451-["a"]`, `4511-["a",{"_placeholder":true,"num":0}]`, `45999999999999-["a"]`, "461-1[]", "40/nowhere,", "40{", "41/x,",
		`40/,{"token":5}`, `42/x,["a"]`, `4299999999999999999999["a"]`, `42["subscribe",` + strings.Repeat("[", 100000), `42["subscribe",{"a":1}]`,
		`42["publish",{"rooms":["` + strings.Repeat("r", 70000) + `"],"event":"x"}]`, `42["publish",{"event":"disconnect"}]`, `420["unsubscribe",[]]`,
		"1", "2", "5", "6", "2probe", "0{}", strings.Repeat("x", 200000),
	}
	for i := range 400 {
		packet := packets[i%len(packets)]
		if i >= len(packets) {
			packet = mutate(h.rand, packet)
		}
		c, err := joined(ctx, h.node())
		if err != nil {
			return err
		}
		_, _ = c.Write(frame(text, strings.ToValidUTF8(packet, "?")))
		_, _ = c.Write(frame(binaryOp, packet))
		c.reset()
	}
	return nil
}

// mutate changes a few bytes of s.
func mutate(r *rand.Rand, s string) string {
	b := []byte(s)
	if len(b) > 5000 {
		b = b[:5000]
	}
	for range 1 + r.IntN(4) {
		at := r.IntN(len(b) + 1)
		switch r.IntN(3) {
		case 0:
			b = append(b[:at], append([]byte{byte(r.IntN(256))}, b[at:]...)...)
		case 1:
			b = append(b[:at], b[min(at+1+r.IntN(8), len(b)):]...)
		default:
			if at < len(b) {
				b[at] = byte(r.IntN(256))
			}
		}
	}
	return string(b)
}

// multiplyAttachments names one attachment many times, with listeners of every kind in the room. No node may write it
// out as often.
func multiplyAttachments(ctx context.Context, h *hostile) error {
	const placeholder = `{"_placeholder":true,"num":0}`
	for _, n := range h.nodes {
		before := n.usage(h.t)
		var ears []*raw
		for _, path := range []string{"/v1/events?room=bomb", ""} {
			c, err := dial(ctx, n)
			if path == "" {
				c, err = joined(ctx, n)
			}
			if err != nil {
				return err
			}
			defer c.reset()
			if path == "" {
				_, err = c.Write(frame(text, `42["subscribe","bomb"]`))
			} else {
				err = c.say("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, n.addr)
			}
			if err != nil {
				return err
			}
			ears = append(ears, c)
		}
		for range 4 {
			c, err := joined(ctx, n)
			if err != nil {
				return err
			}
			args := strings.TrimSuffix(strings.Repeat(placeholder+",", 1000), ",")
			_, _ = c.Write(frame(text, `451-0["publish",{"rooms":["bomb"],"event":"x","args":[`+args+`]}]`))
			_, _ = c.Write(frame(binaryOp, strings.Repeat("\x00", 900_000)))
			_ = c.ended(2 * time.Second) // it may also be answered with an error
			c.reset()
		}
		after := n.usage(h.t)
		if grown := after["process_resident_memory_bytes"] - before["process_resident_memory_bytes"]; grown > 400<<20 {
			return fmt.Errorf("%s grew by %.0f MiB", n.addr, grown/(1<<20))
		}
		_ = ears
	}
	return nil
}

// notUnicode publishes text that is none, by every door, beside a client that must not be disconnected for it.
func notUnicode(ctx context.Context, h *hostile) error {
	for _, n := range h.nodes {
		ear, err := joined(ctx, n)
		if err != nil {
			return err
		}
		defer ear.reset()
		if _, err := ear.Write(frame(text, `421["subscribe","babel"]`)); err != nil {
			return err
		}
		if _, err := ear.until("431"); err != nil {
			return err
		}
		sid, err := session(ctx, n)
		if err != nil {
			return err
		}
		path := "/socket.io/?EIO=4&transport=polling&sid=" + sid
		header := http.Header{"Authorization": {"Bearer " + soakKey}, "Content-Type": {"application/json"}}
		_, _, _ = request(ctx, n, http.MethodPost, path, "40", nil)
		for _, word := range []string{"caf\xe9", `\ud83d`, "\xed\xa0\xbd", "\xff\xfe\x00"} {
			publication := `{"rooms":["babel"],"event":"word","args":["` + word + `",{"` + word + `":1}]}`
			_, _, _ = request(ctx, n, http.MethodPost, path, `42["publish",`+publication+`]`, nil)
			_, _, _ = request(ctx, n, http.MethodPost, "/v1/publish", publication, header)
		}
		if _, answer, err := request(ctx, n, http.MethodPost, "/v1/publish", `{"rooms":["babel"],"event":"end"}`, header); err != nil || !strings.Contains(answer, "ok") {
			return fmt.Errorf("publish: %s %w", answer, err)
		}
		if _, err := ear.until(`42["end"`); err != nil {
			return fmt.Errorf("a listener: %w", err)
		}
	}
	return nil
}

// endlessRequests leaves requests unfinished and answers unread; the node must end each by itself.
func endlessRequests(ctx context.Context, h *hostile) error {
	n := h.node()
	sid, err := session(ctx, n)
	if err != nil {
		return err
	}
	const body = "Content-Type: text/plain\r\nContent-Length: 5000\r\n\r\n"
	// The pause between two bytes of those who send a byte now and then.
	const drip = 500 * time.Millisecond
	type left struct{ name, request, drip string }
	var all []left
	add := func(name, request, drip string) { all = append(all, left{name, request, drip}) }
	add("silence", "", "")
	add("half a request line", "GET / HT", "")
	add("headers byte by byte", "GET / HTTP/1.1\r\nHost: x\r\nX: ", "a")
	add("a handshake byte by byte", "GET "+plainWebSocket+" HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nX: ", "a")
	for name, path := range map[string]string{
		"of a session": "/socket.io/?EIO=4&transport=polling&sid=" + sid, "of no session": "/socket.io/?EIO=4&transport=polling&sid=zzz",
		"to publish": "/v1/publish", "to /healthz": "/healthz", "to /": "/", "to /metrics": "/metrics", "to /v1/events": "/v1/events", "to nowhere": "/nowhere",
	} {
		head := "POST " + path + " HTTP/1.1\r\nHost: x\r\n"
		add("a POST "+name+" without its body", head+body, "")
		add("a POST "+name+" byte by byte", head+body, "4")
		add("a chunked POST "+name+" byte by byte", head+"Transfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n")
	}
	add("a POST with the key and without its body", "POST /v1/publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+soakKey+"\r\n"+body, "")
	add("a GET that promises a body", "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", "")
	add("answers unread", strings.Repeat("GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+soakKey+"\r\n\r\n", 400), "")
	errs := make([]error, len(all))
	var running sync.WaitGroup
	for i, l := range all {
		c, err := dial(ctx, n)
		if err != nil {
			return err
		}
		defer c.reset()
		if err := c.say("%s", l.request); err != nil {
			return err
		}
		running.Go(func() {
			unread := strings.HasPrefix(l.name, "answers")
			if !unread && l.drip == "" {
				if err := c.ended(80 * time.Second); err != nil {
					errs[i] = fmt.Errorf("%s: %w", l.name, err)
				}
				return
			}
			// It goes on sending, and finds out that nobody listens. What is unread is not read even then.
			tick := time.NewTicker(drip)
			defer tick.Stop()
			for end := time.Now().Add(80 * time.Second); time.Now().Before(end); <-tick.C {
				text := l.drip
				if unread {
					text = "\r\n"
				}
				if c.say("%s", text) != nil {
					return
				}
			}
			errs[i] = fmt.Errorf("%s: still open after 80 s", l.name)
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// hoardHeaders opens sessions with as many headers as a request may have.
func hoardHeaders(ctx context.Context, h *hostile) error {
	n := h.node()
	before := n.usage(h.t)
	c, err := dial(ctx, n)
	if err != nil {
		return err
	}
	defer c.reset()
	var header strings.Builder
	for i := range 50 {
		fmt.Fprintf(&header, "X-%d: %s\r\n", i, strings.Repeat("a", 1000))
	}
	go func() { // ends with the connection
		for range 1500 {
			if c.say("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n%s\r\n", header.String()) != nil {
				return
			}
		}
	}()
	for range 1500 {
		response, err := http.ReadResponse(c.r, nil)
		if err != nil {
			break // the node may have had enough
		}
		_ = response.Body.Close()
	}
	after := n.usage(h.t)
	if grown := after["process_resident_memory_bytes"] - before["process_resident_memory_bytes"]; grown > 300<<20 {
		return fmt.Errorf("%s grew by %.0f MiB", n.addr, grown/(1<<20))
	}
	return nil
}
