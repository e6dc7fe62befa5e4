package eventlog_test

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/eventlog/logtest"
	"github.com/peal-dev/peal/message"
)

func TestMemory(t *testing.T) {
	logtest.Run(t, func(t *testing.T, count int) eventlog.Log {
		l := eventlog.NewMemory(&eventlog.Limits{Count: count})
		t.Cleanup(l.Close)
		return l
	})
}

func text(n int) *message.Message { return message.New(bytes.Repeat([]byte("x"), n)) }

func TestMemoryIsBoundedByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := eventlog.NewMemory(&eventlog.Limits{Age: time.Minute})
		defer l.Close()
		from := l.Bounds().Top
		first := l.Append(text(10), message.Target{})
		time.Sleep(50 * time.Second)
		second := l.Append(text(10), message.Target{})
		if b := l.Bounds(); b.Count != 2 || b.Floor != from {
			t.Fatalf("after 50 s the bounds are %+v", b)
		}
		time.Sleep(15 * time.Second)
		if b := l.Bounds(); b.Count != 1 || b.Floor != first {
			t.Fatalf("after 65 s the bounds are %+v", b)
		}
		time.Sleep(time.Minute)
		if b := l.Bounds(); b.Count != 0 || b.Bytes != 0 || b.Floor != second || b.Top != second {
			t.Fatalf("in the end the bounds are %+v", b)
		}
		l.Append(text(10), message.Target{})
		time.Sleep(2 * time.Minute)
		if b := l.Bounds(); b.Count != 0 {
			t.Fatalf("the next one stays: %+v", b)
		}
	})
}

func TestMemoryIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	l := eventlog.NewMemory(&eventlog.Limits{Bytes: 10_000})
	defer l.Close()
	for range 100 {
		l.Append(text(1000), message.Target{Rooms: []string{"room"}})
		if b := l.Bounds(); b.Bytes > 10_000 || b.Count == 0 {
			t.Fatalf("the bounds are %+v", b)
		}
	}
	l.Append(text(20_000), message.Target{})
	if b := l.Bounds(); b.Count != 0 || b.Bytes != 0 || b.Floor != b.Top {
		t.Fatalf("with one that is larger than the log the bounds are %+v", b)
	}
}

// A kept message may take 250 bytes beside its payload.
func TestMemoryPerMessage(t *testing.T) {
	const count, payload = 50_000, 128
	l := eventlog.NewMemory(&eventlog.Limits{Count: count, Bytes: 1 << 30})
	defer l.Close()
	messages := make([]*message.Message, 2*count)
	for i := range messages {
		messages[i] = text(payload)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range messages {
		l.Append(messages[i], message.Target{Rooms: []string{fmt.Sprint("room ", i)}})
	}
	replayed, err := l.Read(l.Bounds().Floor, nil) // by somebody who is done with them
	for _, e := range replayed {
		_ = e.Message()
	}
	if replayed = nil; err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(messages)
	each := (int(after.HeapAlloc) - int(before.HeapAlloc)) / count
	t.Logf("%d bytes for each message beside its payload", each)
	if each > 250 {
		t.Errorf("%d bytes for each message beside its payload, want 250 at most", each)
	}
	if b := l.Bounds(); b.Bytes < count*(payload+each)*8/10 {
		t.Errorf("the log counts %d bytes for itself, it takes about %d", b.Bytes, count*(payload+each))
	}
}

func BenchmarkAppend(b *testing.B) {
	l := eventlog.NewMemory(nil)
	defer l.Close()
	m := text(120)
	to := message.Target{Rooms: []string{"room"}}
	b.ReportAllocs()
	for b.Loop() {
		l.Append(m, to)
	}
}
