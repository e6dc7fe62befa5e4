//go:build linux

package main

import (
	"time"

	"github.com/peal-dev/peal/internal/bench/process"
)

// usage is processor time that the processes have used in all.
type usage struct {
	at                       time.Time
	nodes, generators, redis time.Duration
	each                     []time.Duration // by node
}

func (r *measurement) usage() (usage, error) {
	u := usage{at: time.Now(), each: make([]time.Duration, len(r.cluster.nodes))}
	for i, n := range r.cluster.nodes {
		t, err := process.CPU(n.pid())
		if err != nil {
			return u, err
		}
		u.each[i] = t
		u.nodes += t
	}
	for _, g := range r.crowd.generators {
		t, err := process.CPU(g.pid())
		if err != nil {
			return u, err
		}
		u.generators += t
	}
	var err error
	u.redis, err = process.CPU(r.cluster.redis.pid())
	return u, err
}

// since returns what was used since an earlier reading, in seconds.
func (u usage) since(before usage) spent {
	return spent{
		Seconds:    u.at.Sub(before.at).Seconds(),
		Nodes:      (u.nodes - before.nodes).Seconds(),
		Generators: (u.generators - before.generators).Seconds(),
		Redis:      (u.redis - before.redis).Seconds(),
	}
}

// spent is processor time in seconds, over so many seconds of time.
type spent struct {
	Seconds    float64 `json:"seconds"`
	Nodes      float64 `json:"cpu_nodes"`
	Generators float64 `json:"cpu_generators"`
	Redis      float64 `json:"cpu_redis"`
}

// memory is what the parts hold, in bytes.
type memory struct {
	Kernel        kernel `json:"kernel"`
	Nodes         int64  `json:"nodes"` // each shared page once
	NodesResident int64  `json:"nodes_resident"`
	Generators    int64  `json:"generators"`
	Redis         int64  `json:"redis"`
}

func (r *measurement) memory() (memory, error) {
	var m memory
	for _, n := range r.cluster.nodes {
		own, err := process.MemoryOf(n.pid())
		if err != nil {
			return m, err
		}
		m.Nodes += own.Proportional
		m.NodesResident += own.Resident
	}
	for _, g := range r.crowd.generators {
		own, err := process.MemoryOf(g.pid())
		if err != nil {
			return m, err
		}
		m.Generators += own.Proportional
	}
	own, err := process.MemoryOf(r.cluster.redis.pid())
	if err != nil {
		return m, err
	}
	m.Redis = own.Proportional
	m.Kernel, err = readKernel()
	return m, err
}
