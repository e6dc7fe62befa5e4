package redisx_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/redisx"
)

// TestStream appends to a stream and reads it, to its end and beyond.
func TestStream(t *testing.T) {
	t.Parallel()
	b := setup(t, 0)
	if info, err := b.client.Stream(t.Context(), "s"); err != nil || info != (redisx.StreamInfo{Counted: true}) {
		t.Errorf("info of a stream that is not there: %+v, %v", info, err)
	}
	batch := make([]redisx.Append, 25)
	for i := range batch {
		batch[i] = redisx.Append{Stream: "s", MaxLen: 1000, Fields: []redisx.Field{{Name: "n", Value: []byte(fmt.Sprint(i))}, {Name: "bytes", Value: []byte{0, 255}}}}
	}
	b.client.Append(t.Context(), batch)
	for i := range batch {
		if batch[i].Err != nil || i > 0 && !batch[i-1].ID.Less(batch[i].ID) {
			t.Fatalf("entry %d: id %v, %v", i, batch[i].ID, batch[i].Err)
		}
	}
	info, err := b.client.Stream(t.Context(), "s")
	last := batch[24].ID
	if want := (redisx.StreamInfo{Added: 25, Counted: true, Newest: last, Length: 25, First: batch[0].ID, Last: last}); err != nil || info != want {
		t.Errorf("info %+v, %v; want %+v", info, err, want)
	}
	r, err := b.client.ReadStream("s", 10, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var at redisx.EntryID
	for n := 0; n < 25; {
		entries, err := r.Next(t.Context(), at)
		if err != nil || len(entries) == 0 || len(entries) > 10 {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
		for _, e := range entries {
			if e.ID != batch[n].ID || string(e.Fields[0].Value) != fmt.Sprint(n) || string(e.Fields[1].Value) != "\x00\xff" || e.Fields[1].Name != "bytes" {
				t.Errorf("entry %d is %+v", n, e)
			}
			at = e.ID
			n++
		}
	}
	if entries, err := r.Next(t.Context(), at); err != nil || entries != nil {
		t.Errorf("behind the end: %v, %v", entries, err)
	}
	if err := b.client.Appendable(t.Context(), "s"); err != nil {
		t.Error(err)
	}
	b.server.Do("SET", "text", "x")
	if _, err := b.client.Stream(t.Context(), "text"); err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
		t.Errorf("info of a text: %v", err)
	}
	b.server.Stop()
	if _, err := r.Next(t.Context(), at); err == nil {
		t.Error("read from a server that is gone")
	}
	if err := b.client.Appendable(t.Context(), "s"); err == nil {
		t.Error("could append to a server that is gone")
	}
	b.client.Append(t.Context(), batch[:1])
	if batch[0].Err == nil {
		t.Error("appended to a server that is gone")
	}
}

func TestParseEntryID(t *testing.T) {
	if id, err := redisx.ParseEntryID("1526919030474-55"); err != nil || id.String() != "1526919030474-55" {
		t.Errorf("%v, %v", id, err)
	}
	for _, s := range []string{"", "1", "-", "1-", "x-1", "1-2-3", "-1-0"} {
		if _, err := redisx.ParseEntryID(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}
