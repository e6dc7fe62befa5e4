package redispubsub

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/adapter/internal/numbers"
	"github.com/peal-dev/peal/adapter/internal/pealwire"
	"github.com/peal-dev/peal/internal/redisx"
)

const (
	// idleBeats is after how many beats of its process a link that has nothing to tell says that, and forgottenAfter when one that says
	// nothing at all is forgotten.
	idleBeats      = 30
	forgottenAfter = 100 * time.Second
)

// losses finds what Peal nodes have published and this one has not got: see package numbers. A room counts once Redis is known to
// have confirmed it, which is looked at with each beat.
type losses struct {
	sender   numbers.Sender
	receiver numbers.Receiver
	hello    atomic.Bool // the others are to be asked for a beat
	beats    int         // intervals that were over; belongs to the goroutine that beats

	mu      sync.Mutex // protects the following
	opening []openingRoom
}

// openingRoom is a room whose subscription was not known to be confirmed.
type openingRoom struct {
	change *redisx.Change
	room   numbers.Audience
	number uint64
}

// signal is what a job says if it is no message.
type signal uint8

const (
	noSignal signal = iota
	beatSignal
	helloSignal
)

// opened is told that the link begins to subscribe to a room.
func (s *losses) opened(room string, change *redisx.Change) {
	to := numbers.Room(room)
	number := s.receiver.Opening(to)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening = append(s.opening, openingRoom{change, to, number})
}

// confirm looks at which rooms Redis has confirmed.
func (s *losses) confirm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := s.opening[:0]
	for _, o := range s.opening {
		select {
		case <-o.change.Done():
			if o.change.Wait(context.Background()) == nil {
				s.receiver.Opened(o.room, o.number)
			}
		default:
			waiting = append(waiting, o)
		}
	}
	clear(s.opening[len(waiting):])
	if s.opening = waiting; len(waiting) == 0 {
		s.opening = nil
	}
}

// joined returns the links that are subscribed.
func (d *Driver) joined() (links []*link) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, l := range d.links {
		if l.joined.Load() {
			links = append(links, l)
		}
	}
	return links
}

// beat does what is to be done each second.
func (l *link) beat(now time.Time) {
	s := &l.losses
	s.confirm()
	if over := s.receiver.Forget(now.Add(-forgottenAfter)); len(over) > 0 {
		l.lapse(over)
	}
	if s.beats++; s.beats%idleBeats == 0 {
		s.sender.Greet()
	}
	asks, givenUp := s.receiver.Asks(now)
	for _, f := range givenUp {
		l.found(f)
	}
	for _, a := range asks {
		l.ask(a)
	}
	if s.hello.Swap(false) {
		l.signal(helloSignal)
	}
	if s.sender.Pending() {
		l.signal(beatSignal)
	}
}

// signal has a signal leave in its place among the messages. If too much waits, there is another in a second.
func (l *link) signal(s signal) {
	if l.driver.publisher.outbox.Post(job{from: l, signal: s}, 0) != nil && s == helloSignal {
		l.losses.hello.Store(true)
	}
}

// signalMessage makes the message of a signal that leaves now; false if there is nothing to say.
func (l *link) signalMessage(s signal) (redisx.Message, bool) {
	kind, body := pealwire.KindHello, []byte(nil)
	if s == beatSignal {
		if body = l.losses.sender.Next(); body == nil {
			return redisx.Message{}, false
		}
		kind = pealwire.KindBeat
	}
	return l.signalFrame(kind, body), true
}

// sent counts what became of a job. What Redis has refused was not published.
func (l *link) sent(j *job, err error) {
	s := &l.losses
	switch {
	case j.signal == beatSignal:
		s.sender.Told(err)
	case j.signal == helloSignal && err != nil:
		s.hello.Store(true)
	case j.signal != noSignal || redisx.IsAnswer(err):
	default:
		s.sender.Sent(j.to, j.message.Payload, err)
		if s.sender.Due() {
			l.signal(beatSignal)
		}
	}
}

// came counts what came from another Peal node. It belongs to the goroutine that receives, as takeSignal does.
func (l *link) came(from []byte, to numbers.Audience, payload []byte) {
	if len(from) > 0 && string(from) != l.uid {
		l.losses.receiver.Came(string(from), to, payload)
	}
}

// takeSignal takes what is said to count by. It reports false if the payload is something else.
func (l *link) takeSignal(channel string, payload []byte) bool {
	if channel != l.interest.prefix && channel != l.ownResponses {
		return false
	}
	h, body, err := pealwire.Parse(payload)
	if err != nil || h.Kind < pealwire.KindBeat || h.Kind > pealwire.KindLeave {
		return false
	}
	if h.UID == l.name {
		return true
	}
	switch h.Kind {
	case pealwire.KindLeave:
		l.forget(string(h.UID[:]))
	case pealwire.KindHello:
		l.heardHome(h, time.Now())
		l.losses.sender.Greet()
	case pealwire.KindAsk:
		first, last, err := parseAsk(body)
		if err != nil {
			l.driver.monitor.Ignored(channel, err)
			return true
		}
		for _, beats := range l.losses.sender.Again(first, last) {
			l.driver.publisher.post(l.responses+string(h.UID[:])+"#", pealwire.Append(nil, pealwire.KindBeat, l.name, beats))
		}
	case pealwire.KindBeat:
		name, now := string(h.UID[:]), time.Now()
		l.heardHome(h, now)
		f, err := l.losses.receiver.Beat(name, body, now)
		if err != nil {
			l.driver.monitor.Ignored(channel, err)
			return true
		}
		l.found(f)
	}
	return true
}

// found tells what a beat has shown, and asks for what it lacks.
func (l *link) found(f numbers.Finding) {
	if f.Lost > 0 {
		l.driver.monitor.Lost(l.namespace, f.Since, f.Lost)
	}
	if f.Ask.Last > 0 {
		l.ask(f.Ask)
	}
}

func (l *link) ask(a numbers.Ask) {
	body := binary.AppendUvarint(binary.AppendUvarint(nil, a.First), a.Last)
	l.driver.publisher.post(l.responses+a.Publisher+"#", pealwire.Append(nil, pealwire.KindAsk, l.name, body))
}

func parseAsk(b []byte) (first, last uint64, err error) {
	first, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, 0, pealwire.ErrShort
	}
	last, n2 := binary.Uvarint(b[n:])
	if n2 <= 0 || n+n2 != len(b) {
		return 0, 0, pealwire.ErrForm
	}
	return first, last, nil
}

// senderOf returns who has published a request or a broadcast that nodes of any make read, if that is a name as Peal's links have
// it; those write it first.
func senderOf(payload []byte) []byte {
	const text, size = `{"uid":"`, pealwire.UIDSize
	switch {
	case len(payload) > len(text)+size && string(payload[:len(text)]) == text && payload[len(text)+size] == '"':
		return payload[len(text):][:size]
	case len(payload) > 2+size && payload[0] == 0x93 && payload[1] == 0xa0|size: // an array, and its first element
		return payload[2:][:size]
	case len(payload) > 6+size && payload[0]&0xf0 == 0x80 && string(payload[1:6]) == "\xa3uid\xa6": // a map
		return payload[6:][:size]
	}
	return nil
}

// audienceOf returns who hears what is sent in frames for one room, or for all if there is none.
func audienceOf(room string, one bool) numbers.Audience {
	if one {
		return numbers.Room(room)
	}
	return numbers.All
}
