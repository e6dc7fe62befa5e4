package socketio

import (
	"time"

	"github.com/peal-dev/peal/engineio"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/socketio/sioproto"
)

const (
	// openTimeout is how long OnConnect may keep its client from being told that it is connected.
	openTimeout = time.Second
	// askPatience is how long somebody who waits for a client's answer leaves OnConnect before the client is told: it may
	// be OnConnect that waits.
	askPatience = 10 * time.Millisecond
	// heldCost is what a message that is held back costs beside its bytes.
	heldCost = 64
	// maxPooledHeld keeps the list of a rare long burst out of the pool.
	maxPooledHeld = 64
)

// held is what waits, in order, for a client to be told that it is connected. It lives with the client's inbox, which is
// there while a socket of the client joins, and belongs to that socket's mutex.
type held struct {
	at    message.Offset // what the client is told with CONNECT that it has everything up to; zero if it is told nothing
	list  []*engineio.Prepared
	bytes int
}

func (h *held) reset() {
	clear(h.list)
	h.bytes, h.at = 0, message.Offset{}
	if h.list = h.list[:0]; cap(h.list) > maxPooledHeld {
		h.list = nil
	}
}

// hold keeps p back for as long as the client does not know that it is connected. If held is false, p is to be sent now.
func (s *Socket) hold(p *engineio.Prepared, flags engineio.SendFlags) (held bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.state.Load()
	switch {
	case state == stateConnected:
		return false, nil
	case state == stateClosed:
		return true, ErrDisconnected
	case flags&engineio.Volatile != 0:
		return true, s.client.unsent(engineio.ErrDropped)
	}
	h := &s.client.inbox.held
	limit := s.namespace.server.holdLimit
	if x := s.extra.Load(); x != nil && x.recovered {
		limit += s.namespace.server.replayLimit // beside what it missed, which is no more than that
	}
	if len(h.list) > 0 && h.bytes+p.Size()+heldCost > limit {
		if state == stateOpening {
			s.tell() // rather than lose a client that would read
			return false, nil
		}
		h.reset()
		s.session.CloseWith(engineio.TransportError, engineio.ErrSlowConsumer)
		return true, s.client.unsent(engineio.ErrSlowConsumer)
	}
	h.list = append(h.list, p)
	h.bytes += p.Size() + heldCost
	return true, nil
}

// send sends p, or keeps it back as hold does.
func (s *Socket) send(p *engineio.Prepared, flags engineio.SendFlags) error {
	if s.state.Load() == stateOpening {
		if held, err := s.hold(p, flags); held {
			return err
		}
	}
	return s.client.send(p, flags)
}

// open tells the client that it is connected, if it is and does not know.
func (s *Socket) open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() == stateOpening {
		s.tell()
	}
}

// tell sends CONNECT, and behind it what was held back. s.mu is held.
func (s *Socket) tell() {
	data := append(append(append(make([]byte, 0, 4*len(s.id)), `{"sid":"`...), s.id...), '"')
	if r := s.namespace.recovery; r != nil {
		pid := ""
		if x := s.extra.Load(); x != nil {
			pid = x.pid
		}
		if pid == "" {
			pid = r.pid(s.id)
		}
		data = append(append(append(data, `,"pid":"`...), pid...), '"')
	}
	data = append(data, '}')
	connect := prepare(&sioproto.Packet{Type: sioproto.Connect, Namespace: s.namespace.name, Data: data})
	h := &s.client.inbox.held
	whole := []*engineio.Prepared{connect}
	told := !h.at.IsZero()
	if told {
		whole = append(whole, s.namespace.tellOffset(h.at))
	}
	whole = append(whole, h.list...)
	if x := s.extra.Load(); x != nil && x.recovered {
		// What it missed is more than may wait for it later, and it may be about to change its transport.
		_ = s.session.SendWhole(whole)
	} else {
		// What leaves together leaves in one write. A client that cannot take it is counted by send and closed by the session,
		// which then shuts the socket.
		for i, p := range whole {
			flags := engineio.Deferred
			if i == len(whole)-1 {
				flags = 0
			}
			if s.client.send(p, flags) != nil {
				break
			}
		}
	}
	h.reset()
	s.state.Store(stateConnected)
	if told {
		s.namespace.recovery.shared.arrived(s)
	}
}
