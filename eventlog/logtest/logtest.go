// Package logtest is what every log of package eventlog is held to.
package logtest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// New makes an empty log that keeps count messages, whatever their age, and closes it at the end of t.
type New func(t *testing.T, count int) eventlog.Log

// Run holds the logs that fresh makes to what package eventlog asks of a log.
func Run(t *testing.T, fresh New) {
	t.Run("Empty", func(t *testing.T) { empty(t, fresh(t, 10)) })
	t.Run("Order", func(t *testing.T) { order(t, fresh(t, 1000)) })
	t.Run("Content", func(t *testing.T) { content(t, fresh(t, 10)) })
	t.Run("Volatile", func(t *testing.T) { volatile(t, fresh(t, 10)) })
	t.Run("Floor", func(t *testing.T) { floor(t, fresh(t, 10)) })
	t.Run("Trim", func(t *testing.T) { trim(t, fresh(t, 100)) })
	t.Run("Given", func(t *testing.T) { given(t, fresh(t, 10)) })
	t.Run("Reset", func(t *testing.T) { reset(t, fresh(t, 10)) })
	t.Run("Interest", func(t *testing.T) { interest(t, fresh) })
	t.Run("Strangers", func(t *testing.T) { strangers(t, fresh) })
	t.Run("Concurrent", func(t *testing.T) { concurrent(t, fresh(t, 10_000)) })
	t.Run("Close", func(t *testing.T) { closed(t, fresh(t, 10)) })
}

func put(l eventlog.Log, n int) message.Offset {
	return l.Append(message.New(fmt.Appendf(nil, `["n",%d]`, n)), message.Target{})
}

func read(t *testing.T, l eventlog.Log, after message.Offset) []*eventlog.Entry {
	t.Helper()
	entries, err := l.Read(after, nil)
	if err != nil {
		t.Fatalf("read after %v: %v", after, err)
	}
	return entries
}

// refused fails the test unless the log says that it does not cover after.
func refused(t *testing.T, l eventlog.Log, after message.Offset) {
	t.Helper()
	entries, err := l.Read(after, nil)
	var e *eventlog.OffsetError
	if !errors.As(err, &e) || e.After != after {
		t.Fatalf("read after %v: %d entries and the error %v", after, len(entries), err)
	}
	if l.Bounds().Cover(after) == nil || l.Cover(after, nil) == nil {
		t.Fatalf("%v is covered", after)
	}
}

func empty(t *testing.T, l eventlog.Log) {
	b := l.Bounds()
	if b.Top.IsZero() || b.Top != b.Floor || b.Count != 0 || b.Bytes != 0 {
		t.Fatalf("an empty log has the bounds %+v", b)
	}
	if got := read(t, l, b.Top); len(got) != 0 {
		t.Fatalf("%d entries in an empty log", len(got))
	}
	refused(t, l, message.Offset{})
	refused(t, l, message.Offset{Ms: b.Top.Ms + 1, Seq: b.Top.Seq})
}

func order(t *testing.T, l eventlog.Log) {
	offsets := []message.Offset{l.Bounds().Top}
	for i := range 500 {
		o := put(l, i)
		if o.Compare(offsets[i]) <= 0 {
			t.Fatalf("offset %v follows %v", o, offsets[i])
		}
		offsets = append(offsets, o)
	}
	if top := l.Bounds().Top; top != offsets[500] {
		t.Fatalf("the top is %v, the last offset %v", top, offsets[500])
	}
	for _, from := range []int{0, 1, 250, 499, 500} {
		got := read(t, l, offsets[from])
		if len(got) != 500-from {
			t.Fatalf("%d entries behind number %d of 500", len(got), from)
		}
		for i, e := range got {
			if e.Offset != offsets[from+1+i] {
				t.Fatalf("entry %d behind number %d has the offset %v, want %v", i, from, e.Offset, offsets[from+1+i])
			}
		}
	}
}

func content(t *testing.T, l eventlog.Log) {
	from := l.Bounds().Top
	m := message.New([]byte(`["e",{"_placeholder":true,"num":0}]`), []byte{1, 2})
	o := l.Append(m, message.Target{Rooms: []string{"a", "b"}, Except: []string{"c"}, Local: true})
	got := read(t, l, from)
	if len(got) != 1 || fmt.Sprint(got[0].Rooms, got[0].Except) != "[a b] [c]" {
		t.Fatalf("kept %+v", got)
	}
	back := got[0].Message()
	if string(back.Data) != string(m.Data) || fmt.Sprint(back.Attachments) != "[[1 2]]" || back.Offset != o || back.Volatile {
		t.Fatalf("came back as %+v", back)
	}
	if again := read(t, l, from)[0].Message(); again != back {
		t.Fatal("who reads it at the same time gets another message, to be encoded once more")
	}
}

func volatile(t *testing.T, l eventlog.Log) {
	from := l.Bounds().Top
	last := put(l, 1)
	v := message.New([]byte(`["v"]`))
	v.Volatile = true
	if o := l.Append(v, message.Target{}); o != last {
		t.Fatalf("a volatile message has the offset %v, the last that is kept %v", o, last)
	}
	if got := read(t, l, from); len(got) != 1 {
		t.Fatalf("%d entries, want the one that is not volatile", len(got))
	}
}

func floor(t *testing.T, l eventlog.Log) {
	var offsets []message.Offset
	for i := range 30 {
		offsets = append(offsets, put(l, i))
	}
	b := l.Bounds()
	if b.Count > 10 || b.Count < 1 || b.Bytes <= 0 {
		t.Fatalf("a log for 10 has %d entries of %d bytes", b.Count, b.Bytes)
	}
	if want := offsets[29-b.Count]; b.Floor != want {
		t.Fatalf("the floor is %v, the last that was trimmed %v", b.Floor, want)
	}
	if got := read(t, l, b.Floor); len(got) != b.Count {
		t.Fatalf("%d entries behind the floor, want %d", len(got), b.Count)
	}
	refused(t, l, offsets[28-b.Count])
}

func trim(t *testing.T, l eventlog.Log) {
	var offsets []message.Offset
	for i := range 20 {
		offsets = append(offsets, put(l, i))
	}
	l.Trim(offsets[9])
	if b := l.Bounds(); b.Floor.Compare(offsets[9]) < 0 || b.Top != offsets[19] {
		t.Fatalf("trimmed to %v, the bounds are %+v", offsets[9], b)
	}
	refused(t, l, offsets[8])
	l.Trim(offsets[19])
	if b := l.Bounds(); b.Floor != b.Top || b.Count != 0 || b.Bytes != 0 {
		t.Fatalf("trimmed to the top, the bounds are %+v", b)
	}
	if o := put(l, 20); o.Compare(offsets[19]) <= 0 {
		t.Fatalf("offset %v follows %v", o, offsets[19])
	}
}

// strangers are offsets of other logs, though they may fit in time.
func strangers(t *testing.T, fresh New) {
	a, b := fresh(t, 10), fresh(t, 10)
	put(a, 0)
	o := put(b, 0)
	put(a, 1)
	refused(t, a, o)
}

func concurrent(t *testing.T, l eventlog.Log) {
	from := l.Bounds().Top
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		writers.Go(func() {
			for i := range 500 {
				put(l, i)
			}
		})
	}
	readers.Go(func() {
		at, seen := from, 0
		for last := false; ; {
			entries, err := l.Read(at, nil)
			if err != nil {
				t.Error(err)
				return
			}
			for _, e := range entries {
				if e.Offset.Compare(at) <= 0 {
					t.Errorf("%v follows %v", e.Offset, at)
				}
				at = e.Offset
				seen++
			}
			if last {
				break
			}
			select {
			case <-done:
				last = true
			default:
			}
		}
		if seen != 2000 {
			t.Errorf("%d entries read, want 2000", seen)
		}
	})
	writers.Wait()
	close(done)
	readers.Wait()
}

func closed(t *testing.T, l eventlog.Log) {
	from := l.Bounds().Top
	l.Close()
	l.Close()
	put(l, 1)
	if got := read(t, l, from); len(got) != 1 {
		t.Fatalf("%d entries", len(got))
	}
}
