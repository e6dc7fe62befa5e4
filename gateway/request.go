package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/peal-dev/peal/internal/utf8text"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/socketio"
)

// maxName is the length in bytes of the longest name of a room or namespace.
const maxName = 255

// roomList is one room or a list of rooms.
type roomList []string

// UnmarshalJSON accepts a string or an array of strings. Its error is for the client.
func (l *roomList) UnmarshalJSON(data []byte) error {
	var err error
	if len(data) > 0 && data[0] == '"' {
		*l = make(roomList, 1)
		err = json.Unmarshal(data, &(*l)[0], anyText)
	} else {
		err = json.Unmarshal(data, (*[]string)(l), anyText)
	}
	if err != nil {
		return &socketio.Error{Code: CodeInvalidRoom, Message: "rooms are a string or a list of strings"}
	}
	return nil
}

// anyText takes what JSON.stringify and json.dumps write of half an emoji, the escape of a lone surrogate.
var anyText = jsontext.AllowInvalidUTF8(true)

// publication is a request to publish.
type publication struct {
	Namespace string         `json:"namespace"`
	Rooms     roomList       `json:"rooms"`
	Except    roomList       `json:"except"`
	Event     *string        `json:"event"`
	Args      jsontext.Value `json:"args"` // stays raw: decoding would change numbers and the order of keys
}

// parsePublication returns the valid request in data. It does not check the namespace.
func parsePublication(data []byte, maxRooms int) (*publication, error) {
	p := new(publication)
	if err := json.Unmarshal(utf8text.Bytes(data), p, json.RejectUnknownMembers(true), anyText); err != nil {
		return nil, requestError(err)
	}
	if p.Event == nil {
		return nil, &apiError{CodeInvalidEvent, `the request has no "event"`}
	}
	if message.Reserved(*p.Event) {
		return nil, &apiError{CodeInvalidEvent, fmt.Sprintf("the event %q is Socket.IO's own; choose another name", *p.Event)}
	}
	if kind := p.Args.Kind(); kind != '[' && kind != 'n' && len(p.Args) > 0 {
		return nil, &apiError{CodeInvalidArgs, `"args" must be an array: the arguments of the event`}
	}
	if err := checkRooms(p.Rooms, maxRooms); err != nil {
		return nil, err
	}
	return p, checkRooms(p.Except, maxRooms)
}

// message returns the message of the request, with binary arguments beside it.
func (p *publication) message(attachments [][]byte) (*message.Message, error) {
	data, err := jsontext.AppendQuote([]byte("["), *p.Event)
	if err != nil {
		return nil, err // cannot be: what was decoded is UTF-8
	}
	if p.Args.Kind() == '[' {
		inner := bytes.TrimSpace(p.Args)
		if inner = bytes.TrimSpace(inner[1 : len(inner)-1]); len(inner) > 0 {
			data = append(append(data, ','), inner...)
		}
	}
	data = append(data, ']')
	m, err := message.Parse(data, attachments, 0)
	switch {
	case errors.Is(err, &message.Error{Kind: message.IllegalAttachments}):
		return nil, &apiError{CodeInvalidArgs, "binary data belongs into args, with a placeholder for each and nothing else that looks like one"}
	case errors.Is(err, &message.Error{Kind: message.TooManyAttachments}):
		return nil, &apiError{CodeInvalidArgs, fmt.Sprintf("there are more than %d binary values", message.DefaultMaxAttachments)}
	case err != nil:
		return nil, &apiError{CodeInvalidArgs, fmt.Sprintf("the arguments are nested more than %d levels deep", message.MaxDepth)}
	}
	return m, nil
}

func (p *publication) target() message.Target {
	return message.Target{Rooms: p.Rooms, Except: p.Except}
}

// requestError says what is wrong with a request without naming Go types.
func requestError(err error) error {
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) {
		return &apiError{CodeInvalidJSON, "the request is no valid JSON: " + err.Error()}
	}
	at := string(semantic.JSONPointer)
	if errors.Is(err, json.ErrUnknownName) {
		return &apiError{CodeInvalidRequest,
			fmt.Sprintf("unknown field %q; there are namespace, rooms, except, event and args", semantic.JSONPointer.LastToken())}
	}
	if at == "" {
		return &apiError{CodeInvalidRequest, `the request must be an object such as {"rooms":["a"],"event":"tick","args":[1]}`}
	}
	return &apiError{CodeInvalidRequest,
		fmt.Sprintf("the value at %s has the wrong type: namespace and event are strings, rooms and except lists of strings", at)}
}

func checkRooms(rooms []string, limit int) error {
	if len(rooms) > limit {
		return &apiError{CodeTooManyRooms, fmt.Sprintf("%d rooms are more than the %d this server allows (--max-rooms)", len(rooms), limit)}
	}
	for _, room := range rooms {
		switch {
		case room == "":
			return &apiError{CodeInvalidRoom, "a room's name must not be empty"}
		case len(room) > maxName:
			return &apiError{CodeInvalidRoom, fmt.Sprintf("a room's name must not be longer than %d bytes; one has %d", maxName, len(room))}
		}
	}
	return nil
}

// unique returns the rooms without repetitions, in order.
func unique(rooms []string) []string {
	seen := make(map[string]struct{}, len(rooms))
	return slices.DeleteFunc(slices.Clone(rooms), func(room string) bool {
		_, again := seen[room]
		seen[room] = struct{}{}
		return again
	})
}
