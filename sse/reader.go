package sse

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// MaxEvent is the longest event, in bytes, that a [Reader] accepts.
const MaxEvent = 16 << 20

// ErrTooLong means an event was longer than [MaxEvent].
var ErrTooLong = errors.New("sse: event too long")

// Event is one event of a stream as a client sees it.
type Event struct {
	ID   string // last id the stream has set, which an event without one inherits
	Name string // "message" when the stream gives none
	Data string // the data fields joined with LF
}

// Reader reads events as an EventSource does (WHATWG HTML, section 9.2.6). It is not safe for concurrent use.
type Reader struct {
	in    *bufio.Reader
	line  []byte
	id    string
	retry time.Duration
	skip  bool // the line before ended with CR: an LF that follows belongs to it
	first bool
}

// NewReader returns a Reader of the body of an event stream.
func NewReader(r io.Reader) *Reader { return &Reader{in: bufio.NewReader(r), first: true} }

// Retry is how long the server has asked to wait before connecting again; 0 means it has not.
func (r *Reader) Retry() time.Duration { return r.retry }

// Next returns the next event. Events without data are skipped, as the specification asks. The error is io.EOF at the
// end of the stream, where an unfinished event is discarded, or [ErrTooLong], or what reading failed with.
func (r *Reader) Next() (Event, error) {
	var name string
	var data []byte
	hasData := false
	for {
		if err := r.readLine(); err != nil {
			return Event{}, err
		}
		if len(r.line) == 0 {
			if hasData {
				if name == "" {
					name = "message"
				}
				return Event{ID: r.id, Name: name, Data: string(data)}, nil
			}
			name = ""
			continue
		}
		field, value, _ := bytes.Cut(r.line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			name = string(value)
		case "data":
			if hasData {
				data = append(data, '\n')
			}
			hasData = true
			if len(data)+len(value) > MaxEvent {
				return Event{}, ErrTooLong
			}
			data = append(data, value...)
		case "id":
			if bytes.IndexByte(value, 0) < 0 {
				r.id = string(value)
			}
		case "retry":
			if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
				r.retry = time.Duration(ms) * time.Millisecond
			}
		}
	}
}

// readLine reads one line, which ends with CR, LF or both, into r.line.
func (r *Reader) readLine() error {
	r.line = r.line[:0]
	for {
		b, err := r.in.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return io.EOF
			}
			return fmt.Errorf("sse: read event stream: %w", err)
		}
		if r.skip {
			r.skip = false
			if b == '\n' {
				continue
			}
		}
		if b == '\r' || b == '\n' {
			r.skip = b == '\r'
			if r.first {
				r.first = false
				r.line = bytes.TrimPrefix(r.line, []byte("\uFEFF"))
			}
			return nil
		}
		if len(r.line) >= MaxEvent {
			return ErrTooLong
		}
		r.line = append(r.line, b)
	}
}
