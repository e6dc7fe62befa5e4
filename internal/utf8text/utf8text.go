// Package utf8text is the rule for text that is no Unicode, at every door of a node: what comes in is taken, and what is
// no UTF-8 in it becomes U+FFFD, one for each byte, as encoding/json has it. So what goes out is UTF-8, which WebSocket
// clients insist on: they close their connection at the first byte that is not.
//
// Half a surrogate pair as an escape of JSON (\ud83d), which JSON.stringify and json.dumps write, is UTF-8 and stays.
package utf8text

import (
	"strings"
	"unicode/utf8"
)

// Bytes returns b itself if it is UTF-8, which costs no allocation, or else a copy that is. In valid JSON bytes that
// are no UTF-8 can only be inside strings, so JSON stays JSON.
func Bytes(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	out := make([]byte, 0, len(b)+len(b)/2+utf8.UTFMax)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		out = utf8.AppendRune(out, r)
		b = b[n:]
	}
	return out
}

// String is [Bytes] for a string.
func String(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		b.WriteRune(r)
	}
	return b.String()
}
