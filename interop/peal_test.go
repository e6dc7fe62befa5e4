package interop_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/testredis"
)

// startPeal runs `peal serve` on a free port, as a node of the cluster on the Redis.
func startPeal(t *testing.T, redisURL string) *program {
	t.Helper()
	p := start(t, built(t, pealBinary), "serve", "--dev", "--listen", "127.0.0.1:0", "--redis", redisURL)
	// A node serves before it has joined the cluster, and says so only when asked.
	for deadline := time.Now().Add(patience); p.get(t, "/readyz") != http.StatusOK; {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not join the cluster", p.addr)
		}
	}
	return p
}

// get returns the status of a GET. An unready node answers only after it has probed its cluster, or a second later.
func (p *program) get(t *testing.T, path string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// publication is the body of POST /v1/publish and the argument of a client's "publish".
type publication struct {
	Event  string   `json:"event"`
	Rooms  []string `json:"rooms,omitempty"`
	Except []string `json:"except,omitempty"`
	Args   []any    `json:"args"`
}

// publish publishes over the program's HTTP API.
func (p *program) publish(t *testing.T, publication publication) {
	t.Helper()
	body, err := json.Marshal(publication)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url()+"/v1/publish", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("publishing on %s: %v", p.addr, err)
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	if response.StatusCode/100 != 2 {
		t.Fatalf("publishing on %s: %s: %s", p.addr, response.Status, answer)
	}
}

// duo is two nodes of `peal serve` on one real Redis. Each has Socket.IO clients s1, t1 (or s2, t2) and event streams e1,
// f1 (or e2, f2). s and e are in room red, s2 and f2 also in room blue.
type duo struct {
	t       *testing.T
	nodes   [2]*program
	clients *peer
	streams *peer
	ids     map[string]string
	fences  int
}

var duoReceivers = []string{"s1", "t1", "s2", "t2", "e1", "f1", "e2", "f2"}

// startDuo starts them. An EventSource hears only the events it listens for, which are named here.
func startDuo(t *testing.T, events ...string) *duo {
	t.Helper()
	redis := testredis.Start(t)
	d := &duo{t: t, clients: startPeer(t, "client.mjs"), streams: startPeer(t, "sse.mjs"), ids: map[string]string{}}
	d.nodes = [2]*program{startPeal(t, redis.URL()), startPeal(t, redis.URL())}
	events = append(events, "fence")
	for i, node := range d.nodes {
		digit := fmt.Sprint(i + 1)
		for _, client := range []string{"s" + digit, "t" + digit} {
			var state struct{ ID string }
			d.clients.do("connect", params{"client": client, "url": node.url()}, &state)
			d.ids[client] = state.ID
		}
		d.subscribe("s"+digit, "red")
		d.streams.do("open", params{
			"client": "e" + digit, "url": node.url() + "/v1/events?room=red", "events": events,
		}, nil)
	}
	d.subscribe("s2", "blue")
	d.streams.do("open", params{"client": "f1", "url": d.nodes[0].url() + "/v1/events", "events": events}, nil)
	d.streams.do("open", params{
		"client": "f2", "url": d.nodes[1].url() + "/v1/events?room=blue", "events": events,
	}, nil)
	return d
}

func (d *duo) subscribe(client, room string) {
	d.t.Helper()
	var answer [1]struct {
		Error *struct{ Code, Message string }
	}
	d.clients.do("ask", params{"client": client, "event": "subscribe", "args": []any{room}}, &answer)
	if e := answer[0].Error; e != nil {
		d.t.Fatalf("%s subscribing to %s: %s: %s", client, room, e.Code, e.Message)
	}
}

// received are the events of a client or stream so far.
func (d *duo) received(name, event string) []report { return d.peerOf(name).events(name, event) }

func (d *duo) await(name, event string, count int) []report {
	d.t.Helper()
	return d.peerOf(name).awaitEvents(name, event, count)
}

func (d *duo) peerOf(name string) *peer {
	if name[0] == 'e' || name[0] == 'f' {
		return d.streams
	}
	return d.clients
}

// arguments are a report's arguments: a stream has them as its data.
func arguments(reports []report) []report {
	out := slices.Clone(reports)
	for i := range out {
		if out[i].Data != "" {
			out[i].Args = json.RawMessage(out[i].Data)
		}
	}
	return out
}

// sources are the ways to publish: over the HTTP API and as a client, on either node.
func (d *duo) sources() []publisher {
	var sources []publisher
	for i, node := range d.nodes {
		digit := fmt.Sprint(i + 1)
		sources = append(sources, publisher{"HTTP on node " + digit, func(event string, to to, args ...any) {
			d.t.Helper()
			node.publish(d.t, publication{Event: event, Rooms: to.rooms, Except: to.except, Args: args})
		}}, publisher{"client on node " + digit, func(event string, to to, args ...any) {
			d.t.Helper()
			d.clients.do("publish", params{
				"client": "s" + digit, "publication": publication{Event: event, Rooms: to.rooms, Except: to.except, Args: args},
			}, nil)
		}})
	}
	return sources
}

// fence returns when all that was published before, on either node, has arrived everywhere.
func (d *duo) fence() {
	d.t.Helper()
	for _, from := range d.sources() {
		d.fences++
		from.emit("fence", to{}, d.fences)
		for _, name := range duoReceivers {
			d.await(name, "fence", d.fences)
		}
	}
}

func TestPealDeliversOnceAndInOrder(t *testing.T) {
	t.Parallel()
	const count = 1000
	events := []string{"http 1", "client 1", "http 2", "client 2"}
	d := startDuo(t, events...)

	var publishing sync.WaitGroup
	for i, node := range d.nodes {
		digit := fmt.Sprint(i + 1)
		publishing.Go(func() {
			for i := range count {
				node.publish(t, publication{Event: "http " + digit, Args: []any{i}})
			}
		})
		answer := d.clients.begin("publish", params{
			"client": "t" + digit, "publication": publication{Event: "client " + digit}, "count": count,
		})
		defer func() {
			if r := d.clients.finish("publish", answer); r.Error != "" {
				t.Errorf("client %s publishing: %s", digit, r.Error)
			}
		}()
	}
	publishing.Wait()
	for _, event := range events {
		for _, name := range duoReceivers {
			d.await(name, event, count)
		}
	}
	d.fence()
	for _, event := range events {
		for _, name := range duoReceivers {
			requireNumbered(t, event+" at "+name, arguments(d.received(name, event)), count)
		}
	}
}

func TestPealAimsAcrossNodes(t *testing.T) {
	t.Parallel()
	aims := func(d *duo) map[string]struct {
		to        to
		receivers []string
	} {
		type aim = struct {
			to        to
			receivers []string
		}
		return map[string]aim{
			"everyone":           {to{}, duoReceivers},
			"a room":             {to{rooms: []string{"red"}}, []string{"s1", "s2", "e1", "e2"}},
			"two rooms":          {to{rooms: []string{"red", "blue"}}, []string{"s1", "s2", "e1", "e2", "f2"}},
			"a room nobody uses": {to{rooms: []string{"green"}}, nil},
			"a room but another": {to{rooms: []string{"red"}, except: []string{"blue"}}, []string{"s1", "e1", "e2"}},
			"all but a room":     {to{except: []string{"red"}}, []string{"t1", "t2", "f1", "f2"}},
			"a socket":           {to{rooms: []string{d.ids["t2"]}}, []string{"t2"}},
			"all but a socket": {
				to{except: []string{d.ids["t1"]}}, []string{"s1", "s2", "t2", "e1", "f1", "e2", "f2"},
			},
			"a room but a socket": {to{rooms: []string{"red"}, except: []string{d.ids["s2"]}}, []string{"s1", "e1", "e2"}},
		}
	}
	var events []string
	for aim := range aims(&duo{}) {
		for _, source := range (&duo{}).sources() {
			events = append(events, aim+" "+source.name)
		}
	}
	d := startDuo(t, events...)
	for aim, by := range aims(d) {
		for _, source := range d.sources() {
			source.emit(aim+" "+source.name, by.to, "é🐎", params{"n": 1})
		}
	}
	d.fence()
	for aim, by := range aims(d) {
		for _, source := range d.sources() {
			event := aim + " " + source.name
			for _, name := range duoReceivers {
				got := arguments(d.received(name, event))
				want := 0
				if slices.Contains(by.receivers, name) {
					want = 1
				}
				if len(got) != want {
					t.Errorf("%s received %q %d times, want %d", name, event, len(got), want)
				}
				for _, r := range got {
					requireJSON(t, event+" at "+name, r.Args, []any{"é🐎", params{"n": 1}})
				}
			}
		}
	}
}
