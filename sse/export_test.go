package sse

import (
	"github.com/peal-dev/peal/message"
)

// Encode returns the bytes every stream gets for m.
func Encode(m *message.Message) []byte { return format.Of(m, message.Namespace{}).bytes }
