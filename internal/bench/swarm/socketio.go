package swarm

import (
	"errors"
	"fmt"
	"strings"

	"github.com/peal-dev/peal/internal/bench/evloop"
	"github.com/peal-dev/peal/internal/bench/wire"
)

// packet handles an Engine.IO packet. It runs for every message of every client, so it looks at two bytes and no more.
func (c *Client) packet(p []byte) error {
	if len(p) == 0 {
		return errors.New("an empty Engine.IO packet")
	}
	switch p[0] {
	case '4':
		return c.message(p[1:])
	case '0': // open
		c.state = connecting
		c.write("40")
	case '3': // pong
		if c.state == probing {
			c.write("5")
			c.state = connecting
			c.write("40")
		}
	case '2': // ping
		c.write("3" + string(p[1:]))
	case '1': // close
		return errors.New("the server closed the session")
	}
	return nil
}

func (c *Client) message(p []byte) error {
	if len(p) == 0 {
		return errors.New("an empty Socket.IO packet")
	}
	switch p[0] {
	case '2', '5': // event
		c.swarm.cfg.Message(c, p[1:])
	case '3', '6': // ack
		if c.state != subscribing {
			c.swarm.cfg.Ack(c, p[1:])
			return nil
		}
		if !strings.HasPrefix(string(p[1:]), "0[") || strings.Contains(string(p), `"error"`) {
			return fmt.Errorf("the server did not let the client subscribe: %.200q", p)
		}
		c.becomeReady()
	case '0': // connected to the namespace
		subscribe := ""
		if c.swarm.cfg.Subscribe != nil {
			subscribe = c.swarm.cfg.Subscribe(c.Index)
		}
		if subscribe == "" {
			c.becomeReady()
			return nil
		}
		c.state = subscribing
		c.write("4" + subscribe)
	case '4':
		return fmt.Errorf("the server refused the namespace: %.200q", p[1:])
	case '1':
		return errors.New("the server disconnected the client from the namespace")
	}
	return nil
}

func (c *Client) write(packet string) {
	if c.send != nil {
		c.send(packet)
		return
	}
	s := c.swarm
	s.buf = wire.AppendFrame(s.buf[:0], wire.Text, []byte(packet))
	c.conn.Write(s.buf)
}

// webSocket is a Client whose connection carries WebSocket frames.
type webSocket Client

func (w *webSocket) Connected(conn *evloop.Conn) {
	c := (*Client)(w)
	c.upgrade(conn, w.swarm.cfg.Path+"?EIO=4&transport=websocket"+c.session())
}

func (w *webSocket) Closed(conn *evloop.Conn, cause error) { (*Client)(w).Closed(conn, cause) }

// open is a state between handshaking and connecting that packet never sees: the frames have begun, the open packet has
// not come.
const open state = 0xff

func (w *webSocket) Data(conn *evloop.Conn, p []byte) (consumed int, err error) {
	if w.state == handshaking {
		if consumed, err = (*Client)(w).upgraded(p); err != nil || consumed == 0 {
			return 0, err
		}
		w.state = open
		if (*Client)(w).session() != "" {
			w.state = probing
			(*Client)(w).write("2probe")
		}
	}
	n, err := frames(conn, p[consumed:], (*Client)(w).packet)
	return consumed + n, err
}
