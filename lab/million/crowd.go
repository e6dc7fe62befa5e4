//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/peal-dev/peal/internal/bench/hist"
)

// crowd is all generators. Its methods are for one goroutine.
type crowd struct {
	generators []*child
	orders     []*json.Encoder
	pipes      []io.Closer
	notices    chan told
	over       chan struct{} // closed when nobody reads notices any more
	run        uint32
	ready      []int // clients by generator
}

// told is a notice and who gave it.
type told struct {
	from int
	notice
}

func startCrowd(s *settings, fail func(error)) (*crowd, error) {
	c := &crowd{notices: make(chan told), over: make(chan struct{}), run: rand.Uint32(), ready: make([]int, s.generators)}
	self, err := os.Executable()
	if err != nil {
		return c, fmt.Errorf("the program itself, which plays the clients as well: %w", err)
	}
	for i := range s.generators {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), role+"=1", "GOMAXPROCS=1")
		stdin, err := cmd.StdinPipe()
		if err != nil {
			return c, fmt.Errorf("generator %d: %w", i, err)
		}
		out, in := io.Pipe()
		generator, err := startChild("generator "+strconv.Itoa(i), cmd, in, fail)
		if err != nil {
			return c, err
		}
		c.generators = append(c.generators, generator)
		c.pipes = append(c.pipes, stdin)
		c.orders = append(c.orders, json.NewEncoder(stdin))
		go c.listen(i, out, fail)
	}
	return c, nil
}

// listen passes on what a generator tells. It ends with the generator.
func (c *crowd) listen(i int, out *io.PipeReader, fail func(error)) {
	for d := json.NewDecoder(out); ; {
		t := told{from: i}
		if err := d.Decode(&t.notice); err != nil {
			if err != io.EOF {
				fail(fmt.Errorf("generator %d: notice: %w", i, err))
			}
			_ = out.Close() // the generator ends when nobody takes what it says
			return
		}
		select {
		case c.notices <- t:
		case <-c.over:
		}
	}
}

func (c *crowd) order(i int, o order) error {
	if err := c.orders[i].Encode(o); err != nil {
		return fmt.Errorf("orders for generator %d: %w", i, err)
	}
	return nil
}

func (c *crowd) orderAll(o order) error {
	for i := range c.generators {
		if err := c.order(i, o); err != nil {
			return err
		}
	}
	return nil
}

// clients returns how many are connected.
func (c *crowd) clients() int {
	n := 0
	for _, ready := range c.ready {
		n += ready
	}
	return n
}

// connection is how connecting went.
type connection struct {
	Seconds float64 `json:"seconds"`
	Stopped string  `json:"stopped,omitempty"` // what ran out, if not all are connected
}

// connect connects all clients, or as many as there is memory for: short is asked, and returns what is short. Several
// generators connect at a time.
func (c *crowd) connect(ctx context.Context, s *settings, addrs []string, short func() string, progress func(connected int)) (connection, error) {
	began := time.Now()
	waiting := segments(s.clients, s.nodes, s.generators)
	next, busy, stopped := 0, 0, ""
	connected := make([]int, len(waiting))
	begin := func() error {
		for ; busy < s.together && next < len(waiting) && stopped == ""; next++ {
			o := connectOrder{Run: c.run, AtOnce: s.atOnce}
			for _, part := range waiting[next] {
				o.Parts = append(o.Parts, connectTarget{addrs[part.Node], part.First, part.Count})
			}
			if err := c.order(next, order{Connect: &o}); err != nil {
				return err
			}
			busy++
		}
		return nil
	}
	stop := func(why string) error {
		if stopped != "" {
			return nil
		}
		stopped = why
		return c.orderAll(order{Stop: true})
	}
	checkMemory := func() error {
		if why := short(); why != "" {
			return stop(why)
		}
		return nil
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if err := begin(); err != nil {
			return connection{}, err
		}
		if busy == 0 {
			return connection{time.Since(began).Seconds(), stopped}, nil
		}
		select {
		case t := <-c.notices:
			switch {
			case t.Progress != nil:
				connected[t.from] = *t.Progress
				if err := checkMemory(); err != nil {
					return connection{}, err
				}
			case t.Ready != nil:
				busy--
				c.ready[t.from], connected[t.from] = t.Ready.Clients, t.Ready.Clients
				if t.Ready.Problem != "" {
					if err := stop(fmt.Sprintf("generator %d: %s", t.from, t.Ready.Problem)); err != nil {
						return connection{}, err
					}
				}
			}
		case <-tick.C:
			sum := 0
			for _, n := range connected {
				sum += n
			}
			progress(sum)
			if err := checkMemory(); err != nil {
				return connection{}, err
			}
		case <-ctx.Done():
			return connection{}, context.Cause(ctx)
		}
	}
}

// arrival is what a broadcast's arrivals look like over all generators.
type arrival struct {
	received int
	last     time.Duration
	times    hist.Histogram
}

// await returns when all clients have the broadcast, or the patience is at its end.
func (c *crowd) await(ctx context.Context, seq uint32, patience time.Duration) (*arrival, error) {
	a := new(arrival)
	missing := 0
	for _, n := range c.ready {
		if n > 0 {
			missing++
		}
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	heard := make([]bool, len(c.generators))
	for missing > 0 {
		select {
		case t := <-c.notices:
			if t.Round == nil || t.Round.Seq != seq || heard[t.from] || c.ready[t.from] == 0 {
				continue
			}
			heard[t.from] = true
			missing--
			a.received += t.Round.Received
			a.last = max(a.last, t.Round.Last)
			for _, b := range t.Round.Times {
				a.times.Add(b)
			}
		case <-timer.C:
			if err := c.orderAll(order{Collect: &seq}); err != nil {
				return nil, err
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return a, nil
}

// finish returns what became of all broadcasts, of which so many were sent.
func (c *crowd) finish(ctx context.Context, sent uint32) (*deliveryNotice, error) {
	if err := c.orderAll(order{Finish: &sent}); err != nil {
		return nil, err
	}
	sum := new(deliveryNotice)
	for missing := len(c.generators); missing > 0; {
		select {
		case t := <-c.notices:
			if t.Final != nil {
				missing--
				sum.add(t.Final)
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return sum, nil
}

// kill ends all generators at once; wait returns when they have ended.
func (c *crowd) kill() {
	close(c.over)
	for _, g := range c.generators {
		g.kill()
	}
}

func (c *crowd) wait() {
	for i, g := range c.generators {
		g.wait()
		_ = c.pipes[i].Close() // Wait has closed it already
	}
}
