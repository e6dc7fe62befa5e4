package mongodb

import "github.com/peal-dev/peal/adapter/nodewire"

// Encode returns the document that a driver called from inserts for a message.
func Encode(m *nodewire.Message, from string) ([]byte, error) {
	return newDocument(m, extra{from: from})
}

// Decode reads a document as a node does that has none but these rooms. It returns nil if there is nothing to do.
func Decode(b []byte, rooms ...string) (*nodewire.Message, error) {
	h, err := parseHeader(b)
	if err != nil {
		return nil, err
	}
	return h.message(func(room string) bool {
		for _, r := range rooms {
			if r == room {
				return true
			}
		}
		return false
	})
}

// MaxDocument is how large a document is at most.
const MaxDocument = maxDocument

// Transient reports whether what was to be inserted is tried again after err.
func Transient(err error) bool { return transient(err) }
