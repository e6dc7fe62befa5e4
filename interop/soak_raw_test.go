package interop_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// hostile is who attacks.
type hostile struct {
	t     *testing.T
	nodes []*program
	redis string
	rand  *rand.Rand
}

func (h *hostile) node() *program { return h.nodes[h.rand.IntN(len(h.nodes))] }

// raw is a connection that says what no client would.
type raw struct {
	net.Conn
	r *bufio.Reader
}

// dial connects to a node. Reads and writes end with ctx.
func dial(ctx context.Context, n *program) (*raw, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", n.addr)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(deadline)
	}
	return &raw{Conn: c, r: bufio.NewReader(c)}, nil
}

func (c *raw) say(format string, args ...any) error {
	_, err := fmt.Fprintf(c, format, args...)
	return err
}

// reset closes the connection as a crash does.
func (c *raw) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

const plainWebSocket = "/socket.io/?EIO=4&transport=websocket"

// webSocket connects a WebSocket and reads the answer to the handshake.
func webSocket(ctx context.Context, n *program, path string, header ...string) (*raw, error) {
	c, err := dial(ctx, n)
	if err != nil {
		return nil, err
	}
	err = c.say("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"+
		"Sec-WebSocket-Version: 13\r\n%s\r\n", path, n.addr, strings.Join(append(header, ""), "\r\n"))
	if err == nil {
		var response *http.Response
		if response, err = http.ReadResponse(c.r, nil); err == nil && response.StatusCode != http.StatusSwitchingProtocols {
			err = fmt.Errorf("handshake: %s", response.Status)
		}
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// joined is a WebSocket whose client has joined the root namespace.
func joined(ctx context.Context, n *program) (*raw, error) {
	c, err := webSocket(ctx, n, plainWebSocket)
	if err != nil {
		return nil, err
	}
	if _, err = c.Write(frame(text, "40")); err == nil {
		_, err = c.until("40")
	}
	if err != nil {
		_ = c.Close()
	}
	return c, err
}

// Opcodes and flags of a frame's first byte.
const (
	more, text, binaryOp, closeOp, pingOp, pongOp = 0x0, 0x1, 0x2, 0x8, 0x9, 0xa

	fin = 0x80
)

// frame is a client's frame, masked with zeros so that the payload stays readable.
func frame(op byte, payload string) []byte {
	return rawFrame(fin|op, true, uint64(len(payload)), payload)
}

// rawFrame is a frame with any first byte, masked or not, which says it is length long.
func rawFrame(first byte, masked bool, length uint64, payload string) []byte {
	b := []byte{first, 0}
	switch {
	case length < 126:
		b[1] = byte(length)
	case length <= 0xffff:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(length))
	default:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, length)
	}
	if masked {
		b[1] |= 0x80
		b = append(b, 0, 0, 0, 0)
	}
	return append(b, payload...)
}

// next reads one frame of the server.
func (c *raw) next() (op byte, payload string, err error) {
	var head [2]byte
	if _, err = io.ReadFull(c.r, head[:]); err != nil {
		return 0, "", err
	}
	n := uint64(head[1])
	switch n {
	case 126:
		var b [2]byte
		_, err = io.ReadFull(c.r, b[:])
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		_, err = io.ReadFull(c.r, b[:])
		n = binary.BigEndian.Uint64(b[:])
	}
	if err != nil {
		return 0, "", err
	}
	if n > 64<<20 {
		return 0, "", fmt.Errorf("a frame of %d bytes", n)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(c.r, b)
	if op = head[0] & 0xf; err == nil && op == text && !utf8.Valid(b) {
		err = fmt.Errorf("a text that is not UTF-8: %.80q", b)
	}
	return op, string(b), err
}

// until reads messages, answering heartbeats, until one starts with prefix.
func (c *raw) until(prefix string) (string, error) {
	for {
		op, message, err := c.next()
		switch {
		case err != nil:
			return "", err
		case op == closeOp:
			return "", fmt.Errorf("closed by the server: %q", message)
		case message == "2":
			if _, err := c.Write(frame(text, "3")); err != nil {
				return "", err
			}
		case op == text && strings.HasPrefix(message, prefix):
			return message, nil
		}
	}
}

// ended reads until the server has closed the connection. An error says that it has not in time.
func (c *raw) ended(within time.Duration) error {
	_ = c.SetDeadline(time.Now().Add(within))
	_, err := io.Copy(io.Discard, c.r)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("still open after %v", within)
	}
	return nil
}

var sidPattern = regexp.MustCompile(`"sid":"([^"]+)"`)

// session opens a session on polling and returns its id.
func session(ctx context.Context, n *program) (string, error) {
	_, body, err := request(ctx, n, http.MethodGet, "/socket.io/?EIO=4&transport=polling", "", nil)
	if err != nil {
		return "", err
	}
	if m := sidPattern.FindStringSubmatch(body); m != nil {
		return m[1], nil
	}
	return "", fmt.Errorf("no session: %.80q", body)
}

// request makes a whole request on a connection of its own.
func request(ctx context.Context, n *program, method, path, body string, header http.Header) (status int, answer string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, n.url()+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	r.Close = true
	for name, values := range header {
		r.Header[name] = values
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	return response.StatusCode, string(b), err
}
