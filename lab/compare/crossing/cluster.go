package crossing

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/peal-dev/peal/bench"
	"github.com/peal-dev/peal/internal/bench/process"
	"github.com/peal-dev/peal/internal/bench/swarm"
	"github.com/peal-dev/peal/internal/bench/wire"
)

// Node is a running node of a cluster.
type Node struct {
	Addr netip.AddrPort
	PID  int
}

// Cluster is three nodes of one kind, and what they meet at.
type Cluster struct {
	Dialect bench.Dialect // bench.Peal, bench.Handlers or bench.Centrifugo
	// Publishing has the publishers, Members the members of the rooms that are published to, and Bystander only members of
	// other rooms.
	Publishing, Members, Bystander Node
	// Broker is the process that the nodes meet at, whose children count too; 0 if there is none.
	Broker int
}

// CPU is processor time by process.
type CPU struct{ Broker, Publishing, Members, Bystander time.Duration }

// cpu reads the clocks.
func (c *Cluster) cpu() (used CPU, err error) {
	for _, p := range []struct {
		pid int
		to  *time.Duration
	}{{c.Publishing.PID, &used.Publishing}, {c.Members.PID, &used.Members}, {c.Bystander.PID, &used.Bystander}} {
		if *p.to, err = process.CPU(p.pid); err != nil {
			return used, err
		}
	}
	if c.Broker != 0 {
		used.Broker, err = familyCPU(c.Broker)
	}
	return used, err
}

func (c CPU) since(before CPU) CPU {
	return CPU{c.Broker - before.Broker, c.Publishing - before.Publishing, c.Members - before.Members, c.Bystander - before.Bystander}
}

// familyCPU returns the processor time of a process and the children that it has now.
func familyCPU(pid int) (time.Duration, error) {
	sum, err := process.CPU(pid)
	if err != nil {
		return 0, err
	}
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return 0, fmt.Errorf("children of process %d: %w", pid, err)
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // a thread that has ended has no children
		}
		for field := range strings.FieldsSeq(string(text)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				return 0, fmt.Errorf("children of process %d: %w", pid, err)
			}
			if used, err := process.CPU(child); err == nil { // else it has ended meanwhile
				sum += used
			}
		}
	}
	return sum, nil
}

// connect completes the configuration of a swarm with how the clients of a dialect connect.
func connect(d bench.Dialect, cfg swarm.Config) swarm.Config {
	if d == bench.Centrifugo {
		cfg.Transport, cfg.Path = swarm.Centrifuge, "/connection/websocket"
	}
	return cfg
}

// subscription returns what makes a client a member of rooms.
func subscription(d bench.Dialect, rooms []string) string {
	switch d {
	case bench.Peal:
		return `20["subscribe",["` + strings.Join(rooms, `","`) + `"]]`
	case bench.Centrifugo:
		commands := make([]string, len(rooms))
		for i, room := range rooms {
			commands[i] = fmt.Sprintf(`{"id":%d,"subscribe":{"channel":%q}}`, i+2, room) // 1 is the connect command
		}
		return strings.Join(commands, "\n")
	default:
		return `20["join","` + strings.Join(rooms, `","`) + `"]`
	}
}

// firstPublish is the id of a client's first publication, where publications have ids: 1 is the connect command's.
const firstPublish = 2

// appendPublication appends the frame by which a client has data published to a room. Only Centrifugo answers it, for
// which its commands have an id.
func appendPublication(dst []byte, d bench.Dialect, id uint32, room string, data []byte) []byte {
	var text []byte
	switch d {
	case bench.Peal:
		text = fmt.Appendf(nil, `42["publish",{"rooms":[%q],"event":"broadcast","args":["%s"]}]`, room, data)
	case bench.Centrifugo:
		text = fmt.Appendf(nil, `{"id":%d,"publish":{"channel":%q,"data":"%s"}}`, id, room, data)
	default:
		text = fmt.Appendf(nil, `42["publish",%q,"%s"]`, room, data)
	}
	return wire.AppendFrame(dst, wire.Text, text)
}
