package nodewire

import (
	"errors"
	"fmt"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/internal/jsonscan"
	"github.com/peal-dev/peal/message"
)

// maxEventAttachments is how many binary values an event for the nodes may have: clients, which take fewer, do not get it.
const maxEventAttachments = 1000

var errKind = errors.New("nodewire: not a kind that this wire has a word for")

// Publishing returns the message that carries e. It has no UID and no Namespace yet, as all that this package makes.
func Publishing(e *adapter.Envelope) (*Message, error) {
	m := &Message{Rooms: e.Rooms, Except: e.Except}
	switch e.Kind {
	case adapter.KindBroadcast:
		m.Type, m.Data, m.Attachments, m.Volatile = Broadcast, e.Message.Data, e.Message.Attachments, e.Message.Volatile
		m.Private, m.Peal = e.Private, e.Private
	case adapter.KindJoin:
		m.Type, m.ChangeRooms = SocketsJoin, e.ChangeRooms
	case adapter.KindLeave:
		m.Type, m.ChangeRooms = SocketsLeave, e.ChangeRooms
	case adapter.KindDisconnect:
		m.Type, m.Close = DisconnectSockets, e.CloseConnection
	case adapter.KindEvent:
		m.Type, m.Data, m.Attachments = ServerSideEmit, e.Message.Data, e.Message.Attachments
	default:
		return nil, fmt.Errorf("%w: envelope %v", errKind, e.Kind)
	}
	return m, nil
}

// Asking returns the message that asks c; answers come with the id.
func Asking(c *adapter.Call, id string) (*Message, error) {
	m := &Message{RequestID: id, Rooms: c.Rooms, Except: c.Except, Timeout: c.Timeout, Peal: true}
	switch c.Kind {
	case adapter.CallMembers:
		m.Type = FetchSockets
	case adapter.CallIDs:
		m.Type, m.Want = FetchSockets, WantIDs
	case adapter.CallRooms:
		m.Type, m.Want = FetchSockets, WantRooms
	case adapter.CallEvent:
		m.Type, m.Data, m.Attachments = ServerSideEmit, c.Message.Data, c.Message.Attachments
	case adapter.CallAsk:
		m.Type, m.Data, m.Attachments, m.Volatile = Broadcast, c.Message.Data, c.Message.Attachments, c.Message.Volatile
	default:
		return nil, fmt.Errorf("%w: call %v", errKind, c.Kind)
	}
	return m, nil
}

// Envelope returns what m has nodes do, if it is a Broadcast, SocketsJoin, SocketsLeave, DisconnectSockets or
// ServerSideEmit that wants no answer, and nil for another. The error is a [message.Error] if clients would not take
// the event.
func (m *Message) Envelope(maxAttachments int) (e *adapter.Envelope, err error) {
	if m.RequestID != "" && (m.Type == Broadcast || m.Type == ServerSideEmit) {
		return nil, nil
	}
	e = &adapter.Envelope{Rooms: m.Rooms, Except: m.Except, ChangeRooms: m.ChangeRooms, CloseConnection: m.Close}
	switch m.Type {
	case Broadcast:
		e.Kind, e.Private = adapter.KindBroadcast, m.Private
		e.Message, err = m.event(maxAttachments)
	case SocketsJoin:
		e.Kind = adapter.KindJoin
	case SocketsLeave:
		e.Kind = adapter.KindLeave
	case DisconnectSockets:
		e.Kind = adapter.KindDisconnect
	case ServerSideEmit:
		e.Kind = adapter.KindEvent
		e.Message, err = m.event(maxEventAttachments)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Call returns what m asks, and nil if it is no question. The error is as that of Envelope.
func (m *Message) Call(maxAttachments int) (c *adapter.Call, err error) {
	c = &adapter.Call{Rooms: m.Rooms, Except: m.Except, Timeout: m.Timeout}
	switch {
	case m.Type == FetchSockets && m.Want == WantIDs:
		c.Kind = adapter.CallIDs
	case m.Type == FetchSockets && m.Want == WantRooms:
		c.Kind = adapter.CallRooms
	case m.Type == FetchSockets:
		c.Kind = adapter.CallMembers
	case m.RequestID == "":
		return nil, nil
	case m.Type == Broadcast:
		c.Kind = adapter.CallAsk
		c.Message, err = m.event(maxAttachments)
	case m.Type == ServerSideEmit:
		c.Kind = adapter.CallEvent
		c.Message, err = m.event(maxEventAttachments)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (m *Message) event(maxAttachments int) (*message.Message, error) {
	event, err := message.Parse(m.Data, m.Attachments, maxAttachments)
	if err != nil {
		return nil, err
	}
	event.Volatile = m.Volatile
	return event, nil
}

// Answering returns the message that answers the question asked with a, or nil if the one who asked has no word for it.
func Answering(asked *Message, a adapter.Answer) *Message {
	m := &Message{RequestID: asked.RequestID, Peal: asked.Peal}
	switch {
	case asked.Type == FetchSockets && asked.Want == WantSockets:
		m.Type, m.Sockets = FetchSocketsResponse, a.Members
	case asked.Type == FetchSockets:
		m.Type, m.Names = FetchSocketsResponse, a.Names
		if m.Names == nil {
			m.Names = []string{}
		}
	case asked.Type == ServerSideEmit:
		m.Type, m.Data, m.Attachments = ServerSideEmitResponse, a.Argument, a.Attachments
	case asked.Type != Broadcast:
		return nil
	case a.Part == adapter.AnswerCount:
		m.Type, m.ClientCount = BroadcastClientCount, a.Count
	case a.Part == adapter.AnswerReply:
		m.Type, m.Data, m.Attachments, m.Member = BroadcastAck, a.Argument, a.Attachments, a.Member
	case a.Part == adapter.AnswerGone && asked.Peal:
		m.Type, m.Member, m.Gone = BroadcastAck, a.Member, true
	default:
		return nil
	}
	return m
}

// Answer reads what m answers to a call of that kind.
func (m *Message) Answer(kind adapter.CallKind) (adapter.Answer, error) {
	a := adapter.Answer{Node: adapter.NodeID(m.UID)}
	var err error
	switch {
	case kind == adapter.CallMembers && m.Type == FetchSocketsResponse:
		a.Members = m.Sockets
	case kind == adapter.CallIDs && m.Type == FetchSocketsResponse:
		a.Names, err = m.names(socketID)
	case kind == adapter.CallRooms && m.Type == FetchSocketsResponse:
		a.Names, err = m.names(socketRooms)
	case kind == adapter.CallEvent && m.Type == ServerSideEmitResponse:
		a.Argument, a.Attachments = m.Data, m.Attachments
	case kind == adapter.CallAsk && m.Type == BroadcastClientCount:
		a.Part, a.Count = adapter.AnswerCount, m.ClientCount
	case kind == adapter.CallAsk && m.Type == BroadcastAck && m.Gone:
		a.Part, a.Member = adapter.AnswerGone, m.Member
	case kind == adapter.CallAsk && m.Type == BroadcastAck:
		a.Part, a.Member, a.Argument, a.Attachments = adapter.AnswerReply, m.Member, m.Data, m.Attachments
	default:
		err = fmt.Errorf("%w: %s as the answer to %s", ErrForm, m.Type, kind)
	}
	return a, err
}

// names returns what a Peal node said, or what a Node.js node's sockets say, each once.
func (m *Message) names(of func(socket []byte, seen func(string)) error) ([]string, error) {
	if m.Names != nil {
		return m.Names, nil
	}
	var list []string
	known := make(map[string]struct{})
	for _, s := range m.Sockets {
		err := of(s, func(name string) {
			if _, twice := known[name]; !twice {
				known[name] = struct{}{}
				list = append(list, name)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

func socketID(socket []byte, seen func(string)) error {
	_, err := members(socket, jsonscan.Space(socket, 0), func(key string, i int) (int, error) {
		if key != "id" {
			return skip(socket, i)
		}
		var id string
		end, err := str(&id, socket, i)
		if err == nil {
			seen(id)
		}
		return end, err
	})
	return err
}

func socketRooms(socket []byte, seen func(string)) error {
	_, err := members(socket, jsonscan.Space(socket, 0), func(key string, i int) (int, error) {
		if key != "rooms" {
			return skip(socket, i)
		}
		var rooms []string
		end, err := texts(&rooms, socket, i)
		for _, room := range rooms {
			seen(room)
		}
		return end, err
	})
	return err
}
