package adapter_test

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/socketio/sioproto"
)

func TestMessageSplit(t *testing.T) {
	t.Parallel()
	tests := []struct{ data, event, args string }{
		{`["tick"]`, "tick", `[]`},
		{`["tick",1,{"a":[2]}]`, "tick", `[1,{"a":[2]}]`},
		{" [ \"tick\" , 1 ]", "tick", `[ 1 ]`},
		{`["a\"b\u00e9",null]`, `a"bé`, `[null]`},
		{`["a]b","c"]`, "a]b", `["c"]`},
		{`[""]`, "", `[]`},
		{`[1,2]`, "1", `[2]`},
		{`[]`, "", `[]`},
		{`{}`, "", `[]`},
		{`["open`, "", `[]`},
		{`["bad\x"]`, "", `[]`},
		{``, "", `[]`},
	}
	for _, tt := range tests {
		m := adapter.NewMessage(sioproto.Packet{Type: sioproto.Event, Data: []byte(tt.data)})
		if m.Event() != tt.event || string(m.Args()) != tt.args {
			t.Errorf("%s: event %q args %s, want %q %s", tt.data, m.Event(), m.Args(), tt.event, tt.args)
		}
		if m.Packet.Namespace != "/" {
			t.Errorf("%s: namespace %q, want the root", tt.data, m.Packet.Namespace)
		}
	}
}

func TestMessageIDsGrow(t *testing.T) {
	t.Parallel()
	var last, lastSeq uint64
	for range 5000 {
		id := message("x").ID
		ms, seq, ok := strings.Cut(id, "-")
		m, err1 := strconv.ParseUint(ms, 10, 64)
		s, err2 := strconv.ParseUint(seq, 10, 64)
		if !ok || err1 != nil || err2 != nil {
			t.Fatalf("id %q is not <ms>-<seq>", id)
		}
		if m < last || m == last && s <= lastSeq && last != 0 {
			t.Fatalf("id %q does not follow %d-%d", id, last, lastSeq)
		}
		last, lastSeq = m, s
	}
	synctest.Test(t, func(t *testing.T) {
		// The bubble's clock starts in 2000: a clock set back must not take the IDs back.
		ms, _, _ := strings.Cut(message("x").ID, "-")
		if m, _ := strconv.ParseUint(ms, 10, 64); m < last {
			t.Errorf("id went back to %d with the clock at %v", m, time.Now())
		}
	})
}

type upper struct{ s string }

var (
	encodeCalls atomic.Int32
	upperFormat = adapter.NewFormat(func(m *adapter.Message) *upper {
		encodeCalls.Add(1)
		return &upper{strings.ToUpper(m.Event())}
	})
	nestedFormat = adapter.NewFormat(func(m *adapter.Message) *upper {
		return &upper{upperFormat.Of(m).s + "!"}
	})
)

func TestFormatEncodesOnce(t *testing.T) {
	t.Parallel()
	before := encodeCalls.Load()
	m := message("tick")
	var wg sync.WaitGroup
	got := make([]*upper, 16)
	for i := range got {
		wg.Go(func() { got[i] = upperFormat.Of(m) })
	}
	wg.Wait()
	for _, g := range got {
		if g != got[0] || g.s != "TICK" {
			t.Fatalf("members got different encodings or a wrong one: %v", g)
		}
	}
	if n := encodeCalls.Load() - before; n != 1 {
		t.Errorf("encoded %d times, want once", n)
	}
	if s := nestedFormat.Of(m).s; s != "TICK!" {
		t.Errorf("a format made from another = %q", s)
	}
}
