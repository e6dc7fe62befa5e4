package jsonbson

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"github.com/peal-dev/peal/adapter/internal/jsonpack"
	"github.com/peal-dev/peal/internal/jsonscan"
)

// AppendJSON appends the JSON form of the BSON value v to dst, and each binary value in it to attachments: its placeholder
// holds its index there. The attachments are parts of v, not copies. On an error dst is returned as it was.
func AppendJSON(dst []byte, attachments [][]byte, v bsoncore.Value) (json []byte, atts [][]byte, err error) {
	d := decoder{attachments: attachments}
	out, err := d.value(dst, v, 0)
	if err != nil {
		return dst, attachments, err
	}
	return out, d.attachments, nil
}

type decoder struct {
	attachments [][]byte
}

// value appends v, which depth containers are around. Its length was checked when it was cut out, unless it is one of
// those that say it themselves.
func (d *decoder) value(dst []byte, v bsoncore.Value, depth int) (_ []byte, err error) {
	switch v.Type {
	case bsoncore.TypeString, bsoncore.TypeSymbol:
		s, err := str(v.Data)
		return jsonpack.AppendText(dst, s), err
	case bsoncore.TypeInt32:
		if n, ok := v.Int32OK(); ok {
			return strconv.AppendInt(dst, int64(n), 10), nil
		}
	case bsoncore.TypeInt64:
		if n, ok := v.Int64OK(); ok {
			return strconv.AppendInt(dst, n, 10), nil
		}
	case bsoncore.TypeDouble:
		if f, ok := v.DoubleOK(); ok {
			return jsonpack.AppendFloat(dst, f), nil
		}
	case bsoncore.TypeBoolean:
		if b, ok := v.BooleanOK(); ok {
			return strconv.AppendBool(dst, b), nil
		}
	case bsoncore.TypeNull, bsoncore.TypeUndefined:
		return append(dst, "null"...), nil
	case bsoncore.TypeEmbeddedDocument:
		return d.object(dst, v.Data, depth)
	case bsoncore.TypeArray:
		return d.array(dst, v.Data, depth)
	case bsoncore.TypeBinary:
		if _, b, ok := v.BinaryOK(); ok {
			dst = jsonscan.AppendPlaceholder(dst, len(d.attachments))
			d.attachments = append(d.attachments, b[:len(b):len(b)])
			return dst, nil
		}
	case bsoncore.TypeDateTime:
		if ms, ok := v.DateTimeOK(); ok {
			return jsonpack.AppendDate(dst, ms), nil
		}
	case bsoncore.TypeObjectID:
		if id, ok := v.ObjectIDOK(); ok {
			return append(hex.AppendEncode(append(dst, '"'), id[:]), '"'), nil
		}
	case bsoncore.TypeDecimal128:
		if high, low, ok := v.Decimal128OK(); ok {
			return fmt.Appendf(dst, `{"$numberDecimal":%q}`, bson.NewDecimal128(high, low).String()), nil
		}
	case bsoncore.TypeTimestamp:
		if t, i, ok := v.TimestampOK(); ok {
			return fmt.Appendf(dst, `{"$timestamp":"%d"}`, uint64(t)<<32|uint64(i)), nil
		}
	case bsoncore.TypeRegex, bsoncore.TypeMinKey, bsoncore.TypeMaxKey:
		return append(dst, "{}"...), nil
	default: // code and pointers, which no event has
		return dst, fmt.Errorf("%w: BSON type %#02x", jsonpack.ErrType, byte(v.Type))
	}
	return dst, malformed(v.Type.String())
}

func malformed(what string) error { return fmt.Errorf("%w: BSON: %s", jsonpack.ErrSyntax, what) }

// str returns the text of a string: a length, the text, and a zero byte, which the length counts.
func str(b []byte) ([]byte, error) {
	if len(b) < 5 || b[len(b)-1] != 0 {
		return nil, malformed("string")
	}
	return b[4 : len(b)-1], nil
}

// Each calls read with each element of the document b. The key is good until read returns.
func Each(b []byte, read func(key []byte, v bsoncore.Value) error) error {
	n, rest, ok := bsoncore.ReadLength(b)
	if !ok || int(n) != len(b) || n < 5 || b[n-1] != 0 {
		return malformed("document")
	}
	rest = rest[: len(rest)-1 : len(rest)-1]
	for len(rest) > 0 {
		t := bsoncore.Type(rest[0])
		key, after, ok := bsoncore.ReadKeyBytes(rest[1:])
		if !ok {
			return malformed("key")
		}
		v, after, ok := bsoncore.ReadValue(after, t)
		if !ok {
			return malformed("value of type " + t.String())
		}
		if err := read(key, v); err != nil {
			return err
		}
		rest = after
	}
	return nil
}

func (d *decoder) array(dst, b []byte, depth int) ([]byte, error) {
	if depth == jsonscan.MaxDepth {
		return dst, jsonpack.ErrDepth
	}
	dst = append(dst, '[')
	first := true
	err := Each(b, func(_ []byte, v bsoncore.Value) (err error) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst, err = d.value(dst, v, depth+1)
		return err
	})
	return append(dst, ']'), err
}

func (d *decoder) object(dst, b []byte, depth int) ([]byte, error) {
	if depth == jsonscan.MaxDepth {
		return dst, jsonpack.ErrDepth
	}
	dst = append(dst, '{')
	first := true
	err := Each(b, func(key []byte, v bsoncore.Value) (err error) {
		if v.Type == bsoncore.TypeUndefined {
			return nil // JSON.stringify leaves out such members
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(jsonpack.AppendText(dst, key), ':')
		dst, err = d.value(dst, v, depth+1)
		return err
	})
	return append(dst, '}'), err
}
