package sioproto

import (
	"encoding/binary"
	"math/bits"
)

// MaxDepth is how deep arrays and objects may be nested in a payload; the array of an event's arguments counts as 1.
// The reference has no limit and overflows the stack of whoever walks the value.
const MaxDepth = 512

// Valid reports whether data is one JSON value, with white space around it or not, nested no deeper than [MaxDepth].
// Like encoding/json it lets invalid UTF-8 inside strings pass.
func Valid(data []byte) bool {
	i := skipValue(data, skipSpace(data, 0), 0)
	return i >= 0 && skipSpace(data, i) == len(data)
}

// Elements validates data as a JSON array and returns its elements as they stand there, without the white space
// around them. The elements are parts of data, not copies. The error is an [*Error] of kind [InvalidPayload].
func Elements(data []byte) ([][]byte, error) {
	return AppendElements(nil, data)
}

// AppendElements is [Elements] with the result appended to dst, which lets a caller reuse the slice. On error it
// returns dst as it was.
func AppendElements(dst [][]byte, data []byte) ([][]byte, error) {
	i := skipSpace(data, 0)
	if i >= len(data) || data[i] != '[' {
		return dst, invalid("not an array")
	}
	out := dst
	i = skipSpace(data, i+1)
	if i < len(data) && data[i] == ']' {
		if skipSpace(data, i+1) != len(data) {
			return dst, invalid("data behind the array")
		}
		return out, nil
	}
	for {
		end := skipValue(data, i, 1)
		if end < 0 {
			return dst, invalid("not JSON, or nested too deeply")
		}
		out = append(out, data[i:end:end])
		i = skipSpace(data, end)
		if i >= len(data) {
			return dst, invalid("array without an end")
		}
		switch data[i] {
		case ',':
			i = skipSpace(data, i+1)
		case ']':
			if skipSpace(data, i+1) != len(data) {
				return dst, invalid("data behind the array")
			}
			return out, nil
		default:
			return dst, invalid("not JSON")
		}
	}
}

// firstElement returns the first element of a valid array, or nil when the array is empty.
func firstElement(data []byte) []byte {
	i := skipSpace(data, skipSpace(data, 0)+1)
	if data[i] == ']' {
		return nil
	}
	return data[i:skipValue(data, i, 1)]
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// skipValue returns the index behind the value that starts at i, or -1. depth counts the containers around it.
func skipValue(b []byte, i, depth int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{':
		if depth == MaxDepth {
			return -1
		}
		return skipObject(b, i, depth+1)
	case '[':
		if depth == MaxDepth {
			return -1
		}
		return skipArray(b, i, depth+1)
	case 't':
		return skipLiteral(b, i, "true")
	case 'f':
		return skipLiteral(b, i, "false")
	case 'n':
		return skipLiteral(b, i, "null")
	}
	return skipNumber(b, i)
}

func skipArray(b []byte, i, depth int) int {
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		if i = skipValue(b, i, depth); i < 0 {
			return -1
		}
		if i = skipSpace(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case ']':
			return i + 1
		case ',':
			i = skipSpace(b, i+1)
		default:
			return -1
		}
	}
}

func skipObject(b []byte, i, depth int) int {
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return -1
		}
		if i = skipString(b, i); i < 0 {
			return -1
		}
		if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
			return -1
		}
		if i = skipValue(b, skipSpace(b, i+1), depth); i < 0 {
			return -1
		}
		if i = skipSpace(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case '}':
			return i + 1
		case ',':
			i = skipSpace(b, i+1)
		default:
			return -1
		}
	}
}

func skipLiteral(b []byte, i int, want string) int {
	if len(b)-i < len(want) || string(b[i:i+len(want)]) != want {
		return -1
	}
	return i + len(want)
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// skipString looks at eight bytes at a time: strings are most of what a payload is made of.
func skipString(b []byte, i int) int {
	i++
	for {
		for len(b)-i >= 8 {
			x := binary.LittleEndian.Uint64(b[i:])
			quote := x ^ ones*'"'
			slash := x ^ ones*'\\'
			// Each term marks the bytes that are a quote, a backslash or a control character. A borrow can
			// mark a byte wrongly only above a byte that is marked rightly, so the lowest mark is exact.
			m := ((quote-ones)&^quote | (slash-ones)&^slash | (x-ones*0x20)&^x) & highs
			if m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
			i += 8
		}
		if i >= len(b) {
			return -1
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			if i = skipEscape(b, i); i < 0 {
				return -1
			}
		case c < 0x20:
			return -1
		default:
			i++
		}
	}
}

func skipEscape(b []byte, i int) int {
	if i+1 >= len(b) {
		return -1
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if len(b)-i < 6 {
			return -1
		}
		for _, c := range b[i+2 : i+6] {
			if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return -1
			}
		}
		return i + 6
	}
	return -1
}

func skipNumber(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	switch {
	case i >= len(b):
		return -1
	case b[i] == '0':
		i++
	case b[i] >= '1' && b[i] <= '9':
		i = skipDigits(b, i)
	default:
		return -1
	}
	if i < len(b) && b[i] == '.' {
		start := i + 1
		if i = skipDigits(b, start); i == start {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		start := i
		if i = skipDigits(b, start); i == start {
			return -1
		}
	}
	return i
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return i
}
