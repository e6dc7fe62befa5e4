package eioproto

import (
	"strings"
	"unicode/utf8"
)

// JSONPIndex keeps the digits of a request's j parameter and drops the rest, so that nothing a client sends becomes
// part of a script.
func JSONPIndex(j string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, j)
}

// AppendJSONP appends the script that hands payload to the JSONP callback with the given index, `___eio[0]("…");`,
// to dst and returns the extended slice. U+2028 and U+2029 are escaped: they end a line in older script engines.
func AppendJSONP(dst []byte, index string, payload []byte) []byte {
	dst = append(dst, "___eio["...)
	dst = append(dst, JSONPIndex(index)...)
	dst = append(dst, "]("...)
	dst = appendScriptString(dst, payload)
	return append(dst, ");"...)
}

func appendScriptString(dst, s []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for len(s) > 0 {
		switch c := s[0]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
			s = s[1:]
		case c < 0x20 || c == '<' || c == '>' || c == '&' || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			s = s[1:]
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			s = s[1:]
		default:
			r, n := utf8.DecodeRune(s)
			switch {
			case r == '\u2028':
				dst = append(dst, `\u2028`...)
			case r == '\u2029':
				dst = append(dst, `\u2029`...)
			default:
				dst = utf8.AppendRune(dst, r) // invalid UTF-8 becomes U+FFFD, as in JSON
			}
			s = s[n:]
		}
	}
	return append(dst, '"')
}

// DecodeJSONPData undoes what JSONP clients do to a payload before they put it into the form field d: a newline is
// sent as backslash-n (browsers rewrite real ones in a form), and a backslash before an n is doubled.
func DecodeJSONPData(d string) []byte {
	out := make([]byte, 0, len(d))
	for i := 0; i < len(d); i++ {
		switch {
		case strings.HasPrefix(d[i:], `\\n`):
			out = append(out, '\\', 'n')
			i += 2
		case strings.HasPrefix(d[i:], `\n`):
			out = append(out, '\n')
			i++
		default:
			out = append(out, d[i])
		}
	}
	return out
}
