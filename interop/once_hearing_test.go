package interop_test

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/bench/process"
	"github.com/peal-dev/peal/internal/testredis"
	"github.com/peal-dev/peal/interop/wire"
)

// acknowledged is what a node answers to a client: the id, and a list of arguments.
func (s *sixteen) acknowledged(payload []byte) {
	digits, args, _ := bytes.Cut(payload, []byte("["))
	id, err := strconv.Atoi(string(digits))
	c, ok := s.asked[id]
	if err != nil || !ok {
		s.t.Errorf("an acknowledgement that nobody waits for: %s", payload)
		return
	}
	delete(s.asked, id)
	switch c.verb {
	case "rooms": // the last is the client's own
		quoted := bytes.Split(args, []byte(`"`))
		s.names[c.client] = string(quoted[max(0, len(quoted)-2)])
		return
	case "join":
		s.ledger.Joined(c.client, c.room)
		s.in[c.client] = append(s.in[c.client], c.room)
	case "leave":
		s.ledger.Left(c.client, c.room)
	}
	if len(args) != 1 {
		s.t.Errorf("%s %s was answered [%s", c.verb, nameOf(c.room), args)
	}
	s.changed = append(s.changed, c.room)
}

// hear is an event that has arrived.
func (s *sixteen) hear(client int, payload []byte) {
	name, rest, _ := strings.Cut(strings.TrimSuffix(string(payload), "]"), ",")
	var numbers []int
	for text := range strings.SplitSeq(rest, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			s.t.Errorf("client %d was told %s", client, payload)
			return
		}
		numbers = append(numbers, n)
	}
	at := stay{client, numbers[0]}
	switch {
	case name == `["m"` && len(numbers) == 4:
		s.ledger.Arrived(client, at.room, numbers[1], numbers[2], time.Duration(s.now()-int64(numbers[3]))*time.Microsecond)
		s.noticed(at, "join")
	case name == `["out"` && len(numbers) == 1:
		s.noticed(at, "leave")
	case name == `["last"`:
		s.lasts++
	default:
		s.t.Errorf("client %d was told %s", client, payload)
	}
}

// noticed has a client that another node has put into a room, or out of one, ask for the same: the answer confirms it.
func (s *sixteen) noticed(at stay, verb string) {
	if c, ok := s.waking[at]; ok && c.verb == verb {
		delete(s.waking, at)
		s.ask(c)
	}
}

// settle waits until all has arrived that has to. What still does not is lost.
func (s *sixteen) settle() {
	s.until("the last changes", func() bool { return len(s.asked)+len(s.waking) == 0 })
	for deadline := time.Now().Add(patience); s.ledger.Waiting() > 0 && time.Now().Before(deadline); {
		s.check(s.loop.Poll(50 * time.Millisecond))
	}
	for _, answer := range s.answers {
		if r := s.nodes[0].finish("publish", answer); r.Error != "" {
			s.t.Fatalf("a node did not do what it was told: %s", r.Error)
		}
	}
	// A last one from each for everybody, behind which nothing is left.
	for i := range s.nodes {
		s.tell(i, "emit", params{"event": "last", "args": []any{i}})
	}
	s.until("the last messages", func() bool { return s.lasts >= len(s.nodes)*len(s.names) })
}

// awaitServers waits until a node knows that many, itself included.
func awaitServers(t *testing.T, n *peer, count int) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		known := 0
		n.do("serverCount", params{"namespace": "/"}, &known)
		if known == count {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s knows %d nodes of %d", n.name, known, count)
		}
	}
}

// cpu is what the parts have used of the machine.
type cpu struct{ nodes, broker, clients time.Duration }

func (s *sixteen) cpu(b wire.Broker) (c cpu) {
	s.t.Helper()
	used := func(pid int) time.Duration {
		d, err := process.CPU(pid)
		s.check(err)
		return d
	}
	for _, n := range s.nodes {
		c.nodes += used(n.cmd.Process.Pid)
	}
	c.clients = used(os.Getpid())
	if redis, ok := b.(*testredis.Server); ok {
		for line := range strings.Lines(redis.Do("INFO", "cpu")) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			if name == "used_cpu_sys" || name == "used_cpu_user" {
				seconds, err := strconv.ParseFloat(value, 64)
				s.check(err)
				c.broker += time.Duration(seconds * float64(time.Second))
			}
		}
	}
	return c
}
