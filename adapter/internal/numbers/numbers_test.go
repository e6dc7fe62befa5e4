package numbers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestAgainstTruth has anything happen to a publisher, a receiver and what is between them, and compares what was found
// with what was lost.
func TestAgainstTruth(t *testing.T) {
	t.Parallel()
	exact, found := 0, uint64(0)
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 1))
		w := &world{t: t, random: random, open: make(map[Audience]uint64), steady: make(map[Audience]bool), now: time.Unix(0, 0)}
		audiences := []Audience{All}
		for i := range 6 {
			room := Room(fmt.Sprint("room ", i))
			audiences = append(audiences, room)
			if i < 3 {
				w.steady[room] = true
				w.toggle(room)
			}
		}
		w.sender.Greet()
		if seed%2 == 0 {
			w.beat(true)
		}
		for range 1000 {
			switch n := random.IntN(100); {
			case n < 80:
				w.publish(audiences[random.IntN(len(audiences))])
			case n < 90:
				w.beat(false)
			case n < 93:
				w.tick(false)
			case n < 96:
				w.away = !w.away
			default:
				w.toggle(audiences[4+random.IntN(3)])
			}
		}
		w.away = false
		for range 8 {
			w.sender.Greet()
			w.beat(true)
			w.tick(true)
		}
		least, most := uint64(0), uint64(0)
		for _, s := range w.sent {
			switch {
			case s.arrived || !s.judged:
			case s.to == All || w.steady[s.to]:
				least++
				most++
			default:
				most++
			}
		}
		if w.unknown {
			least = 0
		} else {
			exact++
		}
		if w.lost < least || w.lost > most {
			t.Errorf("seed %d: %d were found lost, want %d to %d", seed, w.lost, least, most)
		}
		if w.receiver.waiting != 0 {
			t.Errorf("seed %d: %d spans are waited for", seed, w.receiver.waiting)
		}
		found += w.lost
	}
	if exact < 50 || found == 0 {
		t.Errorf("%d of 100 were judged exactly, %d messages found: too few to say anything", exact, found)
	}
}

// TestRoomsOpenAndClose says nothing of rooms that were not heard all the time.
func TestRoomsOpenAndClose(t *testing.T) {
	t.Parallel()
	var s Sender
	var r Receiver
	room, now := Room("a"), time.Unix(0, 0)
	beat := func() Finding {
		s.Greet()
		f, err := r.Beat("p", s.Next(), now)
		s.Told(nil)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	lose := func() { s.Sent(room, []byte("x"), nil) }
	beat()
	lose()
	opening := r.Opening(room)
	lose()
	if got := beat().Lost; got != 0 {
		t.Errorf("%d lost of a room that was being opened", got)
	}
	r.Opened(room, opening)
	lose()
	if got := beat().Lost; got != 0 {
		t.Errorf("%d lost of a room that was opened just now", got)
	}
	lose()
	if got := beat().Lost; got != 1 {
		t.Errorf("%d lost, want 1", got)
	}
	lose()
	r.Closed(room)
	r.Opened(room, opening) // the answer comes late
	reopened := r.Opening(room)
	r.Opened(room, opening)
	if got := beat().Lost; got != 0 {
		t.Errorf("%d lost of a room that was closed", got)
	}
	lose()
	if got := beat().Lost; got != 0 {
		t.Errorf("%d lost of a room that the broker has not confirmed again", got)
	}
	r.Opened(room, reopened)
	// A beat is missed, and the room closed before that is told again: what was lost before counts.
	beat()
	lose()
	s.Next()
	s.Told(nil)
	lose()
	f := beat()
	r.Closed(room)
	if f.Ask.Last == 0 || f.Lost != 0 {
		t.Fatalf("a missed beat: %+v", f)
	}
	for _, b := range s.Again(f.Ask.First, f.Ask.Last) {
		f, _ = r.Beat("p", b, now)
	}
	if f.Lost != 2 || len(r.rooms) != 0 {
		t.Errorf("%+v, want 2 lost; %d rooms are kept, want none", f, len(r.rooms))
	}
}

// TestForgottenBeats: what a publisher keeps no more is unknown, and so is what nobody answers.
func TestForgottenBeats(t *testing.T) {
	t.Parallel()
	var s Sender
	var r Receiver
	now := time.Unix(0, 0)
	next := func() []byte {
		s.Sent(All, []byte("x"), nil)
		b := s.Next()
		s.Told(nil)
		return b
	}
	_, _ = r.Beat("p", next(), now)
	next()
	f, err := r.Beat("p", next(), now)
	if err != nil || f.Ask != (Ask{"p", 2, 2}) {
		t.Fatalf("%+v, %v; want to ask for 2", f, err)
	}
	for range keptBeats {
		_, _ = r.Beat("p", next(), now)
	}
	again := s.Again(f.Ask.First, f.Ask.Last)
	if len(again) != 1 {
		t.Fatalf("%d beats of what is not kept", len(again))
	}
	if f, err = r.Beat("p", again[0], now); err != nil || !f.Unknown {
		t.Errorf("%+v, %v; want unknown", f, err)
	}
	next()
	_, _ = r.Beat("p", next(), now)
	asked, unknown := 0, 0
	for range 2 * maxAsks {
		now = now.Add(time.Second)
		asks, givenUp := r.Asks(now)
		asked, unknown = asked+len(asks), unknown+len(givenUp)
	}
	if asked != maxAsks-1 || unknown != 1 {
		t.Errorf("asked %d times again, given up %d; want %d and 1", asked, unknown, maxAsks-1)
	}
	if f, _ := r.Beat("p", payloadOf((&beat{number: s.number + 2*keptBeats}).append(nil)), now); !f.Unknown {
		t.Error("so many missed beats are not unknown")
	}
	if got := s.Again(0, 1<<60); len(got) > keptBeats+1 {
		t.Errorf("%d beats again", len(got))
	}
}

// TestSameMessages: of messages that are the same byte by byte it does not matter which of them came.
func TestSameMessages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ accepted, doubtful, came, lost int }{
		{3, 1, 3, 0}, {3, 1, 4, 0}, {3, 1, 2, 1}, {1, 1, 0, 1}, {0, 2, 2, 0},
	} {
		var s Sender
		var r Receiver
		payload := []byte("tick")
		s.Greet()
		_, _ = r.Beat("p", s.Next(), time.Time{})
		s.Told(nil)
		for range tt.accepted {
			s.Sent(All, payload, nil)
		}
		for range tt.doubtful {
			s.Sent(All, payload, errDoubt)
		}
		for range tt.came {
			r.Came("p", All, payload)
		}
		if f, _ := r.Beat("p", s.Next(), time.Time{}); f.Lost != uint64(tt.lost) {
			t.Errorf("%+v: %d lost", tt, f.Lost)
		}
	}
}

// TestBounds: what would be too much is said to be.
func TestBounds(t *testing.T) {
	t.Parallel()
	var s Sender
	due := 0
	for i := range 3 * maxRooms {
		s.Sent(Room(fmt.Sprint(i)), nil, nil)
		s.Sent(All, nil, errDoubt)
		if s.Due() {
			due++
		}
	}
	b := s.Next()
	parsed, err := parse(b)
	if err != nil {
		t.Fatal(err)
	}
	p := parsed[0]
	if due != 1 || !p.vague || len(p.rooms) != maxRooms || len(p.doubts) != maxDoubt {
		t.Fatalf("due %d times, then %d bytes: %v", due, len(b), err)
	}
	var r Receiver
	for i := range maxPublishers + 10 {
		_, _ = r.Beat(fmt.Sprint(i), b, time.Time{})
	}
	if len(r.publishers) != maxPublishers {
		t.Errorf("%d publishers are remembered", len(r.publishers))
	}
	for range maxNotes + 10 {
		r.Came("0", All, nil)
	}
	next := beat{number: p.number + 1, all: 1 << 30}
	if f, err := r.Beat("0", payloadOf(next.append(nil)), time.Time{}); err != nil || f.Lost != 0 || !f.Unknown {
		t.Errorf("%+v, %v; want unknown", f, err)
	}
	r.Gone("0")
	if r.Gone("nobody"); r.publishers["0"] != nil {
		t.Error("a publisher that is gone is remembered")
	}
}

// A publisher of which nothing comes is forgotten, and whatever of a beat comes counts, also one that was missed before; who was not taken
// up, because there were too many, is not there to be forgotten.
func TestForget(t *testing.T) {
	t.Parallel()
	var r Receiver
	began := time.Now()
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	say := func(name string, number uint64, s int) {
		t.Helper()
		if _, err := r.Beat(name, payloadOf((&beat{number: number}).append(nil)), at(s)); err != nil {
			t.Fatal(err)
		}
	}
	say("early", 1, 0)
	say("again", 5, 0)
	say("again", 4, 10) // late
	for n := range maxPublishers {
		say(fmt.Sprint(n), 1, 5)
	}
	if got := r.Forget(at(0)); got != nil {
		t.Errorf("forgot %v", got)
	}
	if got := r.Forget(at(1)); !slices.Equal(got, []string{"early"}) {
		t.Errorf("forgot %v", got)
	}
	if got := r.Forget(at(6)); len(got) != maxPublishers-2 {
		t.Errorf("forgot %d", len(got))
	}
	if got := r.Forget(at(11)); !slices.Equal(got, []string{"again"}) || len(r.publishers) != 0 {
		t.Errorf("forgot %v, and %d are left", got, len(r.publishers))
	}
}

func FuzzBeat(f *testing.F) {
	full := (&beat{number: 7, all: 3, rooms: []count{{Room("a"), 2}}, doubts: []doubt{{All, digestOf([]byte("x"))}}, vague: true}).append(nil)
	none := (&beat{number: 1, gone: true}).append(nil)
	f.Add(payloadOf(full))
	f.Add(payloadOf(none, full))
	f.Fuzz(func(t *testing.T, b []byte) {
		beats, err := parse(b)
		if err != nil {
			if !errors.Is(err, ErrBeat) {
				t.Errorf("%v", err)
			}
			return
		}
		var encoded [][]byte
		for _, p := range beats {
			encoded = append(encoded, p.append(nil))
		}
		again, err := parse(payloadOf(encoded...))
		if err != nil || !reflect.DeepEqual(again, beats) {
			t.Errorf("%+v became %+v, %v", beats, again, err)
		}
		var r Receiver
		for range 2 {
			_, _ = r.Beat("p", b, time.Time{})
		}
	})
}

// BenchmarkMessage is what a message costs who publishes it and one who receives it, a beat every 1,000 included.
func BenchmarkMessage(b *testing.B) {
	var s Sender
	var r Receiver
	payload := make([]byte, 200)
	rooms := make([]Audience, 100)
	for i := range rooms {
		rooms[i] = Room(fmt.Sprint(i))
		r.Opened(rooms[i], r.Opening(rooms[i]))
	}
	b.ReportAllocs()
	for i := range b.N {
		to := rooms[i%len(rooms)]
		s.Sent(to, payload, nil)
		r.Came("p", to, payload)
		if i%1000 == 0 {
			_, _ = r.Beat("p", s.Next(), time.Time{})
			s.Told(nil)
		}
	}
}
