package jsonpack

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"unsafe"

	"github.com/tinylib/msgp/msgp"

	"github.com/peal-dev/peal/internal/jsonscan"
	"github.com/peal-dev/peal/internal/utf8text"
)

// MaxDepth is how deeply arrays and maps may nest, on either side: what a payload may have, and what is around it.
const MaxDepth = jsonscan.MaxDepth + 8

var (
	// ErrSyntax means that the input is no JSON, or no MessagePack.
	ErrSyntax = errors.New("jsonpack: malformed input")
	// ErrDepth means that the input nests deeper than [MaxDepth].
	ErrDepth = errors.New("jsonpack: nested too deeply")
	// ErrAttachment means that a placeholder names an attachment that is not there, or one that another has named: written
	// out for each, a small message would become a huge one.
	ErrAttachment = errors.New("jsonpack: placeholder without an attachment of its own")
	// ErrType means a MessagePack value that JSON has no form for: an unknown extension, a key that is no string.
	ErrType = errors.New("jsonpack: value without a form in JSON")
)

// maxSafe is the largest integer up to which doubles hold every integer.
const maxSafe = 1<<53 - 1

type encoder struct {
	src         []byte
	pos         int
	escapes     bool // src has some
	attachments [][]byte
	taken       []bool // which of them were written

	// counts holds the number of elements of each array and object in the order in which they open: MessagePack says
	// it in front, JSON does not say it at all.
	counts []uint32
	next   int
	open   []int32 // while counting: the places in counts of what is open

	scratch []byte // a string without its escapes
}

var encoders = sync.Pool{New: func() any { return new(encoder) }}

// AppendMsgpack appends the MessagePack form of the one JSON value in src to dst. Placeholders are replaced by the
// attachments they name, each of which may be named once; without attachments they are objects like any other. On an
// error dst is returned as it was.
func AppendMsgpack(dst, src []byte, attachments [][]byte) ([]byte, error) {
	e := encoders.Get().(*encoder)
	defer func() {
		e.src, e.attachments = nil, nil
		clear(e.taken)
		encoders.Put(e)
	}()
	// notepack would refuse the whole message because of one byte that is no UTF-8.
	src = utf8text.Bytes(src)
	e.src, e.attachments, e.pos, e.next = src, attachments, 0, 0
	e.escapes = bytes.IndexByte(src, '\\') >= 0
	e.taken = slices.Grow(e.taken[:0], len(attachments))[:len(attachments)]
	if err := e.count(); err != nil {
		return dst, err
	}
	e.space()
	out, err := e.value(dst)
	if err != nil {
		return dst, err
	}
	if e.space(); e.pos != len(src) {
		return dst, e.syntax()
	}
	return out, nil
}

func (e *encoder) syntax() error { return fmt.Errorf("%w: JSON at byte %d", ErrSyntax, e.pos) }

// count fills counts. It trusts the input to be JSON: what it gets wrong otherwise, value finds.
func (e *encoder) count() error {
	e.counts, e.open = e.counts[:0], e.open[:0]
	for i := 0; i < len(e.src); i++ {
		c := e.src[i]
		switch c {
		case ' ', '\t', '\r', '\n', ':':
			continue
		case ']', '}':
			if len(e.open) == 0 {
				return ErrSyntax
			}
			e.open = e.open[:len(e.open)-1]
			continue
		}
		if top := len(e.open) - 1; top >= 0 {
			if n := &e.counts[e.open[top]]; c == ',' || *n == 0 {
				*n++
			}
		}
		switch c {
		case '[', '{':
			if len(e.open) == MaxDepth {
				return ErrDepth
			}
			e.open = append(e.open, int32(len(e.counts)))
			e.counts = append(e.counts, 0)
		case '"':
			end := jsonscan.String(e.src, i)
			if end < 0 {
				return ErrSyntax
			}
			i = end - 1
		}
	}
	if len(e.open) > 0 {
		return ErrSyntax
	}
	return nil
}

func (e *encoder) space() { e.pos = jsonscan.Space(e.src, e.pos) }

// peek returns the next byte, or 0 at the end.
func (e *encoder) peek() byte {
	if e.pos < len(e.src) {
		return e.src[e.pos]
	}
	return 0
}

// value appends the value at pos, which is not white space. The depth was checked by count.
func (e *encoder) value(dst []byte) ([]byte, error) {
	switch e.peek() {
	case '"':
		return e.str(dst)
	case '[':
		return e.array(dst)
	case '{':
		return e.object(dst)
	case 't':
		return msgp.AppendBool(dst, true), e.literal("true")
	case 'f':
		return msgp.AppendBool(dst, false), e.literal("false")
	case 'n':
		return msgp.AppendNil(dst), e.literal("null")
	}
	return e.number(dst)
}

func (e *encoder) literal(word string) error {
	if len(e.src)-e.pos < len(word) || string(e.src[e.pos:e.pos+len(word)]) != word {
		return e.syntax()
	}
	e.pos += len(word)
	return nil
}

// enter returns the number of elements of the container at pos and steps over its bracket.
func (e *encoder) enter() uint32 {
	n := e.counts[e.next]
	e.next++
	e.pos++
	return n
}

// more steps to the next of n elements after the i-th, or over the closing bracket.
func (e *encoder) more(i, n uint32, closing byte) error {
	e.space()
	want := byte(',')
	if i == n {
		want = closing
	}
	if e.peek() != want {
		return e.syntax()
	}
	e.pos++
	if i < n {
		e.space()
	}
	return nil
}

func (e *encoder) array(dst []byte) (_ []byte, err error) {
	n := e.enter()
	dst = msgp.AppendArrayHeader(dst, n)
	e.space()
	if n == 0 {
		return dst, e.more(0, 0, ']')
	}
	for i := uint32(1); i <= n; i++ {
		if dst, err = e.value(dst); err != nil {
			return dst, err
		}
		if err = e.more(i, n, ']'); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func (e *encoder) object(dst []byte) (_ []byte, err error) {
	if len(e.attachments) > 0 {
		if num, end := jsonscan.Placeholder(e.src, e.pos); end > 0 {
			if num >= len(e.attachments) || e.taken[num] {
				return dst, fmt.Errorf("%w: %d of %d", ErrAttachment, num, len(e.attachments))
			}
			e.taken[num] = true
			e.enter()
			e.pos = end
			return msgp.AppendBytes(dst, e.attachments[num]), nil
		}
	}
	n := e.enter()
	dst = msgp.AppendMapHeader(dst, n)
	e.space()
	if n == 0 {
		return dst, e.more(0, 0, '}')
	}
	for i := uint32(1); i <= n; i++ {
		if e.peek() != '"' {
			return dst, e.syntax()
		}
		if dst, err = e.str(dst); err != nil {
			return dst, err
		}
		if e.space(); e.peek() != ':' {
			return dst, e.syntax()
		}
		e.pos++
		e.space()
		if dst, err = e.value(dst); err != nil {
			return dst, err
		}
		if err = e.more(i, n, '}'); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// str appends the string literal at pos, which is whole: count has seen its end.
func (e *encoder) str(dst []byte) ([]byte, error) {
	start := e.pos
	e.pos = jsonscan.String(e.src, start)
	if !e.escapes || bytes.IndexByte(e.src[start:e.pos], '\\') < 0 {
		return msgp.AppendStringFromBytes(dst, e.src[start+1:e.pos-1]), nil
	}
	e.scratch = jsonscan.AppendUnquoted(e.scratch[:0], e.src[start:e.pos])
	return msgp.AppendStringFromBytes(dst, e.scratch), nil
}

func (e *encoder) number(dst []byte) ([]byte, error) {
	start := e.pos
	if start == len(e.src) {
		return dst, e.syntax()
	}
	end := jsonscan.Number(e.src, start)
	if end < 0 {
		return dst, e.syntax()
	}
	e.pos = end
	first := start
	if e.src[first] == '-' {
		first++
	}
	if end-first <= 15 && jsonscan.Digits(e.src, first) == end {
		var n int64
		for _, c := range e.src[first:end] {
			n = n*10 + int64(c-'0')
		}
		if first > start {
			n = -n
		}
		return appendInt(dst, n), nil
	}
	// The string does not outlive the call: ParseFloat copies what it puts into its error.
	f, err := strconv.ParseFloat(unsafe.String(&e.src[start], end-start), 64)
	switch {
	case err != nil:
		// Out of range: infinity to JavaScript, which is null in JSON.
		return msgp.AppendNil(dst), nil
	case f == math.Trunc(f) && math.Abs(f) <= maxSafe:
		return appendInt(dst, int64(f)), nil
	}
	return msgp.AppendFloat64(dst, f), nil
}

func appendInt(dst []byte, n int64) []byte {
	if n >= 0 {
		return msgp.AppendUint64(dst, uint64(n))
	}
	return msgp.AppendInt64(dst, n)
}
