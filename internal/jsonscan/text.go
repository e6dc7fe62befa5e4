package jsonscan

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/peal-dev/peal/internal/utf8text"
)

// AppendUnquoted appends the text of a valid string literal, quotes included, to dst. The result is UTF-8: half a
// surrogate pair and bytes that are no UTF-8 become U+FFFD.
func AppendUnquoted(dst, literal []byte) []byte {
	s := utf8text.Bytes(literal[1 : len(literal)-1])
	for {
		i := bytes.IndexByte(s, '\\')
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:i]...)
		c := s[i+1]
		s = s[i+2:]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r := hex4(s)
			s = s[4:]
			if utf16.IsSurrogate(r) {
				if r = pair(r, s); r != utf8.RuneError {
					s = s[6:]
				}
			}
			dst = utf8.AppendRune(dst, r)
			continue
		}
		dst = append(dst, c)
	}
}

// pair returns the rune that the surrogate high and an escape at the start of s make, or U+FFFD if they make none; the
// escape stands for itself then.
func pair(high rune, s []byte) rune {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return utf8.RuneError
	}
	return utf16.DecodeRune(high, hex4(s[2:]))
}

// hex4 returns the value of the four hexadecimal digits that s starts with.
func hex4(s []byte) rune {
	var r rune
	for _, c := range s[:4] {
		if c > '9' {
			c = c&7 + 9 // the digits a to f, of either case
		}
		r = r<<4 | rune(c&15)
	}
	return r
}

// Unquote returns the text of raw, and whether it is one string literal and nothing else. The text is as
// [AppendUnquoted] says.
func Unquote(raw []byte) (text string, ok bool) {
	if len(raw) < 2 || raw[0] != '"' || String(raw, 0) != len(raw) {
		return "", false
	}
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return string(utf8text.Bytes(inner)), true
	}
	return string(AppendUnquoted(nil, raw)), true
}
