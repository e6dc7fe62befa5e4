package front

import (
	"net"
	"net/http"
	"time"
)

// New returns a listener that server is to serve. Requests for a WebSocket that have arrived whole when their connection
// is accepted are served by the server's handler there and then, with a ResponseWriter whose TakeDescriptor gives the
// connection away as it is. What the handler does else with such a request is done by net/http, with the settings of
// server; every other connection goes to server. keepAlive is that of [net.ListenConfig]. A listener that is not of TCP, or
// not on Linux, is returned as it is.
//
// Close ends Accept. What the listener itself has begun to serve may go on for two seconds; then its connections are
// closed and its contexts end. Accept does not return before that is done, so Shutdown and Close of server wait for it.
func New(l net.Listener, server *http.Server, keepAlive time.Duration) net.Listener {
	return newFront(l, server, keepAlive)
}
