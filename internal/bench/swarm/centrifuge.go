package swarm

import (
	"bytes"
	"fmt"

	"github.com/peal-dev/peal/internal/bench/evloop"
	"github.com/peal-dev/peal/internal/bench/wire"
)

// centrifuge is a client of Centrifugo's protocol, version 2, as JSON in WebSocket frames: a frame holds replies and
// pushes, one to a line.
type centrifuge struct {
	*Client
	subscriptions int // that were not confirmed yet
}

// Connected implements evloop.Handler.
func (c *centrifuge) Connected(conn *evloop.Conn) { c.upgrade(conn, c.swarm.cfg.Path) }

// Data implements evloop.Handler.
func (c *centrifuge) Data(conn *evloop.Conn, p []byte) (consumed int, err error) {
	if c.state == handshaking {
		if consumed, err = c.upgraded(p); err != nil || consumed == 0 {
			return 0, err
		}
		c.state = connecting
		c.write(`{"id":1,"connect":{}}`)
	}
	n, err := frames(conn, p[consumed:], c.lines)
	return consumed + n, err
}

func (c *centrifuge) lines(p []byte) error {
	for line := range bytes.SplitSeq(p, []byte("\n")) {
		switch {
		case len(line) == 0:
		case bytes.HasPrefix(line, []byte(`{"push":`)):
			c.swarm.cfg.Message(c.Client, line)
		case string(line) == "{}": // a ping, answered by the same
			c.write("{}")
		default:
			if err := c.reply(line); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *centrifuge) reply(line []byte) error {
	switch {
	case bytes.Contains(line, []byte(`"error":`)):
		return fmt.Errorf("the server refused a command: %.200q", line)
	case c.state == connecting && bytes.Contains(line, []byte(`"connect":`)):
		commands := ""
		if c.swarm.cfg.Subscribe != nil {
			commands = c.swarm.cfg.Subscribe(c.Index)
		}
		if commands == "" {
			c.becomeReady()
			return nil
		}
		c.state = subscribing
		c.subscriptions = 1 + bytes.Count([]byte(commands), []byte("\n"))
		c.write(commands)
	case c.state == subscribing && bytes.Contains(line, []byte(`"subscribe":`)):
		if c.subscriptions--; c.subscriptions == 0 {
			c.becomeReady()
		}
	case c.state == ready && bytes.Contains(line, []byte(`"publish":`)):
		c.swarm.cfg.Ack(c.Client, line)
	default:
		return fmt.Errorf("a reply to no command: %.200q", line)
	}
	return nil
}

// upgrade asks for the WebSocket handshake.
func (c *Client) upgrade(conn *evloop.Conn, path string) {
	s := c.swarm
	if s.request == nil || s.cfg.Session != nil { // else the same for all
		s.request = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: peal-bench\r\n"+
			"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: cGVhbCBsb2FkIGdlbmVyYQ==\r\n\r\n",
			path, s.cfg.Target)
	}
	c.conn, c.state = conn, handshaking
	conn.Write(s.request)
}

// upgraded reads the answer to upgrade, and returns its length or 0 if it is not whole.
func (c *Client) upgraded(p []byte) (size int, err error) {
	const empty = "\r\n\r\n"
	// What else a head says that agrees is for clients that had asked for it.
	if end := bytes.Index(p, []byte(empty)); end >= 0 && bytes.HasPrefix(p, []byte("HTTP/1.1 101 ")) {
		return end + len(empty), nil
	}
	head, size, err := wire.DecodeHead(p)
	if err == nil && size > 0 && head.Status != 101 {
		err = fmt.Errorf("the server answered the WebSocket handshake with status %d", head.Status)
	}
	return size, err
}

// frames handles the WebSocket frames in p; text is given the text messages.
func frames(conn *evloop.Conn, p []byte, text func([]byte) error) (consumed int, err error) {
	for {
		f, size, err := wire.DecodeFrame(p[consumed:])
		if err != nil || size == 0 {
			return consumed, err
		}
		consumed += size
		switch f.Op {
		case wire.Text:
			err = text(f.Payload)
		case wire.Ping:
			conn.Write(wire.AppendFrame(nil, wire.Pong, f.Payload))
		case wire.Close:
			err = fmt.Errorf("the server closed the WebSocket: %q", f.Payload)
		case wire.Binary, wire.Pong:
		}
		if err != nil {
			return consumed, err
		}
	}
}
