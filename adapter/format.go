package adapter

import (
	"sync"
	"sync/atomic"
)

// maxFormats bounds the formats of a process; each costs every message one word.
const maxFormats = 8

var formats atomic.Int32

// Format is one wire format's encoding of messages: it keeps what it made in the message, so that ten thousand members
// share one value. Declare formats as package-level variables; a process can have eight.
type Format[T any] struct {
	slot   int
	encode func(*Message) *T
}

type encoding struct {
	once  sync.Once
	value any
}

// NewFormat returns a format that encodes with encode, which must be a pure function of the message: two calls may not
// differ, for only the first is kept. It may use other formats. It panics when the process has eight formats already.
func NewFormat[T any](encode func(*Message) *T) *Format[T] {
	slot := int(formats.Add(1)) - 1
	if slot >= maxFormats {
		panic("adapter: more than 8 formats; a Format belongs in a package-level variable")
	}
	return &Format[T]{slot: slot, encode: encode}
}

// Of returns m's encoding, which it makes at most once per message. Safe for concurrent use; after the first call it
// takes no lock.
func (f *Format[T]) Of(m *Message) *T {
	enc := m.encodings[f.slot].Load()
	if enc == nil {
		m.encodings[f.slot].CompareAndSwap(nil, new(encoding))
		enc = m.encodings[f.slot].Load()
	}
	enc.once.Do(func() { enc.value = f.encode(m) })
	return enc.value.(*T)
}
