package adaptertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/peal-dev/peal/message"
)

func (s suite) order(t *testing.T) {
	nodes := s.start(t, 3, "/")
	const n = 1000
	for i := range n {
		nodes[0].emit(t, fmt.Sprint(i), message.Target{})
	}
	nodes[0].emit(t, "end", message.Target{})
	for _, node := range nodes {
		got := node.all.Until(t, "end")
		if len(got) != n {
			t.Errorf("%s got %d messages, want %d", node.all.ID(), len(got), n)
			continue
		}
		for i, event := range got {
			if event != fmt.Sprint(i) {
				t.Errorf("%s: message %d is %s", node.all.ID(), i, event)
				break
			}
		}
	}
}

func (s suite) concurrentPublishers(t *testing.T) {
	nodes := s.start(t, 2, "/")
	const publishers, each = 8, 200
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				if err := nodes[p%2].Broadcast(t.Context(), newMessage(fmt.Sprintf("%d %d", p, i)), message.Target{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, node := range nodes {
		var next [publishers]int
		for range publishers * each {
			var p, i int
			event := node.all.Next(t).Event()
			if _, err := fmt.Sscan(event, &p, &i); err != nil {
				t.Fatalf("event %q: %v", event, err)
			}
			if next[p] != i {
				t.Fatalf("%s: got %d of publisher %d, want %d", node.all.ID(), i, p, next[p])
			}
			next[p]++
		}
	}
}

func (s suite) noEcho(t *testing.T) {
	nodes := s.start(t, 2, "/")
	nodes[0].emit(t, "x", message.Target{})
	nodes[0].emit(t, "x", message.Target{Rooms: []string{"all0"}})
	nodes[1].all.Until(t, "x")
	// An echo would come back before the ping does.
	check(t, nodes[0].Ping(t.Context()))
	if got := nodes[1].fence(t, nodes[0].all); len(got) != 2 {
		t.Errorf("the sender's member got %v, want x twice", got)
	}
	if in := nodes[0].Stats().EnvelopesIn; in != 1 {
		t.Errorf("the sender received %d envelopes, want only the other node's", in)
	}
}

func (s suite) rooms(t *testing.T) {
	nodes := s.start(t, 2, "/")
	members := map[string]*Member{
		"ab": nodes[1].member(t, "ab", "a", "b"),
		"a":  nodes[1].member(t, "a1", "a"),
		"b":  nodes[1].member(t, "b1", "b", "room with spaces, # and ünïcode"),
		"n":  nodes[1].member(t, "n1"),
	}
	tests := []struct {
		target message.Target
		want   string
	}{
		{message.Target{}, "a ab b n"},
		{message.Target{Rooms: []string{"a"}}, "a ab"},
		{message.Target{Rooms: []string{"a", "b"}}, "a ab b"},
		{message.Target{Rooms: []string{"a", "nobody"}}, "a ab"},
		{message.Target{Rooms: []string{"nobody"}}, ""},
		{message.Target{Rooms: []string{"room with spaces, # and ünïcode"}}, "b"},
		{message.Target{Rooms: []string{"n1"}}, "n"},
		{message.Target{Rooms: []string{"n1", "b1"}}, "b n"},
		{message.Target{Except: []string{"a"}}, "b n"},
		{message.Target{Rooms: []string{"b"}, Except: []string{"a"}}, "b"},
		{message.Target{Rooms: []string{"b"}, Except: []string{"ab"}}, "b"},
		{message.Target{Rooms: []string{"a"}, Except: []string{"a1", "ab"}}, ""},
	}
	for _, tt := range tests {
		nodes[0].emit(t, "x", tt.target)
		var got []string
		for _, name := range []string{"a", "ab", "b", "n"} {
			for range nodes[0].fence(t, members[name]) {
				got = append(got, name)
			}
		}
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("to %q except %q: reached %q, want %q", tt.target.Rooms, tt.target.Except, got, tt.want)
		}
	}
}

func (s suite) volatile(t *testing.T) {
	nodes := s.start(t, 2, "/")
	for _, want := range []bool{true, false} {
		m := newMessage("x")
		m.Volatile = want
		check(t, nodes[0].Broadcast(t.Context(), m, message.Target{}))
		if got := nodes[1].all.Next(t); got.Volatile != want {
			t.Errorf("volatile is %v on the other node, want %v", got.Volatile, want)
		}
	}
}

func (s suite) payloads(t *testing.T) {
	nodes := s.start(t, 2, "/chat")
	payloads := []string{
		`["x"]`,
		`["x",null,true,false,"",0,[],{}]`,
		`["x",0,-1,31,-32,-33,127,128,255,256,65535,65536,-32768,-32769,4294967295,4294967296]`,
		`["x",9007199254740991,-9007199254740991,1.5,-0.1,1e-7,1.7976931348623157e308,5e-324,1e21]`,
		`["Grüße, 世界 🦉","\u0000\u001f\"\\\/\b\f\n\r\t","\ud83e\udd89","\u2028\u2029"]`,
		`["x",{"a":{"b":[{"c":[[[]]]},{"":1}]},"ключ":"значение"}]`,
		`[ "spaces" , { "a" : [ 1 , 2 ] } ]`,
		`["x",{"_placeholder":true,"num":0}]`,
		`["x",` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `]`,
		`["x","` + strings.Repeat("long ", 20_000) + `"]`,
		`["x",[` + strings.Repeat("1,", 70_000) + `2]]`,
	}
	for _, payload := range payloads {
		m := message.New([]byte(payload))
		check(t, nodes[0].Broadcast(t.Context(), m, message.Target{}))
		got := nodes[1].all.Next(t)
		var was, is any
		check(t, json.Unmarshal([]byte(payload), &was))
		if err := json.Unmarshal(got.Data, &is); err != nil || !reflect.DeepEqual(was, is) {
			t.Errorf("%.200s became %.200s (%v)", payload, got.Data, err)
		}
		if got.Event() != m.Event() || len(got.Attachments) > 0 {
			t.Errorf("%.200s became the event %q with %d attachments", payload, got.Event(), len(got.Attachments))
		}
	}
}

func (s suite) binary(t *testing.T) {
	nodes := s.start(t, 2, "/")
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	want := [][]byte{all, {}, bytes.Repeat([]byte("big"), 100_000)}
	m := message.New([]byte(`["x",{"_placeholder":true,"num":1},{"deep":[{"_placeholder":true,"num":0}],"after":1},{"_placeholder":true,"num":2}]`), want...)
	check(t, nodes[0].Broadcast(t.Context(), m, message.Target{}))
	got := nodes[1].all.Next(t)
	// The numbers of the placeholders may change on the way, what stands in their place may not.
	var args []any
	check(t, json.Unmarshal(got.Data, &args))
	at := func(v any) []byte {
		num, ok := v.(map[string]any)["num"].(float64)
		if !ok || int(num) >= len(got.Attachments) {
			t.Fatalf("%s with %d attachments", got.Data, len(got.Attachments))
		}
		return got.Attachments[int(num)]
	}
	if len(args) != 4 {
		t.Fatalf("data became %s", got.Data)
	}
	deep := args[2].(map[string]any)
	for i, pair := range [][2][]byte{{at(args[1]), want[1]}, {at(deep["deep"].([]any)[0]), want[0]}, {at(args[3]), want[2]}} {
		if !bytes.Equal(pair[0], pair[1]) {
			t.Errorf("attachment %d has %d bytes, want %d", i, len(pair[0]), len(pair[1]))
		}
	}
	if deep["after"] != 1.0 || len(got.Attachments) != 3 {
		t.Errorf("data became %s with %d attachments", got.Data, len(got.Attachments))
	}
}

func (s suite) bigMessage(t *testing.T) {
	nodes := s.start(t, 2, "/")
	m := message.New([]byte(`["x",{"_placeholder":true,"num":0}]`), make([]byte, 4<<20))
	check(t, nodes[0].Broadcast(t.Context(), m, message.Target{}))
	if got := nodes[1].all.Next(t).Attachments; len(got) != 1 || len(got[0]) != 4<<20 {
		t.Errorf("4 MiB did not arrive whole")
	}
}
