//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/peal-dev/peal/lab/page"
)

// result is what a run measured. Times are in seconds and memory in bytes.
type result struct {
	Date      time.Time `json:"date"`
	Command   string    `json:"command"`
	Commit    string    `json:"commit"`
	Processor string    `json:"processor"`
	Cores     int       `json:"cores"`
	System    string    `json:"system"`
	Go        string    `json:"go"`
	Load      string    `json:"load"` // average of the minute before
	Note      string    `json:"note,omitempty"`

	Asked        int     `json:"asked"`   // clients
	Clients      int     `json:"clients"` // connected
	Nodes        int     `json:"nodes"`
	Generators   int     `json:"generators"`
	GOGC         string  `json:"gogc"` // of the nodes
	Size         int     `json:"size"` // of a broadcast's data
	PingInterval float64 `json:"ping_interval"`
	Seconds      float64 `json:"seconds"` // all of the run, without building and stopping

	Before      kernel `json:"before"`       // nothing runs
	Empty       memory `json:"empty"`        // all processes run, nobody is connected
	Connected   memory `json:"connected"`    // all clients are connected and were left alone
	AfterRounds memory `json:"after_rounds"` // after the broadcasts
	After       kernel `json:"after"`        // at the end, all still connected

	Connect    connection     `json:"connect"`
	ConnectCPU spent          `json:"connect_cpu"`
	Idle       spent          `json:"idle"`
	Rounds     []round        `json:"rounds"`
	Traffic    []nodeTraffic  `json:"traffic"` // by node, over all rounds
	Delivery   deliveryNotice `json:"delivery"`
	Foreign    *foreignResult `json:"foreign,omitempty"`
}

// round is one broadcast.
type round struct {
	Received       int     `json:"received"`
	Half           float64 `json:"half"` // after this time half of the clients have it
	Most           float64 `json:"most"` // 99 %
	Last           float64 `json:"last"`
	Answer         float64 `json:"answer"` // until the publisher had its answer
	CPU            spent   `json:"cpu"`
	RedisBytes     uint64  `json:"redis_bytes"` // sent
	TCPPeak        int64   `json:"tcp_buffers_peak"`
	LeastAvailable int64   `json:"least_available"`
}

// nodeTraffic is what one node received and delivered.
type nodeTraffic struct {
	Members    uint64 `json:"members"`
	Envelopes  uint64 `json:"envelopes"` // from other nodes
	Deliveries uint64 `json:"deliveries"`
}

// foreignResult is what messages for a room of the first node cost the other nodes.
type foreignResult struct {
	Messages     int     `json:"messages"`
	Received     uint64  `json:"received"`  // by the room's member
	Elsewhere    uint64  `json:"elsewhere"` // the most that Redis sent to another node meanwhile, of which the nodes' own heartbeats are a part
	Seconds      float64 `json:"seconds"`
	Microseconds float64 `json:"us_per_message"` // of processor time, of the node in the middle; heartbeats taken off
	Least        float64 `json:"us_least"`
	Greatest     float64 `json:"us_greatest"`
	FirstNode    float64 `json:"us_first_node"` // that takes the requests and delivers
	RedisCPU     float64 `json:"cpu_redis"`
	RedisBytes   uint64  `json:"redis_bytes"`
}

// command returns the command line without what only says where things are.
func (s *settings) command() string {
	standard, err := parse(nil)
	if err != nil {
		return "make million" // cannot happen: the defaults are valid
	}
	var flags []string
	for _, f := range []struct{ name, value, standard string }{
		{"clients", fmt.Sprint(s.clients), fmt.Sprint(standard.clients)},
		{"nodes", fmt.Sprint(s.nodes), ""},
		{"generators", fmt.Sprint(s.generators), ""},
		{"rounds", fmt.Sprint(s.rounds), fmt.Sprint(standard.rounds)},
		{"size", fmt.Sprint(s.size), fmt.Sprint(standard.size)},
		{"ping-interval", s.pingInterval.String(), standard.pingInterval.String()},
		{"ping-timeout", s.pingTimeout.String(), standard.pingTimeout.String()},
		{"gogc", s.gogc, standard.gogc},
		{"idle", s.idle.String(), standard.idle.String()},
		{"fill", fmt.Sprint(s.fill), "false"},
		{"tune", fmt.Sprint(s.tune), "false"},
	} {
		if f.value != f.standard {
			flags = append(flags, "--"+f.name+"="+f.value)
		}
	}
	return fmt.Sprintf("make million MILLION=%q", strings.Join(flags, " "))
}

// describe fills in what the run was made with.
func (r *result) describe(ctx context.Context) {
	r.Cores, r.Go, r.Processor = runtime.NumCPU(), runtime.Version(), "unknown processor"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := bytes.Cut(data, []byte("model name\t: ")); ok {
			line, _, _ := bytes.Cut(rest, []byte("\n"))
			r.Processor = string(line)
		}
	}
	if data, err := os.ReadFile("/proc/loadavg"); err == nil {
		r.Load, _, _ = strings.Cut(string(data), " ")
	}
	output := func(name string, args ...string) string {
		out, err := exec.CommandContext(ctx, name, args...).Output()
		if err != nil {
			return "unknown"
		}
		return strings.TrimSpace(string(out))
	}
	r.System = output("uname", "-sr")
	r.Commit = output("git", "rev-parse", "--short", "HEAD")
}

// problems says what a faultless run would not have had.
func (r *result) problems() []string {
	var all []string
	if r.Clients < r.Asked {
		all = append(all, fmt.Sprintf("%d of %d clients were connected: %s", r.Clients, r.Asked, r.Connect.Stopped))
	}
	if d := r.Delivery; d.Lost+d.Duplicated+d.Reordered+d.Strange > 0 || d.Gone > 0 {
		text := fmt.Sprintf("%d messages were lost, %d came twice, %d out of order, %d nobody had sent; %d clients were disconnected",
			d.Lost, d.Duplicated, d.Reordered, d.Strange, d.Gone)
		if d.Problem != "" {
			text += ", the first: " + d.Problem
		}
		all = append(all, text)
	}
	if f := r.Foreign; f != nil && (f.Elsewhere >= uint64(f.Messages) || f.Received != uint64(f.Messages)) {
		all = append(all, fmt.Sprintf("of %d messages for a room of the first node its member had %d, and Redis sent %d to another",
			f.Messages, f.Received, f.Elsewhere))
	}
	return all
}

// over returns the median, the least and the greatest of a figure over all rounds.
func (r *result) over(figure func(*round) float64) (median, least, greatest float64) {
	values := make([]float64, len(r.Rounds))
	for i := range r.Rounds {
		values[i] = figure(&r.Rounds[i])
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2, values[0], values[n-1]
}

// write prints the result and writes the files that were asked for. It fails if the run was not faultless.
func (r *result) write(s *settings) error {
	if _, err := io.WriteString(s.out, r.text()); err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	if s.jsonFile != "" {
		data, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return fmt.Errorf("the result as JSON: %w", err)
		}
		if err := os.WriteFile(s.jsonFile, append(data, '\n'), 0o644); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
	}
	if s.results != "" {
		old, err := os.ReadFile(s.results)
		if err != nil {
			return fmt.Errorf("the file for the results: %w", err)
		}
		if err := os.WriteFile(s.results, []byte(page.Replace(string(old), r.markdown())), 0o644); err != nil {
			return fmt.Errorf("writing the results: %w", err)
		}
	}
	if d := r.Delivery; d.Lost+d.Duplicated+d.Strange > 0 || d.Gone > 0 {
		return fmt.Errorf("the run was not faultless: %s", strings.Join(r.problems(), "; "))
	}
	return nil
}
