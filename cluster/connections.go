package cluster

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

const (
	// streamBuffer is how much of an answer is kept for a client that is slow to take it, of a peer that speaks HTTP/2, and
	// connBuffer that of all such clients together.
	streamBuffer = 64 << 10
	connBuffer   = 64 << 20
)

// connections returns what requests are passed on with, and the configuration of connections that become relays. Where
// there is TLS it says which HTTP the peer speaks: of HTTP/2, one connection carries all the polls that wait.
func connections(o *Options) (*http.Transport, *tls.Config) {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	t := &http.Transport{DialContext: (&net.Dialer{Timeout: o.DialTimeout}).DialContext, TLSHandshakeTimeout: o.DialTimeout,
		MaxIdleConnsPerHost: 256, IdleConnTimeout: 30 * time.Second, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10,
		Protocols: &protocols, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: streamBuffer, MaxReceiveBufferPerConnection: connBuffer,
			SendPingTimeout: o.DialTimeout, PingTimeout: o.DialTimeout}, // else a broken connection would be used again
	}
	if o.TLS != nil {
		t.TLSClientConfig = o.TLS.Clone()
	}
	t.TLSClientConfig.NextProtos = nil // the transport's own
	relays := t.TLSClientConfig.Clone()
	relays.NextProtos = []string{"http/1.1"} // there are no WebSockets on Go's HTTP/2
	return t, relays
}
