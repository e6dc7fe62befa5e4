package sioproto

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/peal-dev/peal/internal/jsonscan"
	"github.com/peal-dev/peal/internal/utf8text"
	"github.com/peal-dev/peal/message"
)

// rules are those of encoding/json, which is what Go programmers tag their types for, without the escaping that is
// meant for HTML and without its habit of carrying on after an error.
var rules = json.JoinOptions(
	jsonv1.DefaultOptionsV1(),
	jsonv1.ReportErrorsWithLegacySemantics(false),
	jsontext.EscapeForHTML(false),
	jsontext.EscapeForJS(false),
)

// MarshalArgs returns args as a JSON array, the payload of an ACK. The rules are those of encoding/json, except that
// '<', '>' and '&' are not escaped and that a []byte, anywhere in the arguments, becomes an attachment with a
// placeholder in its place. A nil []byte becomes null. The attachments are copies, appended to attachments, and
// numbered from len(attachments). Values that JSON cannot express, such as NaN or a channel, or that nest too deeply, are
// an error that names the argument's index. Text is UTF-8 in the result, whatever a raw message or a MarshalJSON wrote:
// what is not becomes U+FFFD.
//
// A value that looks like a placeholder, {"_placeholder":true,…}, is plain data. Beside attachments nobody could tell it
// from a real one, and clients would close their connection: it is an [*Error] of kind [IllegalAttachments].
func MarshalArgs(args ...any) (data []byte, attachments [][]byte, err error) {
	return marshal("", false, args)
}

// MarshalEvent returns the payload of an EVENT: the array of the event's name and its arguments, by the rules of
// [MarshalArgs]. A reserved name is an [*Error] of kind [ReservedName].
func MarshalEvent(event string, args ...any) (data []byte, attachments [][]byte, err error) {
	if message.Reserved(event) {
		return nil, nil, &Error{Kind: ReservedName, Detail: strconv.Quote(event)}
	}
	return marshal(event, true, args)
}

func marshal(event string, isEvent bool, args []any) ([]byte, [][]byte, error) {
	e := encoders.Get().(*encoder)
	defer e.release()
	e.buf.WriteByte('[')
	if isEvent {
		e.string(event)
	}
	for i, arg := range args {
		if i > 0 || isEvent {
			e.buf.WriteByte(',')
		}
		if err := e.value(arg); err != nil {
			return nil, nil, fmt.Errorf("sioproto: argument %d: %w", i, err)
		}
	}
	e.buf.WriteByte(']')
	data := e.buf.Bytes()
	if e.foreign {
		if err := e.checkForeign(); err != nil {
			return nil, nil, fmt.Errorf("sioproto: %w", err)
		}
		data = utf8text.Bytes(data)
	}
	return bytes.Clone(data), e.out, nil
}

// encoder is pooled because the function that sees the []byte values of an argument has to be bound to the list of
// attachments, and the JSON package keeps a cache in each such function.
type encoder struct {
	buf     bytes.Buffer
	out     [][]byte
	foreign bool // there is JSON in buf that others wrote
	opts    json.Options
}

var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.opts = json.JoinOptions(rules, json.WithMarshalers(json.MarshalToFunc(
		func(enc *jsontext.Encoder, b []byte) error {
			if b == nil {
				return enc.WriteToken(jsontext.Null)
			}
			return enc.WriteValue(e.attach(nil, b))
		})))
	return e
}}

// maxPooled keeps a rare huge message from staying in memory for good.
const maxPooled = 64 << 10

func (e *encoder) release() {
	e.out, e.foreign = nil, false
	if e.buf.Cap() > maxPooled {
		return
	}
	e.buf.Reset()
	encoders.Put(e)
}

// attach copies b: the message may still wait in a queue when the caller reuses its buffer.
func (e *encoder) attach(dst, b []byte) []byte {
	c := make([]byte, len(b))
	copy(c, b)
	e.out = append(e.out, c)
	return jsonscan.AppendPlaceholder(dst, len(e.out)-1)
}

// checkForeign returns an error if what others wrote looks like a placeholder beside attachments. As many underscores as
// attachments are those of the placeholders that e wrote; without an escape there is no other way to write the word.
func (e *encoder) checkForeign() error {
	data := e.buf.Bytes()
	if len(e.out) == 0 || bytes.Count(data, underscore) == len(e.out) && bytes.IndexByte(data, '\\') < 0 {
		return nil
	}
	return checkPlaceholders(data, len(e.out))
}

var underscore = []byte{'_'}

// value writes the common types by hand; the rest is left to the JSON package.
func (e *encoder) value(v any) error {
	dst := e.buf.AvailableBuffer()
	switch v := v.(type) {
	case nil:
		dst = append(dst, "null"...)
	case string:
		e.string(v)
		return nil
	case bool:
		dst = strconv.AppendBool(dst, v)
	case int:
		dst = strconv.AppendInt(dst, int64(v), 10)
	case int64:
		dst = strconv.AppendInt(dst, v, 10)
	case int32:
		dst = strconv.AppendInt(dst, int64(v), 10)
	case uint64:
		dst = strconv.AppendUint(dst, v, 10)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("JSON has no number %v", v)
		}
		dst = jsontext.AppendFloat(dst, v, 64)
	case []byte:
		if v == nil {
			dst = append(dst, "null"...)
			break
		}
		dst = e.attach(dst, v)
	case stdjson.RawMessage:
		return e.raw(v)
	case jsontext.Value:
		return e.raw(v)
	default:
		e.foreign = true
		start := e.buf.Len()
		if err := json.MarshalWrite(&e.buf, v, e.opts); err != nil {
			return err
		}
		return checkDepth(e.buf.Bytes()[start:])
	}
	e.buf.Write(dst)
	return nil
}

// checkDepth returns an error if the valid JSON value v nests too deeply for an argument.
func checkDepth(v []byte) error {
	// Most values are too short to nest that deep, with a bracket at either end of each level.
	if len(v) >= 2*MaxDepth && jsonscan.Value(v, 0, 1) != len(v) {
		return fmt.Errorf("nested more than %d levels deep", MaxDepth)
	}
	return nil
}

func (e *encoder) raw(v []byte) error {
	if v == nil {
		e.buf.WriteString("null")
		return nil
	}
	if i := jsonscan.Value(v, jsonscan.Space(v, 0), 1); i < 0 || jsonscan.Space(v, i) != len(v) {
		return errors.New("raw message is not JSON, or nested too deeply")
	}
	e.foreign = true
	e.buf.Write(v)
	return nil
}

func (e *encoder) string(s string) {
	// The error says that s is not UTF-8; the text then has U+FFFD in the place of what is not.
	dst, _ := jsontext.AppendQuote(e.buf.AvailableBuffer(), s)
	e.buf.Write(dst)
}
