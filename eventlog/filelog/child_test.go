package filelog

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// childEnv has the test binary append in its working directory until it is killed, under that epoch.
const childEnv = "PEAL_FILELOG_TEST_EPOCH"

var kills = flag.Int("kills", 3, "how often TestKilled kills a process in the middle of appends")

const writers = 4

func child() int {
	var epoch uint64
	_, err := fmt.Sscan(os.Getenv(childEnv), &epoch)
	s, opened := Open(".", &Options{SegmentSize: 256 << 10})
	if err != nil || opened != nil {
		fmt.Println("error", err, opened)
		return 1
	}
	errs := make(chan error)
	var said sync.Mutex
	for w := range writers {
		go func() { // ends with the process
			name := fmt.Sprint("p", w)
			topic, err := s.Topic(context.Background(), fmt.Sprint("topic", w%2), &eventlog.Policy{Count: -1})
			for seq := uint64(0); err == nil; seq++ {
				b := &eventlog.Batch{Producer: name, Epoch: epoch, Seq: seq}
				for i := range 1 + seq%3 {
					b.Items = append(b.Items, eventlog.Item{Data: fmt.Appendf(nil, "%s %d %d %d", name, epoch, seq, i)})
				}
				var a eventlog.Appended
				if a, err = topic.Append(context.Background(), b); err == nil {
					said.Lock()
					fmt.Println("kept", name, epoch, seq, a.First)
					said.Unlock()
				}
			}
			errs <- err
		}()
	}
	fmt.Println("error", <-errs)
	return 1
}

// TestKilled kills a process with SIGKILL in the middle of appends, again and again: everything that was acknowledged is
// there with its offset, batches are whole, and who went before is fenced.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(1, 1))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]string{} // batches and their offsets
	for epoch := range *kills {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Dir, cmd.Env, cmd.Stderr = dir, append(os.Environ(), fmt.Sprint(childEnv, "=", epoch)), os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		left := 1 + rng.IntN(150)
		for lines.Scan() {
			var name, at string
			var e, seq uint64
			if _, err := fmt.Sscanf(lines.Text(), "kept %s %d %d %s", &name, &e, &seq, &at); err == nil {
				if offset, ok := message.ParseOffset(at); ok && left > 0 {
					kept[fmt.Sprint(name, e, seq)] = offset.String()
				}
			} else if strings.HasPrefix(lines.Text(), "error") {
				t.Fatal(lines.Text())
			}
			if left--; left == 0 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // killed
		checkKilled(t, dir, kept)
	}
	t.Logf("%d kills, %d acknowledged batches", *kills, len(kept))
}

// checkKilled looks for what was acknowledged.
func checkKilled(t *testing.T, dir string, kept map[string]string) {
	t.Helper()
	s, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for i := range 2 {
		topic, err := s.Topic(t.Context(), fmt.Sprint("topic", i), nil)
		if err != nil {
			t.Fatal(err)
		}
		var last message.Offset
		for {
			items, err := topic.Read(t.Context(), last, 500)
			if err != nil {
				t.Fatal(err)
			}
			if len(items) == 0 {
				break
			}
			for n := 0; n < len(items); n++ {
				var name string
				var epoch, seq, part uint64
				if _, err := fmt.Sscan(string(items[n].Data), &name, &epoch, &seq, &part); err != nil || part != 0 {
					t.Fatalf("%q begins a batch: %v", items[n].Data, err)
				}
				found[fmt.Sprint(name, epoch, seq)] = items[n].Offset.String()
				for more := range seq % 3 {
					n++
					if n == len(items) || string(items[n].Data) != fmt.Sprint(name, " ", epoch, " ", seq, " ", more+1) {
						t.Fatalf("batch %s %d %d is not whole", name, epoch, seq)
					}
				}
				last = items[n].Offset
			}
		}
	}
	for batch, offset := range kept {
		if found[batch] != offset {
			t.Fatalf("batch %s was acknowledged at %s, and is at %q", batch, offset, found[batch])
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
