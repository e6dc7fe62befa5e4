package redispubsub

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/jsonpack"
	"github.com/peal-dev/peal/internal/redisx"
	"github.com/peal-dev/peal/message"
)

var _ adapter.Caller = (*link)(nil)

// Call implements [adapter.Caller].
func (l *link) Call(ctx context.Context, c *adapter.Call, each func(adapter.Answer)) (missing []adapter.NodeID, err error) {
	if err := l.open(ctx); err != nil {
		return nil, err
	}
	// Node.js nodes answer on the channel of all, which is not listened to before somebody has asked.
	if !l.hearing.Load() {
		if err := l.listener.Add(redisx.Channel(l.responses)).Wait(ctx); err != nil {
			return nil, unavailable(ctx, err)
		}
		l.hearing.Store(true)
	}
	id := l.uid + rand.Text()[:16]
	payload, err := encodeCall(l.uid, id, l.namespace, c)
	if err != nil {
		return nil, err
	}
	return l.calls.Do(ctx, c, adapter.CallQuestion{
		ID:     id,
		Others: l.others,
		Names:  l.named,
		Silent: l.silent,
		Closed: l.done,
		Ask: func(ctx context.Context) error {
			return l.request(ctx, payload)
		},
	}, each)
}

// Nodes implements [adapter.Caller]: the connections that are subscribed to the namespace's request channel, on all servers
// of a Redis Cluster, as Node.js nodes count. It is asked anew for each call: a node that is not counted would be left out
// of the answer in silence, and one that is counted and gone would be waited for.
func (l *link) Nodes(ctx context.Context) (int, error) {
	if err := l.open(ctx); err != nil {
		return 0, err
	}
	bounded, cancel := context.WithTimeout(ctx, l.driver.opts.Timeout)
	defer cancel()
	n, err := l.driver.client.Subscribers(bounded, l.requests)
	if err != nil {
		return 0, unavailable(ctx, err)
	}
	return int(n), nil
}

var errDeaf = fmt.Errorf("%w: the connection that receives is away", adapter.ErrUnavailable)

// others counts the nodes that are there beside this one, which has to be subscribed itself: no answer would reach it, and
// it would count itself out.
func (l *link) others(ctx context.Context) (int, error) {
	before := l.driver.monitor.Reconnects()
	n, err := l.Nodes(ctx)
	switch {
	case err != nil:
		return 0, err
	case !l.driver.monitor.Connected() || l.driver.monitor.Reconnects() != before:
		return 0, errDeaf
	}
	return max(n-1, 0), nil
}

// unavailable makes one of an error that is not the caller's own.
func unavailable(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, redisx.ErrClosed):
		return adapter.ErrClosed
	}
	return fmt.Errorf("%w: %v", adapter.ErrUnavailable, err)
}

// question is a request as we publish it, but for those with a packet.
type question struct {
	UID       string          `json:"uid"`
	RequestID string          `json:"requestId,omitempty"`
	Type      int             `json:"type"`
	Rooms     []string        `json:"rooms,omitempty"`
	Opts      *changeFor      `json:"opts,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
	// Peal asks Peal nodes to answer on this node's own channel, and to name themselves and their members. Node.js nodes
	// do not know it.
	Peal int `json:"peal,omitempty"`
	// Timeout is how long the answer to an event is waited for, in milliseconds; for Peal nodes too.
	Timeout int64 `json:"timeout,omitempty"`
}

// encodeCall makes the request of a call.
func encodeCall(uid, id, namespace string, c *adapter.Call) ([]byte, error) {
	q := question{UID: uid, RequestID: id, Peal: 1}
	switch c.Kind {
	case adapter.CallMembers:
		q.Type, q.Opts = requestFetch, &changeFor{orEmpty(c.Rooms), orEmpty(c.Except)}
	case adapter.CallIDs:
		q.Type, q.Rooms = requestSockets, orEmpty(c.Rooms)
	case adapter.CallRooms:
		q.Type = requestAllRooms
	case adapter.CallEvent:
		return encodeEvent(uid, id, c.Message, c.Timeout)
	case adapter.CallAsk:
		return encodeAsk(uid, id, namespace, c)
	default:
		return nil, fmt.Errorf("redispubsub: call of kind %v", c.Kind)
	}
	return json.Marshal(q)
}

// encodeEvent makes a server-side emit, with an id if answers are wanted. It is JSON as Node.js nodes have it, or
// MessagePack, which they read too, if it has binary values.
func encodeEvent(uid, id string, m *message.Message, timeout time.Duration) ([]byte, error) {
	q := question{UID: uid, RequestID: id, Type: requestServerSideEmit, Data: m.Data}
	if id != "" {
		q.Peal, q.Timeout = 1, max(timeout.Milliseconds(), 1)
	}
	if len(m.Attachments) == 0 {
		return json.Marshal(q)
	}
	fields := uint32(3)
	if id != "" {
		fields = 6
	}
	b := msgp.AppendMapHeader(nil, fields)
	b = msgp.AppendString(msgp.AppendString(b, "uid"), uid)
	b = msgp.AppendInt(msgp.AppendString(b, "type"), requestServerSideEmit)
	if id != "" {
		b = msgp.AppendString(msgp.AppendString(b, "requestId"), id)
		b = msgp.AppendInt(msgp.AppendString(b, "peal"), q.Peal)
		b = msgp.AppendUint64(msgp.AppendString(b, "timeout"), uint64(q.Timeout))
	}
	return jsonpack.AppendMsgpack(msgp.AppendString(b, "data"), m.Data, m.Attachments)
}

// encodeAsk makes a broadcast with acknowledgement.
func encodeAsk(uid, id, namespace string, c *adapter.Call) ([]byte, error) {
	b := msgp.AppendMapHeader(nil, 6)
	b = msgp.AppendString(msgp.AppendString(b, "uid"), uid)
	b = msgp.AppendString(msgp.AppendString(b, "requestId"), id)
	b = msgp.AppendInt(msgp.AppendString(b, "type"), requestBroadcast)
	b = msgp.AppendInt(msgp.AppendString(b, "peal"), 1)
	b = msgp.AppendMapHeader(msgp.AppendString(b, "packet"), 3)
	b = msgp.AppendUint64(msgp.AppendString(b, "type"), typeEvent)
	b, err := jsonpack.AppendMsgpack(msgp.AppendString(b, "data"), c.Message.Data, c.Message.Attachments)
	if err != nil {
		return nil, fmt.Errorf("redispubsub: encode %q: %w", c.Message.Event(), err)
	}
	b = msgp.AppendString(msgp.AppendString(b, "nsp"), namespace)
	b = msgp.AppendMapHeader(msgp.AppendString(b, "opts"), 3)
	b = appendStrings(msgp.AppendString(b, "rooms"), c.Rooms)
	b = appendStrings(msgp.AppendString(b, "except"), c.Except)
	b = msgp.AppendMapHeader(msgp.AppendString(b, "flags"), 1)
	return msgp.AppendUint64(msgp.AppendString(b, "timeout"), uint64(max(c.Timeout.Milliseconds(), 1))), nil
}
