package engineio

import (
	"net/http"

	"github.com/peal-dev/peal/engineio/eioproto"
)

// polling is the state of a session on HTTP long-polling. It is guarded by the session's mutex.
type polling struct {
	buffer  []*Prepared              // what waits for a poll
	bytes   int                      // what it counts for
	whole   int                      // of that, what was sent by SendWhole, at most: it does not count against PollBuffer
	parked  chan struct{}            // the poll that waits for something to send; closed to wake it
	last    *Prepared                // the packet a poll gets in the end, once the session is over
	body    *http.ResponseController // of the POST whose body is being read
	answer  *http.ResponseController // of the poll whose answer is being written
	posting bool                     // a POST is being served
	polling bool                     // a poll is
	jsonp   bool                     // fixed by the handshake
	moved   bool                     // the session moved to WebSocket while a poll was parked
	suspect bool                     // the parked poll is of a client that had not answered a ping in time
	missed  bool                     // and did not until the session was ended for it
}

func newPolling(q query) *polling {
	return &polling{jsonp: q.has("j")}
}

// wake lets the parked poll take what there is.
func (p *polling) wake() {
	if p.parked != nil {
		close(p.parked)
		p.parked = nil
	}
}

const (
	// answerSize is how much one poll is answered with, unless a single message is longer: what waits beyond it is for the
	// next poll, which comes at once. It bounds what is copied, and compressed, for a client at a time.
	answerSize = 1 << 20
	// bookkeeping is what a message that waits counts for beside its bytes, so that empty ones are bounded too.
	bookkeeping = 64
)

// cost is what a Prepared counts for. Packets that are no messages are few and count for nothing.
func (p *Prepared) cost() int {
	if len(p.packets) > 0 && p.packets[0].Type != eioproto.Message {
		return 0
	}
	return p.size + bookkeeping*len(p.packets)
}

// push queues a packet for the next poll.
func (p *polling) push(packet *Prepared) {
	p.buffer = append(p.buffer, packet)
	p.bytes += packet.cost()
}

// next removes up to limit bytes from the buffer, or one message.
func (p *polling) next(limit int) []*Prepared {
	n, size := 0, 0
	for n < len(p.buffer) && (n == 0 || size+p.buffer[n].cost() <= limit) {
		size += p.buffer[n].cost()
		n++
	}
	taken := p.buffer[:n:n]
	p.buffer = p.buffer[n:]
	p.bytes -= size
	p.whole = min(p.whole, p.bytes)
	if len(p.buffer) == 0 {
		p.buffer = nil
	}
	return taken
}

// discard ends the transport: a parked poll is answered with last, and what waits is dropped. It reports whether there
// was no such poll.
func (p *polling) discard(last *Prepared) (pollToCome bool) {
	p.buffer, p.bytes, p.whole, p.last = nil, 0, 0, last
	pollToCome = p.parked == nil
	p.wake()
	return pollToCome
}

// leave begins a close that the client learns of by its next poll. It reports whether that poll is still to come.
func (p *polling) leave() (pollToCome bool) {
	p.last = endPacket
	if p.parked != nil {
		p.wake()
		return false
	}
	if len(p.buffer) == 0 {
		p.push(noopPacket) // the poll of a client that waits for nothing, then the close
	}
	return true
}

// take moves what waits into one payload. Messages leave without the packet that ends the session, which stays for the
// poll after: official clients act on an end as they read it, but on a message only a moment later, and so would miss it.
func (p *polling) take() []byte {
	taken := p.next(answerSize)
	defer clear(taken) // the buffer may go on in the same array
	parts := taken
	switch {
	case p.last != nil && len(p.buffer) == 0 && (len(parts) == 0 || parts[0] == noopPacket):
		parts = append(parts, p.last)
		p.last = nil
	case len(parts) == 0: // an upgrade took what woke the poll
		parts = append(parts, noopPacket)
	}
	if len(parts) == 1 {
		return parts[0].in(pollingPayload)
	}
	var out []byte
	for i, part := range parts {
		if i > 0 {
			out = append(out, eioproto.Separator)
		}
		out = append(out, part.in(pollingPayload)...)
	}
	return out
}
