//go:build unix

package interop_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/peal-dev/peal/internal/testredis"
)

// duo is two nodes of `peal serve` on one real Redis, and a Node.js server as their third. Each of the two has Socket.IO
// clients s1, t1 (or s2, t2) and event streams e1, f1 (or e2, f2), the third has client n. Those named s, e and n are in room
// red, s2 and f2 in room blue.
type duo struct {
	t       *testing.T
	nodes   [2]*program
	third   *peer
	clients *peer
	ids     map[string]string
	fences  int
}

var duoReceivers = []string{"s1", "t1", "s2", "t2", "e1", "f1", "e2", "f2", "n"}

// startDuo starts them. An EventSource hears only the events it listens for, which are named here.
func startDuo(t *testing.T, events ...string) *duo {
	t.Helper()
	redis := testredis.Start(t)
	d := &duo{t: t, ids: map[string]string{}, clients: startPeer(t, "client.mjs")}
	d.nodes = [2]*program{startPeal(t, redis.URL()), startPeal(t, redis.URL())}
	d.third = startPeer(t, "node-server.mjs", "redispubsub", redis.URL())
	d.third.do("open", params{"namespace": "/"}, nil)
	connect := func(client, url string) {
		var state struct{ ID string }
		d.clients.do("connect", params{"client": client, "url": url}, &state)
		d.ids[client] = state.ID
	}
	open := func(client string, node int, query string) {
		d.clients.do("open", params{
			"client": client, "url": d.nodes[node].url() + "/v1/events" + query, "events": append(events, "fence"),
		}, nil)
	}
	for i, node := range d.nodes {
		digit := fmt.Sprint(i + 1)
		connect("s"+digit, node.url())
		connect("t"+digit, node.url())
		d.subscribe("s"+digit, "red")
		open("e"+digit, i, "?room=red")
	}
	d.subscribe("s2", "blue")
	open("f1", 0, "")
	open("f2", 1, "?room=blue")
	connect("n", d.third.url)
	d.clients.do("ask", params{"client": "n", "event": "join", "args": []any{"red"}}, nil)
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

// publisher emits an event to everybody but some.
type publisher struct {
	name string
	emit func(event string, to to, args ...any)
}

// sources are the ways to publish: over the HTTP API and as a client, on either node, and on the third.
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
				"client": "t" + digit, "publication": publication{Event: event, Rooms: to.rooms, Except: to.except, Args: args},
			}, nil)
		}})
	}
	return append(sources, publisher{"the third node", func(event string, to to, args ...any) {
		d.t.Helper()
		d.third.do("emit", to.with(params{"namespace": "/", "event": event, "args": args}), nil)
	}})
}

// fence returns when all that was published before, on either node, has arrived at the receivers.
func (d *duo) fence(receivers ...string) {
	d.t.Helper()
	for _, source := range d.sources() {
		d.fences++
		source.emit("fence", to{}, d.fences)
		for _, name := range receivers {
			d.clients.await(1, "fence at "+name, func(r report) bool {
				return r.Client == name && r.Event == "fence" && string(r.Args) == fmt.Sprintf("[%d]", d.fences)
			})
		}
	}
}

// requireReceived fails the test unless exactly these of the duo's clients and streams have received the event, once.
func (d *duo) requireReceived(event string, receivers ...string) {
	d.t.Helper()
	for _, name := range duoReceivers {
		want := 0
		if slices.Contains(receivers, name) {
			want = 1
		}
		if got := len(d.clients.events(name, event)); got != want {
			d.t.Errorf("%s received %q %d times, want %d", name, event, got, want)
		}
	}
}

func TestPealDeliversOnceAndInOrder(t *testing.T) {
	t.Parallel()
	const count = 1000
	events := []string{"http 1", "client 1", "http 2", "client 2", "third"}
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
	burst := d.third.begin("burst", params{"namespace": "/", "event": "third", "count": count})
	defer func() { d.third.finish("burst", burst) }()
	publishing.Wait()
	for _, event := range events {
		for _, name := range duoReceivers {
			d.clients.awaitEvents(name, event, count)
		}
	}
	d.fence(duoReceivers...)
	for _, event := range events {
		for _, name := range duoReceivers {
			requireNumbered(t, event+" at "+name, d.clients.events(name, event), count)
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
			"a room":             {to{rooms: []string{"red"}}, []string{"s1", "s2", "e1", "e2", "n"}},
			"two rooms":          {to{rooms: []string{"red", "blue"}}, []string{"s1", "s2", "e1", "e2", "f2", "n"}},
			"a room nobody uses": {to{rooms: []string{"green"}}, nil},
			"a room but another": {to{rooms: []string{"red"}, except: []string{"blue"}}, []string{"s1", "e1", "e2", "n"}},
			"all but a room":     {to{except: []string{"red"}}, []string{"t1", "t2", "f1", "f2"}},
			"a socket":           {to{rooms: []string{d.ids["t2"]}}, []string{"t2"}},
			"all but a socket": {
				to{except: []string{d.ids["t1"]}}, []string{"s1", "s2", "t2", "e1", "f1", "e2", "f2", "n"},
			},
			"a room but a socket": {to{rooms: []string{"red"}, except: []string{d.ids["s2"]}}, []string{"s1", "e1", "e2", "n"}},
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
	d.fence(duoReceivers...)
	for aim, by := range aims(d) {
		for _, source := range d.sources() {
			event := aim + " " + source.name
			d.requireReceived(event, by.receivers...)
			for _, name := range by.receivers {
				for _, r := range d.clients.events(name, event) {
					requireJSON(t, event+" at "+name, r.Args, []any{"é🐎", params{"n": 1}})
				}
			}
		}
	}
}
