package main

import (
	"fmt"
	"strconv"
)

// load is what one point of a curve asks of the servers.
type load struct {
	clients int
	rooms   int // each client is in one of them, and each gets each message; 0 sends to all clients at once
	size    int // bytes of a message's data
	rounds  int // how often every client gets a message
	nodes   int // servers that share a Redis; 0 is one server without
}

// deliveries returns how many messages a round delivers: one to each client.
func (l load) deliveries() float64 { return float64(l.clients) }

// point is a value of the variable and what is measured there.
type point struct {
	x    int
	load load
}

// quantity is a cost that a curve shows.
type quantity struct {
	id    string
	name  string // of the whole, in the sentence
	title string // of a unit's part, in the table
	unit  string
	whole func(cost) float64
	part  func(cost, load) float64
}

const kib = 1 << 10

var (
	idleMemory = quantity{
		id: "memory", name: "the memory of all idle connections", title: "memory per connection, idle", unit: "KiB",
		whole: func(c cost) float64 { return c.Idle }, part: func(c cost, l load) float64 { return c.Idle / kib / float64(l.clients) },
	}
	memoryAfter = quantity{
		id: "memory-after", name: "the memory after the fan-out", title: "memory per connection, after the fan-out", unit: "KiB",
		whole: func(c cost) float64 { return c.After }, part: func(c cost, l load) float64 { return c.After / kib / float64(l.clients) },
	}
	fanoutCPU = quantity{
		id: "cpu", name: "the CPU time of one message to each client", title: "CPU per delivery", unit: "µs",
		whole: func(c cost) float64 { return c.CPU }, part: func(c cost, l load) float64 { return c.CPU * 1e6 / l.deliveries() },
	}
)

// curve is a series of measurements in which one variable grows and the rest stays.
type curve struct {
	id         string
	title      string
	variable   string // what grows
	noun       string // behind a value of it
	setting    string // what stays
	label      func(x int) string
	points     []point
	quantities []quantity
	floored    bool // the floor is measured as well
}

// budget is how much work a point may be: deliveries, and bytes delivered.
type budget struct{ deliveries, bytes int }

// rounds returns how often each client gets a message within the budget, at least 5 times and at most 100.
func (b budget) rounds(clients, size int) int {
	return max(5, min(100, b.deliveries/clients, b.bytes/(clients*size)))
}

// scope is the sizes of a run.
type scope struct {
	connections []int
	rooms       []int
	sizes       []int
	nodes       []int

	roomClients, sizeClients, nodeClients int

	budget budget
}

var (
	full = scope{
		connections: []int{1000, 2000, 5000, 10_000, 15_000, 18_000},
		rooms:       []int{1, 10, 100, 1000, 10_000},
		sizes:       []int{16, 64, 256, kib, 4 * kib, 16 * kib, 64 * kib},
		nodes:       []int{1, 2, 4, 8, 16},
		roomClients: 10_000, sizeClients: 2000, nodeClients: 8000,
		budget: budget{deliveries: 200_000, bytes: 2 << 30},
	}
	quick = scope{
		connections: []int{400, 800, 1600},
		rooms:       []int{1, 10, 100, 400},
		sizes:       []int{16, kib, 64 * kib},
		nodes:       []int{1, 2, 4},
		roomClients: 400, sizeClients: 200, nodeClients: 400,
		budget: budget{deliveries: 20_000, bytes: 64 << 20},
	}
)

// fixedSize is the size of a message where it is not the variable.
const fixedSize = 100

// curves returns what a run measures.
func (s scope) curves() []curve {
	all := []quantity{idleMemory, memoryAfter, fanoutCPU}
	connections := curve{id: "connections", title: "Connections", variable: "connections", noun: " connections", label: thousands, quantities: all, floored: true,
		setting: fmt.Sprintf("One node; broadcasts of %d B to all, one at a time.", fixedSize)}
	for _, n := range s.connections {
		connections.points = append(connections.points, point{n, load{clients: n, size: fixedSize, rounds: s.budget.rounds(n, fixedSize)}})
	}
	rooms := curve{id: "rooms", title: "Rooms", variable: "rooms", noun: " rooms", label: thousands, quantities: all,
		setting: fmt.Sprintf("One node, %s clients, each in one room, the rooms of equal size; %d B to each room in turn, at most %d publications under way.",
			thousands(s.roomClients), fixedSize, underWay)}
	for _, n := range s.rooms {
		rooms.points = append(rooms.points, point{n, load{clients: s.roomClients, rooms: n, size: fixedSize, rounds: s.budget.rounds(s.roomClients, fixedSize)}})
	}
	sizes := curve{id: "size", title: "Message size", variable: "message size", noun: " a message", label: bytesLabel, quantities: []quantity{memoryAfter, fanoutCPU},
		setting: fmt.Sprintf("One node, %s clients; broadcasts to all, one at a time.", thousands(s.sizeClients))}
	for _, n := range s.sizes {
		sizes.points = append(sizes.points, point{n, load{clients: s.sizeClients, size: n, rounds: s.budget.rounds(s.sizeClients, n)}})
	}
	nodes := curve{id: "nodes", title: "Nodes", variable: "nodes", noun: " nodes", label: strconv.Itoa, quantities: all,
		setting: fmt.Sprintf("%s clients, shared equally by nodes that share one Redis; broadcasts of %d B to all, one at a time, published on one node. "+
			"Memory and CPU are those of all nodes and of Redis.", thousands(s.nodeClients), fixedSize)}
	for _, n := range s.nodes {
		nodes.points = append(nodes.points, point{n, load{clients: s.nodeClients, size: fixedSize, rounds: s.budget.rounds(s.nodeClients, fixedSize), nodes: n}})
	}
	return []curve{connections, rooms, sizes, nodes}
}

// thousands writes a number with commas.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// bytesLabel writes a number of bytes.
func bytesLabel(n int) string {
	if n >= kib && n%kib == 0 {
		return strconv.Itoa(n/kib) + " KiB"
	}
	return strconv.Itoa(n) + " B"
}
