package message

import (
	"sync"
	"sync/atomic"
	"unique"
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

// Namespace is the name of a namespace in a form that is compared at once, as is done for each recipient: make it once
// for all of them, with [NamespaceOf]. The zero value is none.
type Namespace struct{ handle unique.Handle[string] }

// NamespaceOf returns the Namespace of that name.
func NamespaceOf(name string) Namespace { return Namespace{unique.Make(name)} }

func (n Namespace) name() string {
	if n == (Namespace{}) {
		return ""
	}
	return n.handle.Value()
}

// encoding is what a format made of a message for the members of one namespace.
type encoding struct {
	namespace Namespace
	made      atomic.Bool // value is there
	value     any
	once      sync.Once
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
// namespace it is sent in; a format whose bytes are the same in all of them gives the zero Namespace. Safe for concurrent use; after the
// first call it takes no lock.
func (f *Format[T]) Of(m *Message, namespace Namespace) *T {
	enc := m.encodings[f.slot].Load()
	if enc == nil || !enc.made.Load() || enc.namespace != namespace {
		enc = f.make(m, namespace)
	}
	return enc.value.(*T)
}

// make returns the encoding for namespace with its value.
func (f *Format[T]) make(m *Message, namespace Namespace) *encoding {
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
	enc.once.Do(func() {
		enc.value = f.encode(m, namespace.name())
		enc.made.Store(true)
	})
	return enc
}
