//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadKernel(t *testing.T) {
	t.Parallel()
	k, err := readKernel()
	if err != nil || k.Available <= 0 || k.Available > k.Total || k.Slab < k.Unreclaimable || k.Files <= 0 {
		t.Errorf("%+v, %v", k, err)
	}
}

func TestReadTable(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "table")
	if err := os.WriteFile(file, []byte("Ip: A B\nIp: 1 2\nTcp: A B C\nTcp: 3 4 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var b int64
	if err := readTable(file, "Tcp:", map[string]*int64{"B": &b}); err != nil || b != 4 {
		t.Errorf("%d, %v", b, err)
	}
	if err := readTable(file, "Udp:", nil); err == nil {
		t.Error("a line that is missing was read")
	}
	if err := readFields(file, "Ip:", map[string]*int64{"Z": &b}); err == nil || !strings.Contains(err.Error(), "1 of 1 figures are missing") {
		t.Error(err)
	}
	if _, err := readNumbers(file, 2); err == nil {
		t.Error("text was read as numbers")
	}
}

// What is short is said before anything is started, with the way out.
func TestPreflight(t *testing.T) {
	t.Parallel()
	s, err := parse([]string{"--clients=100000000", "--redis-server=/nonexistent/redis-server", "--at-once=1000000"})
	if err != nil {
		t.Fatal(err)
	}
	s.nodes, s.generators = 1, 1
	k := kernel{Total: 8 << 30, Available: 5 << 30, Files: 1 << 40}
	err = s.preflight(k)
	if err == nil {
		t.Fatal("nothing was missed")
	}
	for _, want := range []string{"/nonexistent/redis-server", "about --clients", "--fill", "raise fs.file-max", "lower --at-once"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing of %q in\n%v", want, err)
		}
	}
	s.fill = true
	if err := s.preflight(k); strings.Contains(err.Error(), "of memory") {
		t.Error(err)
	}
	note, restore, err := s.tcpMemory(kernel{})
	if err != nil || !strings.Contains(note, "--tune") || restore() != nil {
		t.Errorf("%q, %v", note, err)
	}
}
