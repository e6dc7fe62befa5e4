package redisx

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// said are commands and replies with how many are due after each.
var said = []struct {
	asked, answered string
	due             int64
}{
	{"*1\r\n$4\r\nPING\r\n", "+PONG\r\n", 0},
	{"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n", "%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nmodules\r\n*0\r\n", 0},
	{"*1\r\n$4\r\nPING\r\n*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$5\r\n*1\r\n$\r\n", "+PONG\r\n", 1},
	{"", ":1\r\n", 0},
	{"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n", ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", 0},
	{"*2\r\n$12\r\nPUNSUBSCRIBE\r\n$1\r\na\r\n*1\r\n$4\r\nPING\r\n", ">3\r\n$12\r\npunsubscribe\r\n$1\r\na\r\n:0\r\n", 1},
	{"", ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$7\r\n+PONG\r\n\r\n+PONG\r\n", 0},
	{"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n*1\r\n$4\r\nTIME\r\n", "$-1\r\n_\r\n", 1},
	{"", "*2\r\n$1\r\n1\r\n*-1\r\n", 0},
	{"*1\r\n$3\r\nXYZ\r\n*1\r\n$3\r\nSET\r\n", "-ERR unknown\r\n", 1},
	{"", "|1\r\n+ttl\r\n:3600\r\n*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n$0\r\n\r\n", 0},
	{"*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n*1\r\n$1\r\nc\r\n*1\r\n$1\r\nd\r\n*1\r\n$1\r\ne\r\n", "~2\r\n#t\r\n,1.5\r\n(12345678901234567890\r\n=5\r\ntxt:a\r\n!3\r\nbad\r\n", 1},
	{"", "*1\r\n*1\r\n*0\r\n", 0},
}

func TestExchange(t *testing.T) {
	t.Parallel()
	for size := 1; size < 64; size++ { // of the pieces
		x := new(exchange)
		for i, s := range said {
			feed(x.Asked, s.asked, size)
			feed(x.Answered, s.answered, size)
			if due := x.asked.Load() - x.answered.Load(); due != s.due || x.Due() != (s.due > 0) || x.lost.Load() {
				t.Fatalf("pieces of %d, step %d: %d due, want %d; lost: %t", size, i, due, s.due, x.lost.Load())
			}
		}
	}
}

func feed(to func([]byte), s string, size int) {
	for p := []byte(s); len(p) > 0; p = p[min(size, len(p)):] {
		to(p[:min(size, len(p))])
	}
}

// What cannot be counted is taken as it was before there was a count: whatever comes answers all.
func TestExchangeLost(t *testing.T) {
	t.Parallel()
	for name, s := range map[string][2]string{
		"more replies than commands": {"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n", "-NOPERM no\r\n"},
		"another protocol":           {"*1\r\n$4\r\nPING\r\n", "HTTP/1.1 400 Bad Request\r\n"},
		"no number":                  {"*1\r\n$4\r\nPING\r\n", "$1a\r\n"},
		"a number without end":       {"*1\r\n$4\r\nPING\r\n", "*" + strings.Repeat("9", 40)},
	} {
		x := new(exchange)
		x.Asked([]byte(s[0]))
		x.Answered([]byte(s[1]))
		if x.Due() {
			t.Errorf("%s: something is due", name)
		}
		x.Asked([]byte("*1\r\n"))
		if !x.Due() {
			t.Errorf("%s: nothing is due", name)
		}
		x.Answered([]byte("?"))
		if x.Due() {
			t.Errorf("%s: something is due after an answer", name)
		}
	}
}

// FuzzExchange says the same whatever the pieces are, and does not grow with what comes.
func FuzzExchange(f *testing.F) {
	for _, s := range said {
		f.Add([]byte(s.answered), 3)
	}
	f.Add(fmt.Appendf(nil, "$%d\r\n", 1<<39), 1)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		whole, parts := new(resp), new(resp)
		var n, m int
		ok := whole.read(data, func(bool) { n++ })
		fine := true
		for p := data; len(p) > 0 && fine; {
			k := min(max(size, 1), len(p))
			fine = parts.read(p[:k], func(bool) { m++ })
			p = p[k:]
		}
		if ok != fine || n != m || ok && !bytes.Equal(whole.name, parts.name) {
			t.Fatalf("whole: %t, %d, %q; in parts: %t, %d, %q", ok, n, whole.name, fine, m, parts.name)
		}
		if len(whole.name) > longest {
			t.Fatalf("a name of %d bytes was kept", len(whole.name))
		}
	})
}
