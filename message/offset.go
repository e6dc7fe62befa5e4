package message

import (
	"cmp"
	"strconv"
	"strings"
)

// Offset is the place of a message in a log of messages: offsets of one log are in the order of its messages. The zero
// value means that a message is in no log. Its text is that of the ids of Redis streams, "<ms>-<seq>".
type Offset struct {
	Ms  uint64 // milliseconds since 1970, about
	Seq uint64 // tells messages of one millisecond apart
}

// ParseOffset reads the text of an Offset. It reports false if s is anything else.
func ParseOffset(s string) (Offset, bool) {
	ms, seq, ok := strings.Cut(s, "-")
	if !ok || !isDigits(ms) || !isDigits(seq) {
		return Offset{}, false
	}
	var o Offset
	var err1, err2 error
	o.Ms, err1 = strconv.ParseUint(ms, 10, 64)
	o.Seq, err2 = strconv.ParseUint(seq, 10, 64)
	return o, err1 == nil && err2 == nil
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" // strconv would take a sign too
}

// IsZero reports whether o is no place at all.
func (o Offset) IsZero() bool { return o == Offset{} }

// Compare returns -1, 0 or +1 when o comes before, is, or comes behind other.
func (o Offset) Compare(other Offset) int {
	if c := cmp.Compare(o.Ms, other.Ms); c != 0 {
		return c
	}
	return cmp.Compare(o.Seq, other.Seq)
}

// Append appends the text of o to dst.
func (o Offset) Append(dst []byte) []byte {
	dst = append(strconv.AppendUint(dst, o.Ms, 10), '-')
	return strconv.AppendUint(dst, o.Seq, 10)
}

// String returns the text of o.
func (o Offset) String() string { return string(o.Append(make([]byte, 0, maxOffset))) }

// maxOffset is the length of the longest text.
const maxOffset = 2*len("18446744073709551615") + len("-")
