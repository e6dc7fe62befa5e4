package jsonbson

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"unsafe"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"github.com/peal-dev/peal/adapter/internal/jsonpack"
	"github.com/peal-dev/peal/internal/jsonscan"
	"github.com/peal-dev/peal/internal/utf8text"
)

// MaxDepth is how deeply arrays and objects may nest in what is written: MongoDB stores 180 levels, a few of which are
// the document's around the value.
const MaxDepth = 170

type encoder struct {
	src         []byte
	pos         int
	attachments [][]byte
	taken       []bool // which of them were written
	scratch     []byte // a string without its escapes
}

var encoders = sync.Pool{New: func() any { return new(encoder) }}

// AppendElement appends the BSON element with that key and the one JSON value in src to dst. Placeholders are replaced by
// the attachments they name, each of which may be named once; without attachments they are objects like any other. On an
// error dst is returned as it was.
func AppendElement(dst []byte, key string, src []byte, attachments [][]byte) ([]byte, error) {
	e := encoders.Get().(*encoder)
	defer func() {
		e.src, e.attachments = nil, nil
		clear(e.taken)
		encoders.Put(e)
	}()
	e.src, e.attachments, e.pos = utf8text.Bytes(src), attachments, 0
	e.taken = slices.Grow(e.taken[:0], len(attachments))[:len(attachments)]
	e.space()
	out, err := e.element(append(append(append(dst, 0), key...), 0), len(dst), 0)
	if err != nil {
		return dst, err
	}
	if e.space(); e.pos != len(e.src) {
		return dst, e.syntax()
	}
	return out, nil
}

func (e *encoder) syntax() error { return fmt.Errorf("%w: JSON at byte %d", jsonpack.ErrSyntax, e.pos) }

func (e *encoder) space() { e.pos = jsonscan.Space(e.src, e.pos) }

// peek returns the next byte, or 0 at the end.
func (e *encoder) peek() byte {
	if e.pos < len(e.src) {
		return e.src[e.pos]
	}
	return 0
}

// element appends what follows the place of an element's type, which is at: the value, whose type it puts there. BSON
// says the type before the key, JSON after it.
func (e *encoder) element(dst []byte, at, depth int) ([]byte, error) {
	t, dst, err := e.value(dst, depth)
	if err == nil {
		dst[at] = byte(t)
	}
	return dst, err
}

// value appends the value at pos and says what type it is.
func (e *encoder) value(dst []byte, depth int) (bsoncore.Type, []byte, error) {
	switch e.peek() {
	case '"':
		dst, err := e.str(dst)
		return bsoncore.TypeString, dst, err
	case '[':
		dst, err := e.array(dst, depth)
		return bsoncore.TypeArray, dst, err
	case '{':
		return e.object(dst, depth)
	case 't':
		return bsoncore.TypeBoolean, append(dst, 1), e.literal("true")
	case 'f':
		return bsoncore.TypeBoolean, append(dst, 0), e.literal("false")
	case 'n':
		return bsoncore.TypeNull, dst, e.literal("null")
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

// more steps over a comma, or over the closing bracket, and reports whether there is another element.
func (e *encoder) more(closing byte) (bool, error) {
	e.space()
	switch e.peek() {
	case ',':
		e.pos++
		e.space()
		return true, nil
	case closing:
		e.pos++
		return false, nil
	}
	return false, e.syntax()
}

// enter steps over an opening bracket and reports whether there is an element before the closing one.
func (e *encoder) enter(closing byte, depth int) (bool, error) {
	if depth == MaxDepth {
		return false, fmt.Errorf("%w: %d levels is what MongoDB stores", jsonpack.ErrDepth, MaxDepth)
	}
	e.pos++
	if e.space(); e.peek() == closing {
		e.pos++
		return false, nil
	}
	return true, nil
}

// open appends room for the length of a document; done ends the document that starts at start.
func open(dst []byte) []byte { return append(dst, 0, 0, 0, 0) }

func done(dst []byte, start int) []byte {
	dst = append(dst, 0)
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start))
	return dst
}

func (e *encoder) array(dst []byte, depth int) ([]byte, error) {
	start := len(dst)
	dst = open(dst)
	more, err := e.enter(']', depth)
	for i := int64(0); more && err == nil; i++ {
		at := len(dst)
		dst = append(strconv.AppendInt(append(dst, 0), i, 10), 0)
		if dst, err = e.element(dst, at, depth+1); err == nil {
			more, err = e.more(']')
		}
	}
	return done(dst, start), err
}

func (e *encoder) object(dst []byte, depth int) (bsoncore.Type, []byte, error) {
	if len(e.attachments) > 0 {
		if num, end := jsonscan.Placeholder(e.src, e.pos); end > 0 {
			if num >= len(e.attachments) || e.taken[num] {
				return 0, dst, fmt.Errorf("%w: %d of %d", jsonpack.ErrAttachment, num, len(e.attachments))
			}
			e.taken[num] = true
			e.pos = end
			b := e.attachments[num]
			dst = append(binary.LittleEndian.AppendUint32(dst, uint32(len(b))), bsonGeneric)
			return bsoncore.TypeBinary, append(dst, b...), nil
		}
	}
	start := len(dst)
	dst = open(dst)
	more, err := e.enter('}', depth)
	for more && err == nil {
		at := len(dst)
		if dst, err = e.key(append(dst, 0)); err != nil {
			break
		}
		if dst, err = e.element(dst, at, depth+1); err == nil {
			more, err = e.more('}')
		}
	}
	return bsoncore.TypeEmbeddedDocument, done(dst, start), err
}

// bsonGeneric is the subtype of binary values without a meaning of their own.
const bsonGeneric = 0

// key appends the key at pos, with the zero byte that ends it, and steps over the colon.
func (e *encoder) key(dst []byte) ([]byte, error) {
	key, err := e.text()
	if err != nil {
		return dst, err
	}
	if bytes.IndexByte(key, 0) >= 0 {
		return dst, fmt.Errorf("%w: BSON has no key with a zero byte, as in %.32q", jsonpack.ErrType, key)
	}
	dst = append(append(dst, key...), 0)
	if e.space(); e.peek() != ':' {
		return dst, e.syntax()
	}
	e.pos++
	e.space()
	return dst, nil
}

func (e *encoder) str(dst []byte) ([]byte, error) {
	text, err := e.text()
	if err != nil {
		return dst, err
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(text)+1))
	return append(append(dst, text...), 0), nil
}

// text steps over the string literal at pos and returns what it says, until the next call.
func (e *encoder) text() ([]byte, error) {
	if e.peek() != '"' {
		return nil, e.syntax()
	}
	end := jsonscan.String(e.src, e.pos)
	if end < 0 {
		return nil, e.syntax()
	}
	literal := e.src[e.pos:end]
	e.pos = end
	if bytes.IndexByte(literal, '\\') < 0 {
		return literal[1 : len(literal)-1], nil
	}
	e.scratch = jsonscan.AppendUnquoted(e.scratch[:0], literal)
	return e.scratch, nil
}

// number appends an int32 for what is one to JavaScript, where -0 is none, and a double for the rest.
func (e *encoder) number(dst []byte) (bsoncore.Type, []byte, error) {
	start := e.pos
	end := -1
	if start < len(e.src) {
		end = jsonscan.Number(e.src, start)
	}
	if end < 0 {
		return 0, dst, e.syntax()
	}
	e.pos = end
	// The string does not outlive the call: ParseFloat copies what it puts into its error.
	f, err := strconv.ParseFloat(unsafe.String(&e.src[start], end-start), 64)
	switch {
	case err != nil:
		// Out of range: infinity to JavaScript, which is null in JSON.
		return bsoncore.TypeNull, dst, nil
	case f == math.Trunc(f) && f >= math.MinInt32 && f <= math.MaxInt32 && (f != 0 || !math.Signbit(f)):
		return bsoncore.TypeInt32, binary.LittleEndian.AppendUint32(dst, uint32(int32(f))), nil
	}
	return bsoncore.TypeDouble, binary.LittleEndian.AppendUint64(dst, math.Float64bits(f)), nil
}
