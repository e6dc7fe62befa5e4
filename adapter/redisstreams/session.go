package redisstreams

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/jsonpack"
	"github.com/peal-dev/peal/internal/jsonscan"
	"github.com/peal-dev/peal/internal/redisx"
	"github.com/peal-dev/peal/message"
)

// record is a session as it is kept under a key of Redis: what Node.js nodes keep, in MessagePack and base64, and a member of
// ours that they do not read.
//
// Ours is first, so that what tells its owner lies at one place: see markPart.
type record struct {
	Peal  *ours           `json:"peal,omitempty"`
	SID   string          `json:"sid"`
	PID   string          `json:"pid"`
	Rooms []roomName      `json:"rooms"` // with the socket's id among them
	Data  json.RawMessage `json:"data"`
}

// ours is what Peal nodes tell each other of a session. Offsets are texts, "" for none.
type ours struct {
	Mark      string   `json:"mark"`
	Namespace string   `json:"nsp"`
	Since     string   `json:"since"`
	At        string   `json:"at"`
	Known     string   `json:"known"`
	Has       string   `json:"has,omitempty"`
	Stays     []string `json:"stays,omitempty"` // since when the socket has been in Rooms; missing ones are ""
}

// roomName is a name, which to Node.js may be a number.
type roomName string

// UnmarshalJSON implements [json.Unmarshaler].
func (r *roomName) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		var number json.Number
		if err := json.Unmarshal(b, &number); err != nil {
			return fmt.Errorf("%w: neither a name nor a number", errSession)
		}
		text = number.String()
	}
	*r = roomName(text)
	return nil
}

var errSession = errors.New("redisstreams: malformed session")

// maxSession is how many bytes a session that is read may have.
const maxSession = 16 << 20

// encodeSession returns what is kept of a session.
func encodeSession(namespace string, s *adapter.Session) ([]byte, error) {
	r := record{SID: s.ID, PID: s.PID, Rooms: []roomName{roomName(s.ID)}, Data: s.Data, Peal: &ours{
		Namespace: namespace, Mark: s.Mark, Since: offsetText(s.Since), At: offsetText(s.At), Known: offsetText(s.Known), Has: offsetText(s.Has)}}
	if len(r.Data) == 0 {
		r.Data = json.RawMessage("{}")
	}
	stays := []string{""}
	for _, m := range s.Rooms {
		r.Rooms = append(r.Rooms, roomName(m.Room))
		stays = append(stays, offsetText(m.Since))
		if !m.Since.IsZero() {
			r.Peal.Stays = stays
		}
	}
	if r.Peal.Stays != nil {
		r.Peal.Stays = stays
	}
	text, err := json.Marshal(&r)
	if err != nil {
		return nil, fmt.Errorf("redisstreams: encode the session of %s: %w", s.ID, err)
	}
	packed, err := jsonpack.AppendMsgpack(nil, text, nil)
	if err != nil {
		return nil, fmt.Errorf("redisstreams: encode the session of %s: %w", s.ID, err)
	}
	return base64.StdEncoding.AppendEncode(nil, packed), nil
}

// decodeSession reads what is kept of a session. One of another namespace is an error.
func decodeSession(namespace, pid string, b []byte) (*adapter.Session, error) {
	if len(b) > maxSession {
		return nil, fmt.Errorf("%w: %d bytes", errSession, len(b))
	}
	packed, err := base64.StdEncoding.AppendDecode(nil, b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSession, err)
	}
	text, attachments, rest, err := jsonpack.AppendJSON(nil, nil, packed)
	if err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes behind it, %w", errSession, len(rest), err)
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%w: %w", errSession, err)
	}
	switch {
	case r.SID == "" || r.PID != pid:
		return nil, fmt.Errorf("%w: it is of nobody", errSession)
	case r.Peal != nil && r.Peal.Namespace != namespace:
		return nil, fmt.Errorf("%w: it is of another namespace", errSession)
	}
	s := &adapter.Session{PID: pid, ID: r.SID, Data: inline(r.Data, attachments)}
	if p := r.Peal; p != nil {
		s.Mark = p.Mark
		for _, o := range []struct {
			offset *message.Offset
			text   string
		}{{&s.Since, p.Since}, {&s.At, p.At}, {&s.Known, p.Known}, {&s.Has, p.Has}} {
			if err := parseOffset(o.offset, o.text); err != nil {
				return nil, err
			}
		}
	}
	for i, room := range r.Rooms {
		if string(room) == s.ID {
			continue
		}
		m := adapter.Membership{Room: string(room)}
		if p := r.Peal; p != nil && i < len(p.Stays) {
			if err := parseOffset(&m.Since, p.Stays[i]); err != nil {
				return nil, err
			}
		}
		s.Rooms = append(s.Rooms, m)
	}
	return s, nil
}

func offsetText(o message.Offset) string {
	if o.IsZero() {
		return ""
	}
	return o.String()
}

func parseOffset(o *message.Offset, text string) error {
	if text == "" {
		return nil
	}
	var ok bool
	if *o, ok = message.ParseOffset(text); !ok {
		return fmt.Errorf("%w: %.64q is no offset", errSession, text)
	}
	return nil
}

// inline puts bytes into JSON, in base64, where placeholders stand for them.
func inline(src []byte, attachments [][]byte) json.RawMessage {
	var dst []byte
	last := 0
	for {
		start, end, num := jsonscan.NextPlaceholder(src, last)
		if start < 0 || num >= len(attachments) {
			return append(dst, src[last:]...)
		}
		dst = append(append(dst, src[last:start]...), '"')
		dst = append(base64.StdEncoding.AppendEncode(dst, attachments[num]), '"')
		attachments[num] = nil // once: a small record must not become a huge one
		last = end
	}
}

// SaveSessions implements [nodecluster.Keeper].
func (t *transport) SaveSessions(ctx context.Context, sessions []*adapter.Session, age time.Duration) error {
	values := make([]redisx.Value, len(sessions))
	for i, s := range sessions {
		data, err := encodeSession(t.link.Namespace(), s)
		if err != nil {
			return err
		}
		values[i] = redisx.Value{Key: t.driver.opts.SessionPrefix + s.PID, Data: data, Age: age}
	}
	t.driver.publisher.redis.Keep(ctx, values)
	for i := range values {
		if err := values[i].Err; err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// What comes before the mark of a record in MessagePack: a map, "peal", a map, "mark". Base64 makes four characters of three bytes.
const (
	markAt    = 12
	markFirst = markAt / 3 * 4
)

// markPart returns the characters that a record with that mark has from markFirst on. The mark has 26 characters: with the
// byte that says so, base64 makes 36 of them.
func markPart(mark string) (string, error) {
	if len(mark) != markLength {
		return "", fmt.Errorf("redisstreams: a mark of %d characters cannot be renewed", len(mark))
	}
	return base64.StdEncoding.EncodeToString(append([]byte{0xa0 | markLength}, mark...)), nil
}

const markLength = 26

// RenewSessions implements [nodecluster.Holder].
func (t *transport) RenewSessions(ctx context.Context, sessions []*adapter.Session, age time.Duration) ([]adapter.Kept, error) {
	return t.renew(ctx, sessions, age, func(s *adapter.Session) ([]byte, error) { return encodeSession(t.link.Namespace(), s) })
}

// DropSessions implements [nodecluster.Holder].
func (t *transport) DropSessions(ctx context.Context, sessions []*adapter.Session) error {
	_, err := t.renew(ctx, sessions, 0, func(*adapter.Session) ([]byte, error) { return nil, nil })
	return err
}

func (t *transport) renew(ctx context.Context, sessions []*adapter.Session, age time.Duration, encode func(*adapter.Session) ([]byte, error)) ([]adapter.Kept, error) {
	batch := make([]redisx.Renewal, len(sessions))
	for i, s := range sessions {
		data, err := encode(s)
		if err != nil {
			return nil, err
		}
		part, err := markPart(s.Mark)
		if err != nil {
			return nil, err
		}
		batch[i] = redisx.Renewal{Key: t.driver.opts.SessionPrefix + s.PID, Data: data, Age: age, First: markFirst, Part: part}
	}
	t.driver.publisher.redis.Renew(ctx, batch)
	kept := make([]adapter.Kept, len(batch))
	for i := range batch {
		switch {
		case batch[i].Err != nil:
			return nil, unavailable(batch[i].Err)
		case batch[i].Found == redisx.FoundPart:
			kept[i] = adapter.KeptSame
		case batch[i].Found == redisx.FoundOther:
			kept[i] = adapter.KeptOther
		}
	}
	return kept, nil
}

// TakeSession implements [nodecluster.Keeper].
func (t *transport) TakeSession(ctx context.Context, pid string) (*adapter.Session, error) {
	if len(pid) > maxPID {
		return nil, nil
	}
	data, err := t.driver.publisher.redis.Take(ctx, t.driver.opts.SessionPrefix+pid)
	if err != nil || data == nil {
		return nil, unavailable(err)
	}
	return decodeSession(t.link.Namespace(), pid, data)
}

// maxPID is how long the name is at most that a client asks with. Those of both kinds of nodes have 40 characters or less.
const maxPID = 128
