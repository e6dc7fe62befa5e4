package cluster

import (
	"crypto/rand"
	"encoding/base64"
)

const (
	// sessionSize is the length of a session's id, and nodeSize that of its beginning that names the node: 30 bits, so that
	// two of a thousand nodes have the same one once in two thousand starts of all, and 90 bits left that nobody guesses.
	sessionSize = 20
	nodeSize    = 5
)

// newID returns n random characters of [A-Za-z0-9_-], of six bits each.
func newID(n int) string {
	b := make([]byte, (n*6+7)/8)
	_, _ = rand.Read(b) // never fails: it would end the program
	return base64.RawURLEncoding.EncodeToString(b)[:n]
}

// ownerOf returns the node in a session's id; false says that this is none of ours.
func ownerOf(sid string) (node string, ok bool) {
	if len(sid) != sessionSize || !plain(sid) {
		return "", false
	}
	return sid[:nodeSize], true
}

// plain reports whether s is made of [A-Za-z0-9_-].
func plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
