package socketio

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/socketio/sioproto"
)

// answerer sends the acknowledgement of an event of another node.
type answerer func(data []byte, attachments [][]byte) error

// ServerSideEmit sends an event to all other nodes of the cluster, where [Namespace.OnServerSide] or, on Node.js nodes,
// namespace.on handles it. Clients do not see it, and this node does not handle it. It returns when the cluster has
// taken the event; an error means that it cannot be encoded or that the cluster did not take it before ctx ended.
// Without a cluster it does nothing.
func (ns *Namespace) ServerSideEmit(ctx context.Context, event string, args ...any) error {
	m, err := ns.serverMessage(event, args)
	if err != nil {
		return err
	}
	return ns.adapter.SendEvent(ctx, m)
}

// ServerSideEmitWithAck is ServerSideEmit that waits until every other node has acknowledged the event, and returns what
// they said in order of arrival: one reply with one argument from each. It waits until ctx ends, five seconds if ctx has no
// deadline. A node without a handler for the event does not answer. If not all have, the error wraps [ErrIncomplete], and
// that of ctx if it has ended; if the cluster cannot be reached, [adapter.ErrUnavailable]. The replies that came are
// returned whatever the error.
func (ns *Namespace) ServerSideEmitWithAck(ctx context.Context, event string, args ...any) ([]*Reply, error) {
	m, err := ns.serverMessage(event, args)
	if err != nil {
		return nil, err
	}
	var replies []*Reply
	_, err = ns.adapter.Call(ctx, &adapter.Call{Kind: adapter.CallEvent, Message: m}, func(a adapter.Answer) {
		replies = append(replies, &Reply{args: [][]byte{a.Argument}, attachments: a.Attachments})
	})
	return replies, err
}

// CallServers is [Namespace.ServerSideEmitWithAck] that decodes the replies. A node that answered with an [*Error], as
// handlers of this package do, or with something that is no Res, is left out and told of in the error.
func CallServers[Res any](ctx context.Context, ns *Namespace, event string, args ...any) ([]Res, error) {
	replies, err := ns.ServerSideEmitWithAck(ctx, event, args...)
	results := make([]Res, 0, len(replies))
	for _, r := range replies {
		res, failure := decodeReply[Res](r)
		if failure != nil {
			err = errors.Join(err, failure)
			continue
		}
		results = append(results, res)
	}
	return results, err
}

func (ns *Namespace) serverMessage(event string, args []any) (*message.Message, error) {
	data, attachments, err := sioproto.MarshalEvent(event, args...)
	if err != nil {
		return nil, fmt.Errorf("socketio: server-side event %q: %w", event, err)
	}
	return message.New(data, attachments...), nil
}

// OnServerSide registers the handler of an event that other nodes send with [Namespace.ServerSideEmit] or Node.js nodes
// with serverSideEmit. fn is like that of [Namespace.On], without a *[Socket], and its first result is the
// acknowledgement for a node that waits for one. Its context ends when the answer is wanted no longer, after five seconds if
// the node waits for none, and when the server is shut down. The events of a namespace are handled one after another, in order of arrival: a handler that
// takes long should start a goroutine. OnServerSide panics as On does.
func (ns *Namespace) OnServerSide(event string, fn any) {
	call := fmt.Sprintf("OnServerSide(%q)", event)
	h, plan := compile(call, event, fn)
	must(plan == nil || plan.socket < 0, call, "the event comes from a node, there is no *socketio.Socket")
	ns.change(func(hs *handlers) {
		must(hs.server[event] == nil, call, "namespace "+ns.name+" has a handler for this event already")
		hs.server = maps.Clone(hs.server)
		if hs.server == nil {
			hs.server = make(map[string]*handler)
		}
		hs.server[event] = h
	})
}

// serverEvent handles an event of another node.
func (ns *Namespace) serverEvent(ctx context.Context, c *adapter.Call, reply func(argument []byte, attachments [][]byte)) {
	h := ns.handlers.Load().server[c.Message.Event()]
	if h == nil {
		return
	}
	ev := &Event{Name: h.event, handler: h, attachments: c.Message.Attachments, wantsAck: reply != nil}
	ev.answer = func(data []byte, attachments [][]byte) error {
		argument := []byte("null")
		if list, err := sioproto.Elements(data); err == nil && len(list) > 0 {
			argument = list[0]
		}
		reply(argument, attachments)
		return nil
	}
	var err error
	if ev.args, err = sioproto.Elements(c.Message.Args()); err != nil {
		return // cannot be: it was checked
	}
	srv := ns.server
	defer func() {
		if v := recover(); v != nil {
			srv.counters.handlerPanics.Add(1)
			srv.log.Error("socketio: handler of a node's event panicked", "namespace", ns.name, "event", ev.Name, "panic", v)
			ev.reject(CodeInternal, "internal error", nil)
		}
	}()
	if err = h.call(ctx, ev); err == nil {
		if !ev.late && ev.WantsAck() {
			_ = ev.Ack() // fails only if it was acknowledged meanwhile
		}
		return
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		if e.Code == CodeBadArgument {
			srv.counters.badArguments.Add(1)
		}
		ev.reject(e.Code, e.Message, e.Data)
		return
	}
	srv.counters.handlerErrors.Add(1)
	srv.log.Error("socketio: handler of a node's event failed", "namespace", ns.name, "event", ev.Name, "err", err)
	ev.reject(CodeInternal, "internal error", nil)
}
