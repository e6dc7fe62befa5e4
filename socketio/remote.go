package socketio

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/peal-dev/peal/adapter"
)

// RemoteSocket is what is known of a socket somewhere in the cluster, as it was when it was fetched. Its methods act on
// the socket where it is; that it is gone meanwhile is no error, except where they say so.
type RemoteSocket struct {
	ID        string
	Rooms     []string // without the one that is its ID
	Handshake RemoteHandshake
	// Data is the JSON object of what [Socket.Set] keeps, as far as JSON can express it, or what a Node.js node has as
	// socket.data. It is a copy. [Key] and [RemoteSocket.DecodeData] decode it.
	Data json.RawMessage

	namespace *Namespace
}

// RemoteHandshake is the request that opened a socket's connection.
type RemoteHandshake struct {
	Time    time.Time // zero if the node did not say
	Address string
	URL     string
	Secure  bool // over TLS
	XDomain bool // from a page of another site
	Header  http.Header
	Query   url.Values
	Auth    json.RawMessage // what the client sent to join the namespace
}

// Socket returns the socket itself if it is connected to this node, else nil.
func (r *RemoteSocket) Socket() *Socket { return r.namespace.Socket(r.ID) }

// DecodeData stores Data in the value that v points to, by the rules of encoding/json.
func (r *RemoteSocket) DecodeData(v any) error {
	if err := json.Unmarshal(r.Data, v); err != nil {
		return fmt.Errorf("socketio: data of socket %s: %w", r.ID, err)
	}
	return nil
}

func (r *RemoteSocket) alone() Broadcast { return r.namespace.To(r.ID) }

// Emit sends an event to the socket; see [Broadcast.Emit].
func (r *RemoteSocket) Emit(ctx context.Context, event string, args ...any) error {
	return r.alone().Emit(ctx, event, args...)
}

// EmitWithAck sends an event to the socket and waits for its acknowledgement, of which other nodes pass on the first
// argument. The errors are those of [Broadcast.EmitWithAck], and [ErrDisconnected] if the socket is gone.
func (r *RemoteSocket) EmitWithAck(ctx context.Context, event string, args ...any) (*Reply, error) {
	replies, err := r.alone().EmitWithAck(ctx, event, args...)
	if reply := replies.Replies[r.ID]; reply != nil {
		return reply, nil
	}
	switch {
	case len(replies.Unnamed) > 0:
		return replies.Unnamed[0], nil
	case err == nil:
		return nil, ErrDisconnected
	}
	return nil, err
}

// Join puts the socket into rooms; see [Broadcast.Join].
func (r *RemoteSocket) Join(ctx context.Context, rooms ...string) error {
	return r.alone().Join(ctx, rooms...)
}

// Leave takes the socket out of rooms; see [Broadcast.Leave].
func (r *RemoteSocket) Leave(ctx context.Context, rooms ...string) error {
	return r.alone().Leave(ctx, rooms...)
}

// Disconnect disconnects the socket; see [Broadcast.Disconnect].
func (r *RemoteSocket) Disconnect(ctx context.Context, closeConn bool) error {
	return r.alone().Disconnect(ctx, closeConn)
}

// FetchSockets returns the sockets that are meant, of all nodes, in no order. Members that are not sockets are not among
// them. It waits until ctx ends, or for [DefaultAckTimeout] if ctx has no deadline. If
// not every node has answered the error wraps [ErrIncomplete], and that of ctx if it has ended; if the cluster cannot be
// reached, [adapter.ErrUnavailable]. The sockets that are known are returned whatever the error.
func (b Broadcast) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	var sockets []*RemoteSocket
	for s := range b.ns.sockets(b.target()) {
		sockets = append(sockets, s.snapshot().socket(b.ns))
	}
	if b.local {
		return sockets, nil
	}
	_, err := b.ns.adapter.Call(ctx, &adapter.Call{Kind: adapter.CallMembers, Rooms: b.rooms, Except: b.except}, func(a adapter.Answer) {
		for _, raw := range a.Members {
			var snap snapshot
			if json.Unmarshal(raw, &snap) == nil && snap.ID != "" {
				sockets = append(sockets, snap.socket(b.ns))
			}
		}
	})
	return sockets, err
}

// FetchSockets returns all sockets of the namespace, of all nodes; see [Broadcast.FetchSockets].
func (ns *Namespace) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	return ns.Broadcast().FetchSockets(ctx)
}

// AllRooms returns the rooms of the namespace that have members on any node, sorted. The ids of members are rooms too.
// The errors are those of [Broadcast.FetchSockets]; the rooms that are known are returned whatever the error.
func (ns *Namespace) AllRooms(ctx context.Context) ([]string, error) {
	rooms := ns.adapter.Rooms()
	ns.adapter.Each(Broadcast{}.target(), func(m adapter.Member) bool {
		rooms = append(rooms, m.ID())
		return true
	})
	_, err := ns.adapter.Call(ctx, &adapter.Call{Kind: adapter.CallRooms}, func(a adapter.Answer) {
		rooms = append(rooms, a.Names...)
	})
	slices.Sort(rooms)
	return slices.Compact(rooms), err
}

// ServerCount returns how many nodes of the cluster serve the namespace now, with this one; 1 without a cluster. The
// error is that of the cluster, or of ctx.
func (ns *Namespace) ServerCount(ctx context.Context) (int, error) { return ns.adapter.Nodes(ctx) }

func (s *snapshot) socket(ns *Namespace) *RemoteSocket {
	h := &s.Handshake
	r := &RemoteSocket{ID: s.ID, Data: s.Data, namespace: ns, Handshake: RemoteHandshake{
		Address: h.Address, URL: h.URL, Secure: h.Secure, XDomain: h.XDomain, Auth: h.Auth,
		Header: make(http.Header, len(h.Headers)), Query: make(url.Values, len(h.Query)),
	}}
	if h.Issued > 0 {
		r.Handshake.Time = time.UnixMilli(int64(h.Issued))
	}
	for name, values := range h.Headers {
		r.Handshake.Header[http.CanonicalHeaderKey(name)] = values
	}
	for name, values := range h.Query {
		r.Handshake.Query[name] = values
	}
	for _, room := range s.Rooms {
		if string(room) != s.ID {
			r.Rooms = append(r.Rooms, string(room))
		}
	}
	return r
}

// texts are the values of a header or parameter: a text to Node.js, or a list where there are several.
type texts []string

// MarshalJSON implements [json.Marshaler].
func (t texts) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// UnmarshalJSON implements [json.Unmarshaler]. What is no text is none: a node may have anything there.
func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = texts{one}
		return nil
	}
	var list []string
	if json.Unmarshal(b, &list) == nil {
		*t = list
	}
	return nil
}

// roomName is a room, which to a Node.js node may be a number.
type roomName string

// UnmarshalJSON implements [json.Unmarshaler].
func (n *roomName) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		text = string(b)
	}
	*n = roomName(text)
	return nil
}
