package engineio

import (
	"net"
	"net/http"

	"github.com/peal-dev/peal/internal/netconn"
)

// NewListener makes connecting cheaper: it returns a listener for an [http.Server] whose Handler is h. A request for a
// WebSocket is then served by h without the buffers, timers and the goroutine that net/http gives each connection, and
// its connection is taken over as it is; all others are left to the http.Server:
//
//	server := &http.Server{Handler: mux}
//	err = server.Serve(engineio.NewListener(listener, mux))
//
// Nothing depends on it: a [Server] works behind any http.Server. Requests that are served by h directly pass everything
// that h consists of, but not what is set on the http.Server, such as ConnState, ConnContext and ErrorLog. A listener of
// TLS or of anything else that is not plain TCP, and any listener on another system than Linux, is returned as it is.
//
// The listener owns l: closing it closes l. It sets TCP_DEFER_ACCEPT, so that a connection is accepted with its request.
func NewListener(l net.Listener, h http.Handler) net.Listener { return netconn.NewFront(l, h) }
