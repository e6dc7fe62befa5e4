package pealwire

import (
	"encoding/binary"
	"errors"
)

// ErrShort means that bytes end before what they promise.
var ErrShort = errors.New("pealwire: more is promised than there is")

// AppendText appends s behind its length.
func AppendText[T ~string | ~[]byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// CutText takes from b what [AppendText] has appended, which it does not copy.
func CutText(b []byte) (text, rest []byte, err error) {
	n, rest, err := cutNumber(b)
	if err != nil || n > uint64(len(rest)) {
		return nil, nil, ErrShort
	}
	return rest[:n:n], rest[n:], nil
}

func cutNumber(b []byte) (n uint64, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return 0, nil, ErrShort
	}
	return n, b[size:], nil
}

// cutCount takes a count of texts from b, of which each has a byte at least: b holds them, or it fails.
func cutCount(b []byte) (n int, rest []byte, err error) {
	count, rest, err := cutNumber(b)
	if err != nil || count > uint64(len(rest)) {
		return 0, nil, ErrShort
	}
	return int(count), rest, nil
}
