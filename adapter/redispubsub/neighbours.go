package redispubsub

import (
	"context"
	"strconv"
	"sync/atomic"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/numbers"
	"github.com/peal-dev/peal/adapter/internal/outbox"
	"github.com/peal-dev/peal/adapter/internal/pealwire"
	"github.com/peal-dev/peal/internal/redisx"
)

// neighbours is what a link knows of the other nodes of its namespace. Every node subscribes to the channel of requests, and a Peal
// node to one more: if both have as many subscribers, all are Peal nodes. That is asked together with each part, behind its
// messages, so a node of another make that was subscribed when they were published is counted, and sent them in its own words
// before anything else is.
type neighbours struct {
	foreign atomic.Bool // there may be nodes of another make

	// The rest belongs to the publisher's flush.
	deserted        bool   // no Peal node is there, not even this one
	number          uint64 // of the latest frame
	framed, counted uint64 // the part in which there was a frame, and with which they were counted
}

func (n *neighbours) learn(all, peal int64) {
	n.foreign.Store(all != peal)
	n.deserted = peal == 0
}

func (n *neighbours) unknown() {
	n.foreign.Store(true)
	n.deserted = false
}

// meet learns who is there, before anything is published.
func (l *link) meet(ctx context.Context) {
	if counts := l.driver.client.PublishAndCount(ctx, nil, l.requests, l.interest.prefix); counts != nil {
		l.neighbours.learn(counts[0], counts[1])
	} else {
		l.neighbours.unknown()
	}
}

// part is what leaves together.
type part struct {
	number   uint64
	items    []*outbox.Item[job]
	messages []redisx.Message // of the items
	links    []*link          // whose neighbours are counted with it
	channels []string         // by which they are: two of each
}

func (t *part) begin() {
	clear(t.items)
	clear(t.messages)
	clear(t.links)
	t.number++
	t.items, t.messages, t.links, t.channels = t.items[:0], t.messages[:0], t.links[:0], t.channels[:0]
}

func (t *part) add(item *outbox.Item[job]) {
	t.items = append(t.items, item)
	t.messages = append(t.messages, item.Value.message)
}

// count has the neighbours of l counted with the part.
func (t *part) count(l *link) {
	if l.neighbours.counted == t.number {
		return
	}
	l.neighbours.counted = t.number
	t.links = append(t.links, l)
	t.channels = append(t.channels, l.requests, l.interest.prefix)
}

// take makes a part of the beginning of batch and returns how much that is. What nodes of any make read does not leave with a frame
// of its namespace that comes before it: those who do not read the frame may have to be sent that in their own words first.
func (p *publisher) take(batch []*outbox.Item[job]) int {
	t := &p.part
	t.begin()
	countable := p.countable()
	for i, item := range batch {
		j, l := &item.Value, item.Value.from
		if l == nil {
			t.add(item)
			continue
		}
		if j.signal != noSignal {
			if len(t.items) > 0 {
				return i // a beat tells of what it is known of what has become of it
			}
			if message, news := l.signalMessage(j.signal); news {
				j.message = message
				t.add(item)
			}
			continue
		}
		if j.frame != nil && (!countable || l.neighbours.foreign.Load()) {
			j.message, item.Err = l.translate(j.frame, l.uid)
			if item.Err != nil {
				continue
			}
			j.frame, j.needed, j.to = nil, true, numbers.All
		}
		switch {
		case j.frame != nil:
			l.neighbours.framed = t.number
			l.neighbours.number++
			pealwire.SetNumber(j.message.Payload, l.neighbours.number)
		case l.neighbours.framed == t.number:
			return i
		}
		if countable {
			t.count(l)
		}
		t.add(item)
	}
	return len(batch)
}

// repeat publishes again, for nodes of another make, what they were there to hear and could not read, and what Redis does not take
// from this node on a channel of Peal nodes. Peal nodes know by the number that they have had it.
func (p *publisher) repeat(ctx context.Context) {
	t := &p.part
	kept := t.items[:0]
	messages := t.messages[:0]
	for i, item := range t.items {
		j := &item.Value
		refused := redisx.IsAnswer(t.messages[i].Err)
		if j.frame == nil || !refused && (t.messages[i].Err != nil || !j.from.neighbours.foreign.Load()) {
			continue
		}
		m, err := j.from.translate(j.frame, repeated(j.from.uid, pealwire.NumberOf(j.message.Payload)))
		if err != nil {
			item.Err = err
			continue
		}
		kept, messages = append(kept, item), append(messages, m)
	}
	if len(kept) == 0 {
		return
	}
	p.client.Publish(ctx, messages)
	for i, item := range kept {
		item.Value.message.Receivers = messages[i].Receivers
		item.Err = p.explain(&messages[i], true)
	}
}

// translate makes what nodes of any make read of a broadcast whose sender calls itself uid.
func (l *link) translate(e *adapter.Envelope, uid string) (redisx.Message, error) {
	m := redisx.Message{Channel: l.broadcasts}
	if len(e.Rooms) == 1 {
		m.Channel += e.Rooms[0] + "#"
	}
	var err error
	m.Payload, err = appendBroadcast(nil, uid, l.namespace, e)
	return m, err
}

// broadcast publishes a broadcast: as a frame, unless it is known that not all would read that.
func (l *link) broadcast(ctx context.Context, e *adapter.Envelope) error {
	j := job{from: l}
	if l.neighbours.foreign.Load() || !l.driver.countable() {
		m, err := l.translate(e, l.uid)
		if err != nil {
			return err
		}
		j.message, j.needed = m, true
		return l.driver.publisher.send(ctx, j)
	}
	j.frame = e
	j.message = redisx.Message{Channel: l.interest.prefix, Payload: pealwire.AppendBroadcast(nil, l.name, e)}
	if len(e.Rooms) == 1 && !isID(e.Rooms[0]) && !l.joins.Has(e.Rooms[0]) {
		j.message.Channel, j.to = l.interest.channel(e.Rooms[0]), numbers.Room(e.Rooms[0])
	}
	return l.driver.publisher.send(ctx, j)
}

// repeated is what the sender of a frame of that number calls itself when it says the same to nodes of any make. Those take it for
// a name.
func repeated(uid string, number uint64) string {
	return uid + ":" + strconv.FormatUint(number, 10)
}

// cutRepeated takes the name and the number from a sender's name. It reports false if that is a name as any other.
func cutRepeated(from []byte) (uid pealwire.UID, number uint64, ok bool) {
	if len(from) <= pealwire.UIDSize+1 || from[pealwire.UIDSize] != ':' {
		return uid, 0, false
	}
	number, err := strconv.ParseUint(string(from[pealwire.UIDSize+1:]), 10, 64)
	return pealwire.UID(from[:pealwire.UIDSize]), number, err == nil
}
