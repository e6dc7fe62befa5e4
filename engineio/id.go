package engineio

import (
	"crypto/rand"
	"encoding/base64"
)

// NewID returns an unguessable id: 20 characters of [A-Za-z0-9_-], the length and alphabet other implementations and
// load balancers rely on.
func NewID() string {
	var b [15]byte
	_, _ = rand.Read(b[:]) // never fails: it would end the program
	return base64.RawURLEncoding.EncodeToString(b[:])
}
