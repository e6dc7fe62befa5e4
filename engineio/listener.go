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

// NewListener makes connecting cheaper: it returns a listener for an [http.Server] whose Handler is h. A request for a
// WebSocket is then served by h without the buffers, timers and the goroutine that net/http gives each connection, and
// its connection is taken over as it is; all others are left to the http.Server. Nil options are those of the zero value:
//
//	server := &http.Server{Handler: mux}
//	err = server.Serve(engineio.NewListener(listener, mux, nil))
//
// Nothing depends on it: a [Server] works behind any http.Server. Requests that are served by h directly pass everything
// that h consists of, but not what is set on the http.Server, such as ConnState, ConnContext, BaseContext and ErrorLog, and
// their context has no [http.ServerContextKey], since the listener cannot know the server. The net.Conn of the others has
// the methods of *net.TCPConn for deadlines, half-closing, system calls and files, but is not of that type.
//
// A listener of TLS or of anything else that is not plain TCP, and any listener on another system than Linux, is returned
// as it is. Do not use it with [http.Server.ServeTLS]: a WebSocket would be served without TLS to a client that asks so.
//
// The listener owns l: closing it closes l. It sets TCP_DEFER_ACCEPT, so that a connection is accepted with its request.
func NewListener(l net.Listener, h http.Handler, opts *ListenerOptions) net.Listener {
	if opts == nil {
		opts = new(ListenerOptions)
	}
	return front.New(l, h, opts.KeepAlive)
}
