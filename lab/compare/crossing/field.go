package crossing

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/peal-dev/peal/internal/bench/evloop"
	"github.com/peal-dev/peal/internal/bench/hist"
	"github.com/peal-dev/peal/internal/bench/sequence"
	"github.com/peal-dev/peal/internal/bench/swarm"
	"github.com/peal-dev/peal/internal/bench/wire"
)

// Options say how many clients there are. The zero value has the defaults.
type Options struct {
	Rooms      int           // each with one member, and one more room with all of them; 0 means 100
	Publishers int           // clients of the publishing node; 0 means 50
	Size       int           // bytes of a message's data; 0 means 100
	Patience   time.Duration // how long to wait for a message at the end, and to be late with one; 0 means 2 s
}

// WithDefaults returns the options with the defaults in place of zero fields.
func (o Options) WithDefaults() Options {
	o.Rooms, o.Publishers, o.Size = cmp.Or(o.Rooms, 100), cmp.Or(o.Publishers, 50), cmp.Or(o.Size, 100)
	o.Patience = cmp.Or(o.Patience, 2*time.Second)
	return o
}

// Field is a cluster with its clients, ready to be measured. It belongs to one goroutine.
type Field struct {
	Options
	cluster    Cluster
	loop       *evloop.Loop
	release    func()
	swarms     []*swarm.Swarm // members, bystanders, publishers
	publishers []*swarm.Client
	epoch      time.Time // the zero of all stamps
	frame      []byte
	data       []byte

	// What follows is of one load.
	id       uint32
	sent     []uint32           // messages by topic
	trackers []sequence.Tracker // of each member: of its room, and of each publisher's messages to all
	counts   sequence.Counts
	strays   uint64 // messages where they do not belong
	latency  hist.Histogram
}

// everyone is the room of all members.
const everyone = "everyone"

// atOnce is how many clients connect at a time.
const atOnce = 50

// Open connects the clients. Close frees what it holds, and must be called by the same goroutine.
func Open(ctx context.Context, c Cluster, o Options) (*Field, error) {
	loop, err := evloop.New()
	if err != nil {
		return nil, err
	}
	f := &Field{Options: o.WithDefaults(), cluster: c, epoch: time.Now(), loop: loop, release: evloop.Pin()}
	if err := f.connect(ctx); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// connect connects the clients.
func (f *Field) connect(ctx context.Context) error {
	c := &f.cluster
	for _, group := range []struct {
		what string
		node Node
		n    int
		cfg  swarm.Config
	}{
		{"members", c.Members, f.Rooms, swarm.Config{Message: f.receive, Subscribe: func(i int) string {
			return subscription(c.Dialect, []string{roomName(i), everyone})
		}}},
		{"bystanders", c.Bystander, f.Rooms, swarm.Config{Message: f.stray, Subscribe: func(i int) string {
			return subscription(c.Dialect, []string{"elsewhere-" + strconv.Itoa(i)})
		}}},
		{"publishers", c.Publishing, f.Publishers, swarm.Config{Message: f.stray}},
	} {
		group.cfg.Target = group.node.Addr
		s := swarm.New(f.loop, connect(c.Dialect, group.cfg))
		if err := s.Connect(ctx, group.n, atOnce); err != nil {
			return fmt.Errorf("%s: %w", group.what, err)
		}
		f.swarms, f.publishers = append(f.swarms, s), s.Clients() // the last are the publishers
	}
	for _, p := range f.publishers {
		p.Count = firstPublish
	}
	return nil
}

// Close disconnects all clients.
func (f *Field) Close() {
	f.loop.Close()
	f.release()
}

func roomName(i int) string { return "room-" + strconv.Itoa(i) }

// reset begins a load.
func (f *Field) reset() {
	f.id = rand.Uint32()
	f.sent = make([]uint32, f.Rooms+f.Publishers)
	f.trackers = make([]sequence.Tracker, f.Rooms*(1+f.Publishers))
	f.counts, f.strays = sequence.Counts{}, 0
	f.latency.Reset()
}

// publish sends message n of a load, which was due at a time since the epoch. Messages go to the rooms in turn, or all to
// everyone, and the publishers take turns, each with rooms of its own, as the order within a room is checked.
func (f *Field) publish(n int, toAll bool, due time.Duration) {
	publisher := n % f.Publishers
	topic, room := f.Rooms+publisher, everyone
	if !toAll {
		topic = n % f.Rooms
		room, publisher = roomName(topic), topic%f.Publishers
	}
	f.data = wire.AppendPadded(f.data[:0], wire.Stamp{Run: f.id, Topic: uint32(topic), Seq: f.sent[topic], At: due}, f.Size)
	f.sent[topic]++
	p := f.publishers[publisher]
	f.frame = appendPublication(f.frame[:0], f.cluster.Dialect, p.Count, room, f.data)
	p.Count++
	p.Send(f.frame)
}

// receive accounts for a message that a member received.
func (f *Field) receive(c *swarm.Client, payload []byte) {
	stamp, ok := wire.FindStamp(payload)
	if !ok || stamp.Run != f.id { // of an earlier load, where it was missed
		return
	}
	topic, slot := int(stamp.Topic), 0
	switch {
	case topic < f.Rooms && topic != c.Index, topic >= len(f.sent), stamp.Seq >= f.sent[topic]:
		f.strays++
		return
	case topic >= f.Rooms:
		slot = 1 + topic - f.Rooms
	}
	if f.trackers[c.Index*(1+f.Publishers)+slot].Arrived(stamp.Seq, &f.counts) {
		f.latency.Record(time.Since(f.epoch) - stamp.At)
	}
}

func (f *Field) stray(_ *swarm.Client, payload []byte) {
	if _, ok := wire.FindStamp(payload); ok {
		f.strays++
	}
}

// poll handles what happens next, for a time at most, and fails when ctx is done or a connection broke.
func (f *Field) poll(ctx context.Context, wait time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := f.loop.Poll(max(wait, 0)); err != nil {
		return err
	}
	for _, s := range f.swarms {
		if s.Err() != nil {
			return s.Err()
		}
	}
	return nil
}
