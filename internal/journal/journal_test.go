package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/internal/journal"
	"github.com/peal-dev/peal/internal/journal/journaltest"
)

const dir = "/j"

// small has segments that are soon full.
func small(d journal.Disk) *journal.Options { return &journal.Options{SegmentSize: 4096, Disk: d} }

// open opens the journal in dir and returns what is in it.
func open(t testing.TB, o *journal.Options) (*journal.Journal, []string) {
	t.Helper()
	var found []string
	j, err := journal.Open(dir, o, func(_ journal.Position, b []byte) error {
		found = append(found, string(b))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, found
}

func put(t testing.TB, j *journal.Journal, data string) journal.Position {
	t.Helper()
	at, err := j.Append(context.Background(), journal.OnDisk, []byte(data))
	if err != nil {
		t.Fatalf("append %.20q: %v", data, err)
	}
	return at
}

// record is the text of number n, of some length.
func record(n int) string {
	return fmt.Sprintf("%d:%s", n, bytes.Repeat([]byte{byte('a' + n%26)}, (n*37)%300))
}

func records(n int) (all []string) {
	for i := range n {
		all = append(all, record(i))
	}
	return all
}

func TestAppendReadAndOpenAgain(t *testing.T) {
	t.Parallel()
	d := journaltest.NewDisk()
	j, found := open(t, small(d))
	if len(found) != 0 {
		t.Fatalf("a new journal has %q", found)
	}
	var at []journal.Position
	for i := range 100 {
		at = append(at, put(t, j, record(i)))
		if i > 0 && at[i] <= at[i-1] {
			t.Fatalf("position %d follows %d", at[i], at[i-1])
		}
	}
	check := func() {
		t.Helper()
		var buf []byte
		for i := range at {
			var err error
			if buf, err = j.Read(at[i], buf); err != nil || string(buf) != record(i) {
				t.Fatalf("number %d is %.20q, %v", i, buf, err)
			}
		}
	}
	check()
	if s := j.Stats(); s.Segments < 4 || s.Bytes < 100*150 {
		t.Errorf("the figures are %+v", s)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), journal.OnDisk, []byte("x")); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("an append to a closed journal: %v", err)
	}
	if _, err := j.Read(at[0], nil); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("a closed journal is read: %v", err)
	}
	j, found = open(t, small(d))
	if !slices.Equal(found, records(100)) {
		t.Fatalf("found %d", len(found))
	}
	if r := j.Recovery(); r.Records != 100 || r.Torn != 0 || r.End <= at[99] || r.Bytes < 100*150 {
		t.Errorf("recovery %+v", r)
	}
	check()
	if next := put(t, j, "next"); next <= at[99] {
		t.Errorf("position %d follows %d", next, at[99])
	}
}

func TestWhatIsNoRecord(t *testing.T) {
	t.Parallel()
	j, _ := open(t, small(journaltest.NewDisk()))
	for _, n := range []int{0, j.MaxRecord() + 1} {
		if _, err := j.Append(t.Context(), journal.OnDisk, make([]byte, n)); !errors.Is(err, journal.ErrTooLarge) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	at := put(t, j, string(make([]byte, j.MaxRecord())))
	put(t, j, string(make([]byte, j.MaxRecord())))
	if b, err := j.Read(at, nil); err != nil || len(b) != j.MaxRecord() {
		t.Errorf("the largest record is read as %d bytes, %v", len(b), err)
	}
	for _, wrong := range []journal.Position{0, 8, at + 8, at + 1, 1 << 40} {
		if b, err := j.Read(wrong, nil); err == nil {
			t.Errorf("at %d there is %q", wrong, b)
		}
	}
}

func TestDeletionFromTheFront(t *testing.T) {
	t.Parallel()
	d := journaltest.NewDisk()
	j, _ := open(t, small(d))
	var at []journal.Position
	for i := range 100 {
		at = append(at, put(t, j, record(i)))
	}
	before := d.Used()
	first, err := j.DropBefore(at[60])
	if err != nil || first > at[60] || first == 0 {
		t.Fatalf("the first position is %d after deletion up to %d: %v", first, at[60], err)
	}
	if d.Used() >= before*3/4 {
		t.Errorf("%d bytes of %d are left", d.Used(), before)
	}
	if _, err := j.Read(at[0], nil); !errors.Is(err, journal.ErrGone) {
		t.Errorf("a deleted record: %v", err)
	}
	if b, err := j.Read(at[60], nil); err != nil || string(b) != record(60) {
		t.Errorf("number 60 is %q, %v", b, err)
	}
	if first, err := j.DropBefore(1 << 60); err != nil || first > at[99] {
		t.Errorf("even the last segment was deleted: %d, %v", first, err)
	}
	put(t, j, "one more")
	_ = j.Close()
	_, found := open(t, small(d))
	if n := len(found); n < 2 || found[n-1] != "one more" || found[n-2] != record(99) {
		t.Errorf("found %q", found)
	}
}

func TestOneProcessPerDirectory(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/made/by/it"
	none := func(journal.Position, []byte) error { return nil }
	j, err := journal.Open(path, small(nil), none)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := journal.Open(path, small(nil), none); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	put(t, j, "there")
	if err := errors.Join(j.Close(), j.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := journal.Open(path, small(nil), none)
	if err != nil || again.Recovery().Records != 1 {
		t.Fatalf("once it is closed: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if _, err := journal.Open(path, small(nil), func(journal.Position, []byte) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("the error of replay: %v", err)
	}
}

// hold has every sync wait until release is closed, and counts them.
func hold(d *journaltest.Disk) (release chan struct{}, syncs *int) {
	release, syncs = make(chan struct{}), new(int)
	d.Fault(func(op journaltest.Operation, _ string) error {
		if op == journaltest.Sync {
			*syncs++
			<-release
		}
		return nil
	})
	return release, syncs
}

func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := journaltest.NewDisk()
		j, _ := open(t, &journal.Options{SegmentSize: 64 << 10, Disk: d})
		release, syncs := hold(d)
		var all sync.WaitGroup
		all.Go(func() { put(t, j, "first") })
		synctest.Wait() // it syncs
		for i := range 64 {
			all.Go(func() { put(t, j, record(i+1)) })
		}
		synctest.Wait()
		if n := j.Stats().Waiting; n != 65 || *syncs != 1 {
			t.Errorf("%d wait, %d syncs", n, *syncs)
		}
		close(release)
		all.Wait()
		if *syncs != 2 {
			t.Errorf("%d syncs for one record and 64 that waited for it", *syncs)
		}
		_ = j.Close()
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := journaltest.NewDisk()
		o := &journal.Options{SegmentSize: 64 << 10, Disk: d, MaxWaiting: 4, WaitingBytes: 1000, MaxRecord: 1000}
		j, _ := open(t, o)
		release, _ := hold(d)
		within := func(data string, seconds int) chan error {
			done := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(seconds)*time.Second)
				defer cancel()
				_, err := j.Append(ctx, journal.OnDisk, []byte(data))
				done <- err
			}()
			synctest.Wait()
			return done
		}
		large := string(make([]byte, 600))
		syncing, queued, fits := within("written", 1), within(large, 2), within("late", 10)
		noRoom := within(large, 3)
		if err := <-within("too many", 1); !errors.Is(err, journal.ErrBusy) {
			t.Errorf("the fifth: %v", err)
		}
		if err := <-syncing; !errors.Is(err, journal.ErrUncertain) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one that is being written when its time is over: %v", err)
		}
		if err := <-queued; errors.Is(err, journal.ErrUncertain) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one that waits for its turn when its time is over: %v", err)
		}
		if err := <-noRoom; errors.Is(err, journal.ErrUncertain) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one that waits for room when its time is over: %v", err)
		}
		patient := within(large, 10) // there is room since the other was withdrawn
		close(release)
		if err := errors.Join(<-fits, <-patient); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := j.Append(ctx, journal.OnDisk, []byte("x")); !errors.Is(err, context.Canceled) {
			t.Errorf("without time: %v", err)
		}
		_ = j.Close()
		_, found := open(t, o)
		if !slices.Equal(found, []string{"written", "late", large}) {
			t.Errorf("kept: %.20q", found)
		}
	})
}

// TestInOS: an acknowledgement of the operating system survives the process, and the machine soon.
func TestInOS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := journaltest.NewDisk()
		j, _ := open(t, small(d))
		var syncs atomic.Int32
		d.Fault(func(op journaltest.Operation, _ string) error {
			if op == journaltest.Sync {
				syncs.Add(1)
			}
			return nil
		})
		for i := range 5 {
			if _, err := j.Append(t.Context(), journal.InOS, []byte(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
			time.Sleep(300 * time.Millisecond)
		}
		synctest.Wait()
		if syncs := syncs.Load(); syncs != 1 {
			t.Errorf("%d syncs within 1.5 s", syncs)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if syncs := syncs.Load(); syncs != 2 {
			t.Errorf("%d syncs in the end", syncs)
		}
		d.LosePower(seeded(1))
		_ = j.Close()
		j, found := open(t, small(d))
		if fmt.Sprint(found) != "[0 1 2 3 4]" {
			t.Errorf("found %q", found)
		}
		_ = j.Close()
	})
}
