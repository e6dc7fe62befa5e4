//go:build unix

package journal_test

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/peal-dev/peal/internal/journal"
)

func init() { roles["limited"] = appendWithALimit }

// appendWithALimit appends while the system lets no file become larger than a part of a segment, and then without.
func appendWithALimit(dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	all := limit.Cur
	set := func(n uint64) error {
		limit.Cur = n
		return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
	}
	const segment = 64 << 10
	j, err := journal.Open(dir, &journal.Options{SegmentSize: segment}, func(journal.Position, []byte) error { return nil })
	if err != nil {
		return err
	}
	kept, refused := 0, 0
	for i := range 300 {
		switch i {
		case 50:
			err = set(segment / 4)
		case 250:
			err = set(all)
		}
		if err != nil {
			return err
		}
		_, err := j.Append(context.Background(), journal.OnDisk, []byte(fmt.Sprint(i, " ", strings.Repeat("x", 1000))))
		switch {
		case err == nil:
			kept++
			fmt.Println("kept", i)
		case i >= 50 && i < 250 && errors.Is(err, journal.ErrFull):
			refused++
		default:
			return fmt.Errorf("number %d: %w", i, err)
		}
	}
	if kept < 100 || refused < 100 {
		return fmt.Errorf("%d kept, %d refused", kept, refused)
	}
	return j.Close()
}

// TestNoRoomOnTheMachine is TestFullDisk with a real file system: a limit of the process takes the place of its end.
func TestNoRoomOnTheMachine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd, lines := start(t, "limited", dir)
	var kept []string
	for lines.Scan() {
		n, ok := strings.CutPrefix(lines.Text(), "kept ")
		if !ok {
			t.Error(lines.Text())
		}
		kept = append(kept, n)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	var found []string
	j, err := journal.Open(dir, nil, func(_ journal.Position, b []byte) error {
		n, _, _ := strings.Cut(string(b), " ")
		found = append(found, n)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(found) != fmt.Sprint(kept) {
		t.Errorf("kept %v, found %v", kept, found)
	}
}
