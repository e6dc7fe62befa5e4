package adapter_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

type noopMember string

func (n noopMember) ID() string               { return string(n) }
func (n noopMember) Deliver(*message.Message) {}
func (n noopMember) Disconnect(bool)          {}

// filled returns an adapter with members called m0… that are in the rooms of their number.
func filled(t testing.TB, members int, rooms func(i int) []string) *adapter.Adapter {
	a := newAdapter(t, nil)
	for i := range members {
		a.Add(context.Background(), noopMember(fmt.Sprint("m", i)), rooms(i)...)
	}
	return a
}

func big(int) []string { return []string{"big", "other"} }

func TestBroadcastAllocations(t *testing.T) {
	a := filled(t, 10_000, big)
	m := newMessage("x")
	ctx := context.Background()
	// The targets are made outside: what is counted is the broadcast's own work.
	for name, target := range map[string]message.Target{
		"everyone":   {},
		"room":       {Rooms: []string{"big"}},
		"id":         {Rooms: []string{"m7"}},
		"except ids": {Rooms: []string{"big"}, Except: []string{"m1", "m2"}},
		"rooms":      {Rooms: []string{"big", "other"}},
		"except":     {Rooms: []string{"big"}, Except: []string{"other"}},
	} {
		got := testing.AllocsPerRun(20, func() { _ = a.Broadcast(ctx, m, target) })
		// A garbage collection may empty the pool of marks once.
		if got > 1 {
			t.Errorf("broadcast to %s of 10,000 members: %v allocations, want at most 1", name, got)
		}
	}
}

func BenchmarkJoinLeave(b *testing.B) {
	a := filled(b, 10_000, big)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		id := fmt.Sprint("m", i%10_000)
		a.Join(context.Background(), id, "x")
		a.Leave(id, "x")
	}
}

func BenchmarkAddRemove(b *testing.B) {
	a := filled(b, 10_000, big)
	b.ReportAllocs()
	for b.Loop() {
		a.Add(context.Background(), noopMember("new"), "big")
		a.Remove("new")
	}
}

func BenchmarkFanOut(b *testing.B) {
	a := filled(b, 10_000, big)
	m := newMessage("x")
	for _, bb := range []struct {
		name   string
		target message.Target
	}{
		{"everyone", message.Target{}},
		{"room", message.Target{Rooms: []string{"big"}}},
		{"room-except-id", message.Target{Rooms: []string{"big"}, Except: []string{"m5"}}},
		{"two-rooms", message.Target{Rooms: []string{"big", "other"}}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = a.Broadcast(b.Context(), m, bb.target)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/member")
		})
	}
}

func BenchmarkManyRooms(b *testing.B) {
	a := filled(b, 100_000, func(i int) []string { return []string{fmt.Sprint("r", i/10)} })
	targets := make([]message.Target, 10_000)
	for i := range targets {
		targets[i].Rooms = []string{fmt.Sprint("r", i)}
	}
	m := newMessage("x")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_ = a.Broadcast(b.Context(), m, targets[i%len(targets)])
	}
}

// BenchmarkResume is a member that comes back, as many others do, and has missed 100 messages of 1 KiB.
func BenchmarkResume(b *testing.B) {
	a, err := adapter.New(b.Context(), "/", nil, &adapter.Options{Log: eventlog.NewMemory(nil)})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = a.Close(context.Background()) }()
	after := a.Bounds().Top
	data := fmt.Appendf(nil, `["n",%q]`, strings.Repeat("x", 1<<10))
	for range 100 {
		if err := a.Broadcast(b.Context(), message.New(data), message.Target{}); err != nil {
			b.Fatal(err)
		}
	}
	m := &encoder{id: "m"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Resume(b.Context(), m, adapter.Resumption{After: after}); err != nil {
			b.Fatal(err)
		}
		a.Remove(m.id)
	}
}
