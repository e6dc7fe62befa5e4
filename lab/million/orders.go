//go:build linux

package main

import (
	"time"

	"github.com/peal-dev/peal/internal/bench/hist"
)

// role is the environment variable that makes the program a generator. It reads orders from its standard input and
// writes notices to its standard output, a JSON object each, and ends when there are no more orders to come.
const role = "PEAL_MILLION_GENERATOR"

// order is one thing that a generator is to do.
type order struct {
	Connect *connectOrder `json:"connect,omitempty"`
	Stop    bool          `json:"stop,omitempty"`    // connecting
	Collect *uint32       `json:"collect,omitempty"` // tell of the broadcast with this number, complete or not
	Finish  *uint32       `json:"finish,omitempty"`  // tell of all; so many were sent
}

// connectOrder is the first order, given once.
type connectOrder struct {
	Run    uint32          `json:"run"` // of the messages to expect
	AtOnce int             `json:"at_once"`
	Parts  []connectTarget `json:"parts"`
}

type connectTarget struct {
	Node  string `json:"node"` // host:port
	First int    `json:"first"`
	Count int    `json:"count"`
}

// notice is what a generator tells; one field is set.
type notice struct {
	Progress *int            `json:"progress,omitempty"` // clients connected so far
	Ready    *readyNotice    `json:"ready,omitempty"`
	Round    *roundNotice    `json:"round,omitempty"`
	Final    *deliveryNotice `json:"final,omitempty"`
}

// readyNotice ends connecting.
type readyNotice struct {
	Clients int    `json:"clients"`
	Problem string `json:"problem,omitempty"` // why there are fewer than ordered
}

// roundNotice tells of one broadcast. Times are on the machine's monotonic clock.
type roundNotice struct {
	Seq      uint32        `json:"seq"`
	Received int           `json:"received"` // clients that have it
	First    time.Duration `json:"first"`    // when the first client had it
	Last     time.Duration `json:"last"`
	Times    []hist.Bucket `json:"times"` // from publication to arrival
}

// deliveryNotice tells of all broadcasts.
type deliveryNotice struct {
	Received   uint64 `json:"received"`
	Lost       uint64 `json:"lost"`
	Duplicated uint64 `json:"duplicated"`
	Reordered  uint64 `json:"reordered"`
	Strange    uint64 `json:"strange"`      // of another run
	Gone       int    `json:"disconnected"` // clients
	Problem    string `json:"problem,omitempty"`
}

func (d *deliveryNotice) add(o *deliveryNotice) {
	d.Received += o.Received
	d.Lost += o.Lost
	d.Duplicated += o.Duplicated
	d.Reordered += o.Reordered
	d.Strange += o.Strange
	d.Gone += o.Gone
	if d.Problem == "" {
		d.Problem = o.Problem
	}
}
