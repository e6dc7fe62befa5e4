package swarm

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/peal-dev/peal/internal/bench/evloop"
	"github.com/peal-dev/peal/internal/bench/wire"
)

// polling is a client that speaks Socket.IO by HTTP. One connection suffices: it has something to send only when a poll
// has been answered, so its POST goes out before the next GET.
type polling struct {
	*Client
	path    string // with the session's id
	waiting []bool // requests that were not answered yet; true: a poll
	body    []byte // of a response in chunks
	chunks  bool
}

// Connected implements evloop.Handler.
func (l *polling) Connected(conn *evloop.Conn) {
	l.conn = conn
	l.Client.send = l.post
	session := l.session()
	l.path = l.swarm.cfg.Path + "?EIO=4&transport=polling" + session
	if session != "" {
		l.state = connecting
		l.write("40")
	}
	l.get()
}

func (l *polling) get() {
	l.waiting = append(l.waiting, true)
	l.conn.Write(fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: peal-bench\r\n\r\n", l.path, l.swarm.cfg.Target))
}

func (l *polling) post(packet string) {
	l.waiting = append(l.waiting, false)
	l.conn.Write(fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: peal-bench\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n\r\n%s",
		l.path, l.swarm.cfg.Target, len(packet), packet))
}

// Data implements evloop.Handler.
func (l *polling) Data(_ *evloop.Conn, p []byte) (consumed int, err error) {
	for {
		n, done, err := l.response(p[consumed:])
		consumed += n
		if err != nil || n == 0 {
			return consumed, err
		}
		if !done {
			continue
		}
		if len(l.waiting) == 0 {
			return consumed, fmt.Errorf("an answer to no request")
		}
		poll := l.waiting[0]
		l.waiting = l.waiting[1:]
		if !poll {
			continue
		}
		if err := l.payload(l.body); err != nil {
			return consumed, err
		}
		l.get()
	}
}

// response reads a part of a response; done says that it was the last, and that body holds the whole body.
func (l *polling) response(p []byte) (n int, done bool, err error) {
	if l.chunks {
		data, size, err := wire.DecodeChunk(p)
		if err != nil || size == 0 {
			return 0, false, err
		}
		l.body = append(l.body, data...)
		l.chunks = len(data) > 0
		return size, !l.chunks, nil
	}
	head, size, err := wire.DecodeHead(p)
	switch {
	case err != nil || size == 0:
		return 0, false, err
	case head.Status != 200:
		return 0, false, fmt.Errorf("the server answered a polling request with status %d: %.200q", head.Status, p[size:])
	case head.Chunked:
		l.chunks, l.body = true, l.body[:0]
		return size, false, nil
	case head.Length < 0:
		return 0, false, fmt.Errorf("an answer without a length")
	case len(p) < size+head.Length:
		return 0, false, nil
	}
	l.body = append(l.body[:0], p[size:size+head.Length]...)
	return size + head.Length, true, nil
}

func (l *polling) payload(body []byte) error {
	for packet := range bytes.SplitSeq(body, []byte{0x1e}) {
		if len(packet) > 0 && packet[0] == '0' {
			_, sid, _ := strings.Cut(string(packet), `"sid":"`)
			sid, _, ok := strings.Cut(sid, `"`)
			if !ok {
				return fmt.Errorf("an open packet without sid: %.200q", packet)
			}
			l.path += "&sid=" + sid
		}
		if err := l.packet(packet); err != nil {
			return err
		}
	}
	return nil
}

// stream is a client of Server-Sent Events.
type stream struct {
	*Client
	chunked bool
	event   []byte // the beginning of an event whose end has not come
}

// Connected implements evloop.Handler.
func (s *stream) Connected(conn *evloop.Conn) {
	cfg := &s.swarm.cfg
	query := ""
	if cfg.Subscribe != nil {
		query = "?" + cfg.Subscribe(s.Index)
	}
	conn.Write(fmt.Appendf(nil, "GET %s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: peal-bench\r\nAccept: text/event-stream\r\n\r\n", cfg.Path, query, cfg.Target))
}

// Data implements evloop.Handler.
func (s *stream) Data(_ *evloop.Conn, p []byte) (consumed int, err error) {
	if s.state == handshaking {
		head, size, err := wire.DecodeHead(p)
		if err != nil || size == 0 {
			return 0, err
		}
		if head.Status != 200 {
			return 0, fmt.Errorf("the server answered %s: %.200q", strconv.Itoa(head.Status), p[size:])
		}
		s.chunked = head.Chunked
		consumed = size
		if s.state = connecting; s.swarm.cfg.Greeting == "" {
			s.becomeReady()
		}
	}
	if !s.chunked {
		return len(p), s.events(p[consumed:])
	}
	for {
		data, size, err := wire.DecodeChunk(p[consumed:])
		if err != nil || size == 0 {
			return consumed, err
		}
		consumed += size
		if err := s.events(data); err != nil {
			return consumed, err
		}
	}
}

// events hands out the events that end in p.
func (s *stream) events(p []byte) error {
	if len(s.event) > 0 {
		s.event = append(s.event, p...)
		p = s.event
	}
	whole := p
	for {
		event, rest, found := bytes.Cut(p, []byte("\n\n"))
		if !found {
			break
		}
		if s.state == ready {
			s.swarm.cfg.Message(s.Client, event)
		} else if err := s.greeted(event); err != nil {
			return err
		}
		p = rest
	}
	switch {
	case len(p) == 0:
		s.event = nil
	case len(p) < len(whole) || len(s.event) == 0:
		s.event = append([]byte(nil), p...)
	}
	return nil
}

// greeted looks at the first event of a stream whose server greets.
func (s *stream) greeted(event []byte) error {
	if !bytes.Contains(event, []byte(s.swarm.cfg.Greeting)) {
		return fmt.Errorf("the server did not let the client subscribe: %.200q", event)
	}
	s.becomeReady()
	return nil
}
