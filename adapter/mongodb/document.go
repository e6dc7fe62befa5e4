package mongodb

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/jsonbson"
	"github.com/peal-dev/peal/adapter/nodewire"
)

// maxDocument is how large a document is at most. MongoDB takes 16 MiB; a change stream ends for all who read it when a
// document and what it says of it do not fit into that.
const maxDocument = 16<<20 - 16<<10

// Types of documents that differ from those of package nodewire.
const (
	typeSession nodewire.Type = 13 // the session of a client that may come back, or that it did
	typeLeft    nodewire.Type = 14 // of Peal nodes: the node named in "left" leaves
)

// document is a document as it is inserted. Its _id is the first member.
type document []byte

// idAt is where the _id of a document is.
const idAt = 4 + 1 + len("_id") + 1

// setID gives the document its _id.
func (d document) setID(id bson.ObjectID) { copy(d[idAt:idAt+len(id)], id[:]) }

// extra is what a document says beside the message.
type extra struct {
	from    string    // the driver that inserts it, to which it does not come back; "" if it is to come back
	to      string    // the only driver for which it is; "" for all
	created time.Time // zero for a collection that has no need to know
}

// newDocument returns the document for a message. The error wraps [adapter.ErrUnsendable].
func newDocument(m *nodewire.Message, x extra) (document, error) {
	data := m.AppendData(nil)
	size := len(data) + len(data)/4 + 192
	for _, a := range m.Attachments {
		size += len(a)
	}
	d := make(document, 0, size)
	start, dst := bsoncore.AppendDocumentStart(d)
	dst = bsoncore.AppendObjectIDElement(dst, "_id", bson.ObjectID{})
	uid, kind := m.UID, m.Type
	if kind == nodewire.AdapterClose {
		// Node.js nodes would take a document of the node itself for a sign of life.
		uid, kind, data = nodewire.Emitter, typeLeft, nil
		dst = bsoncore.AppendStringElement(dst, "left", m.UID)
	}
	dst = bsoncore.AppendInt32Element(dst, "type", int32(kind))
	if len(data) > 0 {
		var err error
		if dst, err = jsonbson.AppendElement(dst, "data", data, m.Attachments); err != nil {
			return nil, fmt.Errorf("%w: mongodb: %s: %w", adapter.ErrUnsendable, m.Type, err)
		}
	}
	dst = bsoncore.AppendStringElement(dst, "uid", uid)
	dst = bsoncore.AppendStringElement(dst, "nsp", m.Namespace)
	if x.from != "" {
		dst = bsoncore.AppendStringElement(dst, "peal", x.from)
	}
	if x.to != "" {
		dst = bsoncore.AppendStringElement(dst, "to", x.to)
	}
	if !x.created.IsZero() {
		dst = bsoncore.AppendDateTimeElement(dst, "createdAt", x.created.UnixMilli())
	}
	dst = append(dst, 0)
	if len(dst) > maxDocument {
		return nil, fmt.Errorf("%w: mongodb: %s: a document of %d bytes, of %d that MongoDB takes", adapter.ErrUnsendable, m.Type, len(dst), maxDocument)
	}
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)))
	return dst, nil
}

// header is what is read of a document before it is known whether anybody wants the rest.
type header struct {
	kind           nodewire.Type
	uid, namespace string
	to, left       string
	data           bsoncore.Value // of type 0 if there is none
}

var errForm = fmt.Errorf("%w: mongodb", nodewire.ErrForm)

// parseHeader reads the header of a document.
func parseHeader(b []byte) (h header, err error) {
	err = jsonbson.Each(b, func(key []byte, v bsoncore.Value) error {
		var text *string
		switch string(key) {
		case "type":
			n, ok := v.AsFloat64OK()
			if !ok || n < 1 || n > math.MaxUint8 || n != math.Trunc(n) {
				return fmt.Errorf("%w: type", errForm)
			}
			h.kind = nodewire.Type(n)
		case "data":
			if v.Type != bsoncore.TypeNull {
				h.data = v
			}
		case "uid":
			text = &h.uid
		case "nsp":
			text = &h.namespace
		case "to":
			text = &h.to
		case "left":
			text = &h.left
		}
		if text != nil {
			var ok bool
			if *text, ok = v.StringValueOK(); !ok {
				return fmt.Errorf("%w: %s", errForm, key)
			}
		}
		return nil
	})
	if err == nil && h.kind == 0 {
		err = fmt.Errorf("%w: no type", errForm)
	}
	return h, err
}

// message reads the rest of a document. It returns nil without an error if there is nothing to do on a node with these
// rooms.
func (h *header) message(hasRoom func(string) bool) (*nodewire.Message, error) {
	m := &nodewire.Message{Type: h.kind, UID: h.uid, Namespace: h.namespace}
	switch {
	case h.kind == typeSession:
		return nil, nil
	case h.kind == typeLeft:
		m.Type, m.UID = nodewire.AdapterClose, h.left
		return m, nil
	case h.kind == nodewire.Broadcast && h.misses(hasRoom):
		// Whoever sent it is there all the same.
		m.Type, m.Peal = nodewire.Heartbeat, true
		return m, nil
	case h.data.Type == 0:
		return m, m.ParseData(nil, nil)
	}
	data, attachments, err := jsonbson.AppendJSON(make([]byte, 0, len(h.data.Data)), nil, h.data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.kind, err)
	}
	return m, m.ParseData(data, attachments)
}

// misses reports whether a broadcast is for rooms only of which this node has none, and wants no answer.
func (h *header) misses(hasRoom func(string) bool) bool {
	data, ok := h.data.DocumentOK()
	if !ok {
		return false
	}
	rooms, ok := lookup(data, "opts", "rooms").ArrayOK()
	if !ok || lookup(data, "requestId").Type != 0 {
		return false
	}
	none, here := true, false
	err := jsonbson.Each(rooms, func(_ []byte, v bsoncore.Value) error {
		none = false
		room, ok := v.StringValueOK()
		here = here || !ok || hasRoom(room) // a room that is a number is for the whole decoder
		return nil
	})
	return err == nil && !none && !here
}

// lookup returns a member of a member, or a value of type 0.
func lookup(b []byte, path ...string) (found bsoncore.Value) {
	found = bsoncore.Value{Type: bsoncore.TypeEmbeddedDocument, Data: b}
	for _, name := range path {
		inner, ok := found.DocumentOK()
		found = bsoncore.Value{}
		if !ok {
			return found
		}
		if jsonbson.Each(inner, func(key []byte, v bsoncore.Value) error {
			if string(key) == name {
				found = v
			}
			return nil
		}) != nil {
			return bsoncore.Value{}
		}
	}
	return found
}
