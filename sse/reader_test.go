package sse_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/peal-dev/peal/sse"
)

func TestReader(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, stream string
		want         []sse.Event
	}{
		{"one", "id: 1\nevent: a\ndata: x\n\n", []sse.Event{{"1", "a", "x"}}},
		{"id is inherited", "id: 1\ndata: x\n\ndata: y\n\n", []sse.Event{{"1", "message", "x"}, {"1", "message", "y"}}},
		{"id may be cleared", "id: 1\ndata: x\n\nid\ndata: y\n\n", []sse.Event{{"1", "message", "x"}, {"", "message", "y"}}},
		{"id with NUL is ignored", "id: 1\nid: 2\x00\ndata: x\n\n", []sse.Event{{"1", "message", "x"}}},
		{"lines are joined", "data: x\ndata:\ndata:  y\n\n", []sse.Event{{"", "message", "x\n\n y"}}},
		{"all line ends", "data: x\rdata: y\r\ndata: z\n\r\n", []sse.Event{{"", "message", "x\ny\nz"}}},
		{"comments and unknown fields", ": hi\n\n:\nfoo: bar\ndata: x\n\n", []sse.Event{{"", "message", "x"}}},
		{"no data, no event", "event: a\n\ndata: x\n\n", []sse.Event{{"", "message", "x"}}},
		{"empty data is data", "data\n\n", []sse.Event{{"", "message", ""}}},
		{"byte order mark", "\uFEFFdata: x\n\n", []sse.Event{{"", "message", "x"}}},
		{"unfinished is discarded", "data: x\n\ndata: y\n", []sse.Event{{"", "message", "x"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := readAll(sse.NewReader(iotest.OneByteReader(strings.NewReader(test.stream))))
			if err != io.EOF || !slices.Equal(got, test.want) {
				t.Errorf("got %+v, %v; want %+v, EOF", got, err, test.want)
			}
		})
	}
}

func TestReaderRetry(t *testing.T) {
	t.Parallel()
	r := sse.NewReader(strings.NewReader("retry: 1500\nretry: soon\nretry: -1\n\n"))
	if _, err := r.Next(); err != io.EOF || r.Retry() != 1500*time.Millisecond {
		t.Errorf("retry %v, err %v", r.Retry(), err)
	}
}

func TestReaderErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	if _, err := sse.NewReader(iotest.ErrReader(broken)).Next(); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	long := io.MultiReader(strings.NewReader("data: "), io.LimitReader(ones{}, 2*sse.MaxEvent))
	if _, err := sse.NewReader(long).Next(); !errors.Is(err, sse.ErrTooLong) {
		t.Errorf("one endless line: got %v, want %v", err, sse.ErrTooLong)
	}
	line := "data: " + strings.Repeat("1", 1<<20) + "\n"
	if _, err := sse.NewReader(strings.NewReader(strings.Repeat(line, 17))).Next(); !errors.Is(err, sse.ErrTooLong) {
		t.Errorf("endless lines: got %v, want %v", err, sse.ErrTooLong)
	}
}

func FuzzReader(f *testing.F) {
	f.Add("id: 1\nevent: a\ndata: x\n\n")
	f.Add("data\r\rdata:\r\n\r\n:")
	f.Add("\uFEFFretry: 1\n\n")
	f.Fuzz(func(t *testing.T, stream string) {
		events, err := readAll(sse.NewReader(strings.NewReader(stream)))
		if err != io.EOF {
			t.Fatalf("a string ends with %v", err)
		}
		slow, _ := readAll(sse.NewReader(iotest.OneByteReader(strings.NewReader(stream))))
		if !slices.Equal(events, slow) {
			t.Errorf("how the bytes arrive matters: %+v, %+v", events, slow)
		}
		for _, e := range events {
			if e.Name == "" || strings.ContainsAny(e.Name+e.ID, "\r\n") || strings.Contains(e.Data, "\r") {
				t.Errorf("impossible event %+v", e)
			}
		}
	})
}

func readAll(r *sse.Reader) (events []sse.Event, err error) {
	for {
		e, err := r.Next()
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
}

// ones is an endless line.
type ones struct{}

func (ones) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '1'
	}
	return len(p), nil
}
