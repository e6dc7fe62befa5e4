package engineio

import (
	"net"
	"net/http"
	"time"

	"github.com/peal-dev/peal/internal/front"
)

// ListenerOptions configures [NewListener]. The zero value is ready to use.
type ListenerOptions struct {
	// KeepAlive is the interval of TCP's keep-alives on idle connections, with the meaning it has in [net.ListenConfig]: zero
	// means 15 seconds, and a negative value none, which is enough if heartbeats find the dead. What the ListenConfig of the
	// listener says is not known here.
	KeepAlive time.Duration
}

// NewListener makes connecting cheaper: it returns a listener that server is to serve. A request for a WebSocket is then
// handed to the server's Handler without the buffers, timers and the goroutine that net/http gives each connection, and
// its connection is taken over as it is; all others are left to the server. Nil options are those of the zero value:
//
//	server := &http.Server{Handler: mux}
//	err = server.Serve(engineio.NewListener(listener, server, nil))
//
// Nothing depends on it: a [Server] works behind any http.Server, and handlers see no difference. What a handler does with
// such a request that is not taking it over (answering it, watching its context) is done by net/http with the settings of
// server, which must not change any more once it serves. Only ConnState does not hear of connections that are taken over
// at once. A server with a ConnContext is handed all connections, for it is to see each before its request. The net.Conn of
// what is not taken over has the methods of *net.TCPConn for deadlines, half-closing, system calls and files, but is not of
// that type.
//
// A listener of TLS or of anything else that is not plain TCP, and any listener on another system than Linux, is returned
// as it is. Do not use it with [http.Server.ServeTLS]: a WebSocket would be served without TLS to a client that asks so.
//
// The listener owns l: closing it closes l. Requests that it has handed to the Handler itself may go on for two seconds
// after Close; then their connections are closed and their contexts end, and they have two seconds more. Shutdown and
// Close of server wait for that. It sets TCP_DEFER_ACCEPT, so that a connection is accepted with its request.
func NewListener(l net.Listener, server *http.Server, opts *ListenerOptions) net.Listener {
	if opts == nil {
		opts = new(ListenerOptions)
	}
	return front.New(l, server, opts.KeepAlive)
}
