package jsonpack

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/peal-dev/peal/internal/jsonscan"
)

// AppendJSON appends the JSON form of the MessagePack value that src starts with to dst, and each binary value in it to
// attachments: its placeholder holds its index there. It returns what follows the value in src. The attachments are
// parts of src, not copies.
func AppendJSON(dst []byte, attachments [][]byte, src []byte) (json []byte, atts [][]byte, rest []byte, err error) {
	d := decoder{attachments: attachments}
	if dst, rest, err = d.value(dst, src, 0); err != nil {
		return nil, nil, nil, err
	}
	return dst, d.attachments, rest, nil
}

type decoder struct {
	attachments [][]byte
}

// value appends the value at the start of src, which depth containers are around.
func (d *decoder) value(dst, src []byte, depth int) (_, rest []byte, err error) {
	if len(src) == 0 {
		return dst, src, malformed(msgp.ErrShortBytes)
	}
	switch c := src[0]; {
	case c <= 0x7f: // positive fixint
		return strconv.AppendUint(dst, uint64(c), 10), src[1:], nil
	case c >= 0xe0: // negative fixint
		return strconv.AppendInt(dst, int64(int8(c)), 10), src[1:], nil
	case c <= 0x8f, c == 0xde, c == 0xdf:
		return d.object(dst, src, depth)
	case c <= 0x9f, c == 0xdc, c == 0xdd:
		return d.array(dst, src, depth)
	case c <= 0xbf, c >= 0xd9 && c <= 0xdb:
		s, rest, err := msgp.ReadStringZC(src)
		if err != nil {
			return dst, src, malformed(err)
		}
		return AppendText(dst, s), rest, nil
	case c == 0xc0:
		return append(dst, "null"...), src[1:], nil
	case c == 0xc2:
		return append(dst, "false"...), src[1:], nil
	case c == 0xc3:
		return append(dst, "true"...), src[1:], nil
	case c >= 0xc4 && c <= 0xc6:
		b, rest, err := msgp.ReadBytesZC(src)
		if err != nil {
			return dst, src, malformed(err)
		}
		return d.bytes(dst, b), rest, nil
	case c == 0xca:
		f, rest, err := msgp.ReadFloat32Bytes(src)
		if err != nil {
			return dst, src, malformed(err)
		}
		return AppendFloat(dst, float64(f)), rest, nil
	case c == 0xcb:
		f, rest, err := msgp.ReadFloat64Bytes(src)
		if err != nil {
			return dst, src, malformed(err)
		}
		return AppendFloat(dst, f), rest, nil
	case c >= 0xcc && c <= 0xcf:
		n, rest, err := msgp.ReadUint64Bytes(src)
		if err != nil {
			return dst, src, malformed(err)
		}
		return strconv.AppendUint(dst, n, 10), rest, nil
	case c >= 0xd0 && c <= 0xd3:
		n, rest, err := msgp.ReadInt64Bytes(src)
		if err != nil {
			return dst, src, malformed(err)
		}
		return strconv.AppendInt(dst, n, 10), rest, nil
	case c != 0xc1:
		return d.extension(dst, src)
	}
	return dst, src, fmt.Errorf("%w: MessagePack: byte 0xc1", ErrSyntax)
}

func malformed(err error) error { return fmt.Errorf("%w: MessagePack: %w", ErrSyntax, err) }

func (d *decoder) array(dst, src []byte, depth int) (_, rest []byte, err error) {
	if depth == MaxDepth {
		return dst, src, ErrDepth
	}
	n, src, err := msgp.ReadArrayHeaderBytes(src)
	if err != nil {
		return dst, src, malformed(err)
	}
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, src, err = d.value(dst, src, depth+1); err != nil {
			return dst, src, err
		}
	}
	return append(dst, ']'), src, nil
}

func (d *decoder) object(dst, src []byte, depth int) (_, rest []byte, err error) {
	if depth == MaxDepth {
		return dst, src, ErrDepth
	}
	n, src, err := msgp.ReadMapHeaderBytes(src)
	if err != nil {
		return dst, src, malformed(err)
	}
	dst = append(dst, '{')
	first := true
	for range n {
		start := len(dst)
		if !first {
			dst = append(dst, ',')
		}
		if dst, src, err = d.key(dst, src); err != nil {
			return dst, src, err
		}
		if undefined(src) {
			// JSON.stringify leaves out members that are undefined.
			dst, src = dst[:start], src[3:]
			continue
		}
		first = false
		dst = append(dst, ':')
		if dst, src, err = d.value(dst, src, depth+1); err != nil {
			return dst, src, err
		}
	}
	return append(dst, '}'), src, nil
}

// key appends the key at the start of src. Keys are strings; an integer, as a Map may have, becomes one.
func (d *decoder) key(dst, src []byte) (_, rest []byte, err error) {
	if len(src) == 0 {
		return dst, src, malformed(msgp.ErrShortBytes)
	}
	switch msgp.NextType(src) {
	case msgp.StrType:
		return d.value(dst, src, 0)
	case msgp.IntType, msgp.UintType:
		dst, rest, err = d.value(append(dst, '"'), src, 0)
		return append(dst, '"'), rest, err
	}
	return dst, src, fmt.Errorf("%w: key of type %v", ErrType, msgp.NextType(src))
}

func (d *decoder) bytes(dst, b []byte) []byte {
	dst = jsonscan.AppendPlaceholder(dst, len(d.attachments))
	d.attachments = append(d.attachments, b[:len(b):len(b)])
	return dst
}

// undefined reports whether src starts with notepack 2's undefined, a fixext1 of type 0.
func undefined(src []byte) bool { return len(src) >= 3 && src[0] == 0xd4 && src[1] == 0 }

// extension appends the extension value at the start of src.
func (d *decoder) extension(dst, src []byte) (_, rest []byte, err error) {
	lead := src[0]
	size, head := 0, 0 // of the content, and of what stands before the type
	switch lead {
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		size, head = 1<<(lead-0xd4), 1
	default: // 0xc7, 0xc8, 0xc9: the length in 1, 2 or 4 bytes
		width := 1 << (lead - 0xc7)
		head = 1 + width
		if len(src) < head {
			return dst, src, malformed(msgp.ErrShortBytes)
		}
		for _, b := range src[1:head] {
			size = size<<8 | int(b)
		}
	}
	if len(src)-head-1 < size {
		return dst, src, malformed(msgp.ErrShortBytes)
	}
	kind, content, rest := int8(src[head]), src[head+1:head+1+size], src[head+1+size:]
	switch {
	case kind == -1:
		dst, err = appendTimestamp(dst, content)
		return dst, rest, err
	case kind != 0:
		return dst, src, fmt.Errorf("%w: extension %d", ErrType, kind)
	case lead == 0xd4: // undefined
		return append(dst, "null"...), rest, nil
	case lead == 0xd7: // notepack 2's Date; an ArrayBuffer of eight bytes comes with 0xc7
		return AppendDate(dst, int64(binary.BigEndian.Uint64(content))), rest, nil
	}
	return d.bytes(dst, content), rest, nil
}

// appendTimestamp appends MessagePack's own timestamp type.
func appendTimestamp(dst, content []byte) ([]byte, error) {
	var sec, nsec int64
	switch len(content) {
	case 4:
		sec = int64(binary.BigEndian.Uint32(content))
	case 8:
		v := binary.BigEndian.Uint64(content)
		nsec, sec = int64(v>>34), int64(v&(1<<34-1))
	case 12:
		nsec, sec = int64(binary.BigEndian.Uint32(content)), int64(binary.BigEndian.Uint64(content[4:]))
	default:
		return dst, fmt.Errorf("%w: timestamp of %d bytes", ErrSyntax, len(content))
	}
	if nsec > 999_999_999 {
		return dst, fmt.Errorf("%w: timestamp with %d ns", ErrSyntax, nsec)
	}
	if sec < -maxDate/1000 || sec > maxDate/1000 {
		return append(dst, "null"...), nil
	}
	return AppendDate(dst, sec*1000+nsec/1_000_000), nil
}

// maxDate is how many milliseconds from 1970 a JavaScript Date reaches. Beyond, it is invalid: null in JSON.
const maxDate = 8_640_000_000_000_000

// AppendDate appends what JSON.stringify makes of a Date.
func AppendDate(dst []byte, ms int64) []byte {
	if ms < -maxDate || ms > maxDate {
		return append(dst, "null"...)
	}
	t := time.UnixMilli(ms).UTC()
	dst = append(dst, '"')
	if y := t.Year(); y >= 0 && y <= 9999 {
		dst = t.AppendFormat(dst, "2006")
	} else {
		dst = fmt.Appendf(dst, "%+07d", y)
	}
	return t.AppendFormat(dst, `-01-02T15:04:05.000Z"`)
}

// AppendFloat appends f as JSON.stringify does.
func AppendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	if f == 0 {
		return append(dst, '0') // also for -0
	}
	if abs := math.Abs(f); abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	// Go writes 1e-09, JavaScript 1e-9.
	if n := len(dst); dst[n-4] == 'e' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}
