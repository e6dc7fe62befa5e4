package sse

import "github.com/peal-dev/peal/adapter"

// Encode returns the bytes every stream gets for m.
func Encode(m *adapter.Message) []byte { return format.Of(m).bytes }
