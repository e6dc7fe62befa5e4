package engineio_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/peal-dev/peal/engineio"
)

// What is sent whole arrives though it is more than may wait, and what is sent besides is bounded as ever.
func TestSendWhole(t *testing.T) {
	t.Parallel()
	const count, size = 20, 50_000
	batch := make([]*engineio.Prepared, count)
	for i := range batch {
		batch[i] = engineio.Prepare(engineio.Message{Data: fmt.Appendf(nil, "%0*d", size, i)})
	}
	limit := engineio.Options{SendBuffer: 2000, PollBuffer: 2000}
	check := func(t *testing.T, n int, message string) {
		t.Helper()
		if want := fmt.Sprintf("4%0*d", size, n); message != want {
			t.Fatalf("number %d is %.20q of %d bytes", n, message, len(message))
		}
	}
	both(t, limit, func(t *testing.T, f *fixture) {
		c := f.openWebSocket()
		s := receive(t, f.sessions)
		for range 2 {
			if err := s.SendWhole(batch); err != nil {
				t.Fatal(err)
			}
			for n := range batch {
				check(t, n, c.read())
			}
		}
		s.Close()
		if err := s.SendWhole(batch); !errors.Is(err, engineio.ErrClosed) {
			t.Errorf("to a session that has ended: %v", err)
		}
	})
	f := start(t, &limit)
	p := f.openPolling()
	s := receive(t, f.sessions)
	if err := s.SendWhole(batch); err != nil {
		t.Fatal(err)
	}
	small := engineio.Prepare(engineio.Message{Data: make([]byte, 900)})
	for range 2 {
		if err := s.Send(small, 0); err != nil {
			t.Fatalf("beside it: %v", err)
		}
	}
	n := 0
	for n < count {
		for _, message := range strings.Split(p.poll().body, "\x1e") {
			if len(message) == 901 {
				n = count
				break
			}
			check(t, n, message)
			n++
		}
	}
	var err error
	for sent := 0; err == nil; sent++ {
		if err = s.Send(small, 0); sent > 2 {
			t.Fatal("the session takes everything from now on")
		}
	}
	if err := s.SendWhole(batch); !errors.Is(err, engineio.ErrClosed) {
		t.Errorf("to a session that has ended: %v", err)
	}
}
