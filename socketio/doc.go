// Package socketio is a Socket.IO server: it speaks protocol revision 5 and so serves the official clients of
// version 3 and 4, in browsers and elsewhere, over HTTP long-polling and WebSocket.
//
//	io := socketio.NewServer(nil)
//	io.OnConnect(func(s *socketio.Socket) { s.Join(s.Context(), "lobby") })
//	io.On("say", func(s *socketio.Socket, text string) error {
//		return s.To("lobby").Emit(s.Context(), "said", text)
//	})
//	http.Handle("/socket.io/", io)
//
// A [Server] has namespaces, each with its own handlers, middleware and rooms; the server itself is also the root
// namespace. A [Socket] is one client in one namespace. A [Broadcast] says who receives, and then sends.
//
// # Handlers
//
// Handlers belong to a namespace and are registered with [Namespace.On] or, type-checked by the compiler, with
// [Handle]. Their results are the acknowledgement the client may have asked for. An error is sent as
// {"error":{"code":…,"message":…}}: the code and message of an [*Error], or "internal" for any other error, which is
// logged instead of shown. A panic counts as such an error; the connection lives on.
//
// # Order and concurrency
//
// Everything that one connection causes, in all its namespaces, runs on one goroutine at a time and in the order of
// arrival: connection middleware, OnConnect, event handlers, OnDisconnecting, OnDisconnect. Connections run beside
// each other. The goroutine exists only while there is something to do. A handler may block: heartbeats go on, and
// acknowledgements still reach a handler that waits for one from the same client. When [Options].InboxLimit events
// wait behind it, the connection is not read any further until half of them are done; acknowledgements then wait too.
//
// A client that disconnects, or whose connection breaks, has its earlier events handled first, with a context that
// is done already. When it is the server who disconnects the socket, events that still wait are dropped;
// [Server.Shutdown] says what a shutdown does. OnDisconnecting and OnDisconnect run once, behind them, for each socket that OnConnect was due for.
//
// # Contexts
//
// A context bounds how long a method waits: for the cluster to take something, or for clients and nodes to answer. Answers
// are waited for until the context ends, or for [DefaultAckTimeout] if it has no deadline. What needs no waiting is done
// in any case, and on this node first. So a [Socket], a [RemoteSocket] and a [Broadcast] are used in the same way, and a
// program may take whichever it is given by an interface of its own.
//
// # Values
//
// Arguments follow the rules of encoding/json, but a []byte anywhere in them travels as binary data. See package
// sioproto.
//
// Values kept with a socket have a [Key] with their type, which finds them on every node.
package socketio
