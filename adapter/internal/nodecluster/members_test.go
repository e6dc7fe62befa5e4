package nodecluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/adaptertest"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/message"
)

// cluster is a broker with Peal nodes and a stranger, who sees everything and sends what a test says.
type cluster struct {
	t        *testing.T
	broker   *broker
	stranger *transport

	mu    sync.Mutex
	heard []*nodewire.Message
}

// newCluster returns a cluster without nodes. It belongs into a bubble.
func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t, broker: &broker{transports: make(map[string][]*transport)}}
	d := newDriver(c.broker, true, nodecluster.Options{ProbeInterval: -1})
	link, err := d.Hub.Subscribe(t.Context(), "/", deaf{}, func(_ context.Context, l *nodecluster.Link) (nodecluster.Transport, error) {
		c.stranger = &transport{broker: c.broker, link: l, wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{})}
		c.stranger.tap = func(b []byte) {
			if m, err := nodewire.Decode(b); err == nil {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.heard = append(c.heard, m)
			}
		}
		go c.stranger.run()
		c.broker.mu.Lock()
		defer c.broker.mu.Unlock()
		c.broker.transports["/"] = append(c.broker.transports["/"], c.stranger)
		return counter{c.stranger}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(link.Close(context.Background()), d.Close(context.Background())) })
	c.hear()
	return c
}

// deaf is the receiver of nobody.
type deaf struct{}

func (deaf) Receive(*adapter.Envelope)                  {}
func (deaf) Answer(*adapter.Call, func(adapter.Answer)) {}
func (deaf) HasRoom(string) bool                        { return false }

// hear returns what was sent since the last time, by type and sender.
func (c *cluster) hear() []*nodewire.Message {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	heard := c.heard
	c.heard = nil
	return heard
}

// say sends what a Node.js node would.
func (c *cluster) say(format string, args ...any) {
	c.broker.mu.Lock()
	for _, to := range c.broker.transports["/"] {
		to.put(fmt.Appendf(nil, format, args...))
	}
	c.broker.mu.Unlock()
	synctest.Wait()
}

// node is a Peal node with a socket.
type peal struct {
	*adapter.Adapter
	driver *driver
	link   *nodecluster.Link
	socket *adaptertest.Socket
}

func (c *cluster) node(id string) *peal {
	c.t.Helper()
	return c.nodeOf(id, newDriver(c.broker, false, nodecluster.Options{ProbeInterval: -1}))
}

// nodeOf is node with a driver.
func (c *cluster) nodeOf(id string, d *driver) *peal {
	c.t.Helper()
	a, err := adapter.New(c.t.Context(), "/", d, &adapter.Options{OnEvent: func(_ context.Context, call *adapter.Call, reply func([]byte, [][]byte)) {
		if reply != nil {
			reply(call.Message.Args(), nil)
		}
	}})
	if err != nil {
		c.t.Fatal(err)
	}
	p := &peal{a, d, d.Link("/"), &adaptertest.Socket{Member: adaptertest.NewMember(id)}}
	if _, err := a.Add(c.t.Context(), p.socket); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = errors.Join(a.Close(context.Background()), d.Close(context.Background())) })
	return p
}

// crash has a node vanish without a word.
func (c *cluster) crash(p *peal) {
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	c.broker.transports["/"] = slices.DeleteFunc(c.broker.transports["/"], func(o *transport) bool { return o.link == p.link })
}

func (p *peal) nodes(t *testing.T, want int) {
	t.Helper()
	synctest.Wait()
	if n, err := p.Nodes(t.Context()); err != nil || n != want {
		t.Errorf("%d nodes, %v, want %d", n, err, want)
	}
}

// TestHeartbeats: a node says that it is there when it comes, when another does, when it has been silent, and when it
// leaves; and it knows of others by the same.
func TestHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		types := func(heard []*nodewire.Message) (list []nodewire.Type) {
			for _, m := range heard {
				if m.Probe == 0 {
					list = append(list, m.Type)
				}
			}
			return list
		}
		wantHeard := func(when string, want ...nodewire.Type) {
			t.Helper()
			if got := types(c.hear()); !slices.Equal(got, want) {
				t.Errorf("%s: heard %v, want %v", when, got, want)
			}
		}
		a := c.node("a")
		wantHeard("a comes", nodewire.InitialHeartbeat)
		began := time.Now()
		b := c.node("b")
		if took := time.Since(began); took >= nodecluster.DefaultSettle {
			t.Errorf("the second node waited %v, though the first said who is there", took)
		}
		wantHeard("b comes", nodewire.InitialHeartbeat, nodewire.Heartbeat)
		a.nodes(t, 2)
		b.nodes(t, 2)

		// A Node.js node.
		c.say(`{"type":1,"uid":"node","nsp":"/"}`)
		heard := c.hear()
		if got := types(heard); !slices.Equal(got, []nodewire.Type{nodewire.InitialHeartbeat, nodewire.Heartbeat, nodewire.Heartbeat}) {
			t.Errorf("a Node.js node comes: heard %v", got)
		}
		a.nodes(t, 3)
		// What it says of any kind shows that it is there; an emitter is no node, and what has another namespace is not for us.
		for range 5 {
			time.Sleep(4 * time.Second)
			c.say(`{"type":3,"data":{"packet":{"type":2,"data":["x"]},"opts":{"rooms":["nobody"]}},"uid":"node","nsp":"/"}`)
			c.say(`{"type":3,"data":{"packet":{"type":2,"data":["x"]},"opts":{"rooms":["nobody"]}},"uid":"emitter"}`)
			c.say(`{"type":2,"uid":"stranger","nsp":"/other"}`)
		}
		a.nodes(t, 3)
		wantBeats := func(when string, least, most int) {
			t.Helper()
			beats := 0
			for _, m := range c.hear() {
				if m.Type == nodewire.Heartbeat && m.UID == a.link.UID() {
					beats++
				}
			}
			if beats < least || beats > most {
				t.Errorf("%s: %d heartbeats of one node in 20 s, want %d to %d", when, beats, least, most)
			}
		}
		wantBeats("beside another Peal node", 18, 21)
		// It is silent for longer than the timeout.
		time.Sleep(12 * time.Second)
		a.nodes(t, 2)
		c.say(`{"type":2,"uid":"node","nsp":"/"}`)
		a.nodes(t, 3)
		c.say(`{"type":13,"uid":"node","nsp":"/"}`)
		a.nodes(t, 2)
		c.say(`{"type":9,"data":{"packet":["late"]},"uid":"node","nsp":"/"}`) // on its way when it left
		a.nodes(t, 2)
		c.hear()
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		wantHeard("b leaves", nodewire.AdapterClose)
		a.nodes(t, 1)
		time.Sleep(20 * time.Second)
		wantBeats("alone", 3, 5)
	})
}

// TestMissing asks three nodes of which one is there, one leaves and one crashes: the call ends as soon as the last is
// known to be gone, with what came, and says by name who is missing.
func TestMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		a, b := c.node("a"), c.node("b")
		c.say(`{"type":1,"uid":"leaves","nsp":"/"}`)
		crashing := c.node("crashes")
		type result struct {
			ids     []string
			missing []adapter.NodeID
			err     error
			after   time.Duration
		}
		results := make(chan result, 1)
		call := func(q *adapter.Call) {
			began := time.Now()
			var r result
			r.missing, r.err = a.Call(t.Context(), q, func(answer adapter.Answer) {
				if answer.Part != adapter.AnswerCount {
					r.ids = append(r.ids, answer.Names...)
				}
			})
			r.after = time.Since(began)
			results <- r
		}
		c.crash(crashing)
		go call(&adapter.Call{Kind: adapter.CallIDs, Timeout: time.Hour})
		synctest.Wait()
		time.Sleep(time.Second)
		c.say(`{"type":13,"uid":"leaves","nsp":"/"}`)
		r := <-results
		want := []adapter.NodeID{adapter.NodeID(crashing.link.UID()), "leaves"}
		slices.Sort(want)
		if !errors.Is(r.err, adapter.ErrIncomplete) || !slices.Equal(r.ids, []string{"b"}) || !slices.Equal(r.missing, want) {
			t.Errorf("got %q, %q, %v; want b, missing %q", r.ids, r.missing, r.err, want)
		}
		if r.after > 12*time.Second {
			t.Errorf("waited %v for a node that had crashed", r.after)
		}

		// A node that has said how many members it asks and goes: nobody waits for them.
		b.socket.Answer(nil) // never
		go call(&adapter.Call{Kind: adapter.CallAsk, Message: message.New([]byte(`["q"]`)), Timeout: time.Hour})
		synctest.Wait()
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		r = <-results
		var incomplete *adapter.IncompleteError
		if !errors.As(r.err, &incomplete) || incomplete.Silent != 1 || len(incomplete.Missing) != 0 || r.after > time.Second {
			t.Errorf("%v after %v, want that one member is silent", r.err, r.after)
		}
	})
}

// TestAnswersNodeNodes asks a node as Node.js nodes do: they get what they know, and nothing else.
func TestAnswersNodeNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		a := c.node("a")
		a.socket.Answer(func(q *adapter.Question) { q.Reply("a", []byte(`"pong"`), nil); q.Gone("a") })
		c.hear()
		for _, tt := range []struct{ question, want string }{
			{`{"type":7,"data":{"opts":{"rooms":["a"],"except":[],"flags":{}},"requestId":"r"},"uid":"node","nsp":"/"}`,
				`{"type":8,"data":{"requestId":"r","sockets":[{"id":"a","handshake":{},"rooms":["a"],"data":{}}]},"uid":"%s","nsp":"/"}`},
			{`{"type":9,"data":{"packet":["ev",1],"requestId":"r"},"uid":"node","nsp":"/"}`,
				`{"type":10,"data":{"requestId":"r","packet":[1]},"uid":"%s","nsp":"/"}`},
			{`{"type":3,"data":{"packet":{"type":2,"data":["ping"]},"requestId":"r","opts":{"rooms":["nobody"],"except":[],"flags":{"timeout":50}}},"uid":"node","nsp":"/"}`,
				`{"type":11,"data":{"requestId":"r","clientCount":0},"uid":"%s","nsp":"/"}`},
			{`{"type":3,"data":{"packet":{"type":2,"data":["ping"]},"requestId":"r","opts":{"rooms":[],"except":[],"flags":{"timeout":50}}},"uid":"node","nsp":"/"}`,
				`{"type":11,"data":{"requestId":"r","clientCount":1},"uid":"%[1]s","nsp":"/"}` + `{"type":12,"data":{"requestId":"r","packet":"pong"},"uid":"%[1]s","nsp":"/"}`},
		} {
			c.say("%s", tt.question)
			got := ""
			for _, m := range c.hear() {
				if m.Type.Response() {
					got += string(m.AppendJSON(nil))
				}
			}
			if want := fmt.Sprintf(tt.want, a.link.UID()); got != want {
				t.Errorf("asked %s\ngot  %s\nwant %s", tt.question, got, want)
			}
		}
		c.say(`{"type":8,"data":{"requestId":"r","sockets":[]},"uid":"node","nsp":"/"}`) // to somebody else
		c.say(`{"type":8,"data":{"requestId":"%s0","sockets":[]},"uid":"node","nsp":"/"}`, a.link.UID())
		c.say(`{"type":6,"data":{"close":true},"uid":"node","nsp":"/"}`)
		c.say(`{"type":3,"data":{"packet":{"type":2,"data":["disconnect"]},"opts":{}},"uid":"node","nsp":"/"}`)
		if s := a.driver.Stats(); s.Late != 1 || s.Unanswered != 0 || s.Malformed["form"] != 1 || s.Malformed["invalid payload"] != 1 {
			t.Errorf("stats = %+v", s)
		}
		if !slices.Equal(a.socket.Until(t, "ping"), nil) || !a.socket.Empty() {
			t.Error("the socket got something beside one ping")
		}
	})
}
