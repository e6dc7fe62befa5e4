package streamhttp

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/peal-dev/peal/message"
)

// An offset on the wire is that of the last item before it, as two decimal numbers of sixteen digits, so that the order of
// texts is that of items (section 8 of the protocol). Sixteen digits are also what is exact in JavaScript, near enough.
const offsetDigits = 16

func formatOffset(o message.Offset) string {
	return fmt.Sprintf("%0*d_%0*d", offsetDigits, o.Ms, offsetDigits, o.Seq)
}

// parseOffset reads what formatOffset writes, and nothing else.
func parseOffset(s string) (message.Offset, bool) {
	ms, seq, ok := strings.Cut(s, "_")
	if !ok || len(ms) != offsetDigits || len(seq) != offsetDigits {
		return message.Offset{}, false
	}
	m, ok1 := digits(ms)
	n, ok2 := digits(seq)
	return message.Offset{Ms: m, Seq: n}, ok1 && ok2
}

// digits reads a decimal number without a sign.
func digits(s string) (uint64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

// number reads a decimal number without sign or leading zeros, at most limit.
func number(s string, limit uint64) (uint64, bool) {
	n, ok := digits(s)
	return n, ok && n <= limit && (len(s) == 1 || s[0] != '0')
}
