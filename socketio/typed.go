package socketio

import (
	"context"
	"errors"
	"fmt"

	"github.com/peal-dev/peal/socketio/sioproto"
)

// Handle registers the handler of an event that has one argument and one result, checked by the compiler and called
// without reflection. Otherwise it is like [Namespace.On]. A Req or Res of struct{} stands for no argument and no
// result. For the root namespace pass server.Namespace.
func Handle[Req, Res any](ns *Namespace, event string, fn func(ctx context.Context, s *Socket, req Req) (Res, error)) {
	must(fn != nil, fmt.Sprintf("Handle(%q)", event), "the handler is nil")
	ns.On(event, EventHandler(func(ctx context.Context, ev *Event) error {
		var req Req
		if _, none := any(req).(struct{}); !none {
			if err := ev.Arg(0, &req); err != nil {
				return err
			}
		}
		res, err := fn(ctx, ev.Socket, req)
		if err != nil || !ev.WantsAck() {
			return err
		}
		if _, none := any(res).(struct{}); none {
			return ignoreGone(ev.Ack())
		}
		return ignoreGone(ev.Ack(res))
	}))
}

// Arg returns argument i of an event; see [Event.Arg], which takes a place to store it in.
func Arg[T any](ev *Event, i int) (T, error) {
	var v, none T
	if err := ev.Arg(i, &v); err != nil {
		return none, err
	}
	return v, nil
}

// Call sends an event to a client and decodes the first argument of its acknowledgement. It returns what
// [Socket.EmitWithAck] returns, an error when the argument is no Res, and an [*Error] when the client answered with
// {"error":{"code":…,"message":…}}, as handlers of this package do.
func Call[Res any](ctx context.Context, s *Socket, event string, args ...any) (Res, error) {
	reply, err := s.EmitWithAck(ctx, event, args...)
	if err != nil {
		var none Res
		return none, err
	}
	return decodeReply[Res](reply)
}

// CallAll is [Broadcast.EmitWithAck] that decodes the first argument of each acknowledgement. Its error says only whether
// somebody is missing; what is wrong with an answer is said with it.
func CallAll[Res any](ctx context.Context, to Broadcast, event string, args ...any) (Answers[Res], error) {
	replies, err := to.EmitWithAck(ctx, event, args...)
	answers := Answers[Res]{Answers: make([]Answer[Res], 0, len(replies.Replies)+len(replies.Unnamed)), Unanswered: replies.Unanswered}
	for id, reply := range replies.Replies {
		answers.Answers = append(answers.Answers, answerOf[Res](id, reply))
	}
	for _, reply := range replies.Unnamed {
		answers.Answers = append(answers.Answers, answerOf[Res]("", reply))
	}
	return answers, err
}

// Answers is what [CallAll] has gathered.
type Answers[Res any] struct {
	Answers []Answer[Res] // in no order
	Unanswered
}

// Values returns the values of the answers that are without an error, in no order.
func (a *Answers[Res]) Values() []Res {
	values := make([]Res, 0, len(a.Answers))
	for _, answer := range a.Answers {
		if answer.Err == nil {
			values = append(values, answer.Value)
		}
	}
	return values
}

// Answer is what one client has answered.
type Answer[Res any] struct {
	// Socket is the id of the client's socket; "" if its node does not say, as Node.js nodes do not.
	Socket string
	// Value is the answer; the zero value beside an error.
	Value Res
	// Err is an [*Error] if the client has answered with one, as for [Call], or says why the answer is no Res.
	Err error
}

func answerOf[Res any](id string, r *Reply) Answer[Res] {
	value, err := decodeReply[Res](r)
	return Answer[Res]{Socket: id, Value: value, Err: err}
}

// decodeReply returns the value that a reply is, or the error.
func decodeReply[Res any](r *Reply) (Res, error) {
	var res, none Res
	if e := r.failure(); e != nil {
		return none, e
	}
	if err := r.Decode(&res); err != nil {
		return none, err
	}
	return res, nil
}

// failure returns the error that the reply stands for, or nil. Only an object with nothing but an error that has a
// code counts, lest a result be taken for one.
func (r *Reply) failure() *Error {
	if len(r.args) != 1 || r.args[0][0] != '{' {
		return nil
	}
	var fields map[string]any
	if sioproto.Unmarshal(r.args[0], r.attachments, &fields) != nil || len(fields) != 1 {
		return nil
	}
	object, _ := fields["error"].(map[string]any)
	code, _ := object["code"].(string)
	message, isText := object["message"].(string)
	if code == "" || !isText {
		return nil
	}
	return &Error{Code: code, Message: message, Data: object["data"]}
}

// ignoreGone drops the errors of an acknowledgement that nobody waits for any more.
func ignoreGone(err error) error {
	if errors.Is(err, ErrDisconnected) || errors.Is(err, ErrSlowConsumer) || errors.Is(err, ErrAcked) {
		return nil
	}
	return err
}
