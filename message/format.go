package message

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
	encode func(m *Message, namespace string) *T
}

// encoding is what a format made of a message for the members of one namespace.
type encoding struct {
	once      sync.Once
	namespace string
	value     any
	next      atomic.Pointer[encoding] // for another namespace
}

// NewFormat returns a format that encodes with encode, which must be a pure function of the message and of the namespace
// whose members receive it: two calls may not differ, for only the first is kept. It may use other formats. It panics
// when the process has eight formats already.
func NewFormat[T any](encode func(m *Message, namespace string) *T) *Format[T] {
	slot := int(formats.Add(1)) - 1
	if slot >= maxFormats {
		panic("message: more than 8 formats; a Format belongs in a package-level variable")
	}
	return &Format[T]{slot: slot, encode: encode}
}

// Of returns m's encoding for the members of namespace, which it makes at most once. A message does not know the
// namespace it is sent in; a format whose bytes are the same in all of them gives "". Safe for concurrent use; after the
// first call it takes no lock.
func (f *Format[T]) Of(m *Message, namespace string) *T {
	at := &m.encodings[f.slot]
	enc := at.Load()
	for enc == nil || enc.namespace != namespace {
		if enc == nil {
			at.CompareAndSwap(nil, &encoding{namespace: namespace})
		} else {
			at = &enc.next
		}
		enc = at.Load()
	}
	enc.once.Do(func() { enc.value = f.encode(m, namespace) })
	return enc.value.(*T)
}
