package message_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

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

type upper struct{ s string }

var (
	encodeCalls atomic.Int32
	upperFormat = message.NewFormat(func(m *message.Message, namespace string) *upper {
		encodeCalls.Add(1)
		return &upper{strings.ToUpper(namespace + m.Event())}
	})
	nestedFormat = message.NewFormat(func(m *message.Message, namespace string) *upper {
		return &upper{upperFormat.Of(m, message.NamespaceOf(namespace)).s + "!"}
	})
)

func TestFormatEncodesOnce(t *testing.T) {
	t.Parallel()
	before := encodeCalls.Load()
	m := message.New([]byte(`["tick"]`))
	var wg sync.WaitGroup
	got := make([]*upper, 16)
	for i := range got {
		wg.Go(func() { got[i] = upperFormat.Of(m, message.NamespaceOf("/a#")) })
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
			if s, want := upperFormat.Of(m, message.NamespaceOf(namespace)).s, strings.ToUpper(namespace)+"TICK"; s != want {
				t.Errorf("in namespace %q it is %q, want %q", namespace, s, want)
			}
		}
	}
	if s := upperFormat.Of(m, message.Namespace{}).s; s != "TICK" {
		t.Errorf("in no namespace it is %q", s)
	}
	if n := encodeCalls.Load() - before; n != 5 {
		t.Errorf("encoded %d times for four namespaces and none", n)
	}
	if s := nestedFormat.Of(m, message.NamespaceOf("/a#")).s; s != "/A#TICK!" {
		t.Errorf("a format made from another = %q", s)
	}
}
