package socketio

import (
	"encoding/json"
	"iter"
	"slices"
	"strings"
)

// datum is one value that the program keeps with a socket. There are few: a slice is smaller than a map.
type datum struct {
	key   string
	value any
}

// Set keeps a value with the socket, under key; a nil value removes it. Other goroutines, and as JSON other nodes, may read
// the value from then on: it must not be changed but replaced by another. [Key] does the same for values of one type.
func (s *Socket) Set(key string, value any) {
	if r := s.namespace.recovery; r != nil {
		defer r.shared.touched(s.id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.more()
	i := slices.IndexFunc(x.data, func(d datum) bool { return d.key == key })
	switch {
	case i >= 0 && value == nil:
		x.data = slices.Delete(x.data, i, i+1)
	case i >= 0:
		x.data[i].value = value
	case value != nil:
		x.data = append(x.data, datum{key, value})
	}
}

// Get returns the value that [Socket.Set] keeps under key, or nil. If the client has come from another node ([Recovery]), it
// is what encoding/json makes of the value's JSON; [Key] decodes it as the type that it had.
func (s *Socket) Get(key string) any { return plain(s.get(key)) }

func (s *Socket) get(key string) any {
	x := s.extra.Load()
	if x == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range x.data {
		if d.key == key {
			return d.value
		}
	}
	return nil
}

// foreignValue is the JSON of a value that was kept with a socket on another node, from which its client has come.
type foreignValue json.RawMessage

// MarshalJSON implements [json.Marshaler].
func (v foreignValue) MarshalJSON() ([]byte, error) { return v, nil }

// plain returns v as a program may have it: one of another node is decoded, as encoding/json does into an any.
func plain(v any) any {
	raw, foreign := v.(foreignValue)
	if !foreign {
		return v
	}
	var decoded any
	_ = json.Unmarshal(raw, &decoded) // it is JSON
	return decoded
}

// Data returns the values that [Socket.Set] keeps, with their keys, in the order in which they were first set. It is a
// snapshot. See [RemoteSocket.Data] for those of a socket anywhere.
func (s *Socket) Data() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for _, d := range s.kept() {
			if !yield(d.key, plain(d.value)) {
				return
			}
		}
	}
}

// kept returns a copy of what is kept with the socket.
func (s *Socket) kept() []datum {
	x := s.extra.Load()
	if x == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(x.data)
}

// Key is the key of values of type T that are kept with sockets, as [Socket.Set] does. It is a constant:
//
//	const userKey socketio.Key[User] = "user"
//
// It finds the same values with a [RemoteSocket], where they are decoded from JSON.
type Key[T any] string

// Keeper is what values are kept with: a [*Socket] or a [*RemoteSocket].
type Keeper interface {
	// value returns the value kept under key, or its JSON, or neither.
	value(key string) (kept any, raw json.RawMessage)
}

// Set keeps v with the socket. See [Socket.Set] for who may read it.
func (k Key[T]) Set(s *Socket, v T) { s.Set(string(k), v) }

// Delete removes the value from the socket.
func (k Key[T]) Delete(s *Socket) { s.Set(string(k), nil) }

// Get returns the value kept with a socket, or the zero value if there is none that is a T.
func (k Key[T]) Get(from Keeper) T {
	v, _ := k.Lookup(from)
	return v
}

// Lookup is Get that reports whether there is such a value. With a [RemoteSocket] one is there if its JSON can be decoded
// into a T; [RemoteSocket.DecodeData] says why not.
func (k Key[T]) Lookup(from Keeper) (T, bool) {
	kept, raw := from.value(string(k))
	if raw == nil {
		v, ok := kept.(T)
		return v, ok
	}
	var v, none T
	if json.Unmarshal(raw, &v) != nil {
		return none, false // not what was decoded before it failed
	}
	return v, true
}

func (s *Socket) value(key string) (kept any, raw json.RawMessage) {
	kept = s.get(key)
	if foreign, ok := kept.(foreignValue); ok {
		return nil, json.RawMessage(foreign)
	}
	return kept, nil
}

func (r *RemoteSocket) value(key string) (kept any, raw json.RawMessage) {
	var all map[string]json.RawMessage
	if json.Unmarshal(r.Data, &all) != nil {
		return nil, nil // a Node.js node may have anything there
	}
	return nil, all[key]
}

// dataOf returns values as a JSON object, as far as JSON can express them.
func dataOf(data []datum) json.RawMessage {
	kept := make(map[string]json.RawMessage, len(data))
	for _, d := range data {
		if raw, err := json.Marshal(d.value); err == nil {
			kept[d.key] = raw
		}
	}
	raw, _ := json.Marshal(kept) // of sound JSON: never fails
	return raw
}

// valuesOf is the opposite: of values of other nodes only their JSON is known.
func valuesOf(raw json.RawMessage) (data []datum) {
	var kept map[string]json.RawMessage
	if json.Unmarshal(raw, &kept) != nil {
		return nil // a Node.js node may have anything there
	}
	for key, value := range kept {
		if string(value) != "null" {
			data = append(data, datum{key, foreignValue(value)})
		}
	}
	slices.SortFunc(data, func(a, b datum) int { return strings.Compare(a.key, b.key) })
	return data
}
