package redispubsub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tinylib/msgp/msgp"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/jsonpack"
)

// takeResponse takes what came on a response channel. It must not be held up.
func (l *link) takeResponse(channel string, payload []byte) {
	if channel == l.responses && !bytes.Contains(payload, []byte(l.uid)) {
		return // to another node's request: the ids of our own begin with our uid
	}
	l.answers.Put(payload, len(payload))
}

func (l *link) response(payload []byte) {
	if err := l.receiveResponse(payload); err != nil {
		l.driver.monitor.Ignored(l.responses, err)
	}
}

// response is any response as others publish it.
type response struct {
	Type        int             `json:"type"`
	RequestID   string          `json:"requestId"`
	Sockets     json.RawMessage `json:"sockets"`
	Rooms       names           `json:"rooms"`
	ClientCount *int            `json:"clientCount"`
	Data        json.RawMessage `json:"data"`
	Packet      json.RawMessage `json:"packet"`

	// Peal nodes say who they are, whose answer it is, and who will not answer.
	UID    string `json:"uid"`
	Member string `json:"member"`
	Gone   bool   `json:"gone"`

	attachments [][]byte
}

var errUnasked = errors.New("response to a question that was not asked")

// receiveResponse hands an answer to the call it belongs to. An error means that the response is malformed.
func (l *link) receiveResponse(payload []byte) error {
	r, err := decodeResponse(payload)
	if err != nil {
		return fmt.Errorf("response: %w", err)
	}
	if !strings.HasPrefix(r.RequestID, l.uid) {
		return errUnasked
	}
	a, err := r.answer(l.calls.Kind(r.RequestID))
	if err != nil {
		return fmt.Errorf("response: %w", err)
	}
	if r.UID != "" {
		l.driver.homes.Answered(l.namespace, r.UID) // if it was silent: who knows whether its beats come again
	}
	l.calls.Answer(r.RequestID, a)
	return nil
}

func decodeResponse(payload []byte) (*response, error) {
	text, attachments, err := asJSON(payload)
	if err != nil {
		return nil, err
	}
	r := &response{attachments: attachments}
	return r, json.Unmarshal(text, r)
}

// answer reads what the response says to a call of that kind.
func (r *response) answer(kind adapter.CallKind) (adapter.Answer, error) {
	a := adapter.Answer{Node: adapter.NodeID(r.UID), Member: r.Member, Attachments: r.attachments}
	switch kind {
	case adapter.CallMembers:
		var sockets []json.RawMessage
		if err := json.Unmarshal(r.Sockets, &sockets); err != nil {
			return a, fmt.Errorf("%w: sockets: %w", errShape, err)
		}
		for _, s := range sockets {
			a.Members = append(a.Members, s)
		}
	case adapter.CallIDs:
		var ids names
		if err := json.Unmarshal(r.Sockets, &ids); err != nil {
			return a, fmt.Errorf("%w: sockets: %w", errShape, err)
		}
		a.Names = ids.strings()
	case adapter.CallRooms:
		a.Names = r.Rooms.strings()
	case adapter.CallEvent:
		a.Argument = orNull(r.Data)
	case adapter.CallAsk:
		switch {
		case r.Type == responseClientCount && r.ClientCount != nil && *r.ClientCount >= 0:
			a.Part, a.Count = adapter.AnswerCount, *r.ClientCount
		case r.Type == responseAck && r.Gone:
			a.Part = adapter.AnswerGone
		case r.Type == responseAck:
			a.Part, a.Argument = adapter.AnswerReply, orNull(r.Packet)
		default:
			return a, fmt.Errorf("%w: type %d of a broadcast's answer", errShape, r.Type)
		}
	}
	return a, nil
}

func orNull(raw json.RawMessage) []byte {
	if len(raw) == 0 {
		return []byte("null")
	}
	return raw
}

// asJSON returns a request or response as JSON: as it is, or made of MessagePack.
func asJSON(payload []byte) (text []byte, attachments [][]byte, err error) {
	if len(payload) > 0 && payload[0] == '{' {
		return payload, nil, nil
	}
	text, attachments, rest, err := jsonpack.AppendJSON(nil, nil, payload)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %d bytes behind it", errShape, len(rest))
	}
	return text, attachments, err
}

// replier returns what publishes the answers to a request.
func (l *link) replier(r *request) func(adapter.Answer) {
	kind, id, node, channel := *r.Type, r.RequestID, "", l.responses
	switch {
	case r.UID == "":
	case r.Peal > 0:
		node, channel = l.uid, l.responses+r.UID+"#"
	case l.driver.opts.SpecificResponses && kind != requestServerSideEmit:
		channel = l.responses + r.UID + "#"
	}
	return func(a adapter.Answer) {
		if l.ended() {
			return
		}
		payload, err := encodeAnswer(kind, id, node, a)
		if err != nil || !l.driver.publisher.post(channel, payload) {
			l.driver.monitor.Unanswered.Add(1)
		}
	}
}

// encodeAnswer makes the response to a request of that type. With a node, it is for one that knows Peal's fields.
func encodeAnswer(kind int, id, node string, a adapter.Answer) ([]byte, error) {
	switch {
	case kind == requestFetch:
		return encodeList(id, node, "sockets", a.Members), nil
	case kind == requestSockets:
		return encodeList(id, node, "sockets", jsonStrings(a.Names)), nil
	case kind == requestAllRooms:
		return encodeList(id, node, "rooms", jsonStrings(a.Names)), nil
	case kind == requestServerSideEmit:
		return encodeEventAnswer(id, node, a)
	case a.Part == adapter.AnswerCount:
		count := map[string]any{"type": responseClientCount, "requestId": id, "clientCount": a.Count}
		if node != "" {
			count["uid"] = node
		}
		return json.Marshal(count)
	case a.Part == adapter.AnswerReply:
		return encodeAck(id, node, a)
	case a.Part == adapter.AnswerGone && node != "":
		return json.Marshal(map[string]any{"type": responseAck, "requestId": id, "uid": node, "member": a.Member, "gone": true})
	}
	return nil, errNoWord
}

var errNoWord = errors.New("redispubsub: answer that Node.js nodes have no word for")

// encodeList writes the list element by element: it may be large.
func encodeList(id, node, field string, list [][]byte) []byte {
	size := 64 + len(id) + len(node)
	for _, element := range list {
		size += len(element) + 1
	}
	b := make([]byte, 0, size)
	b = append(append(b, `{"requestId":`...), jsonString(id)...)
	if node != "" {
		b = append(append(b, `,"uid":`...), jsonString(node)...)
	}
	b = append(append(append(b, `,"`...), field...), `":[`...)
	for i, element := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, element...)
	}
	return append(b, ']', '}')
}

func jsonStrings(list []string) [][]byte {
	out := make([][]byte, len(list))
	for i, s := range list {
		out[i] = jsonString(s)
	}
	return out
}

func jsonString(s string) []byte {
	b, _ := json.Marshal(s) // never fails
	return b
}

// encodeEventAnswer makes the answer to a server-side emit: JSON as Node.js nodes have it, or MessagePack, which they
// read too, if it has binary values.
func encodeEventAnswer(id, node string, a adapter.Answer) ([]byte, error) {
	if len(a.Attachments) == 0 {
		answer := map[string]any{"type": requestServerSideEmit, "requestId": id, "data": json.RawMessage(a.Argument)}
		if node != "" {
			answer["uid"] = node
		}
		return json.Marshal(answer)
	}
	return encodePacked(requestServerSideEmit, id, node, "", "data", a)
}

// encodeAck makes the answer of one member. Other than all other responses it is always MessagePack.
func encodeAck(id, node string, a adapter.Answer) ([]byte, error) {
	member := a.Member
	if node == "" {
		member = ""
	}
	return encodePacked(responseAck, id, node, member, "packet", a)
}

func encodePacked(kind int, id, node, member, field string, a adapter.Answer) ([]byte, error) {
	fields := uint32(3)
	for _, extra := range []string{node, member} {
		if extra != "" {
			fields++
		}
	}
	b := msgp.AppendMapHeader(nil, fields)
	b = msgp.AppendInt(msgp.AppendString(b, "type"), kind)
	b = msgp.AppendString(msgp.AppendString(b, "requestId"), id)
	if node != "" {
		b = msgp.AppendString(msgp.AppendString(b, "uid"), node)
	}
	if member != "" {
		b = msgp.AppendString(msgp.AppendString(b, "member"), member)
	}
	return jsonpack.AppendMsgpack(msgp.AppendString(b, field), a.Argument, a.Attachments)
}
