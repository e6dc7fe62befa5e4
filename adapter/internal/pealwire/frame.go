package pealwire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
)

// Kind says what a frame is.
type Kind byte

// The kinds of frames. One of another is for a later version.
const (
	KindBroadcast Kind = iota + 1 // a message for members
	KindBeat                      // how much its sender has published: see package numbers
	KindAsk                       // asks for beats that were missed
	KindHello                     // asks all for a beat
	KindLeave                     // its sender is a node no more
)

// UIDSize is the length of a link's name.
const UIDSize = 6

// UID is the name of a link.
type UID [UIDSize]byte

const (
	numberAt   = 1 + UIDSize
	headerSize = numberAt + 8
)

const flagVolatile = 1

// ErrForm means that a frame is not what it should be.
var ErrForm = errors.New("pealwire: not of the expected form")

// Header is what all frames begin with. The number of a broadcast is its place among those of its sender; that of a beat and of a
// hello says in which process the sender is, if it is not 0.
type Header struct {
	Kind   Kind
	UID    UID
	Number uint64
}

// AppendBroadcast appends the frame of a broadcast, with the number 0. It takes e as it is: the message of an envelope is JSON.
func AppendBroadcast(dst []byte, uid UID, e *adapter.Envelope) []byte {
	m := e.Message
	if dst == nil {
		dst = make([]byte, 0, broadcastSize(e))
	}
	dst = appendHeader(dst, KindBroadcast, uid)
	flags := byte(0)
	if m.Volatile {
		flags |= flagVolatile
	}
	dst = append(dst, flags)
	dst = appendTexts(dst, e.Rooms)
	dst = appendTexts(dst, e.Except)
	dst = AppendText(dst, m.Data)
	return appendTexts(dst, m.Attachments)
}

func appendHeader(dst []byte, kind Kind, uid UID) []byte {
	dst = append(append(dst, byte(kind)), uid[:]...)
	return append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
}

// Append appends a frame of another kind, with the number 0.
func Append(dst []byte, kind Kind, uid UID, body []byte) []byte {
	if dst == nil {
		dst = make([]byte, 0, headerSize+len(body))
	}
	return append(appendHeader(dst, kind, uid), body...)
}

func appendTexts[T ~string | ~[]byte](dst []byte, list []T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, s := range list {
		dst = AppendText(dst, s)
	}
	return dst
}

// broadcastSize returns how long a frame becomes, or somewhat more.
func broadcastSize(e *adapter.Envelope) int {
	const length = 4 // of a number, for most
	n := headerSize + 1 + 4*length + len(e.Message.Data)
	for _, list := range [][]string{e.Rooms, e.Except} {
		for _, s := range list {
			n += length + len(s)
		}
	}
	for _, a := range e.Message.Attachments {
		n += length + len(a)
	}
	return n
}

// SetNumber sets the number of a frame that was appended to nothing.
func SetNumber(frame []byte, n uint64) { binary.BigEndian.PutUint64(frame[numberAt:], n) }

// NumberOf returns what [SetNumber] has set.
func NumberOf(frame []byte) uint64 { return binary.BigEndian.Uint64(frame[numberAt:]) }

// NameOf returns the name of the link that has made the frame, nil if it is none.
func NameOf(frame []byte) []byte {
	if len(frame) < headerSize {
		return nil
	}
	return frame[1:numberAt]
}

// IsFrom reports whether the link of that name has made the frame.
func IsFrom(frame []byte, uid UID) bool {
	return len(frame) >= headerSize && UID(frame[1:numberAt]) == uid
}

// Parse reads the header of a frame, and returns what is behind it.
func Parse(frame []byte) (h Header, body []byte, err error) {
	if len(frame) < headerSize {
		return h, nil, ErrShort
	}
	h = Header{Kind(frame[0]), UID(frame[1:numberAt]), binary.BigEndian.Uint64(frame[numberAt:])}
	return h, frame[headerSize:], nil
}

// ParseBroadcast reads what is behind the header of a broadcast. It returns nil without an error, before it has looked at the
// message, if there are rooms and wanted says of none that anybody is in it. The envelope keeps the frame, of which nothing but what
// is no UTF-8 is copied; the frame must not change any more.
func ParseBroadcast(body []byte, maxAttachments int, wanted func(room string) bool) (*adapter.Envelope, error) {
	if len(body) == 0 {
		return nil, ErrShort
	}
	flags, b := body[0], body[1:]
	if flags&^flagVolatile != 0 {
		return nil, fmt.Errorf("%w: flags %#x", ErrForm, flags)
	}
	e := &adapter.Envelope{Kind: adapter.KindBroadcast}
	var err error
	if e.Rooms, b, err = cutStrings(b); err != nil {
		return nil, fmt.Errorf("%w: rooms: %w", ErrForm, err)
	}
	if !anyOf(e.Rooms, wanted) {
		return nil, nil
	}
	if e.Except, b, err = cutStrings(b); err != nil {
		return nil, fmt.Errorf("%w: except: %w", ErrForm, err)
	}
	data, b, err := CutText(b)
	if err != nil {
		return nil, fmt.Errorf("%w: event: %w", ErrForm, err)
	}
	n, b, err := cutCount(b)
	if err != nil {
		return nil, fmt.Errorf("%w: binaries: %w", ErrForm, err)
	}
	var attachments [][]byte
	if n > 0 {
		attachments = make([][]byte, n)
	}
	for i := range attachments {
		if attachments[i], b, err = CutText(b); err != nil {
			return nil, fmt.Errorf("%w: binaries: %w", ErrForm, err)
		}
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("%w: %d bytes behind it", ErrForm, len(b))
	}
	if e.Message, err = message.Parse(data, attachments, maxAttachments); err != nil {
		return nil, fmt.Errorf("broadcast: %w", err)
	}
	e.Message.Volatile = flags&flagVolatile != 0
	return e, nil
}

func anyOf(rooms []string, wanted func(room string) bool) bool {
	for _, room := range rooms {
		if wanted(room) {
			return true
		}
	}
	return len(rooms) == 0
}

// cutStrings takes a list of names from b. They are the bytes of b.
func cutStrings(b []byte) (list []string, rest []byte, err error) {
	n, b, err := cutCount(b)
	if err != nil || n == 0 {
		return nil, b, err
	}
	list = make([]string, n)
	for i := range list {
		var text []byte
		if text, b, err = CutText(b); err != nil {
			return nil, nil, err
		}
		list[i] = unsafe.String(unsafe.SliceData(text), len(text))
	}
	return list, b, nil
}
