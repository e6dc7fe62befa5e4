package main

import (
	"bytes"
	"crypto/sha1" // RFC 6455 asks for it
	"encoding/base64"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func main() {
	port := flag.Int("port", 0, "port on 127.0.0.1; 0 picks a free one")
	flag.Parse()
	if err := serve(*port); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

type conn struct {
	fd  int
	up  bool // the handshake is over
	in  []byte
	out []byte // what the kernel did not take
}

type server struct {
	epoll, listener int
	conns           []*conn // by descriptor
	buf             []byte
	answer          []byte // to an echo
	answerTo        int    // the length of the echo that answer is for
}

func serve(port int) error {
	s := &server{buf: make([]byte, 256<<10)}
	var err error
	if s.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if err := unix.Bind(s.listener, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(s.listener, 4096); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	name, err := unix.Getsockname(s.listener)
	if err != nil {
		return fmt.Errorf("getsockname: %w", err)
	}
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	if err := s.watch(s.listener, unix.EPOLLIN); err != nil {
		return err
	}
	fmt.Printf("listening on 127.0.0.1:%d\n", name.(*unix.SockaddrInet4).Port)
	events := make([]unix.EpollEvent, 512)
	for {
		n, err := unix.EpollWait(s.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		for _, ev := range events[:max(n, 0)] {
			fd := int(ev.Fd)
			switch {
			case fd == s.listener:
				s.accept()
			case ev.Events&unix.EPOLLOUT != 0 && len(s.conns[fd].out) > 0:
				s.write(s.conns[fd], nil)
			default:
				s.read(s.conns[fd])
			}
		}
	}
}

func (s *server) watch(fd int, events uint32) error {
	if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

func (s *server) accept() {
	for {
		fd, _, err := unix.Accept4(s.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return // no more for now
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // slower without, not wrong
		for len(s.conns) <= fd {
			s.conns = append(s.conns, nil)
		}
		s.conns[fd] = &conn{fd: fd}
		if err := s.watch(fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLET); err != nil {
			s.close(s.conns[fd])
		}
	}
}

func (s *server) close(c *conn) {
	s.conns[c.fd] = nil
	_ = unix.Close(c.fd) // gone whatever close says
}

// sysRead and sysWrite do not tell Go's scheduler: on a non-blocking descriptor there is nothing to tell.
func sysRead(fd int, p []byte) (int, unix.Errno) { return sys(unix.SYS_READ, fd, p) }

func sysWrite(fd int, p []byte) (int, unix.Errno) { return sys(unix.SYS_WRITE, fd, p) }

func (s *server) read(c *conn) {
	if c == nil {
		return
	}
	for {
		n, errno := sysRead(c.fd, s.buf)
		if errno == unix.EAGAIN {
			return
		}
		if n <= 0 {
			s.close(c)
			return
		}
		p := s.buf[:n]
		if len(c.in) > 0 {
			p = append(c.in, p...)
		}
		rest := s.handle(c, p)
		c.in = append([]byte(nil), rest...)
		if n < len(s.buf) {
			return
		}
	}
}

func (s *server) write(c *conn, p []byte) {
	if len(c.out) > 0 {
		c.out = append(c.out, p...)
		p = c.out
	}
	n, _ := sysWrite(c.fd, p)
	if n == len(p) {
		c.out = nil
		return
	}
	c.out = append([]byte(nil), p[max(n, 0):]...)
}

const openPacket = `0{"sid":"floor","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`

// handle answers what arrived and returns what is not whole yet.
func (s *server) handle(c *conn, p []byte) []byte {
	if !c.up {
		end := bytes.Index(p, []byte("\r\n\r\n"))
		if end < 0 {
			return p
		}
		_, key, _ := bytes.Cut(p, []byte("Sec-WebSocket-Key: "))
		key, _, _ = bytes.Cut(key, []byte("\r\n"))
		sum := sha1.Sum([]byte(string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
			base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
		s.write(c, frame([]byte(head), openPacket))
		c.up = true
		p = p[end+4:]
	}
	for len(p) >= 6 {
		n, at := int(p[1]&0x7f), 2
		if n == 126 {
			n, at = int(binary.BigEndian.Uint16(p[2:])), 4
		}
		if len(p) < at+4+n {
			break
		}
		s.message(c, p[at:at+4], p[at+4:at+4+n])
		p = p[at+4+n:]
	}
	return p
}

// message answers one frame: a broadcast is unmasked once and written to everybody, an echo gets a ready answer.
func (s *server) message(c *conn, mask, payload []byte) {
	if len(payload) < 2 || payload[0]^mask[0] != '4' {
		return
	}
	switch {
	case payload[1]^mask[1] == '0':
		s.write(c, frame(nil, `40{"sid":"floor"}`))
	case payload[2]^mask[2] == '[':
		for i := range payload {
			payload[i] ^= mask[i&3]
		}
		ready := frame(nil, string(payload))
		for _, to := range s.conns {
			if to != nil && to.up {
				s.write(to, ready)
			}
		}
	default:
		if s.answerTo != len(payload) {
			s.answerTo = len(payload)
			data := bytes.Repeat([]byte("x"), max(0, len(payload)-len(`420["echo",""]`)))
			s.answer = frame(nil, `430["`+string(data)+`"]`)
		}
		s.write(c, s.answer)
	}
}

func frame(dst []byte, payload string) []byte {
	dst = append(dst, 0x81)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, byte(n))
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
	return append(dst, payload...)
}
