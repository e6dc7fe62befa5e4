package process_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/bench/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCPU(t *testing.T) {
	t.Parallel()
	before, err := process.CPU(os.Getpid())
	if err != nil || before <= 0 {
		t.Fatalf("%s, %v", before, err)
	}
	for n := 0; ; n++ { // until the clock has seen it
		after, err := process.CPU(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if after > before {
			break
		}
	}
	if _, err := process.CPU(1 << 23); err == nil {
		t.Error("a process that cannot exist has used time")
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	m, err := process.MemoryOf(os.Getpid())
	if err != nil || m.Anonymous <= 0 || m.Resident < m.Anonymous || m.Proportional <= 0 || m.Proportional > m.Resident {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := process.MemoryOf(1 << 23); err == nil {
		t.Error("a process that cannot exist has memory")
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"listening on 127.0.0.1:81":                 "127.0.0.1:81",
		"Peal is listening on http://127.0.0.1:82":  "127.0.0.1:82",
		"hello\nListening on :83":                   "127.0.0.1:83",
		`time=now msg="listening on [::1]:84" a=b`:  "[::1]:84",
		"listen: https://localhost:85/path of mine": "localhost:85",
	} {
		var stderr strings.Builder
		s, err := process.Start(t.Context(), "sh -c 'echo up >&2; echo \""+strings.ReplaceAll(line, `"`, `\"`)+"\"; exec cat /dev/zero'", &stderr)
		if err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		if s.Addr != want {
			t.Errorf("%q: address %q", line, s.Addr)
		}
		if _, err := process.CPU(s.PID()); err != nil {
			t.Error(err)
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if stderr.String() != "up\n" {
			t.Errorf("stderr %q", stderr.String())
		}
	}
}

func TestStartOfWhatDoesNotListen(t *testing.T) {
	t.Parallel()
	if _, err := process.Start(t.Context(), "echo nothing of the sort", nil); err == nil || !strings.Contains(err.Error(), "listening on") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := process.Start(ctx, "cat /dev/zero", nil); err == nil {
		t.Error("a silent program counts as a server")
	}
}
