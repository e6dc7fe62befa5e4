//go:build linux

package main

import (
	"fmt"
	"math"
	"strings"
	"text/tabwriter"
	"time"
)

// line is a figure with its name.
type line struct{ name, value string }

// lines returns the figures for people.
func (r *result) lines() []line {
	n := float64(r.Clients)
	var all []line
	add := func(name, format string, args ...any) { all = append(all, line{name, fmt.Sprintf(format, args...)}) }
	add("clients", "%s connected at once, on %d nodes (some %s each), played by %d processes", thousands(r.Clients), r.Nodes, thousands(r.Clients/r.Nodes), r.Generators)
	add("connecting", "%.0f s, %s a second; CPU per client: nodes %.0f µs, the clients themselves %.0f µs", r.Connect.Seconds,
		thousands(int(n/r.Connect.Seconds)), r.ConnectCPU.Nodes/n*1e6, r.ConnectCPU.Generators/n*1e6)
	last, least, greatest := r.over(func(b *round) float64 { return b.Last })
	half, _, _ := r.over(func(b *round) float64 { return b.Half })
	most, _, _ := r.over(func(b *round) float64 { return b.Most })
	add("**broadcast to the last client**", "**%.2f s**, median of %d (%.2f–%.2f); half have it after %.2f s, 99 %% after %.2f s", last, len(r.Rounds), least, greatest, half, most)
	d := r.Delivery
	add("messages", "%s received; lost %d, twice %d, out of order %d; %d clients disconnected", thousands(int(d.Received)), d.Lost, d.Duplicated, d.Reordered, d.Gone)
	nodes, _, _ := r.over(func(b *round) float64 { return b.CPU.Nodes })
	generators, _, _ := r.over(func(b *round) float64 { return b.CPU.Generators })
	while, _, _ := r.over(func(b *round) float64 { return b.CPU.Seconds })
	while /= r.Idle.Seconds
	add("CPU per broadcast and client", "nodes %.1f µs, the clients themselves %.1f µs, with heartbeats; left alone they use %.1f and %.1f µs in that time",
		nodes/n*1e6, generators/n*1e6, r.Idle.Nodes*while/n*1e6, r.Idle.Generators*while/n*1e6)
	redis, _, _ := r.over(func(b *round) float64 { return b.CPU.Redis })
	sent, _, _ := r.over(func(b *round) float64 { return float64(b.RedisBytes) })
	add("Redis per broadcast", "%.1f ms of CPU, of which it uses %.1f ms in that time anyway; %.1f KiB sent", redis*1e3, r.Idle.Redis*while*1e3, sent/1024)
	fewest, highest, strays := r.envelopes()
	add("received by each node", "%d to %d messages from Redis in %d broadcasts; %d of %d nodes delivered another number than broadcasts × members",
		fewest, highest, len(r.Rounds), strays, len(r.Traffic))
	if f := r.Foreign; f != nil {
		add("a message for a room of one node", "of %s messages none went to the other %d nodes, which got %d heartbeats and the like, and Redis used %.1f µs of CPU for each; a node without members %.1f µs (%.1f–%.1f)",
			thousands(f.Messages), r.Nodes-1, f.Elsewhere, f.RedisCPU/float64(f.Messages)*1e6, f.Microseconds, f.Least, f.Greatest)
	}
	part := func(name string, empty, full int64) {
		add(name, "%s, %.2f KiB a client (%s before the first)", gib(full), float64(full-empty)/n/1024, gib(empty))
	}
	part("**memory of the nodes**", r.Empty.Nodes, r.Connected.Nodes)
	part("memory of the clients' processes", r.Empty.Generators, r.Connected.Generators)
	part("kernel: slab, both ends of each connection", r.Empty.Kernel.Slab, r.Connected.Kernel.Slab)
	add("memory in all", "%s less available than before the start, %.2f KiB a client; Redis %s", gib(r.Before.Available-r.Connected.Kernel.Available),
		float64(r.Before.Available-r.Connected.Kernel.Available)/n/1024, gib(r.Connected.Redis))
	least64, peak := int64(math.MaxInt64), int64(0)
	for i := range r.Rounds {
		least64, peak = min(least64, r.Rounds[i].LeastAvailable), max(peak, r.Rounds[i].TCPPeak)
	}
	add("during the broadcasts", "%s in TCP buffers at most, %s of %s available at least; nodes %s afterwards", gib(peak), gib(least64), gib(r.Before.Total), gib(r.AfterRounds.Nodes))
	add("heartbeats", "every %s, %s a second: nodes %.2f cores, the clients themselves %.2f cores", time.Duration(r.PingInterval*float64(time.Second)),
		thousands(int(n/r.PingInterval)), r.Idle.Nodes/r.Idle.Seconds, r.Idle.Generators/r.Idle.Seconds)
	add("TCP on the whole machine", "%d segments sent again, %d connections refused by a full listener, %d times short of buffers",
		r.After.Retransmitted-r.Before.Retransmitted, r.After.NotListened-r.Before.NotListened, r.After.Pressures-r.Before.Pressures)
	return all
}

// envelopes returns the least and the most that a node other than the publisher's received over all rounds, and how many
// nodes delivered another number of messages than their members need.
func (r *result) envelopes() (least, most uint64, strays int) {
	for i, t := range r.Traffic {
		if t.Deliveries != t.Members*uint64(len(r.Rounds)) {
			strays++
		}
		if i == 0 {
			continue // the publisher's
		}
		if i == 1 {
			least = t.Envelopes
		}
		least, most = min(least, t.Envelopes), max(most, t.Envelopes)
	}
	return least, most, strays
}

// text returns the result for a terminal.
func (r *result) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n\n", r.headline())
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, l := range r.lines() {
		fmt.Fprintf(t, "  %s\t%s\n", strings.ReplaceAll(l.name, "**", ""), strings.ReplaceAll(l.value, "**", ""))
	}
	_ = t.Flush() // a strings.Builder takes everything
	for _, p := range r.problems() {
		fmt.Fprintf(&b, "\n  PROBLEM: %s\n", p)
	}
	return b.String()
}

func (r *result) headline() string {
	last, _, _ := r.over(func(b *round) float64 { return b.Last })
	return fmt.Sprintf("One broadcast reaches %s clients on %d nodes in %.2f s.", thousands(r.Clients), r.Nodes, last)
}

// title is that of the section in the file of results.
const title = "## A million clients"

// markdown returns the section for the file of results.
func (r *result) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\nAll of it is on one machine: a Redis, the nodes, and the processes that play the clients, which take their share of the\n"+
		"processor and of the memory. The clients are Socket.IO over WebSocket, in the namespace `/`; a message with %d bytes of\n"+
		"data is published once, over HTTP, on one node.\n\n", title, r.headline(), r.Size)
	b.WriteString("| | |\n|---|---|\n")
	for _, l := range r.lines() {
		fmt.Fprintf(&b, "| %s | %s |\n", l.name, l.value)
	}
	fmt.Fprintf(&b, "\n*Memory* of processes counts pages that several of them share once. Of the kernel's, all is counted that grew, whoever\n"+
		"caused it; *available* is MemAvailable without reclaimable slab, in which open sockets are. *CPU* is user and kernel time of\n"+
		"the processes. Times are those at which the clients' processes have read a message, which they queue for the same cores to\n"+
		"do.\n\n```\n%s\n```\n\n", r.Command)
	fmt.Fprintf(&b, "- %s, commit %s, %s\n- %d cores of %s, %s of memory\n- %s; nodes with GOGC=%s; load average before the start %s\n", r.Date.Format(time.DateOnly), r.Commit, r.Go,
		r.Cores, r.Processor, gib(r.Before.Total), r.System, r.GOGC, r.Load)
	if r.Note != "" {
		fmt.Fprintf(&b, "- %s\n", r.Note)
	}
	for _, p := range r.problems() {
		fmt.Fprintf(&b, "- PROBLEM: %s\n", p)
	}
	return b.String()
}

// thousands writes a number with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
