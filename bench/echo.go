package bench

import (
	"bytes"
	"fmt"
	"time"

	"github.com/peal-dev/peal/internal/bench/swarm"
	"github.com/peal-dev/peal/internal/bench/wire"
)

// echo is the state of scenario Echo. Each client has one event under way, with the ack id 0: the number in the data is
// what an answer is checked by. With Centrifugo the event is a publication to a channel of the client's own that nobody
// has subscribed to, and the reply's id is the number.
type echo struct {
	*run
	events, answers int
	stopping        bool
}

func (e *echo) connectSwarm() {
	cfg := swarm.Config{Target: e.target.addr, Ack: e.acknowledged, Again: handshakeLimit}
	e.endpoint(&cfg)
	e.swarm = swarm.New(e.loop, cfg)
}

func (e *echo) send(c *swarm.Client) {
	now := time.Since(e.began)
	before, after := `420["echo","`, `"]`
	if e.Dialect == Centrifugo {
		before, after = fmt.Sprintf(`{"id":%d,"publish":{"channel":"echo-%d","data":"`, e.publishID(c), c.Index), `"}}`
	}
	e.data = append(e.data[:0], before...)
	e.data = wire.AppendPadded(e.data, wire.Stamp{Run: e.id, Topic: uint32(c.Index), Seq: c.Count, At: now}, e.Size)
	e.data = append(e.data, after...)
	e.frame = wire.AppendFrame(e.frame[:0], wire.Text, e.data)
	c.Sent = now
	e.events++
	e.report.Delivery.Expected++
	c.Send(e.frame)
}

// publishID returns the id of the command under way; 1 was the connect command's.
func (e *echo) publishID(c *swarm.Client) uint32 { return c.Count + 2 }

func (e *echo) acknowledged(c *swarm.Client, payload []byte) {
	switch e.Dialect {
	case Floor: // the answer is a constant
	case Centrifugo:
		if !bytes.HasPrefix(payload, fmt.Appendf(nil, `{"id":%d,`, e.publishID(c))) {
			e.report.Delivery.Strange++
			return
		}
	default:
		stamp, ok := wire.FindStamp(payload)
		switch {
		case payload[0] != '0' || !ok || stamp.Run != e.id || stamp.Topic != uint32(c.Index) || stamp.Seq > c.Count:
			e.report.Delivery.Strange++
			return
		case stamp.Seq < c.Count:
			e.counts.Duplicated++
			return
		}
	}
	c.Count++
	e.answers++
	e.counts.Received++
	e.latency.Record(time.Since(e.began) - c.Sent)
	if !e.stopping {
		e.send(c)
	}
}
