package main

import (
	"fmt"
	"slices"
	"strings"
)

const nodesExplanation = `Three nodes of a kind and a Redis of their own, all on this machine, and one process with the clients, which all use
WebSockets. The first node has %d clients that publish: Peal's and Node's with an event, Centrifugo's with a publication of its
protocol, which it answers. The second has %d members: each is alone in a room, and all are in one more. The third has as
many clients in rooms that nobody publishes to. Messages have %d bytes of data and go to the rooms of one in turn at a fixed
rate, and to the room of all at %d/s. *p50*, *p99*: from when a message was due, which a server or generator that falls
behind does not change, until the member's client has read it. *As many as go through*: %d messages are under way at any
time (to all: %d); servers, Redis and clients share the cores, so this is what one machine carries, not one node. *CPU*: user
and kernel time of a process by messages, with its heartbeats and whatever else it does meanwhile, which is also told for a
cluster at rest: of 1 ms/s, 1 µs is in the figure of each of 1,000 messages/s.
`

// nodesRows are the lines about what a message from one node to another costs.
func nodesRows() (rows []row) {
	for _, rate := range rates {
		rows = append(rows,
			row{"nodes", fmt.Sprintf(nodesP50, rate), "ms", fmt.Sprintf("%d messages/s: p50", rate), false},
			row{"nodes", fmt.Sprintf(nodesP99, rate), "ms", fmt.Sprintf("%d messages/s: p99", rate), false})
		if rate == rates[0] {
			continue // their CPU is mostly that of being there
		}
		for _, process := range processes {
			rows = append(rows, row{"nodes", fmt.Sprintf(nodesCPU, process, rate), "µs", fmt.Sprintf("%d messages/s: CPU of %s", rate, process), false})
		}
	}
	// Of the broker, too: nodes tell it each second that they are there.
	for _, process := range []string{processes[0], processes[3]} {
		rows = append(rows, row{"nodes", fmt.Sprintf(nodesRest, process), "ms/s", "at rest: CPU of " + process, false})
	}
	rows = append(rows,
		row{"nodes", nodesMost, "/s", "as many messages as go through", true},
		row{"nodes", allP50, "ms", fmt.Sprintf("%d messages/s to all: p50", toAllRate), false},
		row{"nodes", allP99, "ms", fmt.Sprintf("%d messages/s to all: p99", toAllRate), false})
	for _, process := range processes {
		rows = append(rows, row{"nodes", fmt.Sprintf(allCPU, process), "µs", fmt.Sprintf("%d messages/s to all: CPU of %s", toAllRate, process), false})
	}
	return append(rows, row{"nodes", allMost, "/s", "as many messages to all as go through", true})
}

// writeNodes writes the figures of what is compared, how they compare, and those of other ways to be a cluster.
func writeNodes(c *comparison, b *strings.Builder) {
	o := c.trial().options.WithDefaults()
	fmt.Fprintf(b, nodesExplanation+"\n", o.Publishers, o.Rooms, o.Size, toAllRate, c.trial().window, c.trial().allWindow())
	var columns []string
	for _, n := range contestants(c.dir, c.settings) {
		columns = append(columns, n.name)
	}
	cell := func(r row, name string) string { return c.cell(key{r.measurement, name, r.figure}) }
	table(b, nodesRows(), c.measured("nodes", columns[:rivals]), cell)
	others := c.measured("nodes", columns[1:rivals])
	if len(others) > 0 {
		b.WriteString("\nHow many times better Peal is, as above:\n\n")
		table(b, nodesRows(), others, func(r row, name string) string { return c.better(r, columns[0], name) })
	}
	if ways := c.measured("nodes", columns[rivals:]); len(ways) > 0 {
		b.WriteString("\nOther ways for the same nodes to be a cluster; *unix* is that of processes of one machine, without a broker:\n\n")
		table(b, nodesRows(), ways, cell)
	}
}

// measured returns those of the columns that have figures.
func (c *comparison) measured(measurement string, columns []string) []string {
	return slices.DeleteFunc(slices.Clone(columns), func(name string) bool {
		for k := range c.values {
			if k.measurement == measurement && k.server == name {
				return false
			}
		}
		return true
	})
}

const hopExplanation = `Any node serves any request: what is for a session of another node is passed on to it. %d clients have their sessions on
one of three nodes and reach it directly, or through another node: a WebSocket is joined to the node's, polls and posts are
requests on kept connections. First the clients send events that the node acknowledges, %d a second in all, then it pushes as
many messages to them, each to a room of one. Times are from when an event or message was due. *CPU of the other* without a
hop is what a node uses that has nothing to do with it: its heartbeats, and what Redis tells it.
`

func hopRows() []row {
	return []row{
		{"hop", eventP50, "ms", "event to acknowledgement: p50", false},
		{"hop", eventP99, "ms", "event to acknowledgement: p99", false},
		{"hop", eventOwner, "µs", "event to acknowledgement: CPU of the session's node", false},
		{"hop", eventOther, "µs", "event to acknowledgement: CPU of the other", false},
		{"hop", pushP50, "ms", "publication to delivery: p50", false},
		{"hop", pushP99, "ms", "publication to delivery: p99", false},
		{"hop", pushOwner, "µs", "publication to delivery: CPU of the session's node", false},
		{"hop", pushOther, "µs", "publication to delivery: CPU of the other", false},
	}
}

// writeHop writes what a hop costs.
func writeHop(c *comparison, b *strings.Builder) {
	fmt.Fprintf(b, hopExplanation+"\n", c.trial().hopClients, hopRate)
	var columns []string
	for _, w := range ways {
		columns = append(columns, w.name)
	}
	table(b, hopRows(), c.measured("hop", columns), func(r row, name string) string { return c.cell(key{r.measurement, name, r.figure}) })
}
