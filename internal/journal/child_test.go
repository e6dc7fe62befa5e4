package journal_test

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

	"github.com/peal-dev/peal/internal/journal"
	"github.com/peal-dev/peal/internal/journal/journaltest"
)

// roleEnv has the test binary be one of the children below, which work in its working directory.
const roleEnv = "PEAL_JOURNAL_TEST_ROLE"

var roles = map[string]func(dir string) error{"append": appendForever}

func child(role string) int {
	dir, err := os.Getwd()
	if err == nil {
		err = roles[role](dir)
	}
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	return 0
}

// start starts a child in dir and returns the lines that it writes.
func start(t *testing.T, role, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Dir, cmd.Env, cmd.Stderr = dir, append(os.Environ(), roleEnv+"="+role), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

const writers = 8

// appendForever appends numbered records by several writers and says which were acknowledged.
func appendForever(dir string) error {
	run := fmt.Sprint(os.Getpid())
	j, err := journal.Open(dir, &journal.Options{SegmentSize: 1 << 20}, func(journal.Position, []byte) error { return nil })
	if err != nil {
		return err
	}
	errs := make(chan error)
	var said sync.Mutex
	for w := range writers {
		go func() { // ends with the process
			for i := 0; ; i++ {
				d := journal.OnDisk
				if w%2 == 1 {
					d = journal.InOS
				}
				text := fmt.Sprintf("%s %d %d %s", run, w, i, strings.Repeat("x", i%500))
				if _, err := j.Append(context.Background(), d, []byte(text)); err != nil {
					errs <- err
					return
				}
				said.Lock()
				fmt.Println("kept", run, w, i)
				said.Unlock()
			}
		}()
	}
	return <-errs
}

var kills = flag.Int("kills", 3, "how often TestKilled kills a process in the middle of appends")

// TestKilled kills a process with SIGKILL in the middle of appends, again and again in one directory: everything that was
// acknowledged is there, and of each writer all in its order without a gap.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir, rng := t.TempDir(), seeded(1)
	kept := map[string]int{} // by run and writer: how many were acknowledged
	total, torn := 0, 0
	for range *kills {
		cmd, lines := start(t, "append", dir)
		for range 1 + rng.IntN(200) { // of a writer that is ahead of what is read
			if !lines.Scan() {
				t.Fatalf("the child has ended: %v", lines.Err())
			}
			acknowledged(t, kept, lines.Text())
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			acknowledged(t, kept, lines.Text())
		}
		_ = cmd.Wait() // killed
		found := map[string]int{}
		j, err := journal.Open(dir, nil, func(_ journal.Position, b []byte) error {
			var run, writer string
			var i int
			if _, err := fmt.Sscan(string(b), &run, &writer, &i); err != nil {
				return err
			}
			who := run + " " + writer
			if found[who] != i {
				return fmt.Errorf("%s has %d and then %d", who, found[who], i)
			}
			found[who]++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if j.Recovery().Torn > 0 {
			torn++
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		total = 0
		for who, n := range kept {
			total += n
			if found[who] < n {
				t.Fatalf("%s: %d were acknowledged, %d are there", who, n, found[who])
			}
		}
	}
	t.Logf("%d kills, %d acknowledged records, %d torn ends", *kills, total, torn)
}

func acknowledged(t *testing.T, kept map[string]int, line string) {
	t.Helper()
	var run, writer string
	var i int
	if _, err := fmt.Sscanf(line, "kept %s %s %d", &run, &writer, &i); err != nil {
		if strings.HasPrefix(line, "error") {
			t.Fatal(line)
		}
		return // cut by the kill
	}
	kept[run+" "+writer] = i + 1
}

// TestPowerLoss compares with a model: a machine that dies at random, in the middle of appends by many, with every sector
// that was not synced there or not. What was acknowledged as durable is there, what is there is a beginning of what was
// written, and nothing is taken for damage.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	seeds := uint64(150)
	if testing.Short() {
		seeds = 20
	}
	torn := 0
	for seed := range seeds {
		torn += powerLoss(t, seed)
	}
	if torn == 0 {
		t.Error("no end was torn: nothing was tested")
	}
}

// acknowledgement is what somebody was told.
type acknowledgement struct {
	text   string
	onDisk bool
}

func powerLoss(t *testing.T, seed uint64) (torn int) {
	rng := seeded(seed)
	d := journaltest.NewDisk()
	var floor journal.Position // what was deleted
	told := map[journal.Position]acknowledgement{}
	for life := range 6 {
		power := rng.IntN(3) > 0
		found := map[journal.Position]string{}
		j, err := journal.Open(dir, small(d), func(at journal.Position, b []byte) error {
			found[at] = string(b)
			return nil
		})
		if err != nil {
			t.Fatalf("seed %d, life %d: %v", seed, life, err)
		}
		if j.Recovery().Torn > 0 {
			torn++
		}
		end := j.Recovery().End
		for at, a := range told {
			switch text, there := found[at]; {
			case at < floor:
			case there && text != a.text:
				t.Fatalf("seed %d, life %d: at %d is %q, acknowledged was %q", seed, life, at, text, a.text)
			case !there && (a.onDisk || at < end):
				t.Fatalf("seed %d, life %d: %q at %d is missing, the end is at %d", seed, life, a.text, at, end)
			case !there:
				delete(told, at)
			}
		}
		for at, text := range found { // it has survived, so it must stay
			told[at] = acknowledgement{text, true}
		}
		chance := seeded(rng.Uint64())
		floor = lifeOfWriters(t, j, rng, life, told, func() {
			if power {
				d.LosePower(chance)
			} else {
				d.Kill()
			}
		})
		for at, a := range told {
			a.onDisk = a.onDisk || !power // the process has died, the machine has not
			told[at] = a
		}
		_ = j.Close() // of a dead process: it changes nothing
	}
	return torn
}

// lifeOfWriters has some writers append, in the middle of which die is called, and returns what was deleted before.
func lifeOfWriters(t *testing.T, j *journal.Journal, rng *rand.Rand, life int, told map[journal.Position]acknowledgement, die func()) (floor journal.Position) {
	var mu sync.Mutex
	var all sync.WaitGroup
	dead := false
	left := 1 + rng.IntN(100) // acknowledgements until it dies
	floor = firstOf(j)
	for w := range 1 + rng.IntN(4) {
		own := seeded(rng.Uint64())
		all.Go(func() {
			for i := 0; ; i++ {
				text := fmt.Sprintf("%d %d %d %s", life, w, i, strings.Repeat("y", own.IntN(700)))
				d := journal.Durability(own.IntN(2))
				at, err := j.Append(t.Context(), d, []byte(text))
				mu.Lock()
				if err == nil {
					told[at] = acknowledgement{text, d == journal.OnDisk}
				} else if !dead {
					t.Errorf("append: %v", err)
				}
				if left--; left == 0 || err != nil && !dead {
					dead = true
					die()
				}
				over := dead && err != nil
				mu.Unlock()
				if over {
					return
				}
			}
		})
	}
	all.Go(func() {
		if bases, _ := j.Segments(); len(bases) > 3 {
			_, err := j.DropBefore(bases[2])
			mu.Lock()
			defer mu.Unlock()
			if err != nil && !dead {
				t.Error(err)
			}
			floor = bases[2] // some of it may be gone
		}
	})
	all.Wait()
	return floor
}

func firstOf(j *journal.Journal) journal.Position {
	bases, _ := j.Segments()
	return bases[0]
}
