package redislog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/internal/redisx"
	"github.com/peal-dev/peal/message"
)

// maxItem is how large a value of Redis is at most, by its default.
const maxItem = 512 << 20

// errItem says that an item is not as it was written.
var errItem = errors.New("redislog: a malformed item")

// encode writes an item: how many attachments it has, the length of each part, and the parts.
func encode(i *eventlog.Item) (string, error) {
	size := i.Size()
	if size > maxItem-1024 {
		return "", fmt.Errorf("%w: an item of %d bytes is more than Redis takes", eventlog.ErrInvalid, size)
	}
	head := binary.AppendUvarint(nil, uint64(len(i.Attachments)))
	for _, a := range i.Attachments {
		head = binary.AppendUvarint(head, uint64(len(a)))
	}
	var b strings.Builder
	b.Grow(len(head) + int(size))
	b.Write(head)
	for _, a := range i.Attachments {
		b.Write(a)
	}
	b.Write(i.Data)
	return b.String(), nil
}

// decode reads an offset and an item as the script answers them.
func decode(entry any) (i eventlog.Item, err error) {
	pair, _ := entry.([]any)
	if len(pair) != 2 {
		return i, errItem
	}
	offset, _ := pair[0].(string)
	text, ok1 := pair[1].(string)
	var ok2 bool
	if i.Offset, ok2 = message.ParseOffset(offset); !ok1 || !ok2 {
		return i, errItem
	}
	return i, read(&i, []byte(text))
}

func read(i *eventlog.Item, b []byte) error {
	count, n := binary.Uvarint(b)
	if n <= 0 || count > uint64(len(b)) { // each has one byte of length at least
		return errItem
	}
	b = b[n:]
	sizes := make([]uint64, count)
	for k := range sizes {
		if sizes[k], n = binary.Uvarint(b); n <= 0 {
			return errItem
		}
		b = b[n:]
	}
	for _, size := range sizes {
		if size > uint64(len(b)) {
			return errItem
		}
		i.Attachments = append(i.Attachments, b[:size:size])
		b = b[size:]
	}
	i.Data = b
	return nil
}

func isAnswer(err error) bool { return redisx.IsAnswer(err) }
