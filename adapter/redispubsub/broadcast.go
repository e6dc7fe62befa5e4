package redispubsub

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/tinylib/msgp/msgp"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/jsonpack"
	"github.com/peal-dev/peal/message"
)

// A broadcast is the MessagePack array [uid, {type, data, nsp}, {rooms, except, flags}].

// The types of Socket.IO's packets that a broadcast may have.
const (
	typeEvent       = 2
	typeBinaryEvent = 5
)

// appendBroadcast appends e as the node called uid publishes it.
func appendBroadcast(dst []byte, uid, namespace string, e *adapter.Envelope) ([]byte, error) {
	m := e.Message
	if dst == nil {
		dst = make([]byte, 0, len(m.Data)+len(namespace)+attachmentBytes(m.Attachments)+128)
	}
	dst = msgp.AppendArrayHeader(dst, 3)
	dst = msgp.AppendString(dst, uid)

	dst = msgp.AppendMapHeader(dst, 3)
	dst = msgp.AppendString(dst, "type")
	dst = msgp.AppendUint64(dst, typeEvent)
	dst = msgp.AppendString(dst, "data")
	dst, err := jsonpack.AppendMsgpack(dst, m.Data, m.Attachments)
	if err != nil {
		return nil, fmt.Errorf("redispubsub: encode %q: %w", e.Message.Event(), err)
	}
	dst = msgp.AppendString(dst, "nsp")
	dst = msgp.AppendString(dst, namespace)

	dst = msgp.AppendMapHeader(dst, 3)
	dst = msgp.AppendString(dst, "rooms")
	dst = appendStrings(dst, e.Rooms)
	dst = msgp.AppendString(dst, "except")
	dst = appendStrings(dst, e.Except)
	dst = msgp.AppendString(dst, "flags")
	if !e.Message.Volatile {
		return msgp.AppendMapHeader(dst, 0), nil
	}
	dst = msgp.AppendMapHeader(dst, 1)
	dst = msgp.AppendString(dst, "volatile")
	return msgp.AppendBool(dst, true), nil
}

func attachmentBytes(attachments [][]byte) int {
	n := 0
	for _, a := range attachments {
		n += len(a) + 5
	}
	return n
}

func appendStrings(dst []byte, list []string) []byte {
	dst = msgp.AppendArrayHeader(dst, uint32(len(list)))
	for _, s := range list {
		dst = msgp.AppendString(dst, s)
	}
	return dst
}

var (
	errShape = errors.New("not of the expected form")
	errType  = errors.New("packet that is no event")
)

// decodeBroadcast reads a broadcast. It returns nil without an error if the broadcast is to be ignored: known says so of its
// sender, or it is of another namespace whose channels look like ours.
func decodeBroadcast(b []byte, known func(from []byte) bool, namespace string, maxAttachments int) (*adapter.Envelope, error) {
	n, b, err := msgp.ReadArrayHeaderBytes(b)
	if err != nil || n != 3 {
		return nil, fmt.Errorf("broadcast: %w: %v", errShape, err)
	}
	from, b, err := msgp.ReadStringZC(b)
	if err != nil {
		return nil, fmt.Errorf("broadcast: uid: %w", err)
	}
	if known(from) {
		return nil, nil
	}
	d := broadcastDecoder{namespace: "/"}
	if b, err = eachField(b, d.packetField); err != nil {
		return nil, fmt.Errorf("broadcast: packet: %w", err)
	}
	if b, err = eachField(b, d.optionsField); err != nil {
		return nil, fmt.Errorf("broadcast: options: %w", err)
	}
	switch {
	case len(b) > 0:
		return nil, fmt.Errorf("broadcast: %w: %d bytes behind it", errShape, len(b))
	case d.namespace != namespace:
		return nil, nil
	}
	if d.envelope.Message, err = message.Parse(d.data, d.attachments, maxAttachments); err != nil {
		return nil, fmt.Errorf("broadcast: %w", err)
	}
	d.envelope.Kind = adapter.KindBroadcast
	d.envelope.Message.Volatile = d.volatile
	return &d.envelope, nil
}

type broadcastDecoder struct {
	envelope    adapter.Envelope
	namespace   string
	data        []byte
	attachments [][]byte
	volatile    bool
}

func (d *broadcastDecoder) packetField(name string, b []byte) (rest []byte, err error) {
	switch name {
	case "type":
		// Node.js nodes always say EVENT, for binary events too.
		t, rest, err := msgp.ReadUint64Bytes(b)
		if err == nil && t != typeEvent && t != typeBinaryEvent {
			err = errType
		}
		return rest, err
	case "data":
		d.data, d.attachments, rest, err = jsonpack.AppendJSON(nil, nil, b)
		return rest, err
	case "nsp":
		if msgp.NextType(b) != msgp.StrType {
			return skip(b)
		}
		d.namespace, rest, err = msgp.ReadStringBytes(b)
		return rest, err
	}
	return skip(b)
}

func (d *broadcastDecoder) optionsField(name string, b []byte) (rest []byte, err error) {
	switch name {
	case "rooms":
		d.envelope.Rooms, rest, err = readStrings(b)
		return rest, err
	case "except":
		d.envelope.Except, rest, err = readStrings(b)
		return rest, err
	case "flags":
		if msgp.NextType(b) == msgp.MapType {
			return eachField(b, d.flag)
		}
	}
	return skip(b)
}

func (d *broadcastDecoder) flag(name string, b []byte) (rest []byte, err error) {
	if name == "volatile" && msgp.NextType(b) == msgp.BoolType {
		d.volatile, rest, err = msgp.ReadBoolBytes(b)
		return rest, err
	}
	return skip(b)
}

// eachField reads the map at the start of b and calls read with each key and what follows it; read returns what
// follows the value.
func eachField(b []byte, read func(name string, b []byte) ([]byte, error)) ([]byte, error) {
	n, b, err := msgp.ReadMapHeaderBytes(b)
	if err != nil {
		return b, err
	}
	for range n {
		var name []byte
		if name, b, err = msgp.ReadStringZC(b); err != nil {
			return b, err
		}
		if b, err = read(string(name), b); err != nil {
			return b, fmt.Errorf("%.32q: %w", name, err)
		}
	}
	return b, nil
}

// skip steps over a value of any form that Node.js nodes may send.
func skip(b []byte) ([]byte, error) {
	_, _, rest, err := jsonpack.AppendJSON(nil, nil, b)
	return rest, err
}

// readStrings reads an array of names, of which some may be numbers, or nothing.
func readStrings(b []byte) (list []string, rest []byte, err error) {
	if msgp.NextType(b) != msgp.ArrayType {
		rest, err = skip(b)
		return nil, rest, err
	}
	n, b, err := msgp.ReadArrayHeaderBytes(b)
	if err != nil {
		return nil, b, err
	}
	// Each name takes a byte at least, whatever the header promises.
	list = make([]string, 0, min(int(n), len(b)))
	for range n {
		var s string
		switch msgp.NextType(b) {
		case msgp.IntType, msgp.UintType:
			var i int64
			if i, b, err = msgp.ReadInt64Bytes(b); err == nil {
				s = strconv.FormatInt(i, 10)
			}
		default:
			s, b, err = msgp.ReadStringBytes(b)
		}
		if err != nil {
			return nil, b, err
		}
		list = append(list, s)
	}
	return list, b, nil
}
