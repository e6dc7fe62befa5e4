package sioproto

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/peal-dev/peal/internal/jsonscan"
)

// Unmarshal stores one argument, as [Elements] returns it, in the value v points to. The rules are those of
// encoding/json, except that a json.RawMessage is raw itself, not a copy. A placeholder becomes the attachment it refers to in a []byte and in an any, at any depth; the
// []byte is the attachment itself, not a copy. A []byte also takes a base64 string, as in encoding/json. Without
// attachments a placeholder is plain data.
func Unmarshal(raw []byte, attachments [][]byte, v any) error {
	if len(attachments) == 0 {
		if m, ok := v.(*stdjson.RawMessage); ok && len(raw) > 0 {
			*m = raw[:len(raw):len(raw)]
			return nil
		}
		if s, ok := v.(*string); ok && len(raw) > 0 && raw[0] == '"' {
			text, ok := jsonscan.Unquote(raw)
			if !ok {
				return invalid("not a string")
			}
			*s = text
			return nil
		}
		return describe(json.Unmarshal(raw, v, rules))
	}
	d := decoders.Get().(*decoder)
	d.attachments = attachments
	err := json.Unmarshal(raw, v, d.opts)
	d.attachments = nil
	decoders.Put(d)
	return describe(err)
}

// describe says what failed; the JSON package's error says where in the argument and into which Go type.
func describe(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sioproto: cannot decode argument: %w", err)
}

// decoder is pooled for the same reason as encoder.
type decoder struct {
	attachments [][]byte
	opts        json.Options
}

var decoders = sync.Pool{New: func() any {
	d := new(decoder)
	d.opts = json.JoinOptions(rules, json.WithUnmarshalers(json.JoinUnmarshalers(
		json.UnmarshalFromFunc(d.bytes),
		json.UnmarshalFromFunc(d.any),
	)))
	return d
}}

func (d *decoder) bytes(dec *jsontext.Decoder, b *[]byte) error {
	if dec.PeekKind() != '{' {
		return errors.ErrUnsupported
	}
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	num, end := jsonscan.Placeholder(raw, 0)
	if end != len(raw) {
		return errors.New("an object is not binary data")
	}
	if num >= len(d.attachments) {
		return &Error{Kind: IllegalAttachments, Detail: "placeholder out of range"}
	}
	*b = d.attachments[num]
	return nil
}

// any builds the tree by hand, so that a value is read once however deep the placeholders sit in it.
func (d *decoder) any(dec *jsontext.Decoder, v *any) error {
	if *v != nil {
		// The caller put something into the interface to decode into, as encoding/json allows.
		return errors.ErrUnsupported
	}
	var err error
	*v, err = d.tree(dec)
	return err
}

func (d *decoder) tree(dec *jsontext.Decoder) (any, error) {
	tok, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch tok.Kind() {
	case 'n':
		return nil, nil
	case 't', 'f':
		return tok.Bool(), nil
	case '"':
		return tok.String(), nil
	case '0':
		f, err := strconv.ParseFloat(tok.String(), 64)
		if err != nil {
			return nil, fmt.Errorf("number out of range")
		}
		return f, nil
	case '[':
		return d.array(dec)
	}
	return d.object(dec)
}

func (d *decoder) array(dec *jsontext.Decoder) (any, error) {
	list := []any{}
	for dec.PeekKind() != ']' {
		v, err := d.tree(dec)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := dec.ReadToken()
	return list, err
}

func (d *decoder) object(dec *jsontext.Decoder) (any, error) {
	m := map[string]any{}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String()
		if m[key], err = d.tree(dec); err != nil {
			return nil, err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	if m["_placeholder"] != true {
		return m, nil
	}
	num, ok := m["num"].(float64)
	if i := int(num); ok && num >= 0 && num < float64(len(d.attachments)) && num == float64(i) {
		return d.attachments[i], nil
	}
	return nil, &Error{Kind: IllegalAttachments, Detail: "placeholder out of range"}
}
