package redispubsub

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/peal-dev/peal/adapter"
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
	UID   string    `json:"uid,omitempty"` // emitters have none
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

	// Data is of requestServerSideEmit, Packet of requestBroadcast.
	Data   json.RawMessage `json:"data"`
	Packet struct {
		Data json.RawMessage `json:"data"`
	} `json:"packet"`
	attachments [][]byte

	// Peal is not 0 in requests of Peal nodes, which understand more; see [question].
	Peal    int     `json:"peal"`
	Timeout float64 `json:"timeout"` // milliseconds
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
	text, attachments, err := asJSON(payload)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	r := request{attachments: attachments}
	if err := json.Unmarshal(text, &r); err != nil {
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
	case requestServerSideEmit:
		return l.receiveEvent(r)
	case requestSockets, requestAllRooms, requestFetch, requestBroadcast:
		return l.receiveCall(r)
	}
	return nil // a type of the future
}

func (l *link) receiveCall(r *request) error {
	if r.RequestID == "" {
		return fmt.Errorf("%w: type %d without requestId", errIncomplete, *r.Type)
	}
	if r.Opts == nil && (*r.Type == requestFetch || *r.Type == requestBroadcast) {
		return fmt.Errorf("%w: type %d without opts", errIncomplete, *r.Type)
	}
	c := &adapter.Call{Rooms: r.Rooms.strings()}
	if r.Opts != nil {
		t := r.target()
		c.Rooms, c.Except = t.Rooms, t.Except
		c.Timeout = milliseconds(r.Opts.Flags.Timeout)
	}
	switch *r.Type {
	case requestSockets:
		c.Kind = adapter.CallIDs
	case requestAllRooms:
		c.Kind = adapter.CallRooms
	case requestFetch:
		c.Kind = adapter.CallMembers
	case requestBroadcast:
		m, err := message.Parse(r.Packet.Data, r.attachments, l.driver.opts.MaxAttachments)
		if err != nil {
			return fmt.Errorf("request: %w", err)
		}
		c.Kind, c.Message = adapter.CallAsk, m
	}
	l.receiver.Answer(c, l.replier(r))
	return nil
}

func milliseconds(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }

// maxEventAttachments is how many binary values an event for the nodes may have: clients, which take fewer, do not get it.
const maxEventAttachments = 1000

func (l *link) receiveEvent(r *request) error {
	m, err := message.Parse(r.Data, r.attachments, maxEventAttachments)
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	if r.RequestID == "" {
		l.receiver.Receive(&adapter.Envelope{Kind: adapter.KindEvent, Message: m})
	} else {
		l.receiver.Answer(&adapter.Call{Kind: adapter.CallEvent, Message: m, Timeout: milliseconds(r.Timeout)}, l.replier(r))
	}
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
	if !l.receiver.HasRoom(r.SID) {
		return nil
	}
	l.receiver.Receive(e)
	if r.RequestID != "" && !l.driver.publisher.post(l.responses, fmt.Appendf(nil, `{"requestId":%s}`, jsonString(r.RequestID))) {
		l.driver.monitor.Unanswered.Add(1)
	}
	return nil
}
