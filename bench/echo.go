package bench

import (
	"time"

	"github.com/peal-dev/peal/bench/internal/swarm"
	"github.com/peal-dev/peal/bench/internal/wire"
)

// echo is the state of scenario Echo. Each client has one event under way, with the ack id 0: the number in the data is
// what an answer is checked by.
type echo struct {
	*run
	events, answers int
	stopping        bool
}

func (e *echo) connectSwarm() {
	e.swarm = swarm.New(e.loop, swarm.Config{Target: e.target.addr, Ack: e.acknowledged, Again: handshakeLimit})
}

func (e *echo) send(c *swarm.Client) {
	now := time.Since(e.began)
	e.data = append(e.data[:0], `420["echo","`...)
	e.data = wire.AppendPadded(e.data, wire.Stamp{Run: e.id, Topic: uint32(c.Index), Seq: c.Count, At: now}, e.Size)
	e.data = append(e.data, `"]`...)
	e.frame = wire.AppendFrame(e.frame[:0], wire.Text, e.data)
	c.Sent = now
	e.events++
	e.report.Delivery.Expected++
	c.Send(e.frame)
}

func (e *echo) acknowledged(c *swarm.Client, payload []byte) {
	if e.Dialect != Floor {
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
