package interop_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/bench/evloop"
	"github.com/peal-dev/peal/internal/bench/swarm"
	benchwire "github.com/peal-dev/peal/internal/bench/wire"
	"github.com/peal-dev/peal/interop/ledger"
	"github.com/peal-dev/peal/interop/wire"
)

// What TestEveryMessageOnce plays; `make cluster` has more of everything.
var (
	onceWire    = flag.String("once.wire", "redispubsub", "wire of the nodes of TestEveryMessageOnce")
	onceTime    = flag.Duration("once", 3*time.Second, "how long TestEveryMessageOnce goes on")
	onceNodes   = flag.Int("once.nodes", 4, "how many nodes it has")
	onceClients = flag.Int("once.clients", 200, "how many clients they have")
	onceRooms   = flag.Int("once.rooms", 100, "how many rooms there are")
	onceRate    = flag.Int("once.rate", 100, "how many messages are published in a second")
	onceChanges = flag.Int("once.changes", 100, "how many clients join a room in a second, and how many leave one")
)

// TestEveryMessageOnce has clients of many nodes join and leave rooms all the time, by themselves and by other nodes, while
// messages are published from everywhere, most of them for rooms that somebody has just joined or left. Package ledger says
// where each of them belongs: there it has to arrive, once and in order, and nowhere else.
func TestEveryMessageOnce(t *testing.T) {
	t.Parallel()
	w := wire.ByName(*onceWire)
	if w == nil {
		t.Fatalf("no wire %q", *onceWire)
	}
	broker := w.Start(t)
	s := &sixteen{t: t, names: make([]string, *onceClients), in: make([][]int, *onceClients), asked: make(map[int]change),
		waking: make(map[stay]change), rand: rand.New(rand.NewPCG(16, 1)), began: time.Now(), limit: *onceTime + 3*patience}
	for range *onceNodes {
		s.nodes = append(s.nodes, startGoPeer(t, w.Name, broker.URL()))
	}
	// Each node speaks as itself, and by a client of its own, whose order is another.
	s.ledger = ledger.New(2*len(s.nodes), *onceRooms)
	for _, n := range s.nodes {
		n.do("open", params{"namespace": "/"}, nil)
	}
	for _, n := range s.nodes {
		awaitServers(t, n, len(s.nodes))
	}
	s.connect()
	s.fill()
	before := s.cpu(broker)
	s.play()
	used := s.cpu(broker)
	s.settle()
	report := s.ledger.Close()
	t.Logf("%d nodes on %s, %d clients, %d rooms, %v: %d messages, %d joins, %d leaves, %d of each by other nodes",
		len(s.nodes), w.Name, *onceClients, *onceRooms, s.took.Round(time.Millisecond), report.Published, report.Joins, report.Leaves, s.byOthers/2)
	t.Logf("%d arrivals, of which %d were due: lost %d, twice %d, out of order %d, astray %d; p50 %v, p99 %v, at most %v",
		report.Arrived, report.Due, report.Lost, report.Twice, report.Disordered, report.Astray,
		report.P50, report.P99, report.Longest)
	cores := func(of func(cpu) time.Duration) string {
		return fmt.Sprintf("%.2f", (of(used)-of(before)).Seconds()/s.took.Seconds())
	}
	t.Logf("cores: nodes %s, broker %s, clients %s", cores(func(c cpu) time.Duration { return c.nodes }),
		cores(func(c cpu) time.Duration { return c.broker }), cores(func(c cpu) time.Duration { return c.clients }))
	if report.Faults() > 0 {
		t.Errorf("%d faults", report.Faults())
	}
	if report.Due == 0 || report.Arrived < report.Due || s.byOthers == 0 {
		t.Error("this tests nothing")
	}
}

// sixteen is a cluster with a crowd.
type sixteen struct {
	t      *testing.T
	nodes  []*peer
	ledger *ledger.Ledger
	rand   *rand.Rand
	began  time.Time
	took   time.Duration // of play
	limit  time.Duration // for all of it

	loop     *evloop.Loop
	swarms   []*swarm.Swarm // by node
	speakers []*swarm.Swarm // of one client each, that publish
	names    []string       // ids of the clients' sockets
	in       [][]int        // the rooms of each client in which it is, with nothing on the way
	asked    map[int]change // by the id of the acknowledgement
	lastAsk  int
	// waking are changes that another node makes, until the client has noticed.
	waking   map[stay]change
	byOthers int
	changed  []int // rooms that somebody has just joined or left
	lasts    int   // arrivals of the last messages of all
	frame    []byte
	answers  []<-chan reply // of the nodes, to what they were told to publish
}

// stay is a client and a room.
type stay struct{ client, room int }

// change is a stay that begins or ends.
type change struct {
	stay
	verb string // "join", "leave", "rooms"
}

func (s *sixteen) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// now is the time of the stamps.
func (s *sixteen) now() int64 { return time.Since(s.began).Microseconds() }

func (s *sixteen) node(client int) int { return client % len(s.nodes) }

// client returns the client itself.
func (s *sixteen) client(client int) *swarm.Client {
	return s.swarms[s.node(client)].Clients()[client/len(s.nodes)]
}

// connect has all clients connect, and learns their names.
func (s *sixteen) connect() {
	loop, err := evloop.New()
	s.check(err)
	s.t.Cleanup(loop.Close)
	s.loop = loop
	ctx, cancel := context.WithTimeout(s.t.Context(), s.limit)
	defer cancel()
	evloop.MaxOpen() // raises the limit
	for i, n := range s.nodes {
		target, err := netip.ParseAddrPort(strings.TrimPrefix(n.url, "http://"))
		s.check(err)
		count := (len(s.names) - i + len(s.nodes) - 1) / len(s.nodes)
		sw := swarm.New(loop, swarm.Config{Target: target, First: i * len(s.names) / len(s.nodes),
			Message: func(c *swarm.Client, payload []byte) { s.hear(c.Index*len(s.nodes)+i, payload) },
			Ack:     func(_ *swarm.Client, payload []byte) { s.acknowledged(payload) }})
		s.check(sw.Connect(ctx, count, 50))
		s.swarms = append(s.swarms, sw)
		speaker := swarm.New(loop, swarm.Config{Target: target})
		s.check(speaker.Connect(ctx, 1, 1))
		s.speakers = append(s.speakers, speaker)
	}
	for c := range s.names {
		s.ask(change{stay{c, 0}, "rooms"})
	}
	s.until("the clients' names", func() bool { return len(s.asked) == 0 })
}

// fill has each client join two rooms.
func (s *sixteen) fill() {
	for range 2 {
		for c := range s.names {
			if room, ok := s.absent(c); ok {
				s.ledger.Joining(c, room)
				s.ask(change{stay{c, room}, "join"})
			}
		}
		s.until("the first joins", func() bool { return len(s.asked) == 0 })
	}
	s.changed = nil
}

// until plays on until something is so.
func (s *sixteen) until(what string, so func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(2 * patience); !so(); {
		s.check(s.loop.Poll(50 * time.Millisecond))
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: that does not come about; %d questions are unanswered, and %d changes by other nodes did not come about", what, len(s.asked), len(s.waking))
		}
	}
	s.requireAll()
}

// requireAll requires all clients to be connected.
func (s *sixteen) requireAll() {
	s.t.Helper()
	for i, sw := range append(s.swarms[:len(s.swarms):len(s.swarms)], s.speakers...) {
		if err := sw.Err(); err != nil {
			s.t.Fatalf("a client of node %d: %v", i%len(s.nodes), err)
		}
	}
}

// play does it all at the rates that are wanted. What a machine does not manage in time it does later.
func (s *sixteen) play() {
	messages, changes := int(onceTime.Seconds()*float64(*onceRate)), int(onceTime.Seconds()*float64(*onceChanges))
	begun := time.Now()
	for published, changed := 0, 0; published < messages || changed < changes; {
		due := time.Since(begun).Seconds()
		for ; changed < min(changes, int(due*float64(*onceChanges))); changed++ {
			s.join(changed%8 == 0)
			s.leave(changed%8 == 1)
		}
		for ; published < min(messages, int(due*float64(*onceRate))); published++ {
			room := s.rand.IntN(*onceRooms)
			if n := len(s.changed); n > 0 && published%2 == 0 {
				room, s.changed = s.changed[n-1], s.changed[:n-1]
			}
			s.publish(s.rand.IntN(2*len(s.nodes)), room)
		}
		s.check(s.loop.Poll(time.Millisecond))
		if time.Since(s.began) > s.limit {
			s.t.Fatal("the machine is too slow for this")
		}
	}
	s.took = time.Since(begun)
	s.requireAll()
}

// absent picks a room in which a client is not, nor is about to be.
func (s *sixteen) absent(client int) (room int, ok bool) {
	for range 20 {
		if room = s.rand.IntN(*onceRooms); !s.ledger.Open(client, room) {
			return room, true
		}
	}
	return 0, false
}

// join has some client join a room, or another node have it do so.
func (s *sixteen) join(byOther bool) {
	c := change{stay{s.rand.IntN(len(s.names)), 0}, "join"}
	room, ok := s.absent(c.client)
	if !ok {
		return
	}
	if c.room = room; !byOther {
		s.ledger.Joining(c.client, c.room)
		s.ask(c)
		return
	}
	by := s.other(c.client)
	s.ledger.JoiningBy(c.client, c.room, by)
	s.tell(by, "socketsJoin", params{"rooms": []string{s.names[c.client]}, "change": []string{nameOf(c.room)}})
	s.waking[c.stay] = c
	s.publish(by, c.room) // by which the client notices
}

// leave has some client leave a room, or another node have it do so. Three of four have all that they have to have.
func (s *sixteen) leave(byOther bool) {
	rash := s.rand.IntN(4) == 0
	for range 100 {
		client := s.rand.IntN(len(s.names))
		rooms := s.in[client]
		if len(rooms) == 0 {
			continue
		}
		i := s.rand.IntN(len(rooms))
		c := change{stay{client, rooms[i]}, "leave"}
		if !rash && !s.ledger.Settled(c.client, c.room) {
			continue
		}
		rooms[i] = rooms[len(rooms)-1]
		s.in[client] = rooms[:len(rooms)-1]
		if !byOther {
			s.ledger.Leaving(c.client, c.room)
			s.ask(c)
			return
		}
		by := s.other(c.client)
		s.ledger.LeavingBy(c.client, c.room, by)
		s.tell(by, "socketsLeave", params{"rooms": []string{s.names[c.client]}, "change": []string{nameOf(c.room)}})
		s.publish(by, c.room) // which it must not hear
		s.waking[c.stay] = c
		s.tell(by, "emit", params{"rooms": []string{s.names[c.client]}, "event": "out", "args": []any{c.room}}) // by which it notices
		return
	}
}

// other picks a node that is not the client's, if there is another.
func (s *sixteen) other(client int) int {
	s.byOthers++
	own := s.node(client)
	if len(s.nodes) == 1 {
		return own
	}
	return (own + 1 + s.rand.IntN(len(s.nodes)-1)) % len(s.nodes)
}

func nameOf(room int) string { return "r" + strconv.Itoa(room) }

// ask has a client send an event, and notes what its acknowledgement means.
func (s *sixteen) ask(c change) {
	s.lastAsk++
	s.asked[s.lastAsk] = c
	if c.verb == "rooms" {
		s.send(s.client(c.client), fmt.Sprintf(`42%d["rooms"]`, s.lastAsk))
		return
	}
	s.send(s.client(c.client), fmt.Sprintf(`42%d["%s","%s"]`, s.lastAsk, c.verb, nameOf(c.room)))
}

func (s *sixteen) send(c *swarm.Client, packet string) {
	s.frame = benchwire.AppendFrame(s.frame[:0], benchwire.Text, []byte(packet))
	c.Send(s.frame)
}

// tell gives a node a command. A node carries its commands out one after another.
func (s *sixteen) tell(node int, op string, with params) {
	with["namespace"] = "/"
	with["timeout"] = (2 * patience).Milliseconds()
	s.answers = append(s.answers, s.nodes[node].begin(op, with))
}

// publish publishes a message that says what it is: by a node, or by its client that does nothing else.
func (s *sixteen) publish(publisher, room int) {
	number := s.ledger.Publish(publisher, room)
	if publisher < len(s.nodes) {
		s.tell(publisher, "emit", params{"rooms": []string{nameOf(room)}, "event": "m", "args": []any{room, publisher, number, s.now()}})
		return
	}
	s.send(s.speakers[publisher-len(s.nodes)].Clients()[0],
		fmt.Sprintf(`42["say","%s","m",%d,%d,%d,%d]`, nameOf(room), room, publisher, number, s.now()))
}
