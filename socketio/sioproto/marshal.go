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
)

// rules are those of encoding/json, which is what Go programmers tag their types for, without the escaping that is
// meant for HTML and without its habit of carrying on after an error.
var rules = json.JoinOptions(
	jsonv1.DefaultOptionsV1(),
	jsonv1.ReportErrorsWithLegacySemantics(false),
	jsontext.EscapeForHTML(false),
	jsontext.EscapeForJS(false),
)

// Marshal returns args as a JSON array, the payload of an ACK. The rules are those of encoding/json, except that
// '<', '>' and '&' are not escaped and that a []byte, anywhere in the arguments, becomes an attachment with a
// placeholder in its place. A nil []byte becomes null. The attachments are copies, appended to attachments, and
// numbered from len(attachments). Values that JSON cannot express, such as NaN or a channel, are an error that names
// the argument's index.
func Marshal(attachments [][]byte, args ...any) (data []byte, out [][]byte, err error) {
	return marshal(attachments, "", false, args)
}

// MarshalEvent returns the payload of an EVENT: the array of the event's name and its arguments, by the rules of
// [Marshal]. A reserved name is an [*Error] of kind [ReservedName].
func MarshalEvent(event string, args ...any) (data []byte, attachments [][]byte, err error) {
	if err := ValidateEventName(event); err != nil {
		return nil, nil, err
	}
	return marshal(nil, event, true, args)
}

func marshal(attachments [][]byte, event string, isEvent bool, args []any) ([]byte, [][]byte, error) {
	e := encoders.Get().(*encoder)
	defer e.release()
	e.out = attachments
	e.buf.WriteByte('[')
	if isEvent {
		e.string(event)
	}
	for i, arg := range args {
		if i > 0 || isEvent {
			e.buf.WriteByte(',')
		}
		if err := e.value(arg); err != nil {
			return nil, attachments, fmt.Errorf("sioproto: argument %d: %w", i, err)
		}
	}
	e.buf.WriteByte(']')
	return bytes.Clone(e.buf.Bytes()), e.out, nil
}

// encoder is pooled because the function that sees the []byte values of an argument has to be bound to the list of
// attachments, and the JSON package keeps a cache in each such function.
type encoder struct {
	buf  bytes.Buffer
	out  [][]byte
	opts json.Options
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
	e.out = nil
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
	return appendPlaceholder(dst, len(e.out)-1)
}

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
		return json.MarshalWrite(&e.buf, v, e.opts)
	}
	e.buf.Write(dst)
	return nil
}

func (e *encoder) raw(v []byte) error {
	if v == nil {
		e.buf.WriteString("null")
		return nil
	}
	if !Valid(v) {
		return errors.New("raw message is not JSON, or nested too deeply")
	}
	e.buf.Write(v)
	return nil
}

func (e *encoder) string(s string) {
	// The error says that s is not UTF-8; the text then has U+FFFD in the place of what is not.
	dst, _ := jsontext.AppendQuote(e.buf.AvailableBuffer(), s)
	e.buf.Write(dst)
}
