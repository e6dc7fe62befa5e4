package cluster

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/peal-dev/peal/internal/netconn"
)

// upgrade has the peer answer a WebSocket handshake, and relays the WebSocket.
func (n *Node) upgrade(ctx context.Context, w http.ResponseWriter, r *http.Request, p *peer) (_ Outcome, err error) {
	relayed := false
	defer func() {
		if !relayed {
			n.relays.Add(-1)
		}
	}()
	if n.relays.Add(1) > int64(n.opts.MaxRelays) {
		w.Header().Set("Connection", "close")
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many connections", http.StatusServiceUnavailable)
		return TooMany, nil
	}
	owner, err := n.dial(ctx, p)
	if err != nil {
		return unanswered(err)
	}
	defer func() {
		if !relayed {
			_ = owner.Close() // nothing was sent that it would be a pity about
		}
	}()
	_ = owner.SetDeadline(time.Now().Add(n.opts.DialTimeout)) // fails only on a closed connection, as the write will
	out := outgoing(r, p)
	out.Header.Set("Connection", "Upgrade")
	out.Header.Set("Upgrade", "websocket")
	out.Body = nil
	if err := out.Write(owner); err != nil {
		return Failed, fmt.Errorf("cluster: handshake with a node: %w", err)
	}
	reader := bufio.NewReader(owner)
	res, err := http.ReadResponse(reader, out)
	if err != nil {
		return Failed, fmt.Errorf("cluster: handshake with a node: %w", err)
	}
	defer res.Body.Close()
	switch {
	case res.Header.Get(nodeHeader) != p.id:
		return Failed, errStranger
	case res.StatusCode != http.StatusSwitchingProtocols:
		n.answer(ctx, w, res)
		return Answered, nil
	}
	_ = owner.SetDeadline(time.Time{})
	ahead := make([]byte, reader.Buffered())
	_, _ = reader.Read(ahead) // which are there
	client, readClient, err := n.loop.Takeover(w, netconn.RelayLimit)
	if err != nil {
		return Failed, fmt.Errorf("cluster: the connection of a client cannot be taken over: %w", err)
	}
	relayed = true
	_ = client.Write(switching(w.Header(), res.Header), 0) // a client that has gone is seen when reading starts
	netconn.Relay(client, n.loop.Adopt(owner, netconn.RelayLimit), readClient, ahead, func(error) { n.relays.Add(-1) })
	return Relayed, nil
}

// dial connects to a peer.
func (n *Node) dial(ctx context.Context, p *peer) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, n.opts.DialTimeout)
	defer cancel()
	if p.secure() {
		return (&tls.Dialer{Config: n.relayTLS}).DialContext(ctx, "tcp", p.hostPort())
	}
	return new(net.Dialer).DialContext(ctx, "tcp", p.hostPort())
}

// switching is the answer to a WebSocket handshake: the peer's, with what middlewares have set here.
func switching(h, answer http.Header) []byte {
	h = h.Clone()
	if h == nil {
		h = make(http.Header)
	}
	merge(h, answer)
	var b bytes.Buffer
	_, _ = b.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n") // a buffer takes everything
	_ = h.Write(&b)
	_, _ = b.WriteString("\r\n")
	return b.Bytes()
}
