//go:build linux

package main

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	s, err := parse([]string{"--clients", "20", "--nodes=2", "--ping-interval", "5m"})
	if err != nil || s.clients != 20 || s.nodes != 2 || s.rounds != 5 {
		t.Errorf("%+v, %v", s, err)
	}
	if want := `make million MILLION="--clients=20 --nodes=2 --generators=0 --ping-interval=5m0s"`; s.command() != want {
		t.Errorf("command %s", s.command())
	}
	for args, want := range map[string]string{
		"--clients 0":         "--clients: 0 is less than 1",
		"--rounds 0 --size 9": "--size: 9 is less than 45",
		"--idle 1ms":          "--idle",
		"clients":             `"clients"`,
	} {
		if _, err := parse(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestDivide(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		clients, nodes, generators, files int
		wantNodes, wantGenerators         int
		err                               string
	}{
		{clients: 1_000_000, files: 20_000, wantNodes: 57, wantGenerators: 57},
		{clients: 1_000_000, nodes: 60, files: 20_000, wantNodes: 60, wantGenerators: 57},
		{clients: 10, generators: 3, files: 1024, wantNodes: 1, wantGenerators: 3},
		{clients: 100_000, nodes: 5, files: 20_000, err: "--nodes: a process may open 20000 files, so 100000 clients need 6 at least, not 5"},
		{clients: 100_000, generators: 2, files: 20_000, err: "--generators"},
		{clients: 1, files: 500, err: "too few"},
	} {
		s := &settings{clients: c.clients, nodes: c.nodes, generators: c.generators}
		err := s.divide(c.files)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		if err != nil || s.nodes != c.wantNodes || s.generators != c.wantGenerators {
			t.Errorf("%+v: %d nodes, %d generators, %v", c, s.nodes, s.generators, err)
		}
	}
}

// Every client has one node and one generator, and nobody has more than an even share.
func TestSegments(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]int{{1, 1, 1}, {1, 3, 2}, {10, 3, 4}, {7, 7, 7}, {1000, 7, 13}, {1000, 13, 7}, {1_000_000, 56, 57}, {5, 8, 9}} {
		clients, nodes, generators := c[0], c[1], c[2]
		ofNode, at := make([]int, nodes), 0
		for g, parts := range segments(clients, nodes, generators) {
			ofGenerator := 0
			for _, p := range parts {
				if p.First != at || p.Count < 1 {
					t.Errorf("%v: generator %d: %+v, want the first %d", c, g, p, at)
				}
				at += p.Count
				ofNode[p.Node] += p.Count
				ofGenerator += p.Count
			}
			if ofGenerator > clients/generators+1 {
				t.Errorf("%v: generator %d has %d clients", c, g, ofGenerator)
			}
		}
		if at != clients {
			t.Errorf("%v: %d clients", c, at)
		}
		for n, count := range ofNode {
			if count > clients/nodes+1 || count < clients/nodes {
				t.Errorf("%v: node %d has %d clients", c, n, count)
			}
		}
	}
}
