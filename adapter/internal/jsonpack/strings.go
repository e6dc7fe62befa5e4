package jsonpack

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"
)

// valid returns s with each byte that is no UTF-8 replaced: notepack would refuse the whole message because of one.
func valid(s []byte) []byte {
	if utf8.Valid(s) {
		return s
	}
	return []byte(string([]rune(string(s))))
}

// str appends the string literal at pos.
func (e *encoder) str(dst []byte) ([]byte, error) {
	e.pos++
	start := e.pos
	for e.pos < len(e.src) {
		c := e.src[e.pos]
		switch {
		case c == '"':
			raw := e.src[start:e.pos]
			e.pos++
			return msgp.AppendStringFromBytes(dst, valid(raw)), nil
		case c == '\\':
			return e.escaped(dst, start)
		case c < ' ':
			return dst, e.syntax()
		}
		e.pos++
	}
	return dst, e.syntax()
}

// escaped appends the string literal whose content begins at start and has its first escape at pos.
func (e *encoder) escaped(dst []byte, start int) ([]byte, error) {
	s := append(e.scratch[:0], e.src[start:e.pos]...)
	for e.pos < len(e.src) {
		c := e.src[e.pos]
		e.pos++
		switch {
		case c == '"':
			e.scratch = s
			return msgp.AppendStringFromBytes(dst, valid(s)), nil
		case c < ' ':
			return dst, e.syntax()
		case c != '\\':
			s = append(s, c)
			continue
		}
		c = e.peek()
		e.pos++
		switch c {
		case '"', '\\', '/':
			s = append(s, c)
		case 'b':
			s = append(s, '\b')
		case 'f':
			s = append(s, '\f')
		case 'n':
			s = append(s, '\n')
		case 'r':
			s = append(s, '\r')
		case 't':
			s = append(s, '\t')
		case 'u':
			r := e.hex4()
			if r < 0 {
				return dst, e.syntax()
			}
			if utf16.IsSurrogate(r) {
				r = e.lowSurrogate(r)
			}
			s = utf8.AppendRune(s, r)
		default:
			return dst, e.syntax()
		}
	}
	return dst, e.syntax()
}

// lowSurrogate returns the rune that high and the escape at pos make, or U+FFFD if they make none.
func (e *encoder) lowSurrogate(high rune) rune {
	back := e.pos
	if e.peek() == '\\' {
		e.pos++
		if e.peek() == 'u' {
			e.pos++
			if low := e.hex4(); low >= 0 {
				if r := utf16.DecodeRune(high, low); r != utf8.RuneError {
					return r
				}
			}
		}
	}
	// The other escape stands for itself.
	e.pos = back
	return utf8.RuneError
}

// hex4 returns the value of the four hexadecimal digits at pos, or -1.
func (e *encoder) hex4() rune {
	if len(e.src)-e.pos < 4 {
		return -1
	}
	var r rune
	for _, c := range e.src[e.pos : e.pos+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	e.pos += 4
	return r
}

// placeholder returns the number in the placeholder object that src starts with and the object's length, or 0, 0 if
// src starts with something else. Both keys must be there, in either order, and no other.
func placeholder(src []byte) (num uint64, length int) {
	i := 1 // behind the brace
	space := func() {
		for i < len(src) && (src[i] == ' ' || src[i] == '\t' || src[i] == '\r' || src[i] == '\n') {
			i++
		}
	}
	token := func(s string) bool {
		space()
		if !bytes.HasPrefix(src[i:], []byte(s)) {
			return false
		}
		i += len(s)
		return true
	}
	mark, number := false, false
	for range 2 {
		switch {
		case !mark && token(`"_placeholder"`):
			if mark = token(":") && token("true"); !mark {
				return 0, 0
			}
		case !number && token(`"num"`):
			if !token(":") {
				return 0, 0
			}
			space()
			start := i
			for ; i < len(src) && src[i] >= '0' && src[i] <= '9' && i-start < 9; i++ {
				num = num*10 + uint64(src[i]-'0')
			}
			if number = i > start; !number {
				return 0, 0
			}
		default:
			return 0, 0
		}
		if mark && number {
			break
		}
		if !token(",") {
			return 0, 0
		}
	}
	if !token("}") {
		return 0, 0
	}
	return num, i
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string literal.
func appendString(dst, s []byte) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\uFFFD"...)
				start = i + 1
			}
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
