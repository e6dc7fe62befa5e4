package bench_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/bench"
)

// hub plays the other push servers: their protocols as the generator's clients see them, and nothing behind.
type hub struct {
	mu      sync.Mutex
	members map[string]map[chan string]bool
	// What it does wrong.
	drop, deaf bool
	pongs      int
}

const hubKey = "a secret of this test's"

func newHub(t *testing.T, h *hub) (url string) {
	t.Helper()
	h.members = map[string]map[chan string]bool{}
	mux := http.NewServeMux()
	mux.HandleFunc("/connection/websocket", h.webSocket)
	mux.HandleFunc("GET /connection/uni_sse", func(w http.ResponseWriter, r *http.Request) {
		var wish struct{ Subs map[string]any }
		h.centrifugoStream(w, r, &wish, &wish.Subs)
	})
	mux.HandleFunc("POST /api/publish", func(w http.ResponseWriter, r *http.Request) {
		var p struct {
			Channel string
			Data    json.RawMessage
		}
		if err := json.NewDecoder(r.Body).Decode(&p); err != nil || r.Header.Get("X-API-Key") != hubKey {
			_, _ = fmt.Fprint(w, `{"error":{"code":107,"message":"bad request"}}`)
			return
		}
		h.publish(p.Channel, fmt.Sprintf(`{"push":{"channel":%q,"pub":{"data":%s}}}`, p.Channel, p.Data))
		_, _ = fmt.Fprint(w, `{"result":{}}`)
	})
	mux.HandleFunc("GET /.well-known/mercure", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, ":\n")
		h.stream(w, r, r.URL.Query()["topic"])
	})
	mux.HandleFunc("POST /.well-known/mercure", func(w http.ResponseWriter, r *http.Request) {
		if token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); !mayPublish(token) {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		h.publish(r.FormValue("topic"), r.FormValue("data"))
		_, _ = fmt.Fprint(w, "urn:uuid:1")
	})
	ts := httptest.NewServer(mux)
	t.Cleanup(ts.Close)
	return ts.URL
}

func mayPublish(token string) bool {
	signed, signature, _ := cutLast(token, ".")
	mac := hmac.New(sha256.New, []byte(hubKey))
	mac.Write([]byte(signed))
	_, claims, _ := strings.Cut(signed, ".")
	text, err := base64.RawURLEncoding.DecodeString(claims)
	var c struct {
		Mercure struct{ Publish []string }
	}
	return err == nil && json.Unmarshal(text, &c) == nil && len(c.Mercure.Publish) == 1 && c.Mercure.Publish[0] == "*" &&
		signature == base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func (h *hub) join(to chan string, channel string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.members[channel] == nil {
		h.members[channel] = map[chan string]bool{}
	}
	h.members[channel][to] = true
}

func (h *hub) leave(to chan string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, members := range h.members {
		delete(members, to)
	}
}

func (h *hub) publish(channel, message string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for to := range h.members[channel] {
		if h.drop {
			h.drop = false
			continue
		}
		to <- message
	}
}

// queue is deep enough for what a test sends: publish does not wait.
const queue = 1000

func (h *hub) stream(w http.ResponseWriter, r *http.Request, channels []string) {
	to := make(chan string, queue)
	defer h.leave(to)
	for _, channel := range channels {
		h.join(to, channel)
	}
	flush := http.NewResponseController(w).Flush
	for flush() == nil {
		select {
		case message := <-to:
			_, _ = fmt.Fprintf(w, "data: %s\n\n", message)
		case <-r.Context().Done():
			return
		}
	}
}

func (h *hub) centrifugoStream(w http.ResponseWriter, r *http.Request, wish any, subs *map[string]any) {
	if err := json.Unmarshal([]byte(r.URL.Query().Get("cf_connect")), wish); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if h.deaf {
		*subs = nil
	}
	var channels []string
	for channel := range *subs {
		channels = append(channels, channel)
	}
	granted, _ := json.Marshal(map[string]any{"connect": map[string]any{"subs": *subs, "ping": 25}})
	_, _ = fmt.Fprintf(w, "\r\ndata: %s\n\n", granted)
	h.stream(w, r, channels)
}

func (h *hub) webSocket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow() // the client has gone
	to := make(chan string, queue)
	defer h.leave(to)
	to <- "{}" // a ping, which wants an answer
	ctx, cancel := context.WithCancel(r.Context())
	done := make(chan struct{})
	defer func() { cancel(); <-done }()
	go func() {
		defer close(done)
		for {
			select {
			case message := <-to:
				if conn.Write(ctx, websocket.MessageText, []byte(message)) != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		_, data, err := conn.Read(ctx)
		if err != nil {
			return
		}
		for line := range strings.SplitSeq(string(data), "\n") {
			h.command(line, to)
		}
	}
}

func (h *hub) command(line string, to chan string) {
	var c struct {
		ID        int
		Connect   *struct{}
		Subscribe *struct{ Channel string }
		Publish   *struct{ Channel, Data string }
	}
	switch err := json.Unmarshal([]byte(line), &c); {
	case err != nil:
		to <- `{"error":{"code":107,"message":"bad request"}}`
	case line == "{}":
		h.mu.Lock()
		h.pongs++
		h.mu.Unlock()
	case c.Connect != nil:
		to <- fmt.Sprintf(`{"id":%d,"connect":{"ping":25,"pong":true}}`, c.ID)
	case c.Subscribe != nil && h.deaf:
		to <- fmt.Sprintf(`{"id":%d,"error":{"code":103,"message":"permission denied"}}`, c.ID)
	case c.Publish != nil && h.deaf:
		to <- `{"id":1,"publish":{}}`
	case c.Publish != nil && (c.Publish.Channel == "" || len(c.Publish.Data) != echoSize):
		to <- fmt.Sprintf(`{"id":%d,"error":{"code":107,"message":"bad request"}}`, c.ID)
	case c.Publish != nil:
		to <- fmt.Sprintf(`{"id":%d,"publish":{}}`, c.ID)
	case c.Subscribe != nil:
		h.join(to, c.Subscribe.Channel)
		to <- fmt.Sprintf(`{"id":%d,"subscribe":{}}`, c.ID)
	}
}

// echoSize is how long the events of scenario Echo are.
const echoSize = 60

func TestCentrifugoEcho(t *testing.T) {
	t.Parallel()
	options := func(h *hub) *bench.Options {
		o := published(bench.Echo, newHub(t, h), bench.Centrifugo, bench.WebSocket)
		o.Size, o.Patience = echoSize, 100*time.Millisecond
		return o
	}
	r := run(t, options(&hub{}))
	mustBeGood(t, r)
	if rate, _ := r.Figure(bench.EventRate); rate <= 0 || r.Delivery.Expected == 0 {
		t.Errorf("%g events a second, %+v", rate, r.Delivery)
	}
	if _, err := bench.Run(t.Context(), options(&hub{deaf: true})); err == nil || !strings.Contains(err.Error(), "no event was acknowledged") {
		t.Errorf("replies to another command: %v", err)
	}
}

// published returns options for a quick run of a dialect whose messages are published by HTTP.
func published(scenario bench.Scenario, url string, dialect bench.Dialect, transport bench.Transport) *bench.Options {
	o := small(scenario, url)
	o.Dialect, o.Transport, o.Key = dialect, transport, hubKey
	return o
}

var peers = []struct {
	dialect   bench.Dialect
	transport bench.Transport
}{
	{bench.Centrifugo, bench.WebSocket}, {bench.Centrifugo, bench.SSE},
	{bench.Mercure, bench.SSE},
}

func TestPublishedDialects(t *testing.T) {
	t.Parallel()
	for _, peer := range peers {
		for scenario, expected := range map[bench.Scenario]uint64{
			bench.Idle: 0, bench.Connect: 0, bench.Fanout: 20 * (3 + 8 + 4*5), bench.Rooms: 3 * (8 + 1),
		} {
			t.Run(string(peer.dialect)+"/"+string(peer.transport)+"/"+string(scenario), func(t *testing.T) {
				t.Parallel()
				h := &hub{}
				r := run(t, published(scenario, newHub(t, h), peer.dialect, peer.transport))
				mustBeGood(t, r)
				if expected > 0 && r.Delivery.Expected != expected {
					t.Errorf("%d messages were expected, it should be %d", r.Delivery.Expected, expected)
				}
				h.mu.Lock()
				defer h.mu.Unlock()
				if peer.transport == bench.WebSocket && h.pongs < r.Clients {
					t.Errorf("%d clients answered %d pings", r.Clients, h.pongs)
				}
			})
		}
	}
}

func TestPublishedDialectsSeeFaults(t *testing.T) {
	t.Parallel()
	for _, peer := range peers {
		t.Run(string(peer.dialect)+"/"+string(peer.transport), func(t *testing.T) {
			t.Parallel()
			faulty := func(h *hub) *bench.Options {
				o := published(bench.Fanout, newHub(t, h), peer.dialect, peer.transport)
				o.Patience = 100 * time.Millisecond
				return o
			}
			if r := run(t, faulty(&hub{drop: true})); r.Delivery.Lost != 1 || len(r.Problems) == 0 {
				t.Errorf("a server that loses a message: %+v, %q", r.Delivery, r.Problems)
			}
			o := faulty(&hub{})
			o.Key = "another"
			if r := run(t, o); len(r.Problems) != 2 || !strings.Contains(r.Problems[1], "the publisher: ") {
				t.Errorf("a publisher that is refused: %q", r.Problems)
			}
			if peer.dialect == bench.Mercure {
				return // a stream has no other sign than its status
			}
			if _, err := bench.Run(t.Context(), faulty(&hub{deaf: true})); err == nil || !strings.Contains(err.Error(), "the server ") {
				t.Errorf("clients that may not subscribe: %v", err)
			}
		})
	}
}
