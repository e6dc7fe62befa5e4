package engineio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/peal-dev/peal/engineio/eioproto"
	"github.com/peal-dev/peal/internal/netconn"
	"github.com/peal-dev/peal/internal/wsproto"
)

// isUpgrade reports whether a request asks for a WebSocket.
func isUpgrade(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && hasToken(r.Header, "Connection", "upgrade")
}

func hasToken(h http.Header, name, token string) bool {
	for _, v := range h.Values(name) {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// webSocket is a WebSocket of a session: the one in use, or one that is being tried for an upgrade.
type webSocket struct {
	session *Session
	conn    *netconn.Conn
	reader  wsproto.Reader
	probing bool // not in use yet; read and written on the connection's own goroutine only
	broken  bool // its frames cannot be followed any more
}

// takeOver answers a WebSocket handshake and takes the connection over; first is sent in the same write, with the cookie
// of a session that this opens. If it returns nil, the request has been answered.
func (s *Server) takeOver(w http.ResponseWriter, r *http.Request, opens *Session, first []byte) (conn *netconn.Conn, buffered []byte) {
	key := r.Header.Get("Sec-WebSocket-Key")
	if decoded, err := base64.StdEncoding.DecodeString(key); err != nil || len(decoded) != 16 || r.Header.Get("Sec-WebSocket-Version") != "13" {
		w.Header().Set("Sec-WebSocket-Version", "13")
		e := refused(BadRequest, "WEBSOCKET_HANDSHAKE_ERROR", "")
		e.Message = "Missing or invalid Sec-WebSocket-Version or Sec-WebSocket-Key header"
		s.refuse(w, r, e)
		return nil, nil
	}
	conn, buffered, err := s.loop.Takeover(w, s.opts.SendBuffer)
	if err != nil {
		e := refused(BadRequest, "TAKEOVER_IMPOSSIBLE", "the connection cannot be taken over (WebSocket needs HTTP/1.1 and no wrapper that hides http.Hijacker)")
		e.Err = err
		s.often.Log(r.Context(), slog.LevelWarn, "takeover", // the program's fault and not the client's, so it is said at once
			"engineio: WebSockets are refused: a middleware's ResponseWriter has neither Hijack nor Unwrap, or the request is not HTTP/1.1",
			slog.Any("err", err), slog.String("proto", r.Proto), slog.String("writer", fmt.Sprintf("%T", w)))
		s.refuse(w, r, e)
		return nil, nil
	}
	const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
	b := make([]byte, 0, 256+len(first))
	b = append(append(b, switching...), wsproto.AcceptKey(key)...)
	b = append(b, "\r\n"...)
	if protocols := r.Header.Get("Sec-WebSocket-Protocol"); protocols != "" {
		protocol, _, _ := strings.Cut(protocols, ",")
		b = append(append(append(b, "Sec-WebSocket-Protocol: "...), strings.TrimSpace(protocol)...), "\r\n"...)
	}
	if opens != nil {
		s.setCookie(w, opens)
	}
	b = appendHeader(b, w.Header())
	b = append(append(b, "\r\n"...), first...)
	_ = conn.Write(b, 0) // a client that has gone is seen when reading starts
	return conn, buffered
}

// appendHeader appends what middlewares have set.
func appendHeader(b []byte, h http.Header) []byte {
	if len(h) == 0 {
		return b
	}
	var out bytes.Buffer
	_ = h.Write(&out) // a buffer takes everything
	return append(b, out.Bytes()...)
}

// emptyClose is the close frame without a code, which the peer reports as 1005.
var emptyClose = wsproto.AppendClose(nil, 0, "")

// openWebSocket answers a WebSocket handshake and starts the session on it, or returns false.
func (s *Server) openWebSocket(w http.ResponseWriter, r *http.Request, sess *Session, transport string) bool {
	if transport != WebSocket { // an upgrade request that names polling: there is nothing such a connection could carry
		s.refuseOverWebSocket(w, r)
		return false
	}
	text := s.openText(sess, transport)
	open := wsproto.AppendHeader(make([]byte, 0, wsproto.MaxServerHeader+1+len(text)), wsproto.Text, 1+len(text))
	open = append(append(open, '0'+byte(eioproto.Open)), text...)
	conn, buffered := s.takeOver(w, r, sess, open)
	if conn == nil {
		return false
	}
	sess.conn.Store(conn)
	if !s.add(sess) {
		conn.Close(netconn.ErrLoopClosed)
		conn.Start(discard{}, buffered)
		return false
	}
	_ = sess.begin() // if it failed, the connection is about to close
	conn.Start(&webSocket{session: sess, conn: conn}, buffered)
	return true
}

// refuseOverWebSocket accepts a WebSocket and closes it at once, for upgrades the reference refuses in this way.
func (s *Server) refuseOverWebSocket(w http.ResponseWriter, r *http.Request) {
	conn, buffered := s.takeOver(w, r, nil, emptyClose)
	if conn == nil {
		return
	}
	finish(conn, nil)
	conn.Start(discard{}, buffered)
}

// finish says goodbye on a connection that no session cares for any more. The client is to hang up; one that does not is
// hung up on.
func finish(conn *netconn.Conn, frame []byte) {
	conn.Finish(frame)
	time.AfterFunc(lingerTimeout, func() { conn.Close(nil) })
}

// discard ignores what arrives on a connection that is about to close.
type discard struct{}

func (discard) Data(*netconn.Conn, []byte, *netconn.Turn) ([]byte, error) { return nil, nil }
func (discard) Closed(*netconn.Conn, error)                               {}

// Data parses what arrived. Of several pings in it the last is answered (RFC 6455 section 5.5.3).
func (ws *webSocket) Data(_ *netconn.Conn, p []byte, turn *netconn.Turn) (rest []byte, err error) {
	limit := ws.session.server.opts.MaxPayload
	var ping []byte
	pinged := false
	for rest = p; len(rest) > 0 && !ws.broken; {
		var op wsproto.Opcode
		var payload []byte
		op, payload, rest, err = ws.reader.Next(rest, limit)
		if err != nil {
			ws.failed(err)
			return nil, nil
		}
		switch op {
		case wsproto.Continuation: // all is read
		case wsproto.Ping:
			ping, pinged = payload, true
		case wsproto.Pong:
		case wsproto.Close:
			if err := ws.closeFrame(payload); err != nil {
				return nil, err
			}
		default:
			ws.message(op, payload)
		}
		if turn.Over() {
			break
		}
	}
	if ws.broken {
		return nil, nil
	}
	if pinged { // a pong must not be what closes a slow client
		_ = ws.conn.Write(wsproto.AppendFrame(nil, wsproto.Pong, ping), netconn.Droppable)
	}
	return rest, nil
}

// failed answers bytes that break the protocol.
func (ws *webSocket) failed(err error) {
	code := uint16(wsproto.CloseProtocolError)
	var protocol *wsproto.ProtocolError
	if errors.As(err, &protocol) {
		code = protocol.Code
	}
	conn := ws.conn
	ws.broken = true
	conn.Finish(wsproto.AppendClose(nil, code, "")) // before the session's own, which would have no code
	if ws.probing {
		ws.session.abandonUpgrade(ws)
	} else {
		ws.session.CloseWith(TransportError, err)
	}
}

// message handles one message of the client.
func (ws *webSocket) message(op wsproto.Opcode, payload []byte) {
	packet := eioproto.Packet{Type: eioproto.Message, Binary: true, Data: payload}
	if op == wsproto.Text {
		var err error
		if packet, err = eioproto.Decode(payload); err != nil {
			ws.bad(err)
			return
		}
	}
	if ws.probing {
		ws.session.probe(ws, packet)
	} else {
		ws.session.packet(packet)
	}
}

// bad answers bytes that are not an Engine.IO packet.
func (ws *webSocket) bad(err error) {
	if ws.probing {
		ws.session.abandonUpgrade(ws)
		return
	}
	ws.session.CloseWith(ParseError, err)
}

// closeFrame answers the client's close frame, or takes it as the answer to ours.
func (ws *webSocket) closeFrame(payload []byte) error {
	if ws.session.over() {
		return io.EOF
	}
	reply := emptyClose
	if len(payload) >= 2 {
		reply = wsproto.AppendFrame(nil, wsproto.Close, payload[:2])
	}
	ws.broken = true // nothing may follow a close frame
	ws.conn.Finish(reply)
	if ws.probing {
		ws.session.abandonUpgrade(ws)
	} else {
		ws.session.CloseWith(TransportClose, nil)
	}
	return nil
}

// Closed is told that the connection has gone.
func (ws *webSocket) Closed(_ *netconn.Conn, cause error) {
	if ws.probing {
		ws.session.abandonUpgrade(ws)
		return
	}
	s := ws.session
	s.CloseWith(TransportClose, cause)
	s.mu.Lock()
	s.server.wheel.Stop(&s.timer) // nothing left to linger for
	s.mu.Unlock()
}

// closeConn closes the connection of a session that has ended.
func (s *Session) closeConn(conn *netconn.Conn, reason Reason, cause error, flush bool) {
	switch {
	case flush, reason == ParseError, reason == PingTimeout, reason == ServerShutdown, reason == ForcedClose,
		reason == TransportError && !errors.Is(cause, ErrSlowConsumer):
		conn.Finish(emptyClose)
	case reason == TransportClose && cause == nil: // a close packet: the client is waiting for the connection to end
		conn.Finish(emptyClose)
	default:
		conn.Close(cause)
	}
}
