package message_test

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/message"
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
		m := message.New([]byte(tt.data))
		if m.Event() != tt.event || string(m.Args()) != tt.args {
			t.Errorf("%s: event %q args %s, want %q %s", tt.data, m.Event(), m.Args(), tt.event, tt.args)
		}
	}
}

func TestMessageIDsGrow(t *testing.T) {
	t.Parallel()
	var last, lastSeq uint64
	for range 5000 {
		id := message.New([]byte(`["x"]`)).ID
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
		ms, _, _ := strings.Cut(message.New([]byte(`["x"]`)).ID, "-")
		if m, _ := strconv.ParseUint(ms, 10, 64); m < last {
			t.Errorf("id went back to %d with the clock at %v", m, time.Now())
		}
	})
}

type upper struct{ s string }

var (
	encodeCalls atomic.Int32
	upperFormat = message.NewFormat(func(m *message.Message, namespace string) *upper {
		encodeCalls.Add(1)
		return &upper{strings.ToUpper(namespace + m.Event())}
	})
	nestedFormat = message.NewFormat(func(m *message.Message, namespace string) *upper {
		return &upper{upperFormat.Of(m, namespace).s + "!"}
	})
)

func TestFormatEncodesOnce(t *testing.T) {
	t.Parallel()
	before := encodeCalls.Load()
	m := message.New([]byte(`["tick"]`))
	var wg sync.WaitGroup
	got := make([]*upper, 16)
	for i := range got {
		wg.Go(func() { got[i] = upperFormat.Of(m, "/a#") })
	}
	wg.Wait()
	for _, g := range got {
		if g != got[0] || g.s != "/A#TICK" {
			t.Fatalf("members got different encodings or a wrong one: %v", g)
		}
	}
	if n := encodeCalls.Load() - before; n != 1 {
		t.Errorf("encoded %d times, want once", n)
	}
	for range 2 {
		for _, namespace := range []string{"/b#", "", "/a#", "/c#"} {
			if s, want := upperFormat.Of(m, namespace).s, strings.ToUpper(namespace)+"TICK"; s != want {
				t.Errorf("in namespace %q it is %q, want %q", namespace, s, want)
			}
		}
	}
	if n := encodeCalls.Load() - before; n != 4 {
		t.Errorf("encoded %d times for four namespaces", n)
	}
	if s := nestedFormat.Of(m, "/a#").s; s != "/A#TICK!" {
		t.Errorf("a format made from another = %q", s)
	}
}
