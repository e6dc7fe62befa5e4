package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/peal-dev/peal/bench"
)

// ErrProblems is returned when a server was measured that lost messages or connections.
var ErrProblems = errors.New("the server lost, repeated or misdirected something; see the report")

// Bench is a command that runs one scenario. Its fields are flags.
type Bench struct {
	Scenario string `arg:"" enum:"idle,connect,fanout,rooms,echo,slow,cluster" help:"What to measure: idle, connect, fanout, rooms, echo, slow or cluster."`

	URL     string `name:"url" placeholder:"URL" help:"Running server, for instance http://127.0.0.1:8080."`
	PID     int    `name:"pid" placeholder:"PID" help:"Process of that server, whose CPU time and memory are measured."`
	Command string `placeholder:"COMMAND" help:"Start the server with this instead; it must print 'listening on HOST:PORT'."`

	PublishURL     string `name:"publish-url" placeholder:"URL" help:"cluster: node to publish on."`
	PublishPID     int    `name:"publish-pid" placeholder:"PID" help:"cluster: process of that node."`
	PublishCommand string `placeholder:"COMMAND" help:"cluster: start that node with this instead."`

	Transport string `default:"websocket" enum:"websocket,polling,sse" help:"websocket, polling or sse."`
	Dialect   string `default:"peal" enum:"peal,handlers,floor" help:"What the server understands: peal (peal serve), handlers (events broadcast, echo, join, publish) or floor."`

	Clients       int     `placeholder:"N" help:"Clients. Default 10000; echo 100, slow 1000."`
	AtOnce        int     `placeholder:"N" help:"Connections being made at a time. Default 128."`
	Size          int     `placeholder:"BYTES" help:"Bytes of a message's data. Default 100; slow 16384."`
	Rounds        int     `placeholder:"N" help:"Broadcasts one at a time. Default 40; rooms 20000 publications, slow 100 in a phase."`
	Burst         int     `placeholder:"N" help:"Broadcasts back to back, four times over; --burst=-1 for none. Default 25."`
	Rooms         int     `placeholder:"N" help:"Rooms. Default as many as clients."`
	RoomSize      int     `placeholder:"N" help:"Clients in a room. Default 10."`
	Stalled       float64 `placeholder:"SHARE" help:"slow: share of the clients that stop reading. Default 0.05."`
	StalledBuffer int     `placeholder:"BYTES" help:"slow: what the kernel keeps for a client that stalls; --stalled-buffer=-1 leaves it to the kernel, some 4 MiB on loopback, and needs --rounds 330. Default 16384."`

	Pairs    int           `placeholder:"N" help:"slow: phases with stalled clients, and as many without. Default 8."`
	Interval time.Duration `placeholder:"TIME" help:"slow: from a broadcast to the next. Default four times what one takes."`
	Settle   time.Duration `placeholder:"TIME" help:"idle: pause before measuring. Default 5s."`
	Window   time.Duration `placeholder:"TIME" help:"idle and echo: how long to measure. Default 25s and 5s."`
	Patience time.Duration `placeholder:"TIME" help:"How long a message may take before it counts as lost. Default 20s."`
	Timeout  time.Duration `placeholder:"TIME" help:"Bound for everything. Default 5m."`

	AllowRemote bool   `help:"Load a server that is not on this machine. Only do this to your own."`
	JSON        string `name:"json" placeholder:"FILE" help:"Write the report as JSON; - for standard output instead of text."`
	SVG         string `name:"svg" placeholder:"FILE" help:"Draw the times as a picture."`
}

// options returns what the flags say.
func (c *Bench) options(stderr io.Writer) *bench.Options {
	return &bench.Options{
		Scenario: bench.Scenario(c.Scenario), URL: c.URL, PID: c.PID, Command: c.Command,
		PublishURL: c.PublishURL, PublishPID: c.PublishPID, PublishCommand: c.PublishCommand,
		Transport: bench.Transport(c.Transport), Dialect: bench.Dialect(c.Dialect),
		Clients: c.Clients, AtOnce: c.AtOnce, Size: c.Size, Rounds: c.Rounds, Burst: c.Burst, Rooms: c.Rooms, RoomSize: c.RoomSize,
		Stalled: c.Stalled, StalledBuffer: c.StalledBuffer, Pairs: c.Pairs, Interval: c.Interval, Settle: c.Settle, Window: c.Window, Patience: c.Patience, Timeout: c.Timeout, AllowRemote: c.AllowRemote, Stderr: stderr,
	}
}

// Validate returns what is wrong with the flags.
func (c *Bench) Validate() error { return c.options(io.Discard).Validate() }

// Execute runs the scenario and writes the report to stdout, and what a started server says to stderr.
func (c *Bench) Execute(ctx context.Context, stdout, stderr io.Writer) error {
	report, err := bench.Run(ctx, c.options(stderr))
	if err != nil {
		return err
	}
	if c.JSON == "-" {
		err = writeJSON(stdout, report)
	} else {
		err = report.WriteText(stdout)
	}
	if c.JSON != "" && c.JSON != "-" {
		err = errors.Join(err, toFile(c.JSON, func(w io.Writer) error { return writeJSON(w, report) }))
	}
	if c.SVG != "" {
		err = errors.Join(err, toFile(c.SVG, report.WriteSVG))
	}
	if err == nil && len(report.Problems) > 0 {
		return ErrProblems
	}
	return err
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func toFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return fmt.Errorf("writing the report to %s: %w", name, err)
	}
	return nil
}
