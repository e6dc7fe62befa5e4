package redisstreams

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"unicode/utf16"

	"github.com/peal-dev/peal/adapter/internal/jsonpack"
	"github.com/peal-dev/peal/adapter/internal/nodecluster"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/internal/redisx"
)

// encode returns the fields of a message's entry, in the order of the Node.js adapter.
func encode(m *nodewire.Message) ([]redisx.Field, error) {
	fields := []redisx.Field{
		{Name: "uid", Value: []byte(m.UID)},
		{Name: "nsp", Value: []byte(m.Namespace)},
		{Name: "type", Value: strconv.AppendUint(nil, uint64(m.Type), 10)},
	}
	data := m.AppendData(nil)
	if len(m.Attachments) > 0 {
		packed, err := jsonpack.AppendMsgpack(nil, data, m.Attachments)
		if err != nil {
			return nil, fmt.Errorf("redisstreams: encode %s: %w", m.Type, err)
		}
		data = base64.StdEncoding.AppendEncode(nil, packed)
	}
	if len(data) > 0 {
		fields = append(fields, redisx.Field{Name: "data", Value: data})
	}
	return fields, nil
}

// incoming returns an entry's message, not decoded yet, and whose it is. An entry without a namespace is none.
func incoming(stream string, e *redisx.Entry) (in nodecluster.Incoming, uid, namespace string) {
	var kind, data []byte
	in = nodecluster.Incoming{Channel: stream}
	for _, f := range e.Fields {
		in.Size += len(f.Name) + len(f.Value)
		switch f.Name {
		case "uid":
			uid = string(f.Value)
		case "nsp":
			namespace = string(f.Value)
		case "type":
			kind = f.Value
		case "data":
			data = f.Value
		}
	}
	n, _ := strconv.ParseUint(string(kind), 10, 8) // 0 is no type
	in.Type = nodewire.Type(n)
	in.Decode = func() (*nodewire.Message, error) { return decode(in.Type, uid, namespace, data) }
	return in, uid, namespace
}

func decode(kind nodewire.Type, uid, namespace string, data []byte) (*nodewire.Message, error) {
	m := &nodewire.Message{Type: kind, UID: uid, Namespace: namespace}
	var attachments [][]byte
	if len(data) > 0 && data[0] != '{' {
		packed, err := base64.StdEncoding.AppendDecode(nil, data)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", nodewire.ErrSyntax, err)
		}
		var rest []byte
		if data, attachments, rest, err = jsonpack.AppendJSON(nil, nil, packed); err != nil {
			return nil, err
		}
		if len(rest) > 0 {
			return nil, fmt.Errorf("%w: %d bytes behind the data", nodewire.ErrSyntax, len(rest))
		}
	}
	if err := m.ParseData(data, attachments); err != nil {
		return nil, err
	}
	return m, nil
}

// streams returns the stream to which a namespace's messages are appended, and those that are read for it.
func (o *Options) streams(namespace string) (write string, read []string) {
	if o.StreamCount == 1 {
		return o.StreamName, []string{o.StreamName}
	}
	i := int(hash(namespace)) % o.StreamCount
	write = o.StreamName + "-" + strconv.Itoa(max(i, -i))
	read = []string{write}
	if i < 0 { // where Node.js nodes write; they read only numbers that are not negative
		read = append(read, o.StreamName+"-"+strconv.Itoa(i))
	}
	return write, read
}

// hash is the Node.js adapter's hash of a name.
func hash(name string) (h int32) {
	for _, unit := range utf16.Encode([]rune(name)) {
		h = h*31 + int32(unit)
	}
	return h
}
