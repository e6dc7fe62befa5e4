package redispubsub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/jsonpack"
	"github.com/peal-dev/peal/internal/jsonscan"
	"github.com/peal-dev/peal/message"
)

// The types of request and response.
const (
	requestSockets = iota
	requestAllRooms
	requestJoin
	requestLeave
	requestDisconnect
	requestFetch
	requestServerSideEmit
	requestBroadcast // with acknowledgement
	responseClientCount
	responseAck
)

// change is a request to join, leave or disconnect as we publish it.
type change struct {
	UID   string    `json:"uid"`
	Type  int       `json:"type"`
	Opts  changeFor `json:"opts"`
	Rooms []string  `json:"rooms,omitempty"`
	Close *bool     `json:"close,omitempty"`
}

type changeFor struct {
	Rooms  []string `json:"rooms"`
	Except []string `json:"except"`
}

func encodeChange(uid string, e *adapter.Envelope) ([]byte, error) {
	c := change{UID: uid, Opts: changeFor{Rooms: orEmpty(e.Rooms), Except: orEmpty(e.Except)}}
	switch e.Kind {
	case adapter.KindJoin:
		c.Type, c.Rooms = requestJoin, e.ChangeRooms
	case adapter.KindLeave:
		c.Type, c.Rooms = requestLeave, e.ChangeRooms
	case adapter.KindDisconnect:
		c.Type, c.Close = requestDisconnect, &e.CloseConnection
	default:
		return nil, fmt.Errorf("redispubsub: envelope of kind %v", e.Kind)
	}
	return json.Marshal(c)
}

// orEmpty makes JSON's [] of nil: the Node.js adapter does not expect null.
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// request is any request as others publish it.
type request struct {
	UID       string `json:"uid"`
	RequestID string `json:"requestId"`
	Type      *int   `json:"type"`
	Opts      *struct {
		Rooms  names `json:"rooms"`
		Except names `json:"except"`
		Flags  struct {
			Timeout float64 `json:"timeout"` // milliseconds
		} `json:"flags"`
	} `json:"opts"`
	Rooms names `json:"rooms"`
	Close bool  `json:"close"`

	// SID and Room are what nodes of versions 6 and 7 publish instead of Opts and Rooms.
	SID  string `json:"sid"`
	Room name   `json:"room"`

	// Packet is of requestBroadcast.
	Packet struct {
		Data json.RawMessage `json:"data"`
	} `json:"packet"`
	attachments [][]byte
}

// name is a room, which to JavaScript may be a number.
type name string

// UnmarshalJSON implements [json.Unmarshaler].
func (n *name) UnmarshalJSON(b []byte) error {
	var number json.Number
	if err := json.Unmarshal(b, (*string)(n)); err != nil {
		if err := json.Unmarshal(b, &number); err != nil {
			return err
		}
		*n = name(number)
	}
	return nil
}

type names []name

func (n names) strings() []string {
	var list []string
	for _, name := range n {
		list = append(list, string(name))
	}
	return list
}

// decodeRequest reads a request, which is JSON or, for those with a packet, MessagePack.
func decodeRequest(payload []byte) (*request, error) {
	var r request
	if len(payload) == 0 || payload[0] != '{' {
		text, attachments, rest, err := jsonpack.AppendJSON(nil, nil, payload)
		if err != nil {
			return nil, fmt.Errorf("request: %w", err)
		}
		if len(rest) > 0 {
			return nil, fmt.Errorf("request: %w: %d bytes behind it", errShape, len(rest))
		}
		payload, r.attachments = text, attachments
	}
	if err := json.Unmarshal(payload, &r); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	if r.Type == nil {
		return nil, fmt.Errorf("request: %w: no type", errShape)
	}
	return &r, nil
}

// target returns who is meant. It must be called only if there are Opts.
func (r *request) target() message.Target {
	return message.Target{Rooms: r.Opts.Rooms.strings(), Except: r.Opts.Except.strings()}
}

var errIncomplete = errors.New("request that lacks a field")

func (l *link) receiveRequest(payload []byte) error {
	r, err := decodeRequest(payload)
	if err != nil {
		return err
	}
	if r.UID == l.uid {
		// Our own, which the adapter has applied before it was published: it must not need Redis for its own members.
		return nil
	}
	switch *r.Type {
	case requestJoin, requestLeave, requestDisconnect:
		return l.change(r)
	case requestSockets, requestAllRooms, requestFetch, requestBroadcast:
		if r.RequestID == "" {
			return fmt.Errorf("%w: type %d without requestId", errIncomplete, *r.Type)
		}
		if r.Opts == nil && (*r.Type == requestFetch || *r.Type == requestBroadcast) {
			return fmt.Errorf("%w: type %d without opts", errIncomplete, *r.Type)
		}
		if *r.Type == requestBroadcast {
			return l.answerBroadcast(r) // here, so that it keeps its place among the other broadcasts
		}
		l.driver.answers.put(l, r)
		return nil
	}
	// A server-side emit, or a type of the future.
	return nil
}

var kinds = map[int]adapter.Kind{
	requestJoin:       adapter.KindJoin,
	requestLeave:      adapter.KindLeave,
	requestDisconnect: adapter.KindDisconnect,
}

func (l *link) change(r *request) error {
	e := &adapter.Envelope{Kind: kinds[*r.Type], ChangeRooms: r.Rooms.strings(), CloseConnection: r.Close}
	if r.Opts != nil {
		t := r.target()
		e.Rooms, e.Except = t.Rooms, t.Except
		l.note(e)
		l.receiver.Receive(e)
		return nil
	}
	if r.SID == "" {
		// Without this check it would mean everyone.
		return fmt.Errorf("%w: neither opts nor sid", errIncomplete)
	}
	e.Rooms, e.ChangeRooms = []string{r.SID}, []string{string(r.Room)}
	l.note(e)
	here := false
	l.receiver.Each(message.Target{Rooms: []string{r.SID}}, func(m adapter.Member) bool {
		here = m.ID() == r.SID
		return !here
	})
	if !here {
		return nil
	}
	l.receiver.Receive(e)
	if r.RequestID != "" {
		l.respond(map[string]any{"requestId": r.RequestID})
	}
	return nil
}

// answer makes the answer to r once and sends it to all requests that ask the same.
func (l *link) answer(r *request, requests []string) {
	l.answering.Lock()
	defer l.answering.Unlock()
	if l.ended {
		return
	}
	field, list := "sockets", []byte{'['}
	add := func(element []byte) {
		if len(list) > 1 {
			list = append(list, ',')
		}
		list = append(list, element...)
	}
	switch *r.Type {
	case requestSockets:
		l.receiver.Each(message.Target{Rooms: r.Rooms.strings()}, func(m adapter.Member) bool {
			add(jsonString(m.ID()))
			return l.open(context.Background()) == nil
		})
	case requestAllRooms:
		field = "rooms"
		for _, room := range l.receiver.AllRooms() {
			add(jsonString(room))
		}
	case requestFetch:
		l.receiver.Each(r.target(), func(m adapter.Member) bool {
			add(l.snapshot(m))
			return l.open(context.Background()) == nil
		})
	}
	list = append(list, ']')
	for _, id := range requests {
		b := make([]byte, 0, len(list)+len(id)+64)
		b = append(append(b, `{"requestId":`...), jsonString(id)...)
		b = append(append(append(b, `,"`...), field...), `":`...)
		l.post(append(append(b, list...), '}'))
	}
}

func jsonString(s string) []byte {
	b, _ := json.Marshal(s) // never fails
	return b
}

// snapshot describes a member. One that fails to describe itself must not keep the answer about all others back.
func (l *link) snapshot(m adapter.Member) json.RawMessage {
	if s, ok := m.(adapter.Snapshotter); ok {
		snapshot, err := s.Snapshot()
		if err == nil && jsonscan.Valid(snapshot) {
			return snapshot
		}
		l.driver.often.Log(context.Background(), slog.LevelWarn, "snapshot", "redispubsub: member without a sound snapshot",
			slog.String("namespace", l.namespace), slog.String("member", m.ID()), slog.Any("error", err))
	}
	return minimalSnapshot(m.ID(), l.receiver.RoomsOf(m.ID()))
}

// minimalSnapshot describes a member that cannot describe itself. The handshake has all its fields, because programs on
// Node.js nodes read them unchecked.
func minimalSnapshot(id string, rooms []string) json.RawMessage {
	type object = map[string]any
	b, _ := json.Marshal(object{ // strings, numbers and maps of them: never fails
		"id": id,
		"handshake": object{"headers": object{}, "time": "", "address": "", "xdomain": false, "secure": false, "issued": 0, "url": "",
			"query": object{}, "auth": object{}},
		"rooms": append([]string{id}, rooms...),
		"data":  object{},
	})
	return b
}

// answerBroadcast delivers a broadcast with acknowledgement. First comes the number of members that will answer, then
// their answers one by one. A node that did not say its number would let the whole broadcast time out.
func (l *link) answerBroadcast(r *request) error {
	m, err := message.Parse(r.Packet.Data, r.attachments, l.driver.opts.MaxAttachments)
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	var askers []adapter.Asker
	l.receiver.Each(r.target(), func(member adapter.Member) bool {
		if a, ok := member.(adapter.Asker); ok {
			askers = append(askers, a)
		} else {
			member.Deliver(m)
		}
		return true
	})
	l.respond(map[string]any{"type": responseClientCount, "requestId": r.RequestID, "clientCount": len(askers)})
	id := r.RequestID
	q := &adapter.Question{Message: m, Timeout: time.Duration(r.Opts.Flags.Timeout * float64(time.Millisecond)),
		Reply: func(argument []byte, attachments [][]byte) {
			if payload, err := encodeAck(id, argument, attachments); err != nil {
				l.driver.unanswered.Add(1)
			} else {
				l.post(payload)
			}
		}}
	for _, a := range askers {
		a.Ask(q)
	}
	return nil
}

// encodeAck makes the answer of one member. Other than all other responses it is MessagePack.
func encodeAck(requestID string, argument []byte, attachments [][]byte) ([]byte, error) {
	b := msgp.AppendMapHeader(nil, 3)
	b = msgp.AppendString(b, "type")
	b = msgp.AppendInt(b, responseAck)
	b = msgp.AppendString(b, "requestId")
	b = msgp.AppendString(b, requestID)
	b = msgp.AppendString(b, "packet")
	return jsonpack.AppendMsgpack(b, argument, attachments)
}

// respond publishes an answer without waiting for it.
func (l *link) respond(answer map[string]any) {
	payload, err := json.Marshal(answer)
	if err != nil {
		// Strings, numbers, and snapshots that were checked: never so.
		l.driver.unanswered.Add(1)
		return
	}
	l.post(payload)
}

func (l *link) post(payload []byte) {
	if !l.driver.publisher.post(l.responses, payload) {
		l.driver.unanswered.Add(1)
	}
}
