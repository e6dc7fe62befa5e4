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

// Call sends an event to a client and decodes the first argument of its acknowledgement. It returns what
// [Socket.EmitWithAck] returns, an error when the argument is no Res, and an [*Error] when the client answered with
// {"error":{"code":…,"message":…}}, as handlers of this package do.
func Call[Res any](ctx context.Context, s *Socket, event string, args ...any) (Res, error) {
	var res Res
	reply, err := s.EmitWithAck(ctx, event, args...)
	if err != nil {
		return res, err
	}
	if e := reply.failure(); e != nil {
		return res, e
	}
	return res, reply.Decode(&res)
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
